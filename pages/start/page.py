"""Start: what the trap is, the story live, this machine, the latest runs."""

import streamlit as st

from atesc_core.vocabulary import SETTING_DESCRIPTIONS, SETTING_NAMES
from pages.shared.data import recordings, story
from pages.shared.data.cost import active_run_count, estimated_seconds
from pages.shared.data.device import machine
from pages.shared.data.store import run_store
from pages.shared.state import url
from pages.shared.ui import elements, formats
from pages.shared.ui.polling import is_live, poll
from pages.start.latest import SHOWN, latest_runs
from pages.start.live_story import stage
from pages.start.trap import picture

GPU = {
    "cpu": "No GPU found. With one, the app uses it, and the full preset becomes practical.",
    "mps": "The full preset is made for a CUDA GPU.",
    "cuda": "The full preset runs here too.",
}


def invite() -> None:
    """Choose the setting, and the page's one button."""
    settings = story.teachers_by_setting()
    if not settings:
        elements.empty_state(
            "No teachers", "The story needs an NTL and an SL teacher of one pair; see the page Teachers."
        )
        return
    chosen = st.segmented_control(
        "Setting",
        list(settings),
        required=True,
        **url.bind_choice("setting", settings),
        format_func=lambda name: SETTING_NAMES[name].capitalize(),
    )
    elements.caption(SETTING_DESCRIPTIONS[chosen])
    recorded = recordings.SHIPPED.exists()
    elements.page_button(
        "pages/story/page.py",
        "Play the story",
        primary=recorded,
        icon=":material/slideshow:",
        width="stretch",
        disabled=not recorded,
        help="Five steps, from a recording: nothing is computed"
        if recorded
        else f"This copy has no recording; `{recordings.MAKE_COMMAND}` makes it",
    )
    if st.button(
        "Run the story live", type="secondary" if recorded else "primary", icon=":material/play_arrow:", width="stretch"
    ):
        st.query_params["story"] = story.start(chosen)
        st.rerun()
    elements.caption(f"Three students, one after the other{needed(chosen)}.")


def needed(setting: str) -> str:
    """`, about 3 min here`, where earlier runs say so."""
    times = [estimated_seconds(spec) for spec in story.specs(setting).values()]
    line = f", after {active_run_count()} in line" if active_run_count() else ""
    return line if None in times else f", about {formats.duration(sum(times))} here{line}"


def explained() -> None:
    left, right = st.columns([5, 3], gap="medium")
    with left, elements.card(height="stretch"):
        picture(key="trap")
    with right, elements.card("See it happen", height="stretch"):
        st.fragment(invite)()


def told(group: str) -> None:
    """The story of the group, followed as long as it goes on."""
    poll(lambda: stage(group), story.in_progress(group), every_s=1.5)
    if story.runs(group):
        st.page_link(
            "pages/story/page.py",
            label="The same in five steps",
            icon=":material/slideshow:",
            query_params={"story": group},
        )


def this_machine() -> bool:
    """The device, what a GPU would change, and the queue; whether PyTorch has yet to answer."""
    device, busy = machine(), active_run_count()
    elements.row(
        elements.bold("This machine"),
        device.summary if device else elements.muted("Asking PyTorch …"),
        elements.muted(GPU[device.kind]) if device else "",
        elements.bold("Queue"),
        f"{busy} running or in line" if busy else "empty",
    )
    return device is None or busy > 0


elements.header(
    "An NTL teacher fools data-free distillation. See it, then get out.",
    "A non-transferable (NTL) teacher draws the generator away from the ID domain; the student learns what "
    "misleads. ATEsc learns from the fragile images and forgets the robust ones.",
)
group = st.query_params.get("story") or story.latest_group()
above, below = st.container(), st.container()
with elements.hidden_when_presenting("lab"):
    with elements.card():
        poll(this_machine, machine() is None or active_run_count() > 0, every_s=2)
    with elements.card("Latest runs"):
        poll(latest_runs, any(map(is_live, run_store().all_runs(SHOWN))), every_s=2)

# Last, since the first visit waits here for PyTorch.
if group and ("story" in st.query_params or story.in_progress(group)):
    with above:
        told(group)
    with below:
        explained()
else:
    with above:
        explained()
    if group:
        with below:
            elements.row(elements.bold("The last story"))
            told(group)
