"""Where BatchNorm statistics lie between real ID and real OOD images: a teacher's, and a run's synthetic images'."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from atesc_core import figures
from atesc_core.runs import DistillationRun
from atesc_core.teachers.batchnorm import BatchNormReport
from pages.shared.data.batchnorm import batchnorm_report, measuring_batchnorm
from pages.shared.data.snapshots import batchnorm_by_epoch
from pages.shared.data.teachers import cards
from pages.shared.ui import appearance, elements, formats
from pages.shared.ui.chart import chart
from pages.shared.ui.polling import poll

NO_BATCHNORM = "This teacher has no BatchNorm layer: R_BN is 0, and nothing pulls images to its statistics."
FAR_DOTS = (
    "Open dots are off the line from ID to OOD by more than a quarter of its length: there the place says little."
)


def batchnorm_curve(run: DistillationRun, height: int = 340, epoch: int | None = None) -> bool:
    """Draw the curve inside a card. Call it in a fragment.

    Args:
        run: The run.
        height: Of the chart, in px.
        epoch: An epoch to mark.

    Returns:
        Whether its teacher is still being measured.
    """
    name = run.spec.teacher
    if name not in cards():
        elements.caption("This run's teacher is gone, and with it the places of real images.")
        return False
    report = batchnorm_report(name)
    if report is None:
        return measuring_batchnorm([name])
    st.empty()  # replaces the progress: without it, it may stay in the browser (Streamlit 1.67)
    if not report.layers:
        elements.caption(NO_BATCHNORM)
        return False
    statistics = batchnorm_by_epoch(run.id, report)
    figure = figures.batchnorm_epochs(
        list(statistics),
        [report.positions(values) for values in statistics.values()],
        report.layers,
        appearance.mode(),
        teacher=cards()[name].kind,
        target=report.positions(report.running),
        images=run.spec.snapshot_images,
        epoch=epoch,
    )
    chart(figure, f"batchnorm-{run.id}", height=height, label="Synthetic images between ID and OOD, layer by layer")
    elements.caption(
        f"Mean of each layer's input over {formats.count(run.spec.snapshot_images)} synthetic images an epoch, between "
        f"those of {real_images(report.id_images, report.ood_images)}. Dotted: what R_BN asks for, as a "
        f"median of the layers. {FAR_DOTS}"
    )
    return False


def with_reports(key: str, names: Sequence[str], draw: Callable[[dict[str, BatchNormReport]], None]) -> None:
    """Call ``draw`` with the reports of these teachers, and again whenever another has been measured.

    Args:
        key: Unique on the page.
        names: Names of the teachers.
        draw: Draws the reports that are there, by name.
    """
    changing_key = f"{key} is measured"

    def show() -> bool:
        draw({name: report for name in names if (report := batchnorm_report(name)) is not None})
        changing = measuring_batchnorm(names)
        st.session_state[changing_key] = changing
        return changing

    poll(show, st.session_state.get(changing_key, False))


def real_images(id_images: int, ood_images: int) -> str:
    """How many real images the positions are of."""
    return f"{formats.count(id_images)} ID and {formats.count(ood_images)} OOD validation images"
