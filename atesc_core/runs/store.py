"""Runs on disk: read them, and request changes to them (pause, stop, threshold).

The store holds requests (run, pause, stop, a threshold) and results. The worker (worker.py) reads the requests and
writes the results. ``docs/storage.md`` lists the files of the runs folder. This module does not import torch, so that
pages start fast.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import secrets
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import platformdirs

from atesc_core.distillation.turns import Turn
from atesc_core.errors import ReadOnlyError, RunBusyError, SpecError, StoreError, TeacherError, UnknownRunError
from atesc_core.files import atomic_write, link_or_copy, read_cached
from atesc_core.runs.database import PATIENCE_S, Database
from atesc_core.runs.group import RunGroup
from atesc_core.runs.locks import gate, is_taken, worker_lock
from atesc_core.runs.run import AnyRun, ClassRecalls, DistillationRun, Fork, RequestedState, Run, TrainingRun
from atesc_core.runs.snapshots import Snapshot, is_whole
from atesc_core.runs.storage import Limits, RunSize, check_room, run_size, thin
from atesc_core.runs.turn_file import load_turn
from atesc_core.specs.base import parse
from atesc_core.specs.run import RunSpec
from atesc_core.specs.teacher import TeacherSpec
from atesc_core.teachers.cards import SHIPPED, card_file
from atesc_core.vocabulary import threshold_json

Value = TypeVar("Value")

OTHERWISE_READ = ("spec", "group", "tags", "queue_position", "build", "metrics", "measured_epoch")
SAME_NAMES = tuple(field.name for field in fields(Run) if field.name not in OTHERWISE_READ)  # columns of these names
ID = re.compile(r"[a-z2-9]{8}")
ID_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # without letters and digits that look alike
LABEL_LENGTH = 200
NOTE_LENGTH = 2000
TAG_LENGTH, MAX_TAGS = 40, 20
# The run that a run branched off; NULL where that is damaged, and a row that cannot be read makes no statement fail.
FORK_PARENT = "CASE WHEN json_valid(fork) THEN json_extract(fork, '$.parent') END"
# Runs that use or make a teacher: distillations in any state, and trainings that have not ended.
NAMES_TEACHER = """CASE WHEN json_valid(spec) THEN
    task = 'distillation' AND json_extract(spec, '$.teacher') = ?
    OR task = 'training' AND json_extract(spec, '$.name') = ? AND status IN ('queued', 'running', 'paused')
END"""
# The threads that a run computes with; of runs that know none, and of trainings of earlier versions, 1.
THREADS = (
    "CASE WHEN json_valid(spec) THEN max(1, coalesce(CAST(json_extract(spec, '$.threads') AS INTEGER), 1)) ELSE 1 END"
)
ON_RAY = "ray"  # requested device of runs that Ray places (cluster.py), and kind of the worker that asked for them
# Runs that are interrupted when their worker ends; those that wait for a node of Ray wait for their worker too.
HELD = f"(status IN ('running', 'paused') OR status = 'queued' AND requested_device = '{ON_RAY}')"
QUEUE_STEP_S = 1e-5  # between two runs that were moved in the queue; a double holds it for times since 1970
NULLABLE = {"threshold", "fragile_share", "value"}  # numbers that may be missing: NaN in a data frame


def default_runs_dir() -> Path:
    """``$ATESC_RUNS_DIR``, or the user's data folder."""
    configured = os.environ.get("ATESC_RUNS_DIR")
    return Path(configured).expanduser() if configured else Path(platformdirs.user_data_dir("atesc-lab"))


