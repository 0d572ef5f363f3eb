"""The worker's access to a run in the store: it writes events and results, and reads the user's requests."""

from __future__ import annotations

import collections
import json
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from atesc_core.distillation.turns import Turn
from atesc_core.files import link_or_copy
from atesc_core.runs.database import Database
from atesc_core.runs.run import DistillationRun, RequestedState, Run, Status
from atesc_core.runs.snapshots import Snapshot
from atesc_core.runs.storage import FOLDERS
from atesc_core.runs.store import RunStore, note
from atesc_core.runs.turn_file import save_turn
from atesc_core.version import lab_version

WINDOW_S = 15.0  # images/s and the time left are measured over the last 15 s


@dataclass(frozen=True)
class Request:
    """The user's requests to a running run."""

    state: RequestedState
    steps_left: int  # single rounds, or turns, still to be done while the state is pause
    seconds_per_turn: float | None  # in slow motion; 0: turn by turn; None: whole rounds
    threshold: float | None  # a new threshold that is not yet applied; None: no change


class RunLog:
    """Writes one run into the store. Only the worker of the run has one."""

    def __init__(self, store: RunStore, run: Run):
        """``run`` is the current state of the run in ``store``."""
        self.store, self.run = store, run
        self.speed = Speed(run)

    @property
    def database(self) -> Database:
        """The store's database."""
        return self.store.database

    @property
    def checkpoint_file(self) -> Path:
        """Path of the checkpoint from which the run is resumed."""
        return self.store.checkpoint_file(self.run.id)

    def rewind(self, epoch: int) -> list[tuple[int, int, float]]:
        """Delete all that the run has from after ``epoch``, that of the checkpoint, because it computes this again.

        Returns:
            The thresholds that were set by hand after ``epoch``, as (epoch, round, threshold), to be set again in the
            same rounds.
        """
        self.store.trace_file(self.run.id).unlink(missing_ok=True)
        for folder in FOLDERS:
            for path in (self.store.folder(self.run.id) / folder).glob("[0-9]*.*"):
                if int(path.stem) > epoch:
                    path.unlink(missing_ok=True)
        run_and_epoch = (self.run.id, epoch)
        with self.database.write() as connection:
            for table in ("rounds", "epochs"):
                connection.execute(f"DELETE FROM {table} WHERE run = ? AND epoch > ?", run_and_epoch)
            connection.execute(
                "DELETE FROM history WHERE run = ? AND epoch > ? AND NOT (kind = 'threshold' AND text = 'hand')",
                run_and_epoch,
            )
            if epoch == 0:  # a run that begins anew says again what it found
                connection.execute("DELETE FROM history WHERE run = ? AND kind = 'trap'", (self.run.id,))
            connection.execute(
                "UPDATE runs SET epoch = ?2, round = CASE WHEN ?2 > 0 THEN rounds ELSE 0 END, images = "
                "coalesce((SELECT images FROM epochs WHERE epoch = ?2 "
                "AND run IN (?1, json_extract(fork, '$.parent'))), "
                "0) WHERE id = ?1",
                run_and_epoch,
            )
            rows = connection.execute(
                "SELECT epoch, round, value FROM history WHERE run = ? AND epoch > ? "
                "AND kind = 'threshold' AND text = 'hand' ORDER BY epoch, round",
                run_and_epoch,
            ).fetchall()
        return [tuple(row) for row in rows]

    def delete_thresholds(self, next_round: tuple[int, int]) -> None:
        """Delete the thresholds of an earlier pass from this (epoch, round) on, because the user has set another."""
        with self.database.write() as connection:
            connection.execute(
                "DELETE FROM history WHERE run = ? AND kind = 'threshold' AND (epoch, round) >= (?, ?)",
                (self.run.id, *next_round),
            )

    def write_round(
        self,
        epoch: int,
        round_number: int,
        images: int,
        losses: dict[str, float],
        fragile_share: float | None,
        threshold: float | None,
    ) -> None:
        """Commit a round at once: a commit took 0.04 ms when measured, far less than any round."""
        self.speed.add(epoch, round_number, images)
        with self.database.write() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO rounds VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (self.run.id, epoch, round_number, time.time(), images, threshold, fragile_share, json.dumps(losses)),
            )
            connection.execute(
                "UPDATE runs SET epoch = ?, round = ?, images = ?, images_per_s = ?, eta_s = ? WHERE id = ?",
                (epoch, round_number, images, self.speed.images_per_s, self.speed.eta_s, self.run.id),
            )

    def write_epoch(
        self,
        epoch: int,
        images: int,
        metrics: dict[str, float],
        recalls: Sequence[float | None] = (),
        trap_label: int | None = None,
    ) -> None:
        """Commit an epoch's metrics and the recall of each class, in per cent."""
        with self.database.write() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO epochs VALUES (?, ?, ?, ?, ?, ?, ?)",
                (self.run.id, epoch, time.time(), images, json.dumps(metrics), json.dumps(recalls), trap_label),
            )

    def keep_fork_point(self, epoch: int) -> None:
        """Keep the checkpoint of this epoch's end for other runs to branch off.

        Two are kept: the checkpoint where the split begins and, until the run is over, the newest one. The newest is a
        hard link and takes no space; the other takes as much as one checkpoint (measured at 16 px: 2 MB with DFQ, whose
        state is networks; with a pool up to 5 MB in the preset quick, 90 MB in full).
        """
        run = self.run
        if not isinstance(run, DistillationRun) or not run.spec.escape.splits or run.fork:
            return
        split_start = run.spec.escape.warmup_epochs
        if split_start <= epoch < run.epochs:
            link_or_copy(self.checkpoint_file, self.store.fork_point_file(run.id, epoch))
        for other_epoch in self.store.fork_points(run.id):
            if other_epoch not in (split_start, epoch):
                self.store.fork_point_file(run.id, other_epoch).unlink(missing_ok=True)

    def write_snapshot(self, snapshot: Snapshot) -> None:
        """Write an epoch's synthetic images."""
        snapshot.save(self.store.snapshot_file(self.run.id, snapshot.epoch))

    def write_turn(self, turn: Turn) -> None:
        """Write a traced turn in place of the last one."""
        save_turn(turn, self.store.trace_file(self.run.id))

    def write_threshold(self, epoch: int, round_number: int, value: float, by: str) -> None:
        """Note a threshold that is used from this round on, once, even if it is set again after a resume."""
        row = (self.run.id, epoch, round_number, value, by)
        with self.database.write() as connection:
            connection.execute(
                "DELETE FROM history WHERE run = ? AND kind = 'threshold' AND text = ? AND epoch = ? AND round = ?",
                (self.run.id, by, epoch, round_number),
            )
            connection.execute(
                "INSERT INTO history (run, kind, epoch, round, value, text, time) "
                "VALUES (?, 'threshold', ?, ?, ?, ?, ?)",
                (*row, time.time()),
            )

    def read_request(self) -> Request:
        """The user's current requests."""
        row = self.database.read(
            "SELECT requested_state, steps_left, seconds_per_turn, pending_threshold FROM runs WHERE id = ?",
            self.run.id,
        )[0]
        return Request(*row)

    def threshold_applied(self, value: float) -> None:
        """Clear the pending threshold once a logged round used ``value``; a newer one stays pending."""
        with self.database.write() as connection:
            connection.execute(
                "UPDATE runs SET pending_threshold = NULL WHERE id = ? AND pending_threshold = ?", (self.run.id, value)
            )

    def count_step(self) -> None:
        """Count one of the requested single rounds or turns as done."""
        with self.database.write() as connection:
            connection.execute("UPDATE runs SET steps_left = max(0, steps_left - 1) WHERE id = ?", (self.run.id,))

    def note(self, kind: str, value: float | None = None, text: str | None = None) -> None:
        """Add a row to the run's history; see ``RunStore.history``."""
        with self.database.write() as connection:
            note(connection, self.run.id, kind, value, text)

    def note_start(self, epoch: int, why: str = "") -> None:
        """Note in the history that the run begins, or continues from the end of ``epoch``, and ``why`` it does."""
        started_before = self.database.read("SELECT 1 FROM history WHERE run = ? AND kind = 'started'", self.run.id)
        if started_before:
            where = f"from the end of epoch {epoch}" if epoch else "from the beginning"
            self.note("resumed", text=f"{where}: {why}" if why else where)
        else:
            self.note("started", text=f"lab {lab_version()}")

    def end(self, status: Literal["done", "interrupted"]) -> None:
        """End the run with this status."""
        self._end(status, time.time() if status == "done" else None)

    def wait_again(self, text: str) -> None:
        """Let the run wait, because what computed it is gone (``text``); paused or stopped, if that is requested."""
        request = self.read_request()
        with self.database.write():
            self._end("queued", None, "interrupted", text)
            if request.state == "stop":
                self.store.stop(self.run.id)
            elif request.state == "pause" and not request.steps_left:
                self.store.pause(self.run.id)

    def halt(self, stepping: bool) -> Status:
        """Pause or stop the run, as the user requests.

        Args:
            stepping: whether the run was doing single rounds or turns.

        Returns:
            Its new status: paused or stopped; queued if the user has meanwhile requested to continue it.
        """
        with self.database.write() as connection:
            request = self.read_request()
            if request.state == "stop":
                self._end("stopped", time.time())
                return "stopped"
            status: Status = "queued" if request.state == "run" or request.steps_left else "paused"
            kind = "paused" if not stepping else "step" if request.seconds_per_turn is None else "turn"
            if kind == "turn":  # one note for all turns of a round
                connection.execute(
                    "DELETE FROM history WHERE number = (SELECT max(number) FROM history WHERE run = ?1) AND "
                    "kind = 'turn' AND (epoch, round) = (SELECT epoch, round FROM runs WHERE id = ?1)",
                    (self.run.id,),
                )
            self._end(status, None, kind)
            connection.execute("UPDATE runs SET queued = ? WHERE id = ?", (time.time(), self.run.id))
        return status

    def fail(self, error: Exception) -> None:
        """End the run with ``error``: its message for the user, its traceback in the run's log file."""
        message = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        path = self.store.log_file(self.run.id)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write("".join(traceback.format_exception(error)) + "\n")
        self._end("failed", time.time(), text=message, error=message)

    def _end(
        self,
        status: Status,
        finished: float | None,
        kind: str | None = None,
        text: str | None = None,
        error: str | None = None,
    ) -> None:
        self.speed.reset()
        with self.database.write() as connection:
            connection.execute(
                "UPDATE runs SET status = ?, error = ?, finished = ?, images_per_s = NULL, eta_s = NULL WHERE id = ?",
                (status, error, finished, self.run.id),
            )
            note(connection, self.run.id, kind or status, text=text)


