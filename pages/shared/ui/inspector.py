"""The inspector of one synthetic image: the attack on it, its scores, and the nearest real images."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
import streamlit as st

from atesc_core import jobs
from atesc_core.embedding import nearest
from atesc_core.errors import StoreError
from atesc_core.figures.probabilities import probabilities
from atesc_core.runs import DistillationRun, Snapshot
from atesc_core.teachers import TeacherCard
from atesc_core.teachers.report import Report
from atesc_core.vocabulary import SCORE_NAMES, SCORE_UNITS
from pages.shared.data.store import run_store
from pages.shared.state import selection, url
from pages.shared.ui import appearance, elements, formats
from pages.shared.ui.chart import chart
from pages.shared.ui.gallery import gallery
from pages.shared.ui.progress import ensure_result

if TYPE_CHECKING:
    from atesc_core.inspection import Inspection

MODULE = "atesc_core.inspection"
NEIGHBOURS = 6  # nearest real images of each domain
DOMAINS: tuple[Literal["id", "ood"], ...] = ("id", "ood")
FORMAT = 2  # version of an inspection's file format

# Scrolls to the inspector when it shows another image, but not when it draws the same image again.
_reveal = st.components.v2.component(
    "atesc_reveal",
    js="""
export default function mount({ parentElement, data }) {
  if (parentElement.dataset.shown === data) return;
  parentElement.dataset.shown = data;
  parentElement.closest(".st-key-inspector")?.scrollIntoView({ block: "nearest" });
}
""",
    isolate_styles=False,
)


@dataclass(frozen=True)
class Sample:
    """An image of a snapshot, and the threshold that the page shows."""

    run: DistillationRun
    snapshot: Snapshot
    index: int
    threshold: float
    card: TeacherCard | None

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the labels 0, 1, ...; the numbers if the teacher has been deleted."""
        return self.card.class_names if self.card else tuple(map(str, range(self.snapshot.teacher_probs.shape[1])))

    @property
    def group(self) -> elements.Role:
        """The image's group at this threshold: ``fragile`` or ``robust``."""
        return "fragile" if self.snapshot.scores[self.run.spec.split.score][self.index] <= self.threshold else "robust"


def inspector(sample: Sample, report: Report | None) -> bool:
    """Draw the inspector; return whether it waits for a computation. Call it in a fragment."""
    run, snapshot, index = sample.run, sample.snapshot, sample.index
    with st.container(border=True, key="inspector"):
        left, right = st.columns([8, 1], vertical_alignment="center")
        with left:
            elements.row(
                elements.bold(f"Image {index}"),
                elements.chip(sample.group, sample.group),
                elements.muted(
                    f"synthetic · epoch {snapshot.epoch} of {run.epochs} · split at the threshold by "
                    f"{SCORE_NAMES[run.spec.split.score]}"
                ),
            )
        right.button(
            "Close",
            icon=":material/close:",
            key="close inspector",
            width="stretch",
            on_click=selection.close,
            args=(run,),
        )
        waiting = _attack(sample)
        _scores_and_neighbours(sample, report)
        _reveal(key="reveal inspector", data=f"{run.id} {snapshot.epoch} {index}")
    return waiting


# ── the attack on the image ─────────────────────────────────────────────────────────────────────────