class RunStore:
    """The runs of one folder. One object serves all threads of a process."""

    def __init__(
        self,
        runs_dir: Path | str,
        may_change: bool = True,
        patience_s: float = PATIENCE_S,
        on_queued: Callable[[Path], None] | None = None,
    ):
        """Creates the folder if it is missing. Raises StoreError if that fails.

        Args:
            runs_dir: the folder of the runs.
            may_change: False for those who may only look: every request is then a ReadOnlyError.
            patience_s: seconds to wait while another program holds the database.
            on_queued: called with the folder whenever a run was queued, to start a worker for it.
        """
        self.may_change = may_change
        self.on_queued = on_queued
        self.runs_dir = Path(runs_dir).expanduser().absolute()
        try:
            self.runs_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"runs folder: {str(runs_dir)!r} cannot be made ({error.strerror})") from error
        self.database = Database(self.runs_dir / "runs.sqlite", patience_s)

    def exists(self) -> bool:
        """Whether its database is still the file that this object has opened: false if the folder was deleted."""
        return self.database.exists()

    def close(self) -> None:
        """Close the database. The store cannot be used afterwards."""
        self.database.close()

    # ── reading ─────────────────────────────────────────────────────────────────────────────────────

    def get(self, run_id: str) -> Run:
        """The run with this id.

        Raises:
            UnknownRunError: there is no such run.
            StoreError: what the database holds of it cannot be read: another version of the lab wrote its settings, or
                it is damaged.
        """
        self._mark_interrupted()
        rows = self._rows("WHERE id = ?", _checked(run_id))
        if not rows:
            raise UnknownRunError(f"run: {run_id!r} is not in {self.runs_dir}")
        try:
            return _run(rows[0], self._queue_positions())
        except SpecError as error:
            raise StoreError(f"run: {run_id} cannot be read: {error}") from None

    def get_distillation(self, run_id: str) -> DistillationRun:
        """As ``get``. Also raises StoreError if the run trains a teacher."""
        run = self.get(run_id)
        if not isinstance(run, DistillationRun):
            raise StoreError(f"run: {run_id} trains a teacher; expected a run that distils a student")
        return run

    def refresh(self, run: AnyRun) -> AnyRun:
        """The current state of the run. Raises UnknownRunError if it was deleted."""
        current = self.get(run.id)
        if not isinstance(current, type(run)):
            raise StoreError(f"run: {run.id} is no longer a {type(run).__name__}")
        return current

    def distillations(
        self, limit: int | None = None, group: str | None = None, include_forks: bool = False
    ) -> list[DistillationRun]:
        """Runs that distil a student, newest first.

        Args:
            limit: the largest number of runs to return; all of them unless given.
            group: return only the runs of this group.
            include_forks: whether to include runs that branched off other runs. These are many and short.
        """
        runs = self._listed("task = 'distillation' AND (?1 IS NULL OR run_group = ?1)", limit, include_forks, group)
        return [run for run in runs if isinstance(run, DistillationRun)]

    def on_device(self) -> list[Run]:
        """Runs of both kinds that are running or paused, newest first, forks included."""
        return self._listed("status IN ('running', 'paused')", include_forks=True)

    def busy_slots(self, kind: str) -> int:
        """How many slots the running runs want on a kind of device; maybe more than there are."""
        self._mark_interrupted()
        wanted = THREADS if kind == "cpu" else "1"
        rows = self.database.read(
            f"SELECT coalesce(sum({wanted}), 0) AS busy FROM runs JOIN workers ON number = worker "
            "WHERE status = 'running' AND kind = ?",
            kind,
        )
        return int(rows[0]["busy"])

    def trainings(self, limit: int | None = None) -> list[TrainingRun]:
        """Runs that train a teacher, newest first, at most ``limit``."""
        return [run for run in self._listed("task = 'training'", limit) if isinstance(run, TrainingRun)]

    def all_runs(self, limit: int | None = None, include_forks: bool = False) -> list[Run]:
        """Runs of both kinds, newest first, at most ``limit``; forks as in ``distillations``."""
        return self._listed("TRUE", limit, include_forks)

    def forks(self, run_id: str) -> list[DistillationRun]:
        """The runs that branched off this one, newest first."""
        runs = self._listed(f"{FORK_PARENT} = ?1", None, True, _checked(run_id))
        return [run for run in runs if isinstance(run, DistillationRun)]

    def search(self, text: str, include_forks: bool = False) -> list[Run]:
        """Runs of both kinds that match a text, newest first; see ``Run.matches``. Forks as in ``distillations``."""
        return [run for run in self.all_runs(include_forks=include_forks) if run.matches(text)]

    def group(self, name: str) -> RunGroup:
        """The distillations of a group. Raises UnknownRunError if there is none of this name."""
        runs = self.distillations(group=name)
        if not runs:
            raise _unknown_group(name)
        return RunGroup(name, tuple(reversed(runs)))

    def unreadable(self) -> dict[str, str]:
        """Runs that the lists leave out, newest first: id -> what this version does not know, or what is damaged."""
        reasons = {}
        for row in self._rows("ORDER BY created DESC, runs.rowid DESC"):
            try:
                _run(row, {})
            except SpecError as error:
                reasons[row["id"]] = str(error)
        return reasons

    def queue(self) -> list[Run]:
        """Runs that wait for a device, next first."""
        return _readable(self._rows("WHERE status = 'queued' ORDER BY queued, rowid"), self._queue_positions())

    def teachers_in_training(self) -> set[str]:
        """Names of the teachers that queued, running or paused runs train."""
        rows = self._rows("WHERE task = 'training' AND status IN ('queued', 'running', 'paused')")
        return {run.teacher for run in _readable(rows, {})}

    def runs_of_teacher(self, name: str) -> list[str]:
        """Ids of the distillations of a teacher and of the training that is making it, oldest first."""
        rows = self.database.read(f"SELECT id FROM runs WHERE {NAMES_TEACHER} ORDER BY rowid", name, name)
        return [row["id"] for row in rows]

    def epochs(self, run_id: str) -> pd.DataFrame:
        """One row per epoch: epoch, images, time, and the metrics in per cent.

        These are those of ``METRIC_NAMES`` and ``COST_NAMES`` (in ``atesc_core.vocabulary``) that apply to the pair.
        """
        rows = self.database.read(
            "SELECT epoch, images, time, metrics FROM epochs WHERE run = ? ORDER BY epoch", _checked(run_id)
        )
        return _frame(rows, ["epoch", "images", "time"], "metrics")

    def recalls(self, run_id: str, epoch: int | None = None) -> ClassRecalls | None:
        """The recall of each ID class at an epoch, or at the last one; None if it was not measured."""
        rows = self.database.read(
            "SELECT epoch, recalls, trap_label FROM epochs WHERE run = ?1 AND epoch = coalesce(?2, epoch) "
            "ORDER BY epoch DESC LIMIT 1",
            _checked(run_id),
            epoch,
        )
        by_label = _parsed(rows[0]["recalls"], list) if rows else None
        return ClassRecalls(rows[0]["epoch"], tuple(by_label), rows[0]["trap_label"]) if by_label else None

    def rounds(self, run_id: str, at_most: int | None = None) -> pd.DataFrame:
        """One row per round: epoch, round, images, time, threshold, fragile_share, and the losses g/..., s/..., t/...

        Args:
            run_id: the run.
            at_most: about how many rows to return; a longer run is thinned evenly, for charts.
        """
        interval = 1
        if at_most:
            count = self.database.read("SELECT count(*) FROM rounds WHERE run = ?", _checked(run_id))[0][0]
            interval = max(1, math.ceil(count / at_most))
        rows = self.database.read(
            "SELECT epoch, round, images, time, threshold, fragile_share, losses FROM rounds WHERE run = ?1 "
            "AND ((epoch - 1) * (SELECT rounds FROM runs WHERE id = ?1) + round) % ?2 = 0 ORDER BY epoch, round",
            _checked(run_id),
            interval,
        )
        return _frame(rows, ["epoch", "round", "images", "time", "threshold", "fragile_share"], "losses")

    def damaged_rows(self, run_id: str) -> list[str]:
        """The logged epochs and rounds that are left out because they are damaged: ["epoch 3", "epoch 4, round 7"]."""
        epochs = self.database.read(
            "SELECT epoch, metrics, recalls FROM epochs WHERE run = ? ORDER BY epoch", _checked(run_id)
        )
        rounds = self.database.read(
            "SELECT epoch, round, losses FROM rounds WHERE run = ? ORDER BY epoch, round", run_id
        )
        return [
            f"epoch {row['epoch']}"
            for row in epochs
            if _parsed(row["metrics"], dict) is None or _parsed(row["recalls"], list) is None
        ] + [
            f"epoch {row['epoch']}, round {row['round']}"
            for row, losses in zip(rounds, _objects(rounds, "losses"), strict=True)
            if losses is None
        ]

    def threshold(self, run_id: str) -> float | None:
        """The threshold of the last round that split its images; None before the first such round."""
        rows = self.database.read(
            "SELECT threshold FROM rounds WHERE run = ? AND threshold IS NOT NULL "
            "ORDER BY epoch DESC, round DESC LIMIT 1",
            _checked(run_id),
        )
        return rows[0]["threshold"] if rows else None

    def thresholds(self, run_id: str, after: int, until: int) -> set[float | None]:
        """The thresholds of the rounds of epochs ``after`` + 1 to ``until``; None: of a round that split no images."""
        rows = self.database.read(
            "SELECT DISTINCT threshold FROM rounds WHERE run = ? AND epoch > ? AND epoch <= ?",
            _checked(run_id),
            after,
            until,
        )
        return {row["threshold"] for row in rows}

    def history(self, run_id: str) -> pd.DataFrame:
        """What happened to the run, oldest first: time, kind, epoch, round, value, text (may be empty).

        Kinds: created, started (text: by which code), paused, resumed, step (one round by itself), turn (turn by
        turn), slow (motion; value: seconds a turn), threshold (value; text "hand" or "auto"), trap (text: the evidence;
        value: its label, if it is one), stopped, interrupted, failed, done. ``epoch`` and ``round`` name the last round
        before the event. For a threshold they name the first round that used it, so that the run can be replayed.
        """
        self._mark_interrupted()
        rows = self.database.read(
            "SELECT time, kind, epoch, round, value, COALESCE(text, '') AS text FROM history WHERE run = ? "
            "ORDER BY number",
            _checked(run_id),
        )
        return _frame(rows, ["time", "kind", "epoch", "round", "value", "text"])

    def reproducing_spec(self, run: DistillationRun) -> RunSpec:
        """The spec that makes the run again as it went: with the thresholds that were set by hand while it ran."""
        rows = self.database.read(
            "SELECT epoch, round, value FROM history WHERE run = ? AND kind = 'threshold' AND text = 'hand'", run.id
        )
        changes = run.spec.thresholds_by_hand | {(row["epoch"], row["round"]): row["value"] for row in rows}
        return run.spec.with_thresholds(changes)

    def revisions(self) -> dict[str, tuple[float | None, int]]:
        """For each run, a value that changes whenever an epoch or an event of the run is logged.

        A page that polls many runs needs to read only the runs whose value has changed.
        """
        rows = self.database.read(
            "SELECT run, max(number) AS event, (SELECT max(time) FROM epochs WHERE run = "
            "history.run) AS epoch FROM history GROUP BY run"
        )
        return {row["run"]: (row["epoch"], row["event"]) for row in rows}

    def snapshot_epochs(self, run_id: str) -> list[int]:
        """Epochs that have a snapshot, in order; without those of `damaged_snapshots`."""
        return sorted(int(path.stem) for path in self._snapshots(run_id, whole=True))

    def damaged_snapshots(self, run_id: str) -> list[Path]:
        """Files of snapshots that were cut short or overwritten."""
        return self._snapshots(run_id, whole=False)

    def snapshot(self, run_id: str, epoch: int) -> Snapshot:
        """The synthetic images at the end of an epoch. Raises StoreError if the epoch has no snapshot."""
        try:
            return Snapshot.load(self.snapshot_file(run_id, epoch))
        except FileNotFoundError:
            available = ", ".join(map(str, self.snapshot_epochs(run_id))) or "none"
            raise StoreError(
                f"epoch: {epoch!r} of run {run_id} has no synthetic images; there are: {available}"
            ) from None

    def last_turn(self, run_id: str) -> Turn | None:
        """The last traced turn; None if the run has since gone on without tracing."""
        run = self.get(run_id)
        try:
            turn = read_cached(self.trace_file(run_id), load_turn)
        except FileNotFoundError:
            return None
        turn_round, last_round = (turn.epoch, turn.round), (run.epoch, run.round)
        ended = turn.who == "student" and turn.number == turn.turn_count
        return turn if turn_round == last_round and ended or turn_round > last_round else None

    def student_files(self, run_id: str) -> dict[int, Path]:
        """Epoch -> file of the student at the end of that epoch, in order."""
        return {int(path.stem): path for path in sorted(self.folder(run_id).glob("students/[0-9]*.safetensors"))}

    # ── requests ────────────────────────────────────────────────────────────────────────────────────

    def create(self, spec: RunSpec | TeacherSpec, group: str | None = None, label: str | None = None) -> str:
        """Queue a run and return its id."""
        run_id = self._new_folder(spec)
        with self._change() as connection:
            _insert(connection, run_id, spec, group, label)
            note(connection, run_id, "created")
        self._queued()
        return run_id

    def create_group(self, specs: Sequence[RunSpec], name: str | None = None, joined_by: str | None = None) -> str:
        """Queue runs as one new group, all of them or none, and return the group's name.

        Args:
            specs: of each run, in the order in which they shall run.
            name: of the group; ``sweep-`` and a number unless given.
            joined_by: id of an earlier run that becomes one of the group, unless it has a group.

        Raises:
            ValueError: there is no run, or the name is too long, not printable, or another group's.
            LimitError: so many runs may not wait, or the disk is full.
        """
        if not specs:
            raise ValueError("group: no runs; expected at least one")
        group = f"sweep-{secrets.token_hex(4)}" if name is None else _checked_text("group", name, LABEL_LENGTH)
        if not group:
            raise ValueError("group: its name is empty; expected some letters")
        run_ids: list[str] = []
        try:
            for spec in specs:
                run_ids.append(self._new_folder(spec, len(specs)))
            with self._change() as connection:
                if connection.execute("SELECT 1 FROM runs WHERE run_group = ?", (group,)).fetchone():
                    raise ValueError(f"group: {group!r} is another group's name; expected a new one")
                for run_id, spec in zip(run_ids, specs, strict=True):
                    _insert(connection, run_id, spec, group, None)
                    note(connection, run_id, "created")
                if joined_by is not None and _row(connection, joined_by)["run_group"] is None:
                    _set(connection, joined_by, run_group=group)
        except BaseException:
            for run_id in run_ids:
                shutil.rmtree(self.folder(run_id), ignore_errors=True)
            raise
        self._queued()
        return group

    def fork(self, fork: Fork, until: int, group: str | None = None, label: str | None = None) -> str:
        """Queue a run that branches off ``fork.parent``, ends after epoch ``until``, and return its id.

        It differs from the parent in nothing but the threshold: the same spec, seed and checkpoint, without the
        parent's own changes of the threshold after ``fork.epoch``.

        Raises:
            UnknownRunError: the parent does not exist.
            StoreError: the parent has no checkpoint of that epoch.
            ValueError: the parent has no threshold, or a number is out of range.
        """
        _check_threshold(fork.threshold)
        parent = self.get(fork.parent)
        if not isinstance(parent, DistillationRun) or not parent.spec.escape.splits:
            raise ValueError(f"run: {parent.id} splits nothing; expected one whose escape has a threshold")
        unsplit = max(fork.epoch, parent.spec.escape.warmup_epochs)  # the last epoch without the new threshold
        if not unsplit < until <= parent.spec.epochs:
            raise ValueError(f"until: {until!r}: expected an epoch after {unsplit}, at most {parent.spec.epochs}")
        changes = [change for change in parent.spec.thresholds_by_hand.items() if change[0][0] <= fork.epoch]
        spec = parent.spec.with_thresholds(dict(changes))
        run_id = self._new_folder(spec)
        if fork.epoch:
            try:
                link_or_copy(self.fork_point_file(parent.id, fork.epoch), self.checkpoint_file(run_id))
            except FileNotFoundError:
                shutil.rmtree(self.folder(run_id), ignore_errors=True)
                raise StoreError(
                    f"epoch: {fork.epoch!r} of run {parent.id} has no checkpoint to branch off; there "
                    f"are: {', '.join(map(str, [0, *self.fork_points(parent.id)]))}"
                ) from None
        with self._change() as connection:
            _insert(connection, run_id, spec, group, label)
            _set(
                connection,
                run_id,
                fork=_fork_json(fork),
                epochs=until,
                epoch=fork.epoch,
                round=parent.rounds if fork.epoch else 0,
            )
            note(connection, run_id, "created", text=f"from epoch {fork.epoch} of run {parent.id}")
            connection.execute(  # the worker applies the thresholds in the history again
                "INSERT INTO history (run, kind, epoch, round, value, text, time) "
                "VALUES (?, 'threshold', ?, 1, ?, 'hand', ?)",
                (run_id, unsplit + 1, fork.threshold, time.time()),
            )
        self._queued()
        return run_id

    def pause(self, run_id: str) -> None:
        """Pause the run after its round, or after its turn in slow motion; the device goes to the next in the queue.

        Does nothing to a finished run.
        """
        with self._change() as connection:
            row = _row(connection, run_id)
            if row["status"] == "running":
                _set(connection, run_id, requested_state="pause", steps_left=0, seconds_per_turn=None)
            elif row["status"] == "queued":
                _set(connection, run_id, requested_state="pause", steps_left=0, seconds_per_turn=None, status="paused")
                note(connection, run_id, "paused")

    def resume(self, run_id: str) -> None:
        """Continue a paused run where it paused, or an interrupted, stopped or failed run from its last checkpoint.

        It joins the end of the queue. Does nothing to a run that is done.
        """
        self._continue(run_id, "run")

    def step(self, run_id: str) -> None:
        """Do one round, or the rest of the current one, then pause. The last round includes the end of its epoch."""
        self._continue(run_id, "pause", steps=1)

    def take_turn(self, run_id: str) -> None:
        """Do and trace one turn of the generator or of the student, then pause."""
        self._continue(run_id, "pause", steps=1, seconds_per_turn=0.0)

    def slow_motion(self, run_id: str, seconds_per_turn: float) -> None:
        """Continue as ``resume`` does, with one traced turn every ``seconds_per_turn`` seconds.

        Raises ValueError if that is not above 0.
        """
        if not 0 < seconds_per_turn < math.inf:
            raise ValueError(f"seconds_per_turn: {seconds_per_turn!r}: expected seconds a turn, above 0")
        with self._change() as connection:
            if _row(connection, run_id)["status"] == "running":
                _set(connection, run_id, requested_state="run", steps_left=0, seconds_per_turn=float(seconds_per_turn))
                return
        self._continue(run_id, "run", seconds_per_turn=float(seconds_per_turn))

    def stop(self, run_id: str) -> None:
        """End the run after its round. ``resume`` continues it from its last checkpoint."""
        with self._change() as connection:
            row = _row(connection, run_id)
            if row["status"] == "running":
                _set(connection, run_id, requested_state="stop")
            elif row["status"] in ("queued", "paused"):
                _set(connection, run_id, requested_state="stop", status="stopped", finished=time.time())
                note(connection, run_id, "stopped")

    def pause_group(self, name: str) -> None:
        """Pause all runs of a group, as ``pause`` does. Raises UnknownRunError if there is no such group."""
        with self._change() as connection:
            for run_id in _ids_of_group(connection, name):
                self.pause(run_id)

    def stop_group(self, name: str) -> None:
        """End all runs of a group, as ``stop`` does. Raises UnknownRunError if there is no such group."""
        with self._change() as connection:
            for run_id in _ids_of_group(connection, name):
                self.stop(run_id)

    def resume_group(self, name: str) -> None:
        """Continue all runs of a group that are not done, as ``resume`` does, the oldest first.

        Raises UnknownRunError if there is no such group.
        """
        self._mark_interrupted()
        with self._change() as connection:
            for run_id in _ids_of_group(connection, name):
                _requeue(connection, run_id, "run")
        self._queued()

    def move_first(self, run_id: str) -> None:
        """Put a waiting run before all others in the queue. Raises ValueError if it does not wait."""
        with self._change() as connection:
            row = _row(connection, run_id)
            if row["status"] != "queued":
                raise ValueError(f"run: {run_id} is {row['status']}; expected a run that waits in the queue")
            if row["requested_device"] == ON_RAY:
                raise ValueError(f"run: {run_id} waits for a node of Ray, which chooses the order")
            first = connection.execute("SELECT min(queued) AS queued FROM runs WHERE status = 'queued'").fetchone()
            _set(connection, run_id, queued=first["queued"] - QUEUE_STEP_S)

    def rename(self, run_id: str, name: str) -> None:
        """Give the run a name; an empty one takes its name away.

        Raises ValueError if it is longer than LABEL_LENGTH, or has line breaks, < or >.
        """
        self._describe(run_id, label=_checked_text("name", name, LABEL_LENGTH) or None)

    def annotate(self, run_id: str, text: str) -> None:
        """Set the run's note, of one line or several; an empty one takes it away.

        Raises ValueError if it is longer than NOTE_LENGTH, or has characters that are no text.
        """
        self._describe(run_id, note=_checked_text("note", text, NOTE_LENGTH, lines=True) or None)

    def set_tags(self, run_id: str, tags: Iterable[str]) -> None:
        """Set the run's tags, each once, in their order.

        Raises ValueError if they are more than MAX_TAGS, or one is longer than TAG_LENGTH, or has line breaks, < or >.
        """
        checked = list(dict.fromkeys(filter(None, (_checked_text("tags", tag, TAG_LENGTH) for tag in tags))))
        if len(checked) > MAX_TAGS:
            raise ValueError(f"tags: {len(checked)}; expected at most {MAX_TAGS}")
        self._describe(run_id, tags=json.dumps(checked))

    def set_threshold(self, run_id: str, value: float) -> None:
        """Use another threshold from the next round on; pending until then. ∞: one group.

        Raises:
            ValueError: the threshold is NaN or −∞.
        """
        _check_threshold(value)
        with self._change() as connection:
            _row(connection, run_id)
            _set(connection, run_id, pending_threshold=float(value))

    def delete(self, run_id: str) -> None:
        """Remove a run and its files. The files go first: on a full disk, that makes the room to note the rest.

        Raises RunBusyError while it is running or paused.
        """
        self._check_may_change()
        self._mark_interrupted()
        rows = self.database.read("SELECT status FROM runs WHERE id = ?", _checked(run_id))
        if not rows:
            raise UnknownRunError(f"run: {run_id!r} is not in {self.runs_dir}")
        if rows[0]["status"] in ("running", "paused"):
            raise RunBusyError(f"run: {run_id} is {rows[0]['status']}; stop it before deleting it")
        shutil.rmtree(self.folder(run_id), ignore_errors=True)
        with self._change() as connection:
            connection.execute("DELETE FROM runs WHERE id = ?", (run_id,))

    def delete_teacher(self, name: str) -> None:
        """Remove a teacher that was loaded or trained here: its card and weights.

        Raises:
            TeacherError: there is no such teacher, it ships with the lab, or runs name it: a later teacher of the same
                name would pass for theirs.
            StoreError: a file cannot be removed; the message says which is left.
        """
        with self._change():  # no run is queued and no other request deletes it meanwhile
            card = card_file(name, self.runs_dir)
            if card.parent == SHIPPED:
                raise TeacherError(
                    f"teacher: {name!r} ships with the lab; expected one that was loaded or trained here"
                )
            if runs := self.runs_of_teacher(name):
                raise TeacherError(
                    f"teacher: {name!r} has {_some(runs)}; delete {'it' if len(runs) == 1 else 'them'} first"
                )
            try:
                card.unlink()
            except OSError as error:
                raise StoreError(f"teacher: {name!r} cannot be deleted: {error}") from error
            weights = card.with_suffix(".safetensors")
            try:
                weights.unlink(missing_ok=True)
            except OSError as error:
                raise StoreError(
                    f"teacher: {name!r} is deleted, but its weights {weights} are left: {error}"
                ) from error

    def thin(self, run_id: str) -> int:
        """Delete most of an ended run's stored epochs, keep its curves; returns the bytes freed. See `storage.thin`."""
        self._check_may_change()
        run = self.get(run_id)
        freed = thin(self.folder(run_id), run.status)
        if freed:
            with self._change() as connection:
                note(connection, run_id, "thinned", value=float(freed))
        return freed

    # ── files ───────────────────────────────────────────────────────────────────────────────────────

    def folder(self, run_id: str) -> Path:
        """The run's folder, whether or not it exists. Raises UnknownRunError if ``run_id`` cannot be an id."""
        return self.runs_dir / "runs" / _checked(run_id)

    def size(self, run_id: str) -> RunSize:
        """Bytes of the run's files."""
        return run_size(self.folder(run_id))

    def snapshot_file(self, run_id: str, epoch: int) -> Path:
        """Path of the epoch's synthetic images, whether or not the file exists."""
        return self.folder(run_id) / "snapshots" / f"{int(epoch):05d}.npz"

    def student_file(self, run_id: str, epoch: int) -> Path:
        """Path of the student at the end of the epoch, whether or not the file exists."""
        return self.folder(run_id) / "students" / f"{int(epoch):05d}.safetensors"

    def fork_points(self, run_id: str) -> list[int]:
        """Epochs with a checkpoint that another run can start from, in order. The start of the run needs none."""
        return sorted(int(path.stem) for path in self.folder(run_id).glob("fork_points/[0-9]*.pt"))

    def fork_point_file(self, run_id: str, epoch: int) -> Path:
        """Path of the checkpoint at the end of the epoch from which other runs branch off."""
        return self.folder(run_id) / "fork_points" / f"{int(epoch):05d}.pt"

    def checkpoint_file(self, run_id: str) -> Path:
        """Path of the checkpoint from which the run is resumed."""
        return self.folder(run_id) / "checkpoint.pt"

    def trace_file(self, run_id: str) -> Path:
        """Path of the last traced turn."""
        return self.folder(run_id) / "trace.npz"

    def log_file(self, run_id: str) -> Path:
        """Path of the log with the tracebacks of a failed run."""
        return self.folder(run_id) / "log.txt"

    # ── internals ───────────────────────────────────────────────────────────────────────────────────

    def _snapshots(self, run_id: str, whole: bool) -> list[Path]:
        found = []
        for path in sorted(self.folder(run_id).glob("snapshots/[0-9]*.npz")):
            with contextlib.suppress(FileNotFoundError):  # a rewound run has just deleted it
                if is_whole(str(path), path.stat().st_mtime_ns) == whole:
                    found.append(path)
        return found

    def _check_may_change(self) -> None:
        if not self.may_change:
            raise ReadOnlyError("runs: you may look at them; only the owners of this lab may change them")

    @contextlib.contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """A transaction of a request. Raises ReadOnlyError for those who may only look."""
        self._check_may_change()
        with self.database.write() as connection:
            yield connection

    def _new_folder(self, spec: RunSpec | TeacherSpec, new: int = 1) -> str:
        """Make the folder of a new run, with its spec inside, and return the run's id.

        Raises LimitError if ``new`` runs, of which it is one, may not wait.
        """
        self._check_may_change()
        waiting = "SELECT count(*) AS number FROM runs WHERE status = 'queued' AND requested_device <> ?"
        queued = self.database.read(waiting, ON_RAY)[0]["number"]
        check_room(self.runs_dir, queued, Limits.of_environment(), new)
        run_id = "".join(secrets.choice(ID_LETTERS) for _ in range(8))
        with atomic_write(self.folder(run_id) / "spec.yaml") as file:
            file.write(spec.to_yaml().encode())
        return run_id

    def _listed(
        self, condition: str, limit: int | None = None, include_forks: bool = False, *values: object
    ) -> list[Run]:
        """Runs that meet the SQL condition, newest first; ``values`` are its parameters ?1, ?2 ..."""
        self._mark_interrupted()
        forks = "" if include_forks else " AND fork IS NULL"
        at_most = "" if limit is None else f" LIMIT {int(limit)}"
        rows = self._rows(f"WHERE {condition}{forks} ORDER BY created DESC, rowid DESC{at_most}", *values)
        return _readable(rows, self._queue_positions())

    def _rows(self, where: str, *values: object) -> list[sqlite3.Row]:
        last = "FROM epochs WHERE run = runs.id ORDER BY epoch DESC LIMIT 1"
        return self.database.read(
            f"SELECT *, (SELECT metrics {last}) AS metrics, (SELECT epoch {last}) AS measured_epoch FROM runs {where}",
            *values,
        )

    def _queue_positions(self) -> dict[str, int]:
        """Position in its device's queue, from 1, of each queued run; 0 where Ray chooses the order."""
        rows = self.database.read(
            "SELECT id, requested_device FROM runs WHERE status = 'queued' ORDER BY queued, rowid"
        )
        kinds = self._device_kinds() if rows else {}
        lengths: dict[str, int] = {}
        positions = {}
        for row in rows:
            kind = kinds.get(row["requested_device"], row["requested_device"])
            lengths[kind] = lengths.get(kind, 0) + 1
            positions[row["id"]] = 0 if kind == ON_RAY else lengths[kind]
        return positions

    def _device_kinds(self) -> dict[str, str]:
        """Requested device -> the kind of device that it means on this machine, as the first worker found."""
        rows = self.database.read("SELECT kind, serves FROM devices")
        return {requested: row["kind"] for row in rows for requested in listed(row["serves"])}

    def _continue(
        self, run_id: str, requested_state: RequestedState, steps: int = 0, seconds_per_turn: float | None = None
    ) -> None:
        """Set the requested state and add ``steps``; put the run into the queue unless it is queued or running."""
        self._mark_interrupted()
        with self._change() as connection:
            _requeue(connection, run_id, requested_state, steps, seconds_per_turn)
        self._queued()

    def _describe(self, run_id: str, **columns: object) -> None:
        with self._change() as connection:
            _row(connection, run_id)
            _set(connection, run_id, **columns)

    def _queued(self) -> None:
        if self.on_queued:
            self.on_queued(self.runs_dir)

    def _mark_interrupted(self) -> None:
        """Mark the runs that workers held which have ended as interrupted."""
        rows = self.database.read(f"SELECT DISTINCT worker FROM runs WHERE {HELD} AND worker IS NOT NULL")
        if not rows or not self.database.writable:
            return
        # On a full disk, or while others write, runs can still be read, and this is done at a later call.
        with contextlib.suppress(StoreError), gate(self.runs_dir, 0.5):  # no worker can start or end meanwhile
            for row in rows:
                if not is_taken(self.runs_dir, worker_lock(row["worker"])):
                    with self.database.write(patience_s=0.5) as connection:
                        interrupt(connection, row["worker"])


