"""The live view of one training: accuracies by epoch, losses, events, and buttons."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from atesc_core import figures
from atesc_core.runs import TrainingRun
from atesc_core.teachers.recipes import command
from atesc_core.vocabulary import METRIC_MEANINGS, METRIC_NAMES, METRIC_ROLES
from pages.shared.data.store import run_store
from pages.shared.data.teachers import cards, forget_cards
from pages.shared.ui import appearance, elements, formats, pause_resume_stop, run_panel
from pages.shared.ui.chart import chart
from pages.shared.ui.polling import is_live, watch_run
from pages.shared.ui.run_labels import method_name

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

CHART_HEIGHT = 400


def training_view(run: TrainingRun) -> None:
    """Draw the view of one training, and redraw it while the run may change. A finished teacher can be opened."""
    title, back, open_button, distil = st.columns([5, 1.8, 2, 2.2], vertical_alignment="bottom")
    with title:
        elements.header(run.teacher)
    back.button("All teachers", icon=":material/arrow_back:", on_click=_show_all_teachers, width="stretch")
    if run.status == "done":
        if run.teacher not in cards():
            forget_cards()
        if run.teacher in cards():
            _teacher_buttons(run, open_button, distil)
    watch_run(run, _panel)


def _show_all_teachers() -> None:
    st.query_params.clear()


def _teacher_buttons(run: TrainingRun, open_button: DeltaGenerator, distil: DeltaGenerator) -> None:
    open_button.button(
        "Open",
        icon=":material/visibility:",
        width="stretch",
        help="What it does with real images",
        on_click=lambda: st.query_params.from_dict({"teacher": run.teacher}),
    )
    with distil:
        elements.page_button(
            "distill/page.py",
            "Distil this teacher",
            primary=True,
            icon=":material/experiment:",
            width="stretch",
            query_params={"teacher": run.teacher},
        )


def _panel(run: TrainingRun) -> None:
    """Draw the whole run."""
    _header(run)
    for part in (run_panel.status_notice, _accuracy_tiles):
        with st.container():  # keeps its place while it is empty: otherwise the charts below would be drawn anew
            part(run)
    left, right = st.columns(2)
    with (
        left,
        elements.card(
            "Teacher accuracy by epoch",
            "real validation images; its card has its accuracy on test images",
            height="stretch",
        ),
    ):
        _accuracy_chart(run)
    with right, elements.card("Loss by term", "each round, as it adds up", height="stretch"):
        steps = run_store().rounds(run.id, at_most=run_panel.ROUNDS_DRAWN)
        chart(figures.losses_teacher(steps, appearance.mode(), run.epochs), f"losses-{run.id}", height=CHART_HEIGHT)
    with elements.card("What happened"):
        _history(run)


def _header(run: TrainingRun) -> None:
    left, right = st.columns([3, 2])
    with left:
        elements.row(
            elements.bold(run.spec.pair),
            elements.teacher_chip(run.spec.kind),
            method_name(run.spec),
            elements.muted(f"{run.spec.arch} · {run.spec.image_side} px"),
            elements.status_chip(run.status),
        )
        elements.row(elements.muted(run_panel.progress_text(run)))
        if is_live(run):
            st.html(elements.progress_bar(run.progress))
    with right, st.container(horizontal=True, horizontal_alignment="right", gap="small"):
        pause_resume_stop.run_buttons(run)


def _accuracy_tiles(run: TrainingRun) -> None:
    """Draw the last epoch's accuracies."""
    if not run.metrics:
        return
    epoch = int(run_store().epochs(run.id)["epoch"].iloc[-1])
    tiles = []
    for metric in [name for name in METRIC_NAMES if name in run.metrics]:
        value, side = run.metrics[metric], METRIC_ROLES[metric]
        tiles.append(
            elements.tile(
                METRIC_NAMES[metric],
                formats.per_cent(value),
                "%",
                role=side,
                help_text=f"Per cent {METRIC_MEANINGS[metric]}",
                measured_on=formats.measured_on(f"{side.upper()} validation", epoch=epoch),
            )
        )
    elements.tiles(
        *tiles,
        elements.tile(
            "Images seen",
            formats.count(run.images),
            measured_on="of the ID domain" if run.spec.kind == "SL" else "of both domains",
        ),
    )


def _accuracy_chart(run: TrainingRun) -> None:
    # "atesc" only for its full line: a teacher has no escape
    curve = figures.Curve(
        run_store().epochs(run.id), f"{run.spec.kind} teacher", run.spec.kind, "atesc", curve_id=run.id
    )
    figure = figures.accuracy([curve], appearance.mode(), run.epochs, images="validation")
    figure.update_layout(showlegend=False)
    chart(figure, f"accuracy-{run.id}", height=CHART_HEIGHT, label="Teacher accuracy by epoch")


def _history(run: TrainingRun) -> None:
    run_panel.timeline(run)
    with elements.hidden_when_presenting("settings"):
        with st.expander("Settings", icon=":material/tune:"):
            st.code(run.spec.to_yaml(), language="yaml")
        elements.label("The same from the command line")
        st.code(command(run.spec), language="bash", wrap_lines=True)
