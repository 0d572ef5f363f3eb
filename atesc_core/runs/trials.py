"""Trying a threshold: two short runs part from one checkpoint of a run, and differ in nothing but the threshold.

The old arm goes on with the threshold that the run has, the new arm with another. Where the run itself went on from
there unchanged, on the same device, its own epochs are the old arm: the same numbers need no second computation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from atesc_core.errors import StoreError, TrialError, UnknownRun
from atesc_core.runs.run import DistillationRun, Fork, Run
from atesc_core.runs.store import RunStore

EPOCHS = 2  # that a try takes, unless another number is asked for
ENDED = ("done", "stopped", "failed")


@dataclass(frozen=True)
class Chance:
    """What can be tried on a run as it stands."""

    run: DistillationRun
    old: float  # the threshold that it has
    after: tuple[int, ...]  # epochs after whose end both arms may part, the usual one first; 0: from the start


@dataclass(frozen=True)
class Pair:
    """A try: its two arms, and what they part from."""

    new: DistillationRun
    old: DistillationRun | None  # another fork, or the parent; None where it was deleted

    @property
    def fork(self) -> Fork:
        assert self.new.fork is not None
        return self.new.fork

    @property
    def own(self) -> bool:
        """Whether the parent's own epochs are the old arm."""
        return self.fork.old == self.fork.parent

    @property
    def first(self) -> int:
        """The first epoch that the two split differently."""
        return max(self.fork.epoch, self.new.spec.escape.warmup_epochs) + 1

    @property
    def last(self) -> int:
        return self.new.epochs

    @property
    def arms(self) -> tuple[DistillationRun, ...]:
        """The runs that were made for it, the old one first."""
        return (self.new,) if self.own or self.old is None else (self.old, self.new)

    def epochs(self, store: RunStore) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The arms' epochs, as ``RunStore.epochs`` gives them, after they parted: old, new."""
        old = store.epochs(self.old.id) if self.old else self.past(store)[:0]
        return self._after_fork(old), self._after_fork(store.epochs(self.new.id))

    def _after_fork(self, rows: pd.DataFrame) -> pd.DataFrame:
        return rows[(rows["epoch"] > self.fork.epoch) & (rows["epoch"] <= self.last)]

    def past(self, store: RunStore) -> pd.DataFrame:
        """The epochs that both have in common; none where the parent was deleted."""
        rows = store.epochs(self.fork.parent)
        return rows[rows["epoch"] <= self.fork.epoch]

    def difference(self, store: RunStore) -> pd.DataFrame:
        """A row an epoch that both arms have and split differently: epoch, and for each metric ``<metric>_old``,
        ``<metric>_new`` in per cent, and ``<metric>``, new − old in points."""
        old, new = self.epochs(store)
        both = old.astype({"epoch": int}).merge(new.astype({"epoch": int}), on="epoch", suffixes=("_old", "_new"))
        there = [name for name in new.columns if name not in ("epoch", "images", "time") and f"{name}_old" in both]
        both = both.assign(**{name: both[f"{name}_new"] - both[f"{name}_old"] for name in there})
        columns = ["epoch", *(column for name in there for column in (f"{name}_old", f"{name}_new", name))]
        return both.loc[both["epoch"] >= self.first, columns].reset_index(drop=True)


def chance(store: RunStore, run: Run) -> Chance:
    """Raises CannotTry."""
    if not isinstance(run, DistillationRun):
        raise TrialError("This run trains a teacher: it has no threshold")
    if not run.spec.escape.splits:
        raise TrialError("This run splits nothing: it has no threshold")
    if run.fork:
        raise TrialError(f"This run is itself a try: try another threshold on run {run.fork.parent}")
    begins, old = run.spec.escape.warmup_epochs, store.threshold(run.id)
    if old is None and run.status in ENDED:
        raise TrialError(f"The run ended before its split began, after epoch {begins}")
    if old is None:
        raise TrialError(f"The split begins after epoch {begins}: until then there is no threshold to compare with")
    kept = store.points(run.id)
    newest = [kept[-1]] if kept and kept[-1] > begins and run.status != "done" else []
    return Chance(run, old, (*newest, begins if begins in kept else 0))