def listed(text: str) -> list[str]:
    """The texts of a JSON list; none if it is damaged."""
    return [item for item in _parsed(text, list) or [] if isinstance(item, str)]


def interrupt(connection: sqlite3.Connection, worker: int) -> None:
    """Mark the runs that a worker held as interrupted, because it has ended."""
    for row in connection.execute(f"SELECT id FROM runs WHERE {HELD} AND worker = ?", (worker,)).fetchall():
        _set(connection, row["id"], status="interrupted", images_per_s=None, eta_s=None)
        note(connection, row["id"], "interrupted")
    # A run that it had paused and that waits again is for any worker now.
    connection.execute("UPDATE runs SET worker = NULL WHERE status = 'queued' AND worker = ?", (worker,))


def note(
    connection: sqlite3.Connection, run_id: str, kind: str, value: float | None = None, text: str | None = None
) -> None:
    """Add a row to the run's history, at the last logged round."""
    connection.execute(
        "INSERT INTO history (run, time, kind, epoch, round, value, text) "
        "SELECT id, ?, ?, epoch, round, ?, ? FROM runs WHERE id = ?",
        (time.time(), kind, value, text, run_id),
    )


def _insert(
    connection: sqlite3.Connection, run_id: str, spec: RunSpec | TeacherSpec, group: str | None, label: str | None
) -> None:
    """Add a queued run."""
    now = time.time()
    connection.execute(
        "INSERT INTO runs (id, label, run_group, task, spec, requested_device, epochs, rounds, created, queued) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            run_id,
            label and label[:LABEL_LENGTH],
            group and group[:LABEL_LENGTH],
            "distillation" if isinstance(spec, RunSpec) else "training",
            spec.model_dump_json(),
            spec.device,
            spec.epochs,
            spec.rounds,
            now,
            now,
        ),
    )


