"""Play, pause, speed and scrub: where a replay is, by the clock on the wall and the recording's own time stamps."""

from __future__ import annotations

import time
from dataclasses import dataclass

import streamlit as st

from atesc_core import paths
from pages.shared.state import url
from pages.shared.ui import elements

ASSETS = paths.ASSETS / "player"
SPEEDS = (1, 4, 16)
TICK_S = 0.5  # between two pictures while it plays
clock = time.monotonic

# Not st.slider: it takes the value that a picture before last was drawn with for the user's wish, and goes there.
_scrub = st.components.v2.component(
    "atesc_seek_bar", js=(ASSETS / "seek_bar.js").read_text(), css=(ASSETS / "seek_bar.css").read_text()
)


@dataclass
class Player:
    """One visitor's place in one recording. ``since``: when it began to play from ``at``; None while it rests."""

    end: float
    at: float
    speed: int
    since: float | None = None
    seeks: int = 0  # so that the handle knows when the server has followed it

    @property
    def playing(self) -> bool:
        return self.since is not None and self.position < self.end

    @property
    def position(self) -> float:
        """Seconds of the recording's own time, 0..end."""
        played = 0.0 if self.since is None else (clock() - self.since) * self.speed
        return min(max(self.at + played, 0.0), self.end)

    def play(self) -> None:
        """On from here; from the beginning where it was over."""
        self.at = 0.0 if self.position >= self.end else self.position
        self.since = clock()

    def pause(self) -> None:
        """Rest here, and say so in the link."""
        self.at, self.since = self.position, None
        url.set_parameter("t", f"{self.at:.1f}")

    def seek(self, seconds: float) -> None:
        """To another place; a replay that plays goes on from there."""
        playing = self.playing
        self.at, self.seeks = min(max(seconds, 0.0), self.end), self.seeks + 1
        self.since = clock() if playing else None
        if not playing:
            url.set_parameter("t", f"{self.at:.1f}")

    def pace(self, speed: int) -> None:
        """Another speed from here on."""
        self.at, self.since = self.position, clock() if self.playing else None
        self.speed = speed
        url.set_parameter("speed", speed)


def player(key: str, end: float) -> Player:
    """This visitor's player of a recording, begun where the link says. end: seconds."""
    kept = st.session_state.get("player")
    if kept is None or kept[0] != key:
        speed = int(url.read_number("speed", SPEEDS[1], SPEEDS[0], SPEEDS[-1]))
        own = Player(end, url.read_number("t", 0.0, 0.0, end), speed if speed in SPEEDS else SPEEDS[1])
        st.session_state["player"] = kept = (key, own)
    kept[1].end = end
    return kept[1]


def controls(own: Player, bare: bool = False) -> None:
    """Its buttons and its handle; draw them in what reruns every ``TICK_S`` while it plays. bare: no speeds."""
    button, bar, pace = st.columns([1.3, 7, 2], vertical_alignment="center")
    with button:
        if own.playing:
            st.button("Pause", icon=":material/pause:", key="pause", width="stretch", on_click=own.pause)
        else:
            st.button(
                "Play", icon=":material/play_arrow:", key="play", type="primary", width="stretch", on_click=own.play
            )
    with bar:
        _scrub(
            key="scrub",
            on_seek_change=lambda: _seek(own),
            data={
                "position": own.position,
                "playing": own.playing,
                "speed": own.speed,
                "end": own.end,
                "seeks": own.seeks,
            },
        )
    with pace:
        if not bare:
            st.session_state.setdefault("pace", own.speed)
            st.segmented_control(
                "Speed",
                SPEEDS,
                key="pace",
                format_func=lambda speed: f"{speed}×",
                required=True,
                label_visibility="collapsed",
                on_change=lambda: own.pace(st.session_state["pace"]),
            )


def _seek(own: Player) -> None:
    seconds = st.session_state["scrub"].get("seek")
    if seconds is not None:
        own.seek(float(seconds))


def note(own: Player) -> None:
    """What the seconds are."""
    pace = "as fast as it was" if own.speed == 1 else f"{own.speed} times as fast as it was"
    elements.caption(f"Each student on its own clock, by the run's own time stamps without its pauses; {pace}.")
