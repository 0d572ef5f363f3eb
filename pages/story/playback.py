"""Plays runs of a recording: the player, and the students side by side at the player's position."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from atesc_core.recording import RecordedRun, Recording
from pages.shared.ui.polling import poll
from pages.story import player
from pages.story.students import show_students


def play_runs(
    recording: Recording,
    runs: Sequence[RecordedRun],
    *,
    live: bool = False,
    presenting: bool = False,
    reference: RecordedRun | None = None,
    narrate: Callable[[float], None] = lambda seconds: None,
) -> None:
    """Draw the player and the runs, and redraw them while the player plays.

    Args:
        recording: The recording of the runs.
        runs: The runs to show.
        live: Whether the runs still train: then there is no player, and their present state is shown.
        presenting: Hides the choice of speed.
        reference: A run whose curve is drawn faintly behind the other curves.
        narrate: Draws a text above the runs, for a position in seconds from the start of the runs.
    """
    state = player.visitor_player(f"{recording.manifest.title} {recording.manifest.runs[0].run}", recording.seconds)

    def show() -> bool:
        if not live:
            player.controls(state, presenting)
        seconds = float("inf") if live else state.position
        narrate(seconds)
        show_students(recording, runs, seconds, reference)
        return state.playing

    poll(show, state.playing, every_s=player.REFRESH_S)
    if not (live or presenting):
        player.time_note(state)