def _set(connection: sqlite3.Connection, run_id: str, **columns: object) -> None:
    assignments = ", ".join(f"{name} = ?" for name in columns)
    connection.execute(f"UPDATE runs SET {assignments} WHERE id = ?", (*columns.values(), run_id))


def _row(connection: sqlite3.Connection, run_id: str) -> sqlite3.Row:
    row: sqlite3.Row | None = connection.execute("SELECT * FROM runs WHERE id = ?", (_checked(run_id),)).fetchone()
    if row is None:
        raise UnknownRunError(f"run: {run_id!r} is unknown")
    return row


def _ids_of_group(connection: sqlite3.Connection, name: str) -> list[str]:
    """Ids of a group's runs, the oldest first. Raises UnknownRunError if there is none."""
    rows = connection.execute("SELECT id FROM runs WHERE run_group = ? ORDER BY created, rowid", (name,)).fetchall()
    if not rows:
        raise _unknown_group(name)
    return [row["id"] for row in rows]


def _unknown_group(name: str) -> UnknownRunError:
    return UnknownRunError(f"group: {name[:80]!r} has no runs; `atesc runs list` names the groups")


def _requeue(
    connection: sqlite3.Connection,
    run_id: str,
    requested_state: RequestedState,
    steps: int = 0,
    seconds_per_turn: float | None = None,
) -> None:
    """Set the requested state and add ``steps``; put the run into the queue unless it is queued, running or done."""
    row = _row(connection, run_id)
    if row["status"] == "done":
        return
    steps_before = row["steps_left"] if steps and row["seconds_per_turn"] == seconds_per_turn else 0
    _set(
        connection,
        run_id,
        requested_state=requested_state,
        steps_left=steps_before + steps,
        seconds_per_turn=seconds_per_turn,
    )
    if row["status"] not in ("queued", "running"):
        _set(connection, run_id, status="queued", queued=time.time(), finished=None, error=None)
        if row["status"] != "paused":  # only a paused run has a worker, or a node of a cluster
            device = (_parsed(row["spec"], dict) or {}).get("device", row["requested_device"])
            _set(connection, run_id, worker=None, requested_device=device)


