"""Play, pause, speed and scrub: where a replay is, by the clock on the wall and the recording's own time stamps."""

from __future__ import annotations

import time
from dataclasses import dataclass

import streamlit as st

from pages._parts import link, look

SPEEDS = (1, 4, 16)
TICK_S = 0.5  # between two pictures while it plays
clock = time.monotonic


@dataclass
class Player:
    """One visitor's place in one recording. ``since``: when it began to play from ``at``; None while it rests."""

    end: float
    at: float
    speed: int
    since: float | None = None

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

    def seek(self, seconds: float) -> None:
        """Rest there, and say so in the link."""
        self.at, self.since = min(max(seconds, 0.0), self.end), None
        link.put("t", f"{self.at:g}")

    def pace(self, speed: int) -> None:
        """Another speed from here on."""
        self.at, self.since = self.position, clock() if self.playing else None
        self.speed = speed
        link.put("speed", speed)


def player(key: str, end: float) -> Player:
    """This visitor's player of a recording, begun where the link says. end: seconds."""
    kept = st.session_state.get("player")
    if kept is None or kept[0] != key:
        speed = int(link.number("speed", SPEEDS[1], SPEEDS[0], SPEEDS[-1]))
        own = Player(end, link.number("t", 0.0, 0.0, end), speed if speed in SPEEDS else SPEEDS[1])
        st.session_state["player"] = kept = (key, own)
    return kept[1]


def controls(own: Player, bare: bool = False) -> None:
    """Its buttons and its slider; draw them in what reruns every ``TICK_S`` while it plays. bare: no speeds."""
    button, bar, pace = st.columns([1.3, 7, 2.2], vertical_alignment="center")
    with button:
        if own.playing:
            st.button("Pause", icon=":material/pause:", key="pause", width="stretch",
                      on_click=lambda: own.seek(round(own.position, 1)))
        else:
            st.button("Play", icon=":material/play_arrow:", key="play", type="primary", width="stretch",
                      on_click=own.play)
    with bar:
        st.session_state["scrub"] = round(own.position, 1)
        st.slider("Seconds of each run", 0.0, max(round(own.end, 1), 0.1), step=0.1, key="scrub",
                  format=f"%.0f s of {own.end:.0f} s", label_visibility="collapsed",
                  on_change=lambda: own.seek(st.session_state["scrub"]))
    with pace:
        if bare:
            return
        st.session_state["pace"] = own.speed
        st.segmented_control("Speed", SPEEDS, key="pace", format_func=lambda speed: f"{speed}×", required=True,
                             label_visibility="collapsed", on_change=lambda: own.pace(st.session_state["pace"]))


def note(own: Player) -> None:
    """What the seconds are."""
    look.caption("Each student on its own clock, by the time stamps of the run; pauses are left out."
                 + (" 1× is as fast as it was." if own.speed == 1 else f" {own.speed}× as fast as it was."))
