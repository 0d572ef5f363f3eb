"""Comparison of runs: seeds grouped by spec, means over seeds, and the differences between specs.

Runs are averaged only if they differ only in the seed. A run whose threshold was changed by hand no longer
follows its spec, so it is grouped with runs that had the same changes.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, get_args

import pandas as pd

from atesc_core.figures.theme import format_threshold
from atesc_core.outcome import Outcome, trap_outcome
from atesc_core.runs import DistillationRun, RunStore
from atesc_core.runs.run import ClassRecalls
from atesc_core.specs.base import field_values
from atesc_core.specs.field_help import describe_field
from atesc_core.specs.run import EscapeSpec, RunSpec, SplitSpec
from atesc_core.teachers import TeacherCard
from atesc_core.vocabulary import (
    COST_NAMES,
    ESCAPE_NAMES,
    METRIC_NAMES,
    METRIC_SETTING,
    SETTING_NAMES,
    SYNTHESIZER_NAMES,
)

STATISTICS = ["epoch", "mean", "sd", "low", "high", "seeds"]
MAX_FIELDS_IN_LABEL = 3  # for further fields, only their number is given
FIELD_TEXT: dict[
    str, Callable[[str], str]
] = {  # field -> text of its value; labels show these without the field's name
    "teacher": str,
    "synthesis.kind": SYNTHESIZER_NAMES.__getitem__,
    "escape.kind": ESCAPE_NAMES.__getitem__,
}
ThresholdChange = tuple[int, int, float]  # epoch, round, threshold


@dataclass(frozen=True)
class MeasuredRun:
    """A run with its logged epochs.

    Attributes:
        run: The run.
        epochs: One row an epoch, of ``RunStore.epochs``.
        threshold_changes: The changes made by hand, in order.
        without_trap: Whether twin synthesis found no trap, and so was plain.
    """

    run: DistillationRun
    epochs: pd.DataFrame
    threshold_changes: tuple[ThresholdChange, ...] = ()
    without_trap: bool = False

    @property
    def last_epoch(self) -> int:
        """The last measured epoch; 0 before the first."""
        return int(self.epochs["epoch"].max()) if len(self.epochs) else 0

    @property
    def metrics(self) -> tuple[str, ...]:
        """The measured metrics, IAcc first."""
        return tuple(name for name in METRIC_NAMES if name in self.epochs)

    @property
    def costs(self) -> tuple[str, ...]:
        """What was measured of what an escape costs, the names in COST_NAMES."""
        return tuple(name for name in COST_NAMES if name in self.epochs)

    @property
    def in_progress(self) -> bool:
        """Whether the run is running, queued or paused."""
        return self.run.status in ("queued", "running", "paused")


@dataclass(frozen=True)
class SeedGroup:
    """Runs of one spec, one per seed, up to the last epoch that all of them have.

    Attributes:
        spec: The spec with seed 0.
        runs: In ascending order of their seeds.
        epochs: Columns seed, epoch, the metrics and the costs, in per cent.
        notes: Sentences on the epochs and runs that were left out.
    """

    spec: RunSpec
    runs: tuple[MeasuredRun, ...]
    epochs: pd.DataFrame
    notes: tuple[str, ...] = ()

    @property
    def metrics(self) -> tuple[str, ...]:
        """IAcc and the setting's metric on OOD images."""
        return self.runs[0].metrics

    @property
    def setting(self) -> str:
        """close-set, open-set or backdoor; empty if the runs measured nothing on OOD images."""
        return next((SETTING_NAMES[METRIC_SETTING[name]] for name in self.metrics if name in METRIC_SETTING), "")

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds, ascending."""
        return tuple(measured.run.spec.seed for measured in self.runs)

    @property
    def last_epoch(self) -> int:
        """The last epoch that all seeds have."""
        return min(measured.last_epoch for measured in self.runs)

    @property
    def threshold_changes(self) -> tuple[ThresholdChange, ...]:
        """The changes made by hand, the same in all runs."""
        return self.runs[0].threshold_changes


def read_log(store: RunStore, run_id: str) -> tuple[pd.DataFrame, tuple[ThresholdChange, ...], bool]:
    """The last three fields of a run's `MeasuredRun`. Raises StoreError."""
    history = store.history(run_id)
    by_hand = history[(history["kind"] == "threshold") & (history["text"] == "hand")]
    changes = tuple(by_hand[["epoch", "round", "value"]].itertuples(index=False, name=None))
    sought = history[history["kind"] == "trap"]
    return store.epochs(run_id), changes, len(sought) > 0 and bool(sought["value"].isna().iloc[-1])


