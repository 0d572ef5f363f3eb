"""The run whose map stands beside that of the page's run: ?beside=ID, so that a link shows the same two.

?beside=other asks for the other kind of teacher: an SL control beside an NTL run, an NTL run beside an SL one.
"""

from __future__ import annotations

import streamlit as st

from atesc_core.figures.run_data import counterpart
from atesc_core.runs import DistillationRun
from atesc_core.specs.teacher import TeacherSpec
from pages.shared.data.store import run_store
from pages.shared.data.teachers import cards
from pages.shared.state import url
from pages.shared.state.run_choice import show_run
from pages.shared.ui import elements
from pages.shared.ui.run_labels import run_name

OTHER = "other"
SWITCH, PICKER = "two maps", "beside picker"  # widgets; what they hold is always copied from the URL


def pick(run: DistillationRun) -> tuple[bool, DistillationRun | None]:
    """Whether two maps are wanted, and the second's run: None where there is no such run yet.

    Call it outside fragments: another second run reruns the page.
    """
    offered = {other.id: other for other in run_store().distillations() if other.metrics and other.id != run.id}
    wanted = _wanted(run, offered)
    switch, picker, turn = st.columns([2, 6, 1.3], vertical_alignment="center")
    st.session_state[SWITCH] = wanted is not None
    switch.toggle(
        "Two maps",
        key=SWITCH,
        on_change=_switch,
        help=("A second run's map beside this one's, at the same epoch: an NTL teacher against an SL one"),
    )
    if wanted is None:
        return False, None
    st.session_state[PICKER] = wanted if wanted in offered else None
    picker.selectbox(
        "Second run",
        list(offered),
        key=PICKER,
        format_func=lambda run_id: run_name(offered[run_id]),
        index=None,
        placeholder="Choose the second run",
        label_visibility="collapsed",
        on_change=lambda: url.set_parameter("beside", st.session_state[PICKER]),
    )
    second = offered.get(wanted)
    turn.button(
        "Swap",
        icon=":material/swap_horiz:",
        width="stretch",
        disabled=second is None,
        on_click=_swap,
        args=(run, second),
        help="Put the second run on the left, where its images can be selected",
    )
    return True, second


def missing(run: DistillationRun) -> None:
    """There is no run to stand beside this one: what to start."""
    card = cards()[run.spec.teacher]
    kind = "SL" if card.kind == "NTL" else "NTL"
    teachers = [
        other
        for other in cards().values()
        if other.kind == kind and (other.pair, other.image_side) == (card.pair, card.image_side)
    ]
    title = f"No run of an {kind} teacher to set beside this one"
    if teachers:
        spec = run.spec.replaced({"teacher": teachers[0].name, "escape.kind": "none"})
        with (
            elements.empty_state(
                title, f"Distil {teachers[0].name} plainly with this run's other settings, or choose any run above."
            ),
            _centred(),
        ):
            st.page_link(
                "pages/distill/page.py",
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
        spec = TeacherSpec(
            name=f"{card.name[:60]}-{kind.lower()}",
            pair=card.pair,
            kind=kind,
            arch=card.arch,
            image_side=card.image_side,
        )
        st.page_link(
            "pages/teachers/page.py",
            label=f"Train an {kind} teacher",
            icon=":material/model_training:",
            query_params={"spec": spec.to_token()},
        )


def _wanted(run: DistillationRun, offered: dict[str, DistillationRun]) -> str | None:
    """An offered run's id; ``OTHER`` where the other kind is wanted and there is none; None: one map."""
    wanted = st.query_params.get("beside")
    if wanted is None or wanted in offered:
        return wanted
    if wanted == run.id:  # the page's run is now the one that was beside it
        url.set_parameter("beside", None)
        return None
    if wanted != OTHER:
        st.warning(
            f"There is no run {wanted[:20]!r} to set beside this one. It may have been deleted, or the link "
            "comes from another lab.",
            icon=":material/link_off:",
        )
    found = counterpart(run, run_store(), cards())
    url.set_parameter("beside", found.id if found else OTHER)
    return found.id if found else OTHER


def _switch() -> None:
    url.set_parameter("beside", OTHER if st.session_state[SWITCH] else None)


def _swap(run: DistillationRun, second: DistillationRun) -> None:
    show_run(second.id)
    url.set_parameter("beside", run.id)


def _centred():
    return st.container(horizontal=True, horizontal_alignment="center")
