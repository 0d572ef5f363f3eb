"""The run of the second map. It is in the link (``?second=ID``), so that a link shows the same two maps.

``?second=other`` stands for a run of the other kind of teacher: an SL control for an NTL run, an NTL run for an SL one.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from atesc_core.figures.run_data import counterpart
from atesc_core.runs import DistillationRun
from atesc_core.specs.teacher import TeacherSpec
from pages.shared.data.store import run_store
from pages.shared.data.teachers import cards
from pages.shared.state import url
from pages.shared.state.controlled_widget import controlled_widget
from pages.shared.state.run_choice import show_run
from pages.shared.ui import elements
from pages.shared.ui.run_labels import run_name

OTHER = "other"
SWITCH_KEY, PICKER_KEY = "two maps", "second run picker"


def pick_second_run(run: DistillationRun) -> tuple[bool, DistillationRun | None]:
    """Draw the controls of the second map.

    Returns:
        Whether there are two maps, and the run of the second map (None while there is no such run).

    Call it outside fragments: choosing another second run reruns the page.
    """
    offered = {other.id: other for other in run_store().distillations() if other.metrics and other.id != run.id}
    chosen = _chosen(run, offered)
    switch, picker, swap = st.columns([2, 6, 1.3], vertical_alignment="center")
    switch.toggle(
        "Two maps",
        help="A second run's map next to this one's, at the same epoch: an NTL teacher against an SL one",
        **controlled_widget(SWITCH_KEY, chosen is not None, _switch, initial="value"),
    )
    if chosen is None:
        return False, None
    ids = list(offered)
    picker.selectbox(
        "Second run",
        ids,
        format_func=lambda run_id: run_name(offered[run_id]),
        placeholder="Choose the second run",
        label_visibility="collapsed",
        **controlled_widget(
            PICKER_KEY, chosen if chosen in offered else None, partial(url.set_parameter, "second"), options=ids
        ),
    )
    second = offered.get(chosen)
    swap.button(
        "Swap",
        icon=":material/swap_horiz:",
        width="stretch",
        disabled=second is None,
        on_click=_swap,
        args=(run, second),
        help="Put the second run on the left, where its images can be selected",
    )
    return True, second


def no_second_run(run: DistillationRun) -> None:
    """Draw a notice that there is no run to compare with this one, and a link that starts one."""
    card = cards()[run.spec.teacher]
    kind: Literal["SL", "NTL"] = "SL" if card.kind == "NTL" else "NTL"
    teachers = [
        other
        for other in cards().values()
        if other.kind == kind and (other.pair, other.image_side) == (card.pair, card.image_side)
    ]
    title = f"No run of an {kind} teacher to compare with this one"
    if teachers:
        spec = run.spec.replaced({"teacher": teachers[0].name, "escape.kind": "none"})
        with (
            elements.empty_state(
                title, f"Distil {teachers[0].name} plainly with this run's other settings, or choose any run above."
            ),
            _centred(),
        ):
            st.page_link(
                "distill/page.py",
                label=f"Distil {teachers[0].name}",
                icon=":material/experiment:",
                query_params={"spec": spec.to_token()},
            )
        return
    with (
        elements.empty_state(
            title,
            f"The pair {card.pair} has no {kind} teacher of {card.image_side} px yet: train one, or "
            "choose any run above.",
        ),
        _centred(),
    ):
        training = TeacherSpec(
            name=f"{card.name[:60]}-{kind.lower()}",
            pair=card.pair,
            kind=kind,
            arch=card.arch,
            image_side=card.image_side,
        )
        st.page_link(
            "teachers/page.py",
            label=f"Train an {kind} teacher",
            icon=":material/model_training:",
            query_params={"spec": training.to_token()},
        )


def _chosen(run: DistillationRun, offered: dict[str, DistillationRun]) -> str | None:
    """The second run's id; ``OTHER`` if there is no run of the other kind of teacher; None if there is one map."""
    requested = st.query_params.get("second")
    if requested is None or requested in offered:
        return requested
    if requested == run.id:  # the page now shows the run that was the second one
        url.set_parameter("second", None)
        return None
    if requested != OTHER:
        elements.notice(
            "warning",
            f"There is no run {requested[:20]!r} to compare with this one. It may have been deleted, or the link "
            "comes from another lab.",
            icon=":material/link_off:",
        )
    other = counterpart(run, run_store(), cards())
    url.set_parameter("second", other.id if other else OTHER)
    return other.id if other else OTHER


def _switch(on: bool) -> None:
    url.set_parameter("second", OTHER if on else None)


def _swap(run: DistillationRun, second: DistillationRun) -> None:
    show_run(second.id)
    url.set_parameter("second", run.id)


def _centred() -> DeltaGenerator:
    return st.container(horizontal=True, horizontal_alignment="center")