def group_by_seed(runs: Iterable[MeasuredRun]) -> list[SeedGroup]:
    """Group runs that differ only in the seed, in the order in which their specs first appear.

    Runs without an epoch are left out. Of several runs with the same seed, the longest counts, then the newest. A run
    that ended early (stopped, interrupted, failed) is left out if another seed has more epochs. A run in progress
    limits its group to its last epoch.
    """
    groups: dict[tuple[Hashable, ...], list[MeasuredRun]] = {}
    for measured in runs:
        if measured.last_epoch:
            fork_epoch = measured.run.fork.epoch if measured.run.fork else None
            key = (
                without_seed(measured.run.spec),
                measured.metrics,
                measured.costs,
                measured.threshold_changes,
                fork_epoch,
            )
            groups.setdefault(key, []).append(measured)
    return [_seed_group(alike) for alike in groups.values()]


def without_seed(spec: RunSpec) -> RunSpec:
    """The spec with seed 0: equal for runs that differ only in the seed."""
    return spec.model_copy(update={"seed": 0})


def _seed_group(alike: list[MeasuredRun]) -> SeedGroup:
    """A group of runs that differ only in the seed."""
    spec, notes = without_seed(alike[0].run.spec), []
    by_seed = {
        measured.run.spec.seed: measured
        for measured in sorted(alike, key=lambda measured: (measured.last_epoch, measured.run.created))
    }
    if len(by_seed) < len(alike):
        notes.append(f"{_plural(len(alike) - len(by_seed), 'run')} of a seed that is here already: left out.")
    longest = max(measured.last_epoch for measured in by_seed.values())
    runs = []
    for seed, measured in sorted(by_seed.items()):
        if measured.last_epoch < longest and not measured.in_progress:
            notes.append(f"Seed {seed} {_how_it_ended(measured)} after epoch {measured.last_epoch}: left out.")
        else:
            runs.append(measured)
    last = min(measured.last_epoch for measured in runs)
    if any(measured.in_progress and measured.last_epoch < measured.run.epochs for measured in runs):
        common = f"that all {len(runs)} seeds have" if len(runs) > 1 else "it has"
        notes.append(f"Still going: shown to epoch {last} of {spec.epochs}, the last {common}.")
    elif fork := runs[0].run.fork:
        notes.append(f"A try: it parted from a run of these settings after epoch {fork.epoch}, and ended with {last}.")
    elif last < spec.epochs:
        notes.append(f"Ended after epoch {last} of {spec.epochs}.")
    frames = [
        measured.epochs[measured.epochs["epoch"] <= last].assign(seed=measured.run.spec.seed) for measured in runs
    ]
    columns = ["seed", "epoch", *runs[0].metrics, *runs[0].costs]
    return SeedGroup(spec, tuple(runs), pd.concat(frames, ignore_index=True)[columns], tuple(notes))


def _how_it_ended(measured: MeasuredRun) -> str:
    return {"stopped": "was stopped", "interrupted": "was interrupted", "failed": "failed"}.get(
        measured.run.status, "ended"
    )


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


# ── numbers ─────────────────────────────────────────────────────────────────────────────────────────


def smooth(values: pd.DataFrame, column: str, share: float) -> pd.DataFrame:
    """Smooth a column over epochs by an exponential moving average, for each seed separately.

    Each value becomes a weighted mean of all values up to it, so that the first values get no extra weight.

    Args:
        values: Columns seed, epoch and ``column``.
        column: The column to smooth.
        share: Weight of the past in each step, 0 <= share < 1; 0 changes nothing.

    Raises:
        ValueError: ``share`` is out of range.
    """
    if not 0 <= share < 1:
        raise ValueError(f"smoothing: {share!r}: expected 0 or more and less than 1")
    if not share:
        return values
    ordered = values.sort_values(["seed", "epoch"])
    mean = ordered.groupby("seed")[column].transform(lambda seed: seed.ewm(alpha=1 - share, adjust=True).mean())
    return ordered.assign(**{column: mean})