def _attack(sample: Sample) -> bool:
    """Draw the image, its adversarial version and both networks' answers.

    Returns:
        Whether the attack is still being computed.
    """
    if sample.card is None:
        gallery(sample.snapshot.images[[sample.index]], columns=6)
        elements.caption("This run's teacher is gone: without it there is no attack. What was measured is below.")
        return False
    pictures, teacher, student = st.columns([5, 4, 4])
    with pictures:
        budget = _budget(sample)
        inspection = _inspection(sample, budget)
        _pictures(sample, inspection)
    snapshot, index, names = sample.snapshot, sample.index, sample.class_names
    with teacher:
        elements.row(elements.bold("Teacher"), elements.chip(sample.card.kind, sample.card.kind))
        _probabilities(
            "teacher",
            snapshot.teacher_probs[index],
            inspection.teacher if inspection else None,
            names,
            sample.card.kind,
        )
    with student:
        elements.row(elements.bold("Student"), elements.muted(f"as it was at the end of epoch {snapshot.epoch}"))
        _probabilities(
            "student", snapshot.student_probs[index], inspection.student if inspection else None, names, "ink"
        )
        if inspection and inspection.student is None:
            elements.caption(
                "Not asked about the attacked image: of this run's students, "
                f"{_students_kept(inspection.students)} kept."
            )
    return inspection is None and _is_in_progress(sample, budget)


def _students_kept(epochs: tuple[int, ...]) -> str:
    """End of the sentence on which epochs have a student on disk."""
    if len(epochs) > 1:
        return f"only those of {len(epochs)} other epochs are"
    return f"only that of epoch {epochs[0]} is" if epochs else "none is"


def _budget(sample: Sample) -> float:
    """Draw the slider of the attack's ε and return ε in 1/255. It starts at the smallest ε that changes the label."""
    largest = sample.run.spec.split.max_epsilon
    min_eps = float(sample.snapshot.scores["min_eps"][sample.index])
    key = f"budget {sample.run.id} {sample.snapshot.epoch} {sample.index}"
    step = largest / 128  # the resolution of min ε
    default = min(min_eps, largest)
    binding = url.bind_widget(
        "budget", url.read_number("budget", default, 0.0, largest), key=key, default=default, initial="value"
    )
    budget: float = st.slider(
        "Attack budget ε (1/255)",
        0.0,
        float(largest),
        step=step,
        **binding,
        format="%.2f",
        help=(
            f"No attack up to {largest:g} changes the label"
            if math.isinf(min_eps)
            else f"At first the smallest budget that changes the teacher's label, {min_eps:g}"
        ),
    )
    return budget


def _pictures(sample: Sample, inspection: Inspection | None) -> None:
    image = sample.snapshot.images[sample.index] / 255
    before = sample.class_names[sample.snapshot.teacher_probs[sample.index].argmax()]
    images, captions = [image], [f"the image: {before}"]
    roles: list[elements.Role | None] = [sample.group]
    if inspection is not None:
        difference = inspection.adversarial - image
        scale = 0.5 / np.abs(difference).max() if difference.any() else 1.0
        after = sample.class_names[inspection.teacher.argmax()]
        images += [inspection.adversarial, 0.5 + scale * difference]
        captions += [f"attacked: {after}", f"difference × {scale:.0f}"]
        roles += [None, None]
    gallery(np.stack(images), columns=3, roles=roles, titles=captions, captions=captions)
    if inspection is not None:
        changed = "changes its mind" if inspection.flipped else "keeps its label"
        elements.caption(f"Within ε = {inspection.epsilon:.2f}/255 of the image the teacher {changed}.")


def _probabilities(who: str, before: np.ndarray, after: np.ndarray | None, names: tuple[str, ...], role: str) -> None:
    figure = probabilities(before, after, appearance.mode(), class_names=names, role=role)
    chart(figure, f"said {who}", height=290, label=f"The {who}'s class probabilities, before and after the attack")


def _inspection(sample: Sample, epsilon: float) -> Inspection | None:
    """The result of the attack; None while it is being computed, or after a failure, which is then drawn."""
    from atesc_core.inspection import Inspection, takes_long

    run, epoch, index = sample.run, sample.snapshot.epoch, sample.index
    version = _version(run, epoch)
    if not takes_long(sample.snapshot.images.shape[-1], run.spec.split.steps):
        try:
            return _compute_now(str(run_store().runs_dir), run.id, epoch, index, epsilon, version)
        except (StoreError, ValueError) as error:
            elements.problem("The attack could not be computed.", f"{error}.", "The rest of the page stands.")
            return None
    path = _file(sample, epsilon)
    with suppress(FileNotFoundError):
        return Inspection.load(path)
    arguments = run.id, str(epoch), str(index), str(epsilon), "--runs-dir", str(run_store().runs_dir)
    ensure_result(
        str(path),
        "Attacking this image",
        lambda: not path.exists(),
        lambda: jobs.start(str(path), MODULE, *arguments, "--out", str(path), queue="short"),
    )
    return None


