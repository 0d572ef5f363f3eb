"""Runs beside each other: the seeds of a spec together, their means, and what tells two specs apart.

Nothing is averaged but runs that differ in the seed alone: not those of another setting, and not a run whose
threshold was moved by hand while it ran, for it is no longer what its spec says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from atesc_core.specs.base import field_paths
from atesc_core.specs.fields import describe_field
from atesc_core.specs.run import RunSpec
from atesc_core.vocabulary import ESCAPE_NAMES, METRIC_NAMES, METRIC_SETTING, SETTING_NAMES

if TYPE_CHECKING:
    from atesc_core.runs import DistillationRun

STATISTICS = ["epoch", "mean", "sd", "low", "high", "seeds"]
MAX_FIELDS_IN_LABEL = 3  # in a label; the rest is a number
FIELD_TEXT = {"teacher": str, "synthesis.kind": str.upper, "escape.kind": ESCAPE_NAMES.get}  # speak for themselves


@dataclass(frozen=True)
class MeasuredRun:
    """A run and what was logged of it.

    epochs: a row an epoch, as RunStore.epochs gives it. moved: (epoch, round, threshold) set by hand, in order.
    """

    run: DistillationRun
    epochs: pd.DataFrame
    moved: tuple[tuple[int, int, float], ...] = ()

    @property
    def last(self) -> int:
        """The last epoch that was measured; 0 before the first."""
        return int(self.epochs["epoch"].max()) if len(self.epochs) else 0

    @property
    def metrics(self) -> tuple[str, ...]:
        return tuple(name for name in METRIC_NAMES if name in self.epochs)

    @property
    def going(self) -> bool:
        """Whether more epochs may come without a new start."""
        return self.run.status in ("queued", "running", "paused")


@dataclass(frozen=True)
class SeedGroup:
    """Runs of one spec, a seed each, up to the last epoch that all of them have.

    spec: with seed 0. measured: by seed. epochs: columns seed, epoch and the metrics in per cent.
    notes: what was cut or left out, in sentences.
    """

    spec: RunSpec
    measured: tuple[MeasuredRun, ...]
    epochs: pd.DataFrame
    notes: tuple[str, ...] = ()

    @property
    def metrics(self) -> tuple[str, ...]:
        """IAcc, and what this setting reports on OOD."""
        return self.measured[0].metrics

    @property
    def setting(self) -> str:
        """close-set, open-set or backdoor; empty where the runs measured nothing on OOD."""
        return next((SETTING_NAMES[METRIC_SETTING[name]] for name in self.metrics if name in METRIC_SETTING), "")

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(each.run.spec.seed for each in self.measured)

    @property
    def last(self) -> int:
        """The last epoch that all seeds have."""
        return min(each.last for each in self.measured)

    @property
    def moved(self) -> tuple[tuple[int, int, float], ...]:
        return self.measured[0].moved


def group_by_seed(runs: Iterable[MeasuredRun]) -> list[SeedGroup]:
    """The runs by spec, in the order in which the specs first come. Runs without an epoch are in none.

    Of a seed that was run twice the longer one counts, then the newer. A run that ended early (stopped,
    interrupted, failed) is left out where another seed went further; one that is still going holds the others
    at its own last epoch.
    """
    kinds: dict[tuple, list[MeasuredRun]] = {}
    for each in runs:
        if each.last:
            parted = each.run.fork.epoch if each.run.fork else None
            kinds.setdefault((without_seed(each.run.spec), each.metrics, each.moved, parted), []).append(each)
    return [_seed_group(spec, alike) for (spec, *_), alike in kinds.items()]


def without_seed(spec: RunSpec) -> RunSpec:
    """The spec with seed 0: equal for runs that differ in the seed alone."""
    return spec.model_copy(update={"seed": 0})


def _seed_group(spec: RunSpec, alike: list[MeasuredRun]) -> SeedGroup:
    notes = []
    by_seed: dict[int, MeasuredRun] = {}
    for each in sorted(alike, key=lambda one: (one.last, one.run.created)):
        by_seed[each.run.spec.seed] = each
    if len(by_seed) < len(alike):
        notes.append(f"{_plural(len(alike) - len(by_seed), 'run')} of a seed that is here already: left out.")
    longest = max(each.last for each in by_seed.values())
    kept = []
    for seed, each in sorted(by_seed.items()):
        if each.last < longest and not each.going:
            notes.append(f"Seed {seed} {_how_it_ended(each)} after epoch {each.last}: left out.")
        else:
            kept.append(each)
    last = min(each.last for each in kept)
    going = [each for each in kept if each.going and each.last < each.run.epochs]
    if going:
        behind = f"that all {len(kept)} seeds have" if len(kept) > 1 else "it has"
        notes.append(f"Still going: shown to epoch {last} of {spec.epochs}, the last {behind}.")
    elif fork := kept[0].run.fork:
        notes.append(f"A try: it parted from a run of these settings after epoch {fork.epoch}, and ended with {last}.")
    elif last < spec.epochs:
        notes.append(f"Ended after epoch {last} of {spec.epochs}.")
    frames = [each.epochs[each.epochs["epoch"] <= last].assign(seed=each.run.spec.seed) for each in kept]
    columns = ["seed", "epoch", *kept[0].metrics]
    return SeedGroup(spec, tuple(kept), pd.concat(frames, ignore_index=True)[columns], tuple(notes))


def _how_it_ended(each: MeasuredRun) -> str:
    return {"stopped": "was stopped", "interrupted": "was interrupted", "failed": "failed"}.get(
        each.run.status, "ended"
    )


def _plural(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


# ── numbers ─────────────────────────────────────────────────────────────────────────────────────────


def smooth(values: pd.DataFrame, column: str, share: float) -> pd.DataFrame:
    """The column of each seed as an exponential moving average over epochs.

    values: columns seed, epoch and ``column``. share: of the past in each step, 0 <= share < 1; 0 changes nothing.
    The first values weigh no more than they should (a weighted mean of all so far). Raises ValueError.
    """
    if not 0 <= share < 1:
        raise ValueError(f"smoothing: {share!r}: expected 0 or more and less than 1")
    if not share:
        return values
    ordered = values.sort_values(["seed", "epoch"])
    mean = ordered.groupby("seed")[column].transform(lambda one: one.ewm(alpha=1 - share, adjust=True).mean())
    return ordered.assign(**{column: mean})


def summary(values: pd.DataFrame, column: str, smoothing: float = 0.0) -> pd.DataFrame:
    """Mean over seeds, an epoch a row: epoch, mean, sd (of the sample; NaN for one seed), low, high, seeds.

    values: columns seed, epoch and ``column``. Seeds are smoothed one by one, then averaged.
    """
    known = smooth(values.dropna(subset=[column]), column, smoothing)
    by_epoch = known.groupby("epoch", as_index=False)[column].agg(["mean", "std", "min", "max", "count"])
    return by_epoch.set_axis(STATISTICS, axis=1)


def epoch_means(steps: pd.DataFrame, last: int) -> pd.DataFrame:
    """The losses of each round as means of their epoch, up to epoch ``last``: epoch, and the columns g/... and s/..."""
    losses = [name for name in steps.columns if name.startswith(("g/", "s/"))]
    return steps[steps["epoch"] <= last].groupby("epoch", as_index=False)[losses].mean()


def results(groups: Sequence[SeedGroup]) -> pd.DataFrame:
    """Last-epoch metrics, a row a spec, in full precision.

    Columns: spec (what tells it from the others), teacher, setting, seeds (how many), epoch (the one reported),
    epochs (of the spec), then for each metric that any of them has its mean and ``<metric>_sd`` in per cent, and
    runs (ids).
    """
    present = [name for name in METRIC_NAMES if any(name in group.metrics for group in groups)]
    rows = []
    for group, name in zip(groups, group_labels(groups), strict=True):
        row = {
            "spec": name,
            "teacher": group.spec.teacher,
            "setting": group.setting,
            "seeds": len(group.seeds),
            "epoch": group.last,
            "epochs": group.spec.epochs,
        }
        for metric in present:
            at_end = summary(group.epochs, metric).iloc[-1] if metric in group.metrics else {}
            row |= {metric: at_end.get("mean", float("nan")), f"{metric}_sd": at_end.get("sd", float("nan"))}
        rows.append(row | {"runs": " ".join(each.run.id for each in group.measured)})
    return pd.DataFrame(rows)


# ── what tells specs apart ──────────────────────────────────────────────────────────────────────────


def spec_fields(spec: RunSpec) -> dict[str, Any]:
    """Dotted field -> value."""
    values = spec.model_dump(mode="json")
    return {path: _at(values, path) for path in field_paths(values)}


def varying_fields(specs: Sequence[RunSpec]) -> list[str]:
    """Dotted fields, the seed aside, in which the specs are not all alike; a field that some have not counts."""
    known = [spec_fields(spec) for spec in specs]
    paths = dict.fromkeys(path for one in known for path in one if path != "seed")
    return [path for path in paths if len({value_text(one.get(path)) for one in known}) > 1]


def spec_difference(first: RunSpec, second: RunSpec) -> pd.DataFrame:
    """The fields in which two specs differ, the seed aside.

    Columns: field (dotted), first, second (as written in YAML; a dash where that spec has no such field),
    description, source (paper, ours, or None).
    """
    rows = []
    for path in varying_fields([first, second]):
        own, other = spec_fields(first), spec_fields(second)
        sentence, source = describe_field(path, (first if path in own else second).synthesis.kind)
        rows.append((path, value_text(own.get(path)), value_text(other.get(path)), sentence, source))
    return pd.DataFrame(rows, columns=["field", "first", "second", "description", "source"])


def group_labels(groups: Sequence[SeedGroup]) -> list[str]:
    """What tells each from the others, in a few words: ``CKD``, ``ATEsc, escape.weight=0.3``. Never twice the same."""
    paths = varying_fields([group.spec for group in groups])
    names = [_label(group, paths) for group in groups]
    return [
        f"{name} ({names[:at].count(name) + 1})" if names.count(name) > 1 else name for at, name in enumerate(names)
    ]


def _label(group: SeedGroup, paths: Sequence[str]) -> str:
    values = spec_fields(group.spec)
    words = [FIELD_TEXT[path](values[path]) for path in FIELD_TEXT if path in paths]
    # The preset's name says nothing that the fields it sets do not, and a kind of synthesis brings its own fields.
    others = [
        path
        for path in paths
        if path not in (*FIELD_TEXT, "preset") and not ("synthesis.kind" in paths and path.startswith("synthesis."))
    ]
    own = [f"{path}={value_text(values.get(path))}" for path in others]
    words += own[:MAX_FIELDS_IN_LABEL] + (
        [f"{len(own) - MAX_FIELDS_IN_LABEL} more"] if len(own) > MAX_FIELDS_IN_LABEL else []
    )
    fork = group.measured[0].run.fork
    if fork:
        begins = max(fork.epoch, group.spec.escape.warmup_epochs) + 1
        words.append(f"threshold {fork.threshold:.3g} from epoch {begins}")
    elif group.moved:
        words.append("threshold moved by hand")
    return ", ".join(words) or ESCAPE_NAMES[group.spec.escape.kind]


def value_text(value: Any) -> str:
    """A field's value in a table or a filter; a dash for a field that a spec has not."""
    if value is None:
        return "–"
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def _at(values: dict[str, Any], path: str) -> Any:
    for name in path.split("."):
        values = values[name]
    return values