def summary(values: pd.DataFrame, column: str, smoothing: float = 0.0) -> pd.DataFrame:
    """Statistics over seeds, one row an epoch.

    Args:
        values: Columns seed, epoch and ``column``.
        column: The quantity.
        smoothing: As in ``smooth``, before the seeds are averaged.

    Returns:
        Columns epoch, mean, sd (of the sample; NaN for one seed), low, high, seeds.
    """
    smoothed = smooth(values.dropna(subset=[column]), column, smoothing)
    by_epoch = smoothed.groupby("epoch", as_index=False)[column].agg(["mean", "std", "min", "max", "count"])
    return by_epoch.set_axis(STATISTICS, axis=1)


def epoch_means(steps: pd.DataFrame, last: int) -> pd.DataFrame:
    """Mean losses of each epoch up to ``last``: columns epoch, g/... and s/... of the rounds' losses."""
    losses = [name for name in steps.columns if name.startswith(("g/", "s/"))]
    return steps[steps["epoch"] <= last].groupby("epoch", as_index=False)[losses].mean()


def results(groups: Sequence[SeedGroup]) -> pd.DataFrame:
    """Metrics at the last epoch, one row per spec, in full precision.

    Returns:
        Columns spec (its label), teacher, setting, seeds (their number), epoch (that of the values), epochs (of the
        spec), for each metric and each cost its mean and ``<metric>_sd`` in per cent, and runs (ids).
    """
    present = [name for name in (*METRIC_NAMES, *COST_NAMES) if any(name in group.epochs for group in groups)]
    rows = []
    for group, name in zip(groups, group_labels(groups), strict=True):
        row = {
            "spec": name,
            "teacher": group.spec.teacher,
            "setting": group.setting,
            "seeds": len(group.seeds),
            "epoch": group.last_epoch,
            "epochs": group.spec.epochs,
        }
        for metric in present:
            at_end = summary(group.epochs, metric).iloc[-1] if metric in group.epochs else pd.Series(dtype=float)
            row |= {metric: at_end.get("mean", float("nan")), f"{metric}_sd": at_end.get("sd", float("nan"))}
        rows.append(row | {"runs": " ".join(measured.run.id for measured in group.runs)})
    return pd.DataFrame(rows)


def control_group(group: SeedGroup, groups: Sequence[SeedGroup], cards: Mapping[str, TeacherCard]) -> SeedGroup | None:
    """The plain students of an SL teacher of the same pair and image side; None if there are none.

    Nothing else may differ, and they have come as far: a control of fewer epochs would have another outcome.
    """
    own = cards.get(group.spec.teacher)
    return next(
        (
            other
            for other in groups
            if other.spec.escape.kind == "none"
            and (_as_control(other.spec), other.last_epoch) == (_as_control(group.spec), group.last_epoch)
            and (card := cards.get(other.spec.teacher)) is not None
            and own is not None
            and (card.kind, card.pair, card.image_side) == ("SL", own.pair, own.image_side)
        ),
        None,
    )


def _as_control(spec: RunSpec) -> RunSpec:
    """The spec of the plain run of a control, but for its teacher and its seed."""
    plain = spec.replaced({"escape.kind": "none"})
    unused = {"escape": EscapeSpec(kind="none"), "split": SplitSpec(), "threshold_changes": ()}
    return plain.model_copy(update={"teacher": "", "seed": 0, "preset": "", "device": "auto", "threads": 1, **unused})


def trap_counts(
    group: SeedGroup, control: SeedGroup | None = None, recalls: Mapping[str, ClassRecalls | None] | None = None
) -> dict[Outcome, int]:
    """Number of seeds for each outcome at the last epoch, against the control's means; empty if it was not measured.

    ``recalls``: run id -> recall of each class at the last epoch, of both groups' runs. Without them a control in
    close-set is compared by its IAcc, as `trap_outcome` says.
    """
    at_end = group.epochs[group.epochs["epoch"] == group.last_epoch]
    last = {row["seed"]: row for row in at_end.to_dict("records")}
    names, recalls, control_metrics = [*group.metrics, *group.runs[0].costs], recalls or {}, None
    if control is not None:
        at_end = control.epochs[control.epochs["epoch"] == control.last_epoch]
        control_metrics = {str(name): float(at_end[name].mean()) for name in at_end if name not in ("seed", "epoch")}

    def recall_of_control(run_id: str) -> float | None:
        own = recalls.get(run_id)
        if control is None or own is None or own.trap_label is None:
            return None
        controls = [found for each in control.runs if (found := recalls.get(each.run.id)) is not None]
        shares = [share for found in controls if (share := found.by_label[own.trap_label]) is not None]
        return fmean(shares) if shares else None

    outcomes = []
    for each in group.runs:
        row = last[each.run.spec.seed]
        metrics = {name: float(row[name]) for name in names if pd.notna(row[name])}
        forgets = group.spec.escape.forgets and not each.without_trap
        outcomes.append(trap_outcome(metrics, control_metrics, recall_of_control(each.run.id), forgets))
    return {outcome: outcomes.count(outcome) for outcome in get_args(Outcome) if outcome in outcomes}