def _checked_text(field: str, text: str, length: int, lines: bool = False) -> str:
    """``text`` without spaces around it. Raises ValueError if it is too long, or has characters that it may not have.

    ``lines``: whether it may have line breaks, and < and >, which charts would draw as HTML.
    """
    text = text.strip()
    if len(text) > length:
        raise ValueError(f"{field}: {len(text):,} characters; expected at most {length:,}")
    refused = [each for each in text if not (each.isprintable() or (lines and each in "\n\r\t"))]
    refused += [each for each in text if each in "<>" and not lines]
    if refused:
        raise ValueError(f"{field}: {text[:80]!r} has {refused[0]!r}; expected letters, digits and signs")
    return text


def _some(run_ids: list[str]) -> str:
    """The number of runs, and the first of their ids."""
    shown = ", ".join(run_ids[:3]) + (" and others" if len(run_ids) > 3 else "")
    return f"{len(run_ids)} run{'' if len(run_ids) == 1 else 's'}: {shown}"


def _checked(run_id: str) -> str:
    """``run_id`` unchanged if it has the form of an id: ids come from links and become part of a path."""
    if not isinstance(run_id, str) or not ID.fullmatch(run_id):
        raise UnknownRunError(f"run: {str(run_id)[:40]!r} is not a run's id; expected 8 letters and digits")
    return run_id


