"""The story: three students of one pair, one after the other, and what their numbers say of the trap."""

from __future__ import annotations

import pandas as pd

from atesc_core.recording.story import GROUP, queue_story, story_runs, story_specs
from atesc_core.recording.story import tellable as told_by
from atesc_core.runs import Run, ensure_worker
from atesc_core.specs.run import RunSpec
from atesc_core.vocabulary import METRIC_MEANINGS, METRIC_NAMES
from pages.shared.data.store import run_store
from pages.shared.data.teachers import cards

FELT = 5.0  # per cent points below which a difference of two single runs is called none


def tellable() -> dict[str, dict[str, str]]:
    """setting -> {NTL: teacher, SL: teacher}: the settings that have both, at their smallest image side."""
    return told_by(cards().values())


def specs(setting: str) -> dict[str, RunSpec]:
    """part -> what it runs."""
    return story_specs(tellable()[setting])


def begin(setting: str) -> str:
    """Queue the three; the story's group."""
    runs = queue_story(run_store(), specs(setting))
    ensure_worker(run_store().runs_dir)
    return run_store().get(runs["plain"]).group


def parts(group: str) -> dict[str, Run]:
    """part -> its run; a deleted one is missing."""
    return story_runs(run_store(), group, {card.name: card.kind for card in cards().values()})


def newest() -> str | None:
    """The group of the latest story."""
    return next((run.group for run in run_store().list() if (run.group or "").startswith(GROUP)), None)


# ── what the numbers say ────────────────────────────────────────────────────────────────────────────


def told(curves: dict[str, pd.DataFrame], over: bool) -> list[str]:
    """What is happening, in a sentence or two, from what was measured and from nothing else.

    curves: part -> epochs so far (epoch, iacc, and oacc, olacc or asr, in per cent). over: no part goes on.
    Students are compared in the last epoch that both have.
    """
    if "plain" not in curves or curves["plain"].empty:
        return ["No student has been measured." if over else "The first accuracies come after the first epoch."]
    sentences = [_trap(curves)]
    if len(curves.get("atesc", ())):
        sentences.append(_escape(curves))
    elif not over:
        sentences.append("Next: the same teacher, with ATEsc.")
    return sentences


def _metric(curves: dict[str, pd.DataFrame]) -> str:
    return next(name for name in METRIC_NAMES if name != "iacc" and name in curves["plain"])


def _trap(curves: dict[str, pd.DataFrame]) -> str:
    """How the plain student of the NTL teacher does, against that of the SL teacher once that is there."""
    metric = _metric(curves)
    pair = _together(curves, "plain", "control")
    if pair is None:
        last = curves["plain"].iloc[-1]
        return (
            f"The plain student after epoch {last['epoch']:.0f}: {last['iacc']:.1f} % of ID images right, "
            f"{last[metric]:.1f} % {METRIC_MEANINGS[metric]}."
        )
    epoch, plain, control = pair
    misled = _worse(metric, plain[metric], control[metric])
    verdict = "The plain student is in the trap" if misled >= 2 * FELT else "The plain student is not in the trap"
    return f"{verdict}: {_numbers(plain, metric)}, from the SL teacher {_numbers(control, metric)} (epoch {epoch})."


def _escape(curves: dict[str, pd.DataFrame]) -> str:
    """What ATEsc changes, and what it costs."""
    metric = _metric(curves)
    epoch, plain, atesc = _together(curves, "plain", "atesc")
    gain = _worse(metric, plain[metric], atesc[metric])
    half_way = _gap(curves, metric, epoch, plain) / 2
    if gain <= -FELT:
        verdict = "ATEsc is worse off"
    elif gain < FELT:
        verdict = "ATEsc has not helped" if epoch == curves["plain"]["epoch"].max() else "ATEsc has not helped yet"
    else:
        verdict = "ATEsc is out of it" if gain >= half_way else "ATEsc is on its way out"
    return (
        f"{verdict}: {METRIC_NAMES[metric]} {plain[metric]:.1f} → {atesc[metric]:.1f} %, "
        f"{_price(plain['iacc'] - atesc['iacc'])} (epoch {epoch})."
    )


def _price(points: float) -> str:
    """Points of IAcc that were lost, in words."""
    if abs(points) < 0.05:
        return "at the same IAcc"
    return f"for {points:.1f} points of IAcc" if points > 0 else f"with {-points:.1f} points more IAcc"


def _gap(curves: dict[str, pd.DataFrame], metric: str, epoch: int, plain: pd.Series) -> float:
    """How far the plain student is from one that was not misled: the SL teacher's, or for OLAcc and ASR, 0 %."""
    control = curves.get("control")
    there = control[control["epoch"] == epoch] if control is not None and len(control) else None
    if there is not None and len(there):
        return max(_worse(metric, plain[metric], there.iloc[0][metric]), 2 * FELT)
    return plain[metric] if metric != "oacc" else float("inf")


def _worse(metric: str, value: float, than: float) -> float:
    """Points by which one is worse than the other on the OOD side: lower OAcc, higher OLAcc or ASR."""
    return than - value if metric == "oacc" else value - than


def _together(curves: dict[str, pd.DataFrame], one: str, other: str) -> tuple[int, pd.Series, pd.Series] | None:
    """The last epoch that both have, and their rows."""
    if not len(curves.get(one, ())) or not len(curves.get(other, ())):
        return None
    both = sorted(set(curves[one]["epoch"]) & set(curves[other]["epoch"]))
    rows = (curves[name].set_index("epoch").loc[both[-1]] for name in (one, other))
    return int(both[-1]), *rows


def _numbers(row: pd.Series, metric: str) -> str:
    return f"IAcc {row['iacc']:.1f}, {METRIC_NAMES[metric]} {row[metric]:.1f} %"
