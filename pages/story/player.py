"""Play, pause, speed and seek: where a replay stands, by the wall clock and the recording's own time stamps."""

from __future__ import annotations

import time
from dataclasses import dataclass

import streamlit as st

from atesc_core import paths
from pages.shared.state import url
from pages.shared.ui import elements

ASSETS = paths.ASSETS / "player"
SPEEDS = (1, 4, 16)
REFRESH_S = 0.5  # seconds between two updates while it plays
wall_clock = time.monotonic  # seconds; a test sets its own

# Not st.slider: it would take the value of an older drawing for the user's wish, and jump back there.
_seek_bar = st.components.v2.component(
    "atesc_seek_bar", js=(ASSETS / "seek_bar.js").read_text(), css=(ASSETS / "seek_bar.css").read_text()
)


@dataclass
class Player:
    """Where one visitor stands in one recording. Times are seconds since the recording's runs began."""

    end: float
    start: float  # the position when it began to play, or where it is paused
    speed: int
    started: float | None = None  # wall clock when it began to play; None while it is paused
    seeks: int = 0  # counted, so that the seek bar knows when the server has followed it

    @property
    def playing(self) -> bool:
        """Whether it plays and has not reached the end."""
        return self.started is not None and self.position < self.end

    @property
    def position(self) -> float:
        """The present position, 0..end."""
        played = 0.0 if self.started is None else (wall_clock() - self.started) * self.speed
        return min(max(self.start + played, 0.0), self.end)

    def play(self) -> None:
        """Play on from the present position; from the beginning where the end was reached."""
        self.start = 0.0 if self.position >= self.end else self.position
        self.started = wall_clock()

    def pause(self) -> None:
        """Stop at the present position, and write it into the link."""
        self.start, self.started = self.position, None
        url.set_parameter("t", f"{self.start:.1f}")

    def seek(self, seconds: float) -> None:
        """Go to another position; a player that plays goes on from there."""
        playing = self.playing
        self.start, self.seeks = min(max(seconds, 0.0), self.end), self.seeks + 1
        self.started = wall_clock() if playing else None
        if not playing:
            url.set_parameter("t", f"{self.start:.1f}")

    def set_speed(self, speed: int) -> None:
        """Go on at another speed, and write it into the link."""
        self.start, self.started = self.position, wall_clock() if self.playing else None
        self.speed = speed
        url.set_parameter("speed", speed)


def visitor_player(key: str, end: float) -> Player:
    """Return this visitor's player of the recording named ``key``, at first where the link says. end: seconds."""
    known, player = st.session_state.get("player", (None, None))
    if known != key or player is None:
        speed = int(url.read_number("speed", SPEEDS[1], SPEEDS[0], SPEEDS[-1]))
        player = Player(end, url.read_number("t", 0.0, 0.0, end), speed if speed in SPEEDS else SPEEDS[1])
        st.session_state["player"] = (key, player)
    assert isinstance(player, Player)
    player.end = end
    return player


def controls(player: Player, presenting: bool = False) -> None:
    """Draw its buttons and its seek bar, in a fragment that reruns every `REFRESH_S` while it plays.

    presenting: without the choice of speed.
    """
    button, bar, speed = st.columns([1.3, 7, 2], vertical_alignment="center")
    with button:
        if player.playing:
            st.button("Pause", icon=":material/pause:", key="pause", width="stretch", on_click=player.pause)
        else:
            st.button(
                "Play", icon=":material/play_arrow:", key="play", type="primary", width="stretch", on_click=player.play
            )
    with bar:
        _seek_bar(
            key="seek bar",
            on_seek_change=lambda: _seek(player),
            data={
                "position": player.position,
                "playing": player.playing,
                "speed": player.speed,
                "end": player.end,
                "seeks": player.seeks,
            },
        )
    with speed:
        if not presenting:
            st.session_state.setdefault("speed", player.speed)
            st.segmented_control(
                "Speed",
                SPEEDS,
                key="speed",
                format_func=lambda speed: f"{speed}×",
                required=True,
                label_visibility="collapsed",
                on_change=lambda: player.set_speed(st.session_state["speed"]),
            )


def _seek(player: Player) -> None:
    seconds = st.session_state["seek bar"].get("seek")
    if seconds is not None:
        player.seek(float(seconds))


def time_note(player: Player) -> None:
    """Draw a caption that says what the player's seconds are."""
    pace = "as fast as it was" if player.speed == 1 else f"{player.speed} times as fast as it was"
    elements.caption(f"Each student on its own clock, by the run's own time stamps without its pauses; {pace}.")
