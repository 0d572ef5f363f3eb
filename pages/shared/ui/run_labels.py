"""TODO: what this module is."""

from __future__ import annotations

import time
from contextlib import suppress

from atesc_core.errors import UnknownRun
from atesc_core.runs import DistillationRun, Run, TrainingRun
from atesc_core.specs.run import RunSpec
from atesc_core.specs.teacher import ABOUT_METHODS, TeacherSpec
from atesc_core.vocabulary import ESCAPE_NAMES
from pages.shared.data.store import run_store


def method_name(spec: RunSpec | TeacherSpec) -> str:
    """`DFQ + ATEsc`, `DFQ, plain`; of a teacher's training: `Training, tNTL`."""
    if isinstance(spec, TeacherSpec):
        return f"Training, {ABOUT_METHODS[spec.trained_by][0]}"
    synthesis = spec.synthesis.kind.upper()
    escape = ESCAPE_NAMES[spec.escape.kind]
    return f"{synthesis}, {escape}" if spec.escape.kind == "none" else f"{synthesis} + {escape}"


def run_link(run: Run) -> dict[str, object]:
    """Where the run is shown, as ``st.page_link(**place(run))`` takes it: a try beside the run that it parted from."""
    if isinstance(run, DistillationRun) and run.fork:
        with suppress(UnknownRun):  # deleted since
            run_store().get(run.fork.parent)
            return {"page": "pages/robustness/page.py", "query_params": {"run": run.fork.parent, "try": run.id}}
    return {"page": run_page(run), "query_params": {"run": run.id}}


def run_page(run: Run) -> str:
    """The file of the page that shows runs of this kind."""
    return "pages/teachers/page.py" if isinstance(run, TrainingRun) else "pages/distill/page.py"


def run_name(run: Run) -> str:
    """What tells a run from its neighbours, in one line that never changes: Streamlit knows an option by its words,
    and takes one that reads otherwise than before for another choice of the user's."""
    created = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.created))
    is_fork = isinstance(run, DistillationRun) and run.fork
    what = f"{method_name(run.spec)}, {run.label}" if is_fork else method_name(run.spec)
    return f"{run.teacher} · {what} · seed {run.spec.seed} · {created} · {run.id}"


def time_ago(at: float | None) -> str:
    """`just now`, `12 min ago`, then the clock or the date. at: unix seconds."""
    if at is None:
        return "–"
    age = time.time() - at
    if age < 60:
        return "just now"
    if age < 3600:
        return f"{int(age // 60)} min ago"
    today = time.strftime("%Y-%m-%d") == time.strftime("%Y-%m-%d", time.localtime(at))
    return time.strftime("%H:%M" if today else "%Y-%m-%d %H:%M", time.localtime(at))
