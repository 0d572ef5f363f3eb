"""Names of runs, and links to the pages that show them."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from atesc_core.errors import UnknownRunError
from atesc_core.runs import DistillationRun, Run, TrainingRun
from atesc_core.specs.run import RunSpec
from atesc_core.specs.teacher import ABOUT_METHODS, TeacherSpec
from atesc_core.vocabulary import ESCAPE_NAMES, SYNTHESIZER_NAMES
from pages.shared.data.device import Machine
from pages.shared.data.store import run_store
from pages.shared.ui import formats


def method_name(spec: RunSpec | TeacherSpec) -> str:
    """Name of the method: ``DFQ + ATEsc`` or ``DFQ, plain``; for a teacher's training ``Training, tNTL``."""
    if isinstance(spec, TeacherSpec):
        return f"Training, {ABOUT_METHODS[spec.trained_by][0]}"
    synthesis = SYNTHESIZER_NAMES[spec.synthesis.kind]
    escape = ESCAPE_NAMES[spec.escape.kind]
    return f"{synthesis}, {escape}" if spec.escape.kind == "none" else f"{synthesis} + {escape}"


def run_link(run: Run) -> dict[str, Any]:
    """Arguments of ``st.page_link`` for the page that shows the run. For a trial: the page of its parent run."""
    if isinstance(run, DistillationRun) and run.fork:
        with suppress(UnknownRunError):  # the parent has been deleted
            run_store().get(run.fork.parent)
            return {"page": "robustness/page.py", "query_params": {"run": run.fork.parent, "try": run.id}}
    return {"page": run_page(run), "query_params": {"run": run.id}}


def run_page(run: Run) -> str:
    """The file of the page that shows runs of this kind."""
    return "teachers/page.py" if isinstance(run, TrainingRun) else "distill/page.py"


def run_name(run: Run) -> str:
    """The run's name in a list: what users called it, what it is, and its tags. It does not change as the run goes on.

    Streamlit identifies an option by its label: if the label changed, Streamlit would lose the user's choice.
    """
    created = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.created))
    is_fork = isinstance(run, DistillationRun) and run.fork
    description = f"{method_name(run.spec)}, {run.label}" if is_fork else method_name(run.spec)
    own = [run.label] if run.label and not is_fork else []
    return " · ".join([*own, run.teacher, description, f"seed {run.spec.seed}", created, run.id, *run.tags])


def count_runs(number: int) -> str:
    """``1 run``, ``12 runs``."""
    return f"{formats.count(number)} run{'' if number == 1 else 's'}"


def time_ago(at: float | None) -> str:
    """Time as text: ``just now``, ``12 min ago``, the time of today, or date and time; ``–`` for None.

    Args:
        at: Unix time in seconds.
    """
    if at is None:
        return "–"
    age = time.time() - at
    if age < 60:
        return "just now"
    if age < 3600:
        return f"{int(age // 60)} min ago"
    today = time.strftime("%Y-%m-%d") == time.strftime("%Y-%m-%d", time.localtime(at))
    return time.strftime("%H:%M" if today else "%Y-%m-%d %H:%M", time.localtime(at))


def slots_text(device: Machine) -> str:
    """How many of the device's slots are in use: ``1 of 2 slots in use``."""
    busy = min(device.slots, run_store().busy_slots(device.kind))
    return f"{busy} of {device.slots} slot{'s' if device.slots > 1 else ''} in use"


def queue_position(run: Run) -> list[str]:
    """The run's position in the queue, as text; empty if the run is not in the queue."""
    if run.queue_position is None:
        return []
    if run.queue_position == 0:
        return ["waits for a node of Ray"]
    return ["next in line" if run.queue_position == 1 else f"place {run.queue_position} in line"]