def _spec(row: sqlite3.Row) -> RunSpec | TeacherSpec:
    """The spec of a row with the columns ``task`` and ``spec``. Raises SpecError."""
    model: type[RunSpec | TeacherSpec] = RunSpec if row["task"] == "distillation" else TeacherSpec
    values = _parsed(row["spec"], dict)
    if values is None:
        raise SpecError(f"settings: {str(row['spec'])[:80]!r}: damaged; expected a JSON object")
    spec: RunSpec | TeacherSpec = parse(model, values, stored=True)
    return spec


def _check_threshold(threshold: float) -> None:
    if math.isnan(threshold) or threshold == -math.inf:
        raise ValueError(f"threshold: {threshold!r}: expected a number, or inf for one group")


def _fork_json(fork: Fork) -> str:
    thresholds = {name: threshold_json(getattr(fork, name)) for name in ("threshold", "old_threshold")}
    return json.dumps(asdict(fork) | thresholds)


def _fork(text: str) -> Fork:
    values = _parsed(text, dict) or {}
    try:
        for name in ("threshold", "old_threshold"):
            values[name] = None if values[name] is None else float(values[name])
        return Fork(**values)
    except (KeyError, TypeError, ValueError):
        raise SpecError(f"fork: {text[:80]!r}: damaged; expected a JSON object with the fields of a fork") from None