def most(run: DistillationRun, after: int) -> int:
    """Epochs that are left to be split after the end of epoch ``after``."""
    return run.spec.epochs - max(after, run.spec.escape.warmup_epochs)


def start(
    store: RunStore,
    run_id: str,
    threshold: float,
    epochs: int | None = None,
    after: int | None = None,
    here: str | None = None,
) -> Pair:
    """Queue what is missing of a try. Somebody must then see to a worker: ``ensure_worker``.

    epochs: that are split by ``threshold``. after: one of ``chance(...).after``. here: the device that runs now go
    to, in words: on another the run's own epochs are not the same numbers. Raises CannotTry, UnknownRun, StoreError.
    """
    found = chance(store, store.get(run_id))
    run = found.run
    after = found.after[0] if after is None else after
    if after not in found.after:
        known = " or ".join(map(str, found.after))
        raise TrialError(f"after: {after!r}: expected {known}: what run {run_id} keeps a checkpoint of (0: its start)")
    if not math.isfinite(threshold):
        raise TrialError(f"threshold: {threshold!r} is not a finite number")
    if threshold == found.old:
        raise TrialError(f"threshold: {threshold:g} is the one that run {run_id} has; expected another")
    left = most(run, after)
    epochs = min(EPOCHS, left) if epochs is None else epochs
    if not 1 <= epochs <= left:
        raise TrialError(f"epochs: {epochs!r}: expected 1 to {left}, what is left of run {run_id}'s {run.spec.epochs}")
    until = run.spec.epochs - left + epochs
    name = f"try: {words(found.old)} → {words(threshold)}"
    old = (
        store.fork(Fork(run_id, after, found.old), until, name, f"{name}, old")
        if why_computed(store, run, after, until, here)
        else run_id
    )
    try:
        new = store.fork(Fork(run_id, after, threshold, old, found.old), until, name, f"{name}, new")
    except StoreError:  # the run went on meanwhile, and keeps this checkpoint no longer
        if old != run_id:
            store.stop(old)
        raise
    return pair(store, new)


def words(threshold: float) -> str:
    return f"{threshold:.2f}"


def why_computed(store: RunStore, run: DistillationRun, after: int, until: int, here: str | None) -> str:
    """Why the old arm has to be run; empty where the run's own epochs ``after`` + 1 .. ``until`` are its numbers."""
    history = store.history(run.id)
    moved = (history["kind"] == "threshold") & (history["text"] == "hand") & (history["epoch"] > after)
    if until not in set(store.epochs(run.id)["epoch"]):
        return f"the run has not done epoch {until} yet"
    if moved.any():
        return f"the run's threshold was moved by hand after epoch {after}"
    return "" if run.device == here else f"the run was made on another device, {run.device}"


def pair(store: RunStore, run_id: str) -> Pair:
    """The try that has the run of this id for its new arm, or made it as its old one. Raises UnknownRun."""
    run = store.get(run_id)
    if isinstance(run, DistillationRun) and run.fork:
        parent = run.fork.parent
        for found in [run, *store.forks(parent)]:
            if found.fork and found.fork.old and run_id in (found.id, found.fork.old):
                return Pair(found, _old_arm(store, found.fork.old))
    raise UnknownRun(f"run: {run_id!r} is not in a try; expected the id of one of its arms")


def pairs(store: RunStore, parent: str) -> list[Pair]:
    """The tries of a run, newest first."""
    forks = [(run, run.fork.old) for run in store.forks(parent) if run.fork]
    return [Pair(run, _old_arm(store, old)) for run, old in forks if old]


def _old_arm(store: RunStore, run_id: str) -> DistillationRun | None:
    try:
        return store.get_distillation(run_id)
    except UnknownRun:
        return None
