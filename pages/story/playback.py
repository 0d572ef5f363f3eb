"""Students of a recording side by side, at the time at which the player stands."""

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
    """Draw the player and the runs, and redraw them while it plays.

    Args:
        recording: The recording of the runs.
        runs: Those to show.
        live: Whether the runs still go on: then there is no player, and they are shown as they stand.
        presenting: Without the player's speeds.
        reference: A run whose curve is drawn faintly behind the others'.
        narrate: Draws, above the runs, what there is to say at a time (seconds from the runs' start).
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
