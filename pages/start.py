"""Start: what the trap is, the story live, this machine, the latest runs."""

import streamlit as st

from pages._parts import look, story
from pages._parts.latest import latest_runs
from pages._parts.machine import machine
from pages._parts.new_run import estimate, waiting
from pages._parts.runs import follow, may_change
from pages._parts.stage import stage
from pages._parts.store import run_store
from pages._parts.trap import picture

GPU = {
    "cpu": "No GPU found: the quick preset is made for this. A CUDA GPU would be used by itself, and the full "
           "preset (larger images, longer runs) becomes practical.",
    "mps": "Apple GPU found. The full preset is made for a CUDA GPU.",
    "cuda": "GPU found: the full preset runs here too.",
}


def invite() -> None:
    """Choose the setting, and the page's one button."""
    settings = story.tellable()
    if not settings:
        look.empty("No teachers", "The story needs an NTL and an SL teacher of one pair; see the page Teachers.")
        return
    chosen = st.segmented_control("Setting", list(settings), default=next(iter(settings)), required=True,
                                  format_func=lambda name: story.SETTINGS[name][0], key="setting")
    look.caption(story.SETTINGS[chosen][1])
    if st.button("Run the story live", type="primary", icon=":material/play_arrow:", width="stretch"):
        st.query_params["story"] = story.begin(chosen)
        st.rerun()
    look.caption(f"Three students, one after the other{needed(chosen)}.")


def needed(setting: str) -> str:
    """`, about 3 min here`, where earlier runs say so."""
    times = [estimate(spec) for spec in story.specs(setting).values()]
    line = f", after {waiting()} in line" if waiting() else ""
    return line if None in times else f", about {look.duration(sum(times))} here{line}"


def explained() -> None:
    left, right = st.columns([5, 3], gap="medium")
    with left, look.card():
        picture(key="trap")
    with right, look.card("See it happen"):
        st.fragment(invite)()


def told(group: str) -> None:
    """The story of the group, followed as long as it goes on."""
    follow(lambda: stage(group), any(map(may_change, story.parts(group).values())))


look.header("An NTL teacher fools data-free distillation. See it, then get out.",
            "A non-transferable (NTL) teacher draws the generator away from the ID domain; the student learns what "
            "misleads. ATEsc learns from the fragile images and forgets the robust ones.")
group = st.query_params.get("story") or story.newest()
going = group is not None and any(map(may_change, story.parts(group).values()))
if going or "story" in st.query_params:
    told(group)
    explained()
else:
    explained()
    if group:
        look.line(look.bold("The last story"))
        told(group)

runs, here = st.columns([5, 2], gap="medium")
with runs, look.card("Latest runs"):
    follow(latest_runs, any(map(may_change, run_store().list(8))), every_s=2)
with here, look.card("This machine"):
    device = machine()
    look.line(device.summary if device else look.quiet("Asking PyTorch …"))
    look.caption(GPU[device.kind] if device else "")
    look.label("Queue")
    look.line(f"{waiting()} running or in line" if waiting() else "Empty")