def _is_in_progress(sample: Sample, epsilon: float) -> bool:
    """Whether to draw again soon: the job is active or has just finished."""
    job = jobs.find(str(_file(sample, epsilon)))
    return job is not None and (job.active or job.state == "done")


def _file(sample: Sample, epsilon: float) -> Path:
    run, epoch = sample.run, sample.snapshot.epoch
    name = f"{run.id}-{epoch}-{sample.index}-{epsilon:g}-{_version(run, epoch)}-{FORMAT}.npz"
    return run_store().runs_dir / "cache" / "inspections" / name


def _version(run: DistillationRun, epoch: int) -> int:
    """A number that changes with the epoch's files: a resumed run writes its epochs again."""
    store = run_store()
    files = (store.snapshot_file(run.id, epoch), store.student_file(run.id, epoch), store.checkpoint_file(run.id))
    return max((file.stat().st_mtime_ns for file in files if file.exists()), default=0)


@st.cache_data(max_entries=512, show_spinner=False)
def _compute_now(runs_dir: str, run_id: str, epoch: int, index: int, epsilon: float, version: int) -> Inspection:
    from atesc_core.inspection import inspect

    return inspect(run_store(), run_id, epoch, index, epsilon)


# ── scores and neighbours ───────────────────────────────────────────────────────────────────────────


def _scores_and_neighbours(sample: Sample, report: Report | None) -> None:
    columns = st.columns([5, 4, 4])
    with columns[0]:
        elements.row(
            elements.bold("Scores"),
            elements.muted(formats.measured_on("among synthetic", len(sample.snapshot.images), sample.snapshot.epoch)),
        )
        st.dataframe(_ranks(sample), hide_index=True, width="stretch")
    for domain, column in zip(DOMAINS, columns[1:], strict=True):
        with column:
            elements.row(
                elements.bold(f"Nearest real {domain.upper()}"), elements.muted("among the teacher's features")
            )
            if report is None:
                elements.caption("Not measured yet.")
            else:
                _neighbours(sample, report, domain)


def _ranks(sample: Sample) -> pd.DataFrame:
    """One row per score: the image's value, and the share of the epoch's images that are less robust."""
    rows = []
    for name, values in sample.snapshot.scores.items():
        value = values[sample.index]
        text = f"> {sample.run.spec.split.max_epsilon:g}" if np.isposinf(value) else f"{value:.2f}".replace("-", "−")
        rows.append(
            {
                "score": SCORE_NAMES[name],
                "value": f"{text}{SCORE_UNITS[name]}",
                "more robust than": f"{100 * np.mean(values < value):.1f} %",
            }
        )
    return pd.DataFrame(rows)


def _neighbours(sample: Sample, report: Report, domain: Literal["id", "ood"]) -> None:
    side, names = getattr(report, domain), getattr(report, f"{domain}_classes")
    positions, distances = nearest(sample.snapshot.features[sample.index], side.features, NEIGHBOURS)
    titles = [
        f"{names[side.labels[position]]}, teacher: {sample.class_names[side.predicted[position]]}"
        for position in positions
    ]
    gallery(
        side.images[positions],
        columns=NEIGHBOURS,
        roles=[domain] * len(positions),
        titles=titles,
        captions=[f"{distance:.1f}" for distance in distances],
    )
    elements.caption(f"Distance; of {formats.count(len(side.features))} {domain.upper()} validation images")
