"""Watching a run turn by turn: single rounds and turns, slow motion, and which event ends a round or a turn."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from atesc_core.distillation.events import Event
from atesc_core.distillation.loop import Controls
from atesc_core.distillation.turns import GeneratorTurn, StudentTurn
from atesc_core.runs.log import Request, RunLog
from atesc_core.runs.run import DistillationRun
from atesc_core.training.events import CheckpointReady, RoundDone

POLL_S = 0.05  # between two reads of the requests while nothing is computed
Boundary = Literal["round", "turn"]


@dataclass
class TurnControl:
    """Decides between the events of a run whether it continues, and switches tracing of its turns on and off."""

    log: RunLog
    controls: Controls
    mid_round: bool = False  # between two turns of a round
    _turn_written: bool = False  # since the last request; a round that began before tracing has no turns
    _step_requested: bool = False  # before the last turn, or untraced round, could be seen
    _seconds_per_turn: float | None = None  # while in slow motion; see Request

    def expect(self, event: Event) -> None:
        """Note, before the event is stored, whether a step is requested: one requested later wants the next one."""
        if isinstance(event, GeneratorTurn | StudentTurn) or not self._turn_written:
            self._step_requested = self.log.read_request().steps_left > 0

    def follow(self, event: Event) -> Boundary | None:
        """What this event ends if the run can pause after it, else None.

        A run cannot pause between an epoch's last round and its checkpoint, nor between a round's last turn and its
        ``RoundDone``.
        """
        match event:
            case GeneratorTurn():
                self.mid_round = self._turn_written = True
                return "turn"
            case StudentTurn():
                self.mid_round = self._turn_written = True
                return "turn" if event.number < event.turn_count else None
            case RoundDone():
                self.mid_round = False
                return "round" if event.round < self.log.run.rounds else None
            case CheckpointReady():
                return "round"
        return None

    def obey(self, request: Request, ended: Boundary | None) -> bool:
        """Switch tracing and count single steps. Returns true if the run must pause or stop.

        Args:
            request: the user's request.
            ended: whether a round or a turn has ended since the last request.
        """
        self.controls.trace = request.seconds_per_turn is not None and isinstance(self.log.run, DistillationRun)
        self._note_speed(request)
        turn_written, self._turn_written = self._turn_written, self._turn_written and ended is None
        if request.state == "pause" and request.steps_left:
            ended_one = turn_written if self.controls.trace else ended == "round"
            stepped = ended is not None and ended_one and self._step_requested
            if stepped:
                self.log.count_step()
            return stepped and request.steps_left == 1
        return request.state != "run"

    def wait_for_next_turn(self, leaving: Callable[[], bool], obey_requests: Callable[[], bool]) -> bool:
        """In slow motion, wait until the next turn is due. Returns true if a pause or stop is requested."""
        began = time.monotonic()
        while self._seconds_per_turn and time.monotonic() < began + self._seconds_per_turn and not leaving():
            time.sleep(POLL_S)
            if obey_requests():
                return True
        return False

    def _note_speed(self, request: Request) -> None:
        """Note in the history that slow motion begins, changes its speed, or ends while the run continues."""
        seconds = request.seconds_per_turn if request.state == "run" else None
        if seconds and seconds != self._seconds_per_turn:
            self.log.note("slow", seconds)
        elif request.state == "run" and self._seconds_per_turn and not seconds:
            self.log.note("resumed")
        self._seconds_per_turn = seconds