class Speed:
    """Speed of a run over the last ``WINDOW_S`` seconds, without pauses."""

    def __init__(self, run: Run):
        """``run`` gives the numbers of rounds and epochs."""
        self.run = run
        self._done: collections.deque[tuple[float, int, int]] = collections.deque()  # seconds, round, images

    def reset(self) -> None:
        """Forget the rounds so far, because the run pauses or ends."""
        self._done.clear()

    def add(self, epoch: int, round_number: int, images: int) -> None:
        """Count a round as done."""
        now = time.monotonic()
        self._done.append((now, (epoch - 1) * self.run.rounds + round_number, images))
        while len(self._done) > 2 and now - self._done[0][0] > WINDOW_S:
            self._done.popleft()

    @property
    def images_per_s(self) -> float | None:
        """Images per second; None before two rounds are done."""
        return self._per_second(2)

    @property
    def eta_s(self) -> float | None:
        """Seconds to the run's end; None before two rounds are done."""
        rate = self._per_second(1)
        return (self.run.epochs * self.run.rounds - self._done[-1][1]) / rate if rate else None

    def _per_second(self, which: int) -> float | None:
        if len(self._done) < 2:
            return None
        first, last = self._done[0], self._done[-1]
        return (last[which] - first[which]) / max(last[0] - first[0], 1e-9)