def _run(row: sqlite3.Row, queue_positions: dict[str, int]) -> Run:
    """The run of a row. Raises SpecError if this version does not know the spec, or cannot read it."""
    columns = {name: row[name] for name in SAME_NAMES} | {
        "group": row["run_group"],
        "tags": tuple(map(str, _parsed(row["tags"], list) or ())),
        "queue_position": queue_positions.get(row["id"]),
        "build": _parsed(row["build"] or "{}", dict) or {},
        "metrics": _parsed(row["metrics"] or "{}", dict) or {},
        "measured_epoch": row["measured_epoch"] or 0,
    }
    spec = _spec(row)
    if isinstance(spec, TeacherSpec):
        return TrainingRun(spec=spec, **columns)
    return DistillationRun(spec=spec, fork=_fork(row["fork"]) if row["fork"] else None, **columns)


def _readable(rows: list[sqlite3.Row], queue_positions: dict[str, int]) -> list[Run]:
    """Runs that this version can read. ``unreadable`` reports the others; they must not make a list fail."""
    runs = []
    for row in rows:
        with suppress(SpecError):
            runs.append(_run(row, queue_positions))
    return runs


def _frame(rows: list[sqlite3.Row], columns: list[str], packed: str | None = None) -> pd.DataFrame:
    """A data frame of ``columns``, and a column for each key of the JSON objects in the column ``packed``.

    Rows whose JSON is damaged are left out; `RunStore.damaged_rows` names them.
    """
    values = _objects(rows, packed) if packed else []
    rows = [row for row, value in zip(rows, values, strict=True) if value is not None] if packed else rows
    frame = pd.DataFrame([tuple(row[name] for name in columns) for row in rows], columns=columns)
    frame = frame.astype(dict.fromkeys(NULLABLE.intersection(columns), float))
    if not packed or not rows:
        return frame
    return pd.concat([frame, pd.DataFrame([value for value in values if value is not None])], axis=1)


def _objects(rows: list[sqlite3.Row], column: str) -> list[dict[str, Any] | None]:
    """The JSON object in each row's column; None where it is damaged."""
    with suppress(ValueError, TypeError, RecursionError):  # at once, which is much faster
        values = json.loads("[" + ",".join(row[column] for row in rows) + "]")
        if len(values) == len(rows) and all(isinstance(value, dict) for value in values):
            return list(values)
    return [_parsed(row[column], dict) for row in rows]


def _parsed(text: str, kind: type[Value]) -> Value | None:
    """The value of a JSON text; None if it is damaged, or of another kind."""
    with suppress(ValueError, TypeError, RecursionError):
        value = json.loads(text)
        if isinstance(value, kind):
            return value
    return None
