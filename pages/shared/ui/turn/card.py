"""The card with the trace of the last turn of the generator or the student: images, answers, losses, gradient."""

from __future__ import annotations

from atesc_core.distillation.turns import GeneratorTurn, StudentTurn, Turn
from atesc_core.runs import DistillationRun
from pages.shared.data.store import run_store
from pages.shared.ui import elements
from pages.shared.ui.run_labels import queue_position
from pages.shared.ui.turn.controls import turn_controls
from pages.shared.ui.turn.generator import show_generator_turn
from pages.shared.ui.turn.student import show_student_turn


def turn_card(run: DistillationRun) -> None:
    """Draw the trace of a run's last turn if the run is paused, stepped turn by turn or in slow motion."""
    if not (run.status == "paused" or run.active and (run.requested_state == "pause" or run.in_slow_motion)):
        return
    turn = run_store().last_turn(run.id)
    with elements.card(key="turn trace"):
        elements.row(elements.bold("Trace of one turn"), elements.muted(_position(run, turn)))
        turn_controls(run, turn)
        for place in queue_position(run):
            waits_for = (
                "another run has the device"
                if any(other.status == "running" for other in run_store().all_runs(include_forks=True))
                else "its process is starting"
            )
            elements.caption(f"{place.capitalize()}: {waits_for}.")
        match turn:
            case GeneratorTurn():
                show_generator_turn(run, turn)
            case StudentTurn():
                show_student_turn(run, turn)
            case None:
                elements.caption("A round begins with the generator. Take its turn, and see here what it computed.")


def _position(run: DistillationRun, turn: Turn | None) -> str:
    """Epoch, round and turn of the run now, as text."""
    if turn is None:
        return f"between two rounds · epoch {run.epoch} of {run.epochs}" if run.epoch else "before the first round"
    number = f" {turn.number} of {turn.turn_count}" if turn.turn_count > 1 else ""
    pace = f" · one every {run.seconds_per_turn:g} s" if run.in_slow_motion else ""
    return (
        f"epoch {turn.epoch} of {run.epochs} · round {turn.round} of {run.rounds} · the {turn.who}'s turn{number}{pace}"
    )
