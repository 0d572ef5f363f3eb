"""Students of a recording side by side, in the player's time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from atesc_core.recording import RecordedRun, Recording
from pages.shared.ui.polling import poll
from pages.story import player, replay


def theatre(
    recording: Recording,
    runs: Sequence[RecordedRun],
    *,
    live: bool = False,
    bare: bool = False,
    ghost: RecordedRun | None = None,
    tell: Callable[[float], None] = lambda at: None,
) -> None:
    """live: the runs go on, so that there is no time to choose. ghost: whose curve is drawn faintly behind the
    others'. tell: draws what there is to say at a time, above them."""
    own = player.player(f"{recording.manifest.title} {recording.manifest.runs[0].run}", recording.seconds)

    def show() -> bool:
        if not live:
            player.controls(own, bare)
        at = float("inf") if live else own.position
        tell(at)
        replay.students(recording, runs, at, ghost)
        return own.playing

    poll(show, own.playing, every_s=player.TICK_S)
    if not (live or bare):
        player.note(own)
