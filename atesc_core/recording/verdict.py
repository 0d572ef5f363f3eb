"""Sentences on the trap and the escape, from the accuracies of the story's students."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from atesc_core.outcome import FREE_WITHIN, trap_outcome
from atesc_core.vocabulary import COST_NAMES, ESCAPE_NAMES, METRIC_MEANINGS, METRIC_NAMES

ESCAPES = ("atesc", "twin")  # roles of the story
MIN_DIFFERENCE = 5.0  # percentage points: a smaller difference between two single runs counts as none

Curves = Mapping[str, pd.DataFrame]


def story_verdict(curves: Curves, finished: bool) -> list[str]:
    """Return up to three sentences on the story so far, derived from the measured accuracies alone.

    Two students are compared at the last epoch that both have reached.

    Args:
        curves: For each role (``plain``, ``atesc``, ``twin``, ``control``) its epochs so far: columns ``epoch``,
            ``iacc``, and one of ``oacc``, ``olacc`` and ``asr``; if measured, ``trap_recall`` and, in close-set,
            ``trap_share``, without which nobody can say who is trapped there; all in per cent.
        finished: Whether no student trains any longer.
    """
    if "plain" not in curves or curves["plain"].empty:
        return ["No student has been measured." if finished else "The first accuracies come after the first epoch."]
    metric = next(name for name in METRIC_NAMES if name != "iacc" and name in curves["plain"])
    sentences = [_trap_sentence(curves, metric)]
    for role in ESCAPES:
        if escape := _escape_sentence(curves, metric, role, finished):
            sentences.append(escape)
        elif not finished:
            sentences.append(f"Next: the same teacher, with {ESCAPE_NAMES[role]}.")
            break
    return sentences


def _trap_sentence(curves: Curves, metric: str) -> str:
    """Compare the plain student of the NTL teacher with that of the SL teacher, if the latter is measured."""
    common = _last_common_epoch(curves, "plain", "control")
    if common is None:
        last = curves["plain"].iloc[-1]
        return (
            f"The plain student after epoch {last['epoch']:.0f}: {last['iacc']:.1f} % of ID images right, "
            f"{last[metric]:.1f} % {METRIC_MEANINGS[metric]}."
        )
    epoch, plain, control = common
    verdict = {
        "trapped": "The plain student is in the trap",
        "partly trapped": "The plain student is partly in the trap",
        None: "The plain student",
    }.get(
        trap_outcome(_measured(plain), _measured(control), forgets=False),
        "The plain student does not give the trap label"
        if plain["iacc"] >= control["iacc"] - FREE_WITHIN
        else "The plain student does not give the trap label, but it learned less of ID",
    )
    return (
        f"{verdict}: {_accuracies(plain, metric)}, from the SL teacher {_accuracies(control, metric)} (epoch {epoch})."
    )


def _escape_sentence(curves: Curves, metric: str, role: str, finished: bool) -> str | None:
    """What an escape changes compared with the plain student, and its cost in IAcc; None before it is measured."""
    common = _last_common_epoch(curves, "plain", role)
    if common is None:
        return None
    epoch, plain, escape = common
    control = _row(curves.get("control"), epoch)
    # In close-set OAcc says how good a student is there, and the trap label's share whether it is in the trap.
    judged = "trap_share" if _has(plain, "trap_share") and _has(escape, "trap_share") else metric
    if not finished and (plain["iacc"], plain[metric]) == (escape["iacc"], escape[metric]):
        return f"{ESCAPE_NAMES[role]} has not begun to act: as plain up to epoch {epoch}."
    gain = _ood_gap(judged, plain[judged], escape[judged])
    if gain <= -MIN_DIFFERENCE:
        verdict = "is worse off"
    elif gain < MIN_DIFFERENCE:
        verdict = "has not helped" if finished else "has not helped yet"
        if escape["iacc"] - plain["iacc"] >= FREE_WITHIN:
            verdict = "has helped on ID images"
    else:
        verdict = _way_out(escape, plain, control)
    behind = 0.0 if control is None else control["iacc"] - escape["iacc"]
    return (
        f"{ESCAPE_NAMES[role]} {verdict}: {METRIC_NAMES[metric]} {plain[metric]:.1f} → {escape[metric]:.1f} %, "
        f"{_iacc_cost(plain['iacc'] - escape['iacc'])}"
        + (f", {behind:.1f} below the SL teacher's student" if behind > FREE_WITHIN else "")
        + f" (epoch {epoch})."
    )


def _iacc_cost(points: float) -> str:
    """A text for percentage points of lost IAcc."""
    if abs(points) < 0.05:
        return "at the same IAcc"
    return f"for {points:.1f} points of IAcc" if points > 0 else f"with {-points:.1f} points more IAcc"


def _way_out(escape: pd.Series, plain: pd.Series, control: pd.Series | None) -> str:
    """How far out a student is that is better off than the plain one."""
    reference = None if control is None else _measured(control)
    if trap_outcome(_measured(plain), reference, forgets=False) == "free":
        return "gives the trap label less often than the plain student, which was not in the trap"
    outcome = trap_outcome(_measured(escape), reference)
    if outcome == "over-forgetting":
        recall = escape["trap_recall"]
        return f"is out of the trap, but has forgotten the trap label's own class ({recall:.1f} % of it right)"
    return {
        "free": "is out of the trap",
        "partly trapped": "is on its way out",
        "trapped": "is still in the trap, if less",
    }.get(str(outcome), "has helped")


def _measured(row: pd.Series) -> dict[str, float]:
    return {name: float(row[name]) for name in (*METRIC_NAMES, *COST_NAMES) if name in row and pd.notna(row[name])}


def _has(row: pd.Series, name: str) -> bool:
    return name in row and bool(pd.notna(row[name]))


def _row(curve: pd.DataFrame | None, epoch: int) -> pd.Series | None:
    """The row of an epoch, if there is one."""
    if curve is None or curve.empty:
        return None
    rows = curve[curve["epoch"] == epoch]
    return rows.iloc[0] if len(rows) else None


def _ood_gap(metric: str, value: float, reference: float) -> float:
    """Points by which ``value`` is worse than ``reference`` on OOD images: lower OAcc, higher OLAcc or ASR."""
    return reference - value if metric == "oacc" else value - reference


def _last_common_epoch(curves: Curves, first: str, second: str) -> tuple[int, pd.Series, pd.Series] | None:
    """The last epoch that both roles have reached, and their rows; None where one has none, or they share none."""
    if first not in curves or second not in curves:
        return None
    common_epochs = set(curves[first]["epoch"]) & set(curves[second]["epoch"])
    if not common_epochs:
        return None
    epoch = max(common_epochs)
    rows = [curve[curve["epoch"] == epoch].iloc[0] for curve in (curves[first], curves[second])]
    return int(epoch), rows[0], rows[1]


def _accuracies(row: pd.Series, metric: str) -> str:
    share = f", {COST_NAMES['trap_share']} {row['trap_share']:.1f} %" if "trap_share" in row else ""
    return f"IAcc {row['iacc']:.1f}, {METRIC_NAMES[metric]} {row[metric]:.1f} %{share}"
