"""The player of a recording: play, pause, speed, seek. Its position follows the wall clock."""

from __future__ import annotations

import time
from dataclasses import dataclass

import streamlit as st

from atesc_core import paths
from pages.shared.state import url
from pages.shared.ui import elements

ASSETS = paths.ASSETS / "player"
SPEEDS = (1, 4, 16)
REFRESH_S = 0.5  # seconds between two updates while the player plays
wall_clock = time.monotonic  # seconds; tests replace it

# Not st.slider: a late redraw would look like a move by the user, and the position would jump back.
_seek_bar = st.components.v2.component(
    "atesc_seek_bar", js=(ASSETS / "seek_bar.js").read_text(), css=(ASSETS / "seek_bar.css").read_text()
)


@dataclass
class Player:
    """One visitor's position in one recording. Times are seconds since the start of the recording's runs."""

    end: float
    start: float  # position at the start of playing, or while paused
    speed: int
    started: float | None = None  # wall clock at the start of playing; None while paused
    seeks: int = 0  # number of seeks: tells the seek bar that the server has received its last one

    @property
    def playing(self) -> bool:
        """Whether the player plays and has not reached the end."""
        return self.started is not None and self.position < self.end

    @property
    def position(self) -> float:
        """The present position, 0..end."""
        played = 0.0 if self.started is None else (wall_clock() - self.started) * self.speed
        return min(max(self.start + played, 0.0), self.end)

    def play(self) -> None:
        """Play from the present position, or from the beginning if the end is reached."""
        self.start = 0.0 if self.position >= self.end else self.position
        self.started = wall_clock()

    def pause(self) -> None:
        """Pause at the present position, and write the position into the link."""
        self.start, self.started = self.position, None
        url.set_parameter("t", f"{self.start:.1f}")

    def seek(self, seconds: float) -> None:
        """Go to another position. If the player plays, it continues there."""
        playing = self.playing
        self.start, self.seeks = min(max(seconds, 0.0), self.end), self.seeks + 1
        self.started = wall_clock() if playing else None
        if not playing:
            url.set_parameter("t", f"{self.start:.1f}")

    def set_speed(self, speed: int) -> None:
        """Change the speed, and write it into the link."""
        self.start, self.started = self.position, wall_clock() if self.playing else None
        self.speed = speed
        url.set_parameter("speed", speed)


def visitor_player(key: str, end: float) -> Player:
    """Return this visitor's player of the recording ``key``. It starts at the link's position and speed.

    Args:
        key: identifies the recording.
        end: length of the recording, seconds.
    """
    known, player = st.session_state.get("player", (None, None))
    if known != key or player is None:
        speed = int(url.read_number("speed", SPEEDS[1], SPEEDS[0], SPEEDS[-1]))
        player = Player(end, url.read_number("t", 0.0, 0.0, end), speed if speed in SPEEDS else SPEEDS[1])
        st.session_state["player"] = (key, player)
    assert isinstance(player, Player)
    player.end = end
    return player


def controls(player: Player, presenting: bool = False) -> None:
    """Draw the player's buttons and seek bar. Call it in a fragment that reruns every `REFRESH_S` while playing.

    Args:
        player: the player.
        presenting: hides the choice of speed.
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
            if st.session_state.get("speed") not in SPEEDS:  # None: a browser that has not received the choice yet
                st.session_state["speed"] = player.speed
            st.segmented_control(
                "Speed",
                SPEEDS,
                key="speed",
                format_func=lambda speed: f"{speed}×",
                required=True,
                label_visibility="collapsed",
                on_change=lambda: _choose_speed(player),
            )


def _choose_speed(player: Player) -> None:
    if (speed := st.session_state["speed"]) in SPEEDS:
        player.set_speed(speed)


def _seek(player: Player) -> None:
    seconds = st.session_state["seek bar"].get("seek")
    if seconds is not None:
        player.seek(float(seconds))


def time_note(player: Player) -> None:
    """Draw a caption that explains the player's time."""
    pace = "as fast as it was" if player.speed == 1 else f"{player.speed} times as fast as it was"
    elements.caption(f"Each student on its own clock, by the run's own time stamps without its pauses; {pace}.")