def trap_text(
    group: SeedGroup,
    groups: Sequence[SeedGroup],
    cards: Mapping[str, TeacherCard],
    recalls: Mapping[str, ClassRecalls | None] | None = None,
) -> str:
    """``trapped in 2 of 3, free in 1 of 3, no control``: the outcomes of its seeds; empty if they were not measured.

    Without numbers for one seed. ``recalls``: as in `trap_counts`.
    """
    control = control_group(group, groups, cards)
    if control is group:
        return "control"
    seeds = len(group.seeds)
    outcomes = [
        f"{outcome} in {count} of {seeds}" if seeds > 1 else outcome
        for outcome, count in trap_counts(group, control, recalls).items()
    ]
    return ", ".join(outcomes + ["no control"] * (control is None and bool(outcomes)))


# ── differences between specs ──────────────────────────────────────────────────────────────────────────


def spec_fields(spec: RunSpec) -> dict[str, Any]:
    """Every field of a spec: dotted name -> value."""
    return field_values(spec.model_dump(mode="json"))


def varying_fields(specs: Sequence[RunSpec]) -> list[str]:
    """The dotted fields, without the seed, that differ between the specs or that only some of the specs have."""
    fields = [spec_fields(spec) for spec in specs]
    paths = dict.fromkeys(path for values in fields for path in values if path != "seed")
    return [path for path in paths if len({value_text(values.get(path)) for values in fields}) > 1]


def spec_difference(first: RunSpec, second: RunSpec) -> pd.DataFrame:
    """The fields in which two specs differ, without the seed.

    Returns:
        Columns field (dotted), first, second (as in YAML; a dash for a field that a spec does not have), description,
        published (values for the methods of the first spec, of the second if they differ; empty if none).
    """
    rows = []
    for path in varying_fields([first, second]):
        fields = [spec_fields(spec) for spec in (first, second)]
        helps = [describe_field(path, spec) for spec in (first, second) if path in spec_fields(spec)]
        published = "; ".join(dict.fromkeys(each.published_text for each in helps if each.published))
        values = [value_text(each.get(path)) for each in fields]
        rows.append((path, *values, helps[0].description, published))
    return pd.DataFrame(rows, columns=["field", "first", "second", "description", "published"])


def group_labels(groups: Sequence[SeedGroup]) -> list[str]:
    """A label for each group from the fields that vary: ``CKD``, ``ATEsc, escape.weight=0.3``. All are different."""
    paths = varying_fields([group.spec for group in groups])
    names = [_label(group, paths) for group in groups]
    return [
        f"{name} ({names[:index].count(name) + 1})" if names.count(name) > 1 else name
        for index, name in enumerate(names)
    ]


def _label(group: SeedGroup, paths: Sequence[str]) -> str:
    values = spec_fields(group.spec)
    parts = [FIELD_TEXT[path](values[path]) for path in FIELD_TEXT if path in paths]
    # Left out: the preset, which shows in the fields that it sets, and the fields of a kind of synthesis, if it varies.
    named_paths = [
        path
        for path in paths
        if path not in (*FIELD_TEXT, "preset") and not ("synthesis.kind" in paths and path.startswith("synthesis."))
    ]
    named = [f"{path}={value_text(values.get(path))}" for path in named_paths]
    parts += named[:MAX_FIELDS_IN_LABEL]
    if len(named) > MAX_FIELDS_IN_LABEL:
        parts.append(f"{len(named) - MAX_FIELDS_IN_LABEL} more")
    fork = group.runs[0].run.fork
    if fork:
        first_epoch = max(fork.epoch, group.spec.escape.warmup_epochs) + 1
        parts.append(f"{format_threshold(fork.threshold)} from epoch {first_epoch}")
    elif group.threshold_changes:
        parts.append("threshold moved by hand")
    return ", ".join(parts) or ESCAPE_NAMES[group.spec.escape.kind]


def value_text(value: Any) -> str:
    """A field's value in a table or a filter; a dash for a field that a spec does not have."""
    if value is None:
        return "–"
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
