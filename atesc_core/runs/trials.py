"""Trying a threshold: two short runs branch off one checkpoint of a run and differ only in the threshold.

The old arm continues with the run's current threshold, the new arm with another one. If the run itself continued from
that checkpoint unchanged and on the same device, its own epochs are the old arm, so that the same numbers are not
computed twice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from atesc_core.errors import StoreError, TrialError, UnknownRunError
from atesc_core.runs.run import DistillationRun, Fork, Run
from atesc_core.runs.store import RunStore
from atesc_core.vocabulary import METRIC_NAMES, threshold_text

DEFAULT_EPOCHS = 2  # epochs that the new threshold splits
ENDED = ("done", "stopped", "failed")


@dataclass(frozen=True)
class TrialOptions:
    """The trials that are possible on the current state of a run."""

    run: DistillationRun
    threshold: float  # the current one
    fork_epochs: tuple[int, ...]  # both arms may branch off at the end of one of these, the default first; 0: the start


@dataclass(frozen=True)
class Trial:
    """The two arms of a trial."""

    new: DistillationRun
    old: DistillationRun | None  # another fork, or the parent; None if it was deleted

    @property
    def fork(self) -> Fork:
        """Where the new arm branched off."""
        assert self.new.fork is not None
        return self.new.fork

    @property
    def old_is_parent(self) -> bool:
        """Whether the parent's own epochs are the old arm."""
        return self.fork.old == self.fork.parent

    @property
    def first_epoch(self) -> int:
        """The first epoch that the two split differently."""
        return max(self.fork.epoch, self.new.spec.escape.warmup_epochs) + 1

    @property
    def last_epoch(self) -> int:
        """The last epoch of both arms."""
        return self.new.epochs

    @property
    def arms(self) -> tuple[DistillationRun, ...]:
        """The runs that were made for the trial, the old one first."""
        return (self.new,) if self.old_is_parent or self.old is None else (self.old, self.new)

    def epochs(self, store: RunStore) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The epochs after the fork of the old and of the new arm, as ``RunStore.epochs`` gives them."""
        old = store.epochs(self.old.id) if self.old else self.shared_epochs(store)[:0]
        return self._after_fork(old), self._after_fork(store.epochs(self.new.id))

    def shared_epochs(self, store: RunStore) -> pd.DataFrame:
        """The epochs before the fork; empty if the parent was deleted."""
        rows = store.epochs(self.fork.parent)
        return rows[rows["epoch"] <= self.fork.epoch]

    def difference(self, store: RunStore) -> pd.DataFrame:
        """Differences of the metrics in the epochs that both arms have done and split differently.

        Returns:
            One row per epoch: ``epoch``, and for each metric ``<metric>_old`` and ``<metric>_new`` in per cent, and
            ``<metric>``, new − old in points.
        """
        old, new = self.epochs(store)
        merged = old.astype({"epoch": int}).merge(new.astype({"epoch": int}), on="epoch", suffixes=("_old", "_new"))
        metrics = [name for name in METRIC_NAMES if f"{name}_old" in merged]
        merged = merged.assign(**{name: merged[f"{name}_new"] - merged[f"{name}_old"] for name in metrics})
        columns = ["epoch", *(column for name in metrics for column in (f"{name}_old", f"{name}_new", name))]
        return merged.loc[merged["epoch"] >= self.first_epoch, columns].reset_index(drop=True)

    def _after_fork(self, rows: pd.DataFrame) -> pd.DataFrame:
        return rows[(rows["epoch"] > self.fork.epoch) & (rows["epoch"] <= self.last_epoch)]


def options(store: RunStore, run: Run) -> TrialOptions:
    """The trials that are possible now. Raises TrialError if there is none; the message gives the reason."""
    if not isinstance(run, DistillationRun):
        raise TrialError("This run trains a teacher: it has no threshold")
    if not run.spec.escape.splits:
        raise TrialError("This run splits nothing: it has no threshold")
    if run.fork:
        raise TrialError(f"This run is itself a try: try another threshold on run {run.fork.parent}")
    warmup, threshold = run.spec.escape.warmup_epochs, store.threshold(run.id)
    if threshold is None and run.status in ENDED:
        raise TrialError(f"The run ended before its split began, after epoch {warmup}")
    if threshold is None:
        raise TrialError(f"The split begins after epoch {warmup}: until then there is no threshold to compare with")
    available = store.fork_points(run.id)
    newest = [available[-1]] if available and available[-1] > warmup and run.status != "done" else []
    return TrialOptions(run, threshold, (*newest, warmup if warmup in available else 0))


def epochs_left(run: DistillationRun, after: int) -> int:
    """Epochs of the run that would be split if it branched off after the end of epoch ``after``."""
    return run.spec.epochs - max(after, run.spec.escape.warmup_epochs)


def start(
    store: RunStore,
    run_id: str,
    threshold: float,
    epochs: int | None = None,
    after: int | None = None,
    device: str | None = None,
) -> Trial:
    """Queue the runs of a trial.

    Args:
        store: the run's store.
        run_id: the run whose threshold is compared with another one.
        threshold: the new threshold; ∞: one group.
        epochs: number of epochs that the new threshold splits; 2, or fewer if fewer are left, unless given.
        after: both arms branch off at the end of this epoch, one of ``options(...).fork_epochs``; the first of them
            unless given.
        device: description of the device that new runs use. If the run used another device, its own epochs cannot
            be the old arm.

    Raises:
        TrialError: no trial is possible on the run, or not with these values.
        UnknownRunError: there is no such run.
        StoreError: the checkpoint was deleted while the trial was being queued.
    """
    possible = options(store, store.get(run_id))
    run, old_threshold = possible.run, possible.threshold
    after = possible.fork_epochs[0] if after is None else after
    if after not in possible.fork_epochs:
        expected = " or ".join(map(str, possible.fork_epochs))
        raise TrialError(
            f"after: {after!r}: expected {expected}: what run {run_id} keeps a checkpoint of (0: its start)"
        )
    if math.isnan(threshold) or threshold == -math.inf:
        raise TrialError(f"threshold: {threshold!r}: expected a number, or inf for one group")
    if threshold == old_threshold:
        raise TrialError(f"threshold: {threshold:g} is the one that run {run_id} has; expected another")
    left = epochs_left(run, after)
    epochs = min(DEFAULT_EPOCHS, left) if epochs is None else epochs
    if not 1 <= epochs <= left:
        raise TrialError(f"epochs: {epochs!r}: expected 1 to {left}, what is left of run {run_id}'s {run.spec.epochs}")
    until = run.spec.epochs - left + epochs
    name = f"try: {threshold_text(old_threshold)} → {threshold_text(threshold)}"
    old = run_id
    if why_old_is_computed(store, run, after, until, device):
        old = store.fork(Fork(run_id, after, old_threshold), until, name, f"{name}, old")
    try:
        new = store.fork(Fork(run_id, after, threshold, old, old_threshold), until, name, f"{name}, new")
    except StoreError:  # the run has meanwhile gone on and deleted this checkpoint
        if old != run_id:
            store.stop(old)
        raise
    return find(store, new)


def why_old_is_computed(store: RunStore, run: DistillationRun, after: int, until: int, device: str | None) -> str:
    """Reason why the old arm must be computed; empty if the run's epochs ``after`` + 1 to ``until`` can be used."""
    if until not in set(store.epochs(run.id)["epoch"]):
        return f"the run has not done epoch {until} yet"
    unsplit = max(after, run.spec.escape.warmup_epochs)
    if store.thresholds(run.id, unsplit, until) - {store.threshold(run.id)}:  # by hand, or found anew in each epoch
        return f"the run had other thresholds too after epoch {after}"
    return "" if run.device == device else f"the run was made on another device, {run.device}"


def find(store: RunStore, run_id: str) -> Trial:
    """The trial in which this run is an arm. Raises UnknownRunError."""
    run = store.get(run_id)
    if isinstance(run, DistillationRun) and run.fork:
        for fork in [run, *store.forks(run.fork.parent)]:
            if fork.fork and fork.fork.old and run_id in (fork.id, fork.fork.old):
                return Trial(fork, _old_arm(store, fork.fork.old))
    raise UnknownRunError(f"run: {run_id!r} is not in a try; expected the id of one of its arms")


def list_trials(store: RunStore, parent: str) -> list[Trial]:
    """The trials of a run, newest first."""
    forks = [(run, run.fork.old) for run in store.forks(parent) if run.fork]
    return [Trial(run, _old_arm(store, old)) for run, old in forks if old]


def _old_arm(store: RunStore, run_id: str) -> DistillationRun | None:
    try:
        return store.get_distillation(run_id)
    except UnknownRunError:
        return None
