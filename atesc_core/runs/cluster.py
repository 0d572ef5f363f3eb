"""Runs on the nodes of a Ray cluster, for ``atesc sweep --on ray`` and ``atesc study --on ray`` (docs/cluster.md).

Ray places each run on a node with free processors. There an actor computes one event at a time; the process that asked
takes it, stores it and sends the user's requests with the question for the next one, as a worker does with its own
loop. So logs, checkpoints, students and images are all on the machine that asked, and a run whose node is lost goes on
elsewhere from its last checkpoint. The process that asked is a worker with a number and a lock: when it ends, its runs
are interrupted, and any worker can resume them.
"""

from __future__ import annotations

import io
import json
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

import torch
from filelock import FileLock

from atesc_core.device import build, describe, pick_device, slots_of_environment
from atesc_core.distillation.loop import Controls
from atesc_core.runs.database import WORKER_PATIENCE_S
from atesc_core.runs.locks import gate, take_worker
from atesc_core.runs.log import RunLog
from atesc_core.runs.run import Run
from atesc_core.runs.session import Session
from atesc_core.runs.store import ON_RAY, RunStore, interrupt
from atesc_core.runs.turn_control import POLL_S
from atesc_core.runs.worker import IN_GATE_S, patiently, run_events
from atesc_core.specs.run import RunSpec
from atesc_core.teachers.cards import SHIPPED, card_file, weights_file
from atesc_core.training.events import CheckpointReady
from atesc_core.version import lab_version

ATTEMPTS = 3  # nodes that a run loses without a new checkpoint before it fails: it may be what kills them
PLACING_S = 1.0  # between two looks at what the user requests of a run that waits for a node
CONNECTING_S = 10.0
LEAVING_S = 30.0  # how long the end of the process waits for the runs' rounds

# Makes the events of a run: (folder with its teachers, controls, state of a checkpoint or None) -> events. It has read
# the folder when it returns.
Make = Callable[[Path, Controls, dict[str, Any] | None], Iterator[Any]]


@dataclass(frozen=True)
class Needs:
    """What a run takes of a node: processors, and GPUs or a part of one."""

    cpus: int
    gpus: float


class NodeRun:
    """A run on its node: an actor that computes one event whenever it is asked for one."""

    def facts(self, device: str, version: str) -> tuple[str, dict[str, str]]:
        """What `device.describe` and `device.build` say of this node. Raises ValueError: it has another lab."""
        if (here := _committed(lab_version())) != _committed(version):
            raise ValueError(
                f"cluster: node {os.uname().nodename} has lab {here}; expected {_committed(version)}, as the machine "
                "that asks"
            )
        chosen = pick_device(device)
        return describe(chosen).summary, build(chosen)

    def open(self, make: Make, teachers: dict[str, bytes], state: bytes | None) -> None:
        """Begin, or go on from the state of a checkpoint. ``teachers``: files of those that do not ship."""
        self.controls = Controls()
        with tempfile.TemporaryDirectory(prefix="atesc-teacher-") as folder:
            (Path(folder) / "teachers").mkdir()
            for name, content in teachers.items():
                (Path(folder) / "teachers" / name).write_bytes(content)
            self.events = make(Path(folder), self.controls, None if state is None else _loaded(state))

    def next(self, threshold: float | None, trace: bool) -> tuple[Any, float | None]:
        """The next event, None after the last, and the threshold of the controls, which the loop may set too."""
        self.controls.threshold, self.controls.trace = threshold, trace
        event = next(self.events, None)
        if isinstance(event, CheckpointReady):  # its tensors may be on a GPU that the other machine lacks
            event = replace(event, state={"saved": _saved(event.state)})
        return event, self.controls.threshold


class Cluster:
    """A connection to a Ray cluster, for as long as a ``with`` statement lasts."""

    def __init__(self, address: str | None = None):
        """``address``: of the cluster. Unless given, $RAY_ADDRESS, a cluster that runs on this machine, or a new one.

        Raises ValueError: Ray is not installed, or there is no cluster at this address.
        """
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # the lab reports nothing to anybody
        try:
            import ray
        except ImportError:
            raise ValueError("ray: is not installed here; `pip install 'atesc-lab[cluster]'` installs it") from None
        self.ray: Any = ray
        try:
            _check_answers(address)
            ray.init(
                address=address,
                ignore_reinit_error=True,
                include_dashboard=False,
                log_to_driver=False,
                logging_level="error",
            )
        except (OSError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
            raise ValueError(f"address: {address!r}: no Ray cluster can be reached ({error})") from error
        errors = ray.exceptions
        # What is raised when a node, or the process of a run on it, is gone.
        self.lost: tuple[type[Exception], ...] = (errors.RayActorError, errors.ObjectLostError, errors.OutOfMemoryError)
        self._teachers: dict[tuple[tuple[str, ...], Path | None], Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.ray.shutdown()

    def check(self, specs: Iterable[RunSpec]) -> None:
        """Raise ValueError if a spec asks for a GPU and no node has one, or if $ATESC_GPU_SLOTS is not a number."""
        slots_of_environment("ATESC_GPU_SLOTS")
        if any(spec.device == "cuda" for spec in specs) and not any(node.get("GPU") for node in self._nodes()):
            raise ValueError("device: 'cuda': no node of the cluster has a GPU")

    def _nodes(self) -> list[dict[str, float]]:
        """The resources of each living node."""
        return [node["Resources"] for node in self.ray.nodes() if node["Alive"]]

    def needs(self, spec: RunSpec) -> Needs | None:
        """What a run takes of a node of those that live now; None while none of them can compute it.

        A processor for each of the spec's threads, but no more than the largest node has; on CUDA also a GPU, or its
        part ($ATESC_GPU_SLOTS runs share one).
        """
        nodes = self._nodes()
        on_gpu = spec.device == "cuda" or (spec.device == "auto" and any(node.get("GPU") for node in nodes))
        cpus = max((int(node.get("CPU", 0)) for node in nodes if node.get("GPU") or not on_gpu), default=0)
        part = 1 / (slots_of_environment("ATESC_GPU_SLOTS") or 1) if on_gpu else 0.0
        return Needs(min(spec.threads, cpus), part) if cpus else None

    def place(self, spec: RunSpec, go_on: Callable[[], bool] = lambda: True) -> Any:
        """An actor for a run on its node, with the node's facts; None as soon as ``go_on()``, asked often, is false.

        Nodes may come and go while it waits. Raises ValueError: the node has another version of the lab, or none.
        """
        actor = facts = asked = None
        try:
            while go_on():
                if (needs := self.needs(spec)) != asked:
                    self.end(actor)
                    actor, asked = None, needs
                if actor is None and needs is not None:
                    actor = self.ray.remote(NodeRun).options(num_cpus=needs.cpus, num_gpus=needs.gpus).remote()
                    facts = actor.facts.remote(spec.device, lab_version())
                if actor is None:
                    time.sleep(PLACING_S)
                elif self.ray.wait([facts], timeout=PLACING_S)[0]:
                    found, actor = (actor, self._facts(facts)), None
                    return found
        finally:
            self.end(actor)
        return None

    def _facts(self, reference: Any) -> tuple[str, dict[str, str]]:
        try:
            facts: tuple[str, dict[str, str]] = self.result(reference)
        except self.lost as error:
            if getattr(error, "actor_init_failed", False):  # it is no loss: every other try would end there, too
                raise ValueError(f"cluster: a node cannot load this lab: {str(error).splitlines()[-1]}") from error
            raise
        return facts

    def teachers(self, names: Iterable[str], runs_dir: Path | None) -> Any:
        """An object of the cluster: the files of those teachers that were added on this machine, and do not ship."""
        key = tuple(names), runs_dir
        if key not in self._teachers:
            cards = {card_file(name, runs_dir): weights_file(name, runs_dir) for name in key[0]}
            files = [file for pair in cards.items() if pair[0].parent != SHIPPED for file in pair]
            self._teachers[key] = self.ray.put({file.name: file.read_bytes() for file in files})
        return self._teachers[key]

    def events(
        self, actor: Any, make: Make, teachers: Any, controls: Controls, state: dict[str, Any] | None
    ) -> Iterator[Any]:
        """The events of a run on its node. Raises the run's errors, and one of ``lost`` if its node is gone."""
        self.result(actor.open.remote(make, teachers, None if state is None else _saved(state)))
        while True:
            event, controls.threshold = self.result(actor.next.remote(controls.threshold, controls.trace))
            if event is None:
                return
            yield replace(event, state=_loaded(event.state["saved"])) if isinstance(event, CheckpointReady) else event

    def events_to_the_end(self, spec: RunSpec, make: Make, teachers: Any) -> Iterator[Any]:
        """The events of a run that no store logs, on one node after another: what a lost one did comes again."""
        state, losses = None, 0
        while True:
            actor = None
            try:
                actor, _ = self.place(spec)
                for event in self.events(actor, make, teachers, Controls(), state):
                    if isinstance(event, CheckpointReady):
                        state, losses = event.state, 0
                    yield event
                return
            except self.lost:
                losses += 1
                if losses == ATTEMPTS:
                    raise
            finally:
                self.end(actor)

    def result(self, reference: Any) -> Any:
        """What a call of an actor returned; what it raised is raised as it was there."""
        try:
            return self.ray.get(reference)
        except self.ray.exceptions.RayTaskError as error:
            raise error.cause from error

    def end(self, actor: Any) -> None:
        """End an actor, if there is one, whether or not it has a node."""
        if actor is not None and self.ray.is_initialized():
            self.ray.kill(actor)


class ClusterRuns:
    """The runs of a store that this process computes on a cluster. Leaving the ``with`` statement interrupts them."""

    def __init__(self, store: RunStore, cluster: Cluster):
        """Takes the number of a worker. Raises StoreError."""
        self.store, self.cluster = RunStore(store.runs_dir, patience_s=WORKER_PATIENCE_S), cluster
        self.leaving = threading.Event()
        self.errors: list[Exception] = []  # of threads that could not even note how their run ended
        self.losses: dict[str, int] = {}  # by run: since its last checkpoint
        self.threads: list[threading.Thread] = []
        self.number, self.lock = patiently(self.store, self._report)

    def _report(self) -> tuple[int, FileLock]:
        with gate(self.store.runs_dir, WORKER_PATIENCE_S):
            number, lock = take_worker(self.store.runs_dir)
            with self.store.database.write(patience_s=IN_GATE_S) as connection:
                connection.execute("INSERT OR REPLACE INTO workers VALUES (?, ?)", (number, ON_RAY))
                interrupt(connection, number)  # runs of the last worker of this number
        return number, lock

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.leaving.set()
        end = time.monotonic() + LEAVING_S
        for thread in self.threads:
            thread.join(max(0, end - time.monotonic()))
        patiently(self.store, self._interrupt)
        if not any(thread.is_alive() for thread in self.threads):
            self.store.close()

    def _interrupt(self) -> None:
        with gate(self.store.runs_dir, WORKER_PATIENCE_S):
            with self.store.database.write(patience_s=IN_GATE_S) as connection:
                interrupt(connection, self.number)
            self.lock.release()

    def check(self) -> None:
        """Raise the first error that a run's thread could not note in the store: its run would stay ``running``."""
        if self.errors:
            raise self.errors[0]

    def create_group(self, specs: Sequence[RunSpec], name: str | None = None, joined_by: str | None = None) -> str:
        """As `RunStore.create_group`, but the runs wait for a node of the cluster, and no other worker takes them."""
        self.cluster.check(specs)
        with self.store.database.write() as connection:  # no other worker sees them before the end
            group = self.store.create_group(specs, name, joined_by)
            new = "run_group = ? AND id IS NOT ?"
            connection.execute(
                f"UPDATE runs SET requested_device = ?, worker = ? WHERE {new}", (ON_RAY, self.number, group, joined_by)
            )
            rows = connection.execute(
                f"SELECT id FROM runs WHERE {new} ORDER BY created, rowid", (group, joined_by)
            ).fetchall()
        for row in rows:
            self.threads.append(threading.Thread(target=self._compute, args=(row["id"],), daemon=True))
            self.threads[-1].start()
        return group

    def _compute(self, run_id: str) -> None:
        try:
            log = RunLog(self.store, self.store.get(run_id))
            while self._compute_on_a_node(log):
                pass
        except Exception as error:  # the store cannot be written, say: `check` raises it in the main thread
            self.errors.append(error)

    def _compute_on_a_node(self, log: RunLog) -> bool:
        """Compute a run on one node. Returns whether it is to go on elsewhere, because that node was lost."""
        actor, lost_before = None, self.losses.get(log.run.id, 0)
        try:
            if (actor := self._placed(log.run)) is not None:
                self._drive(self._opened(log, actor, "its node was lost" if lost_before else ""))
            return False
        except Exception as error:  # any error ends this run, but not the others
            # Whoever has taken, stopped or deleted it meanwhile has said how it ended.
            if (
                self.leaving.is_set()
                or not self.store.exists()
                or self._status(log.run.id) not in ("queued", "running")
            ):
                return False
            self.losses[log.run.id] = self.losses.get(log.run.id, 0) + 1
            if not isinstance(error, self.cluster.lost) or self.losses[log.run.id] == ATTEMPTS:
                log.fail(error)
                return False
            log.wait_again("its node was lost")
            return True
        finally:
            self.cluster.end(actor)

    def _placed(self, run: Run) -> Any:
        """An actor on a node for the run, which is then marked as running; None if it is no longer to be computed."""
        assert isinstance(run.spec, RunSpec)
        while not self.leaving.is_set() and (status := self._status(run.id)) in ("queued", "paused"):
            if status == "paused":
                time.sleep(POLL_S)
                continue
            placed = self.cluster.place(
                run.spec, lambda: not self.leaving.is_set() and self._status(run.id) == "queued"
            )
            if placed is not None:
                actor, facts = placed
                if self._mark_running(run.id, *facts):
                    return actor
                self.cluster.end(actor)
        return None

    def _status(self, run_id: str) -> str | None:
        """The status of a run of this process; None if it was deleted, or another worker has it."""
        rows = self.store.database.read("SELECT status FROM runs WHERE id = ? AND worker = ?", run_id, self.number)
        return rows[0]["status"] if rows else None

    def _mark_running(self, run_id: str, summary: str = "", made_with: dict[str, str] | None = None) -> bool:
        """Mark a run that waits as running, on the device of its node if that is given. False if it waits no more."""
        with self.store.database.write() as connection:
            changed = connection.execute(
                "UPDATE runs SET status = 'running', started = coalesce(started, ?), finished = NULL, error = NULL, "
                "device = coalesce(?, device), build = coalesce(?, build) "
                "WHERE id = ? AND worker = ? AND status = 'queued'",
                (time.time(), summary or None, json.dumps(made_with) if made_with else None, run_id, self.number),
            )
            return changed.rowcount == 1

    def _opened(self, log: RunLog, actor: Any, why: str) -> Session:
        def events(run: Run, runs_dir: Path, controls: Controls, state: dict[str, Any] | None) -> Iterator[Any]:
            teachers = self.cluster.teachers([run.teacher], runs_dir)
            for event in self.cluster.events(actor, partial(run_events, run), teachers, controls, state):
                yield event
                if isinstance(event, CheckpointReady):  # the session has stored it
                    self.losses.pop(run.id, None)

        session = Session.open(log, events)
        log.note_start(session.next_round[0] - 1, why)
        return session

    def _drive(self, session: Session) -> None:
        """Take the run's events until it is over. While it is paused, it keeps its place on its node."""
        log = session.log
        while True:
            stepping = log.read_request().state == "pause"
            outcome = session.go_on(lambda: self.leaving.is_set() or not self.store.exists())
            if outcome != "halted":
                log.end(outcome)
                return
            if log.halt(stepping) == "stopped":
                return
            while not self._mark_running(log.run.id):
                if self.leaving.is_set() or self._status(log.run.id) not in ("queued", "paused"):
                    return
                time.sleep(POLL_S)
            if log.read_request().state == "run":
                log.note("resumed")


def _committed(version: str) -> str:
    """The version without the mark of local changes: a study's own rows change a checkout."""
    return version.removesuffix(".dirty")


def _check_answers(address: str | None) -> None:
    """Raise OSError if nothing listens at HOST:PORT: Ray itself would try for minutes."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), CONNECTING_S).close()


def _saved(state: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


def _loaded(state: bytes) -> dict[str, Any]:
    loaded: dict[str, Any] = torch.load(io.BytesIO(state), map_location="cpu", weights_only=True)
    return loaded
