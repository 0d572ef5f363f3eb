"""Whether a student is in the trap, and whether its way out cost it a class: one definition for the whole lab.

The trap label is the label that the teacher gives most OOD images: the pair's target in open-set and backdoor pairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Outcome = Literal["trapped", "partly trapped", "over-forgetting", "free"]

TRAP_SHARES = ("olacc", "asr", "trap_share")  # share of OOD images given the trap label: open-set, backdoor, close-set
FREE_WITHIN = 5.0  # points above the control's share: a smaller difference between two single runs counts as none
# Per cent, without a control: the offline SL teachers' students give up to 21 % to one label, with a trigger under 3 %.
FREE_BELOW = {"olacc": 25.0, "trap_share": 25.0, "asr": 10.0}
LOST_RECALL = 0.5  # of the control's recall of the trap label's class


def trap_share(metrics: Mapping[str, float]) -> float | None:
    """Share of OOD images that get the trap label, in per cent: OLAcc, ASR or ``trap_share``; None if not measured."""
    return next((metrics[name] for name in TRAP_SHARES if name in metrics), None)


def free_below(metrics: Mapping[str, float]) -> float:
    """FREE_BELOW of the share that is measured."""
    return next(FREE_BELOW[name] for name in TRAP_SHARES if name in metrics)


def trap_outcome(
    metrics: Mapping[str, float],
    control: Mapping[str, float] | None = None,
    control_recall: float | None = None,
    forgets: bool = True,
) -> Outcome | None:
    """Outcome of one student, by its metrics at the last epoch, in per cent.

    - ``trapped``: it gives the trap label to at least half of the OOD images that the control does not give it to, and
      to more than the control does, by more than FREE_WITHIN points; without a control, to at least half of all.
    - ``partly trapped``: to more than the control does, by more than FREE_WITHIN points; without a control, to more
      than FREE_BELOW per cent. In close-set, too: there the control's ``trap_share`` is that of another label.
    - ``over-forgetting``: of a student that was made to forget; no longer trapped, but its recall of the trap label's
      own class is less than LOST_RECALL of the control's; without a control, of its own IAcc. A low OLAcc or ASR is
      then no success.
    - ``free``: none of these.

    These bounds are this lab's choice; the paper compares means only.

    Args:
        metrics: ``iacc``; ``olacc``, ``asr`` or ``trap_share``; ``trap_recall`` if measured.
        control: The same metrics of the plain student of the SL teacher, on the same pair.
        control_recall: The control's recall of *this* student's trap label. Unless given, its ``trap_recall``; in
            close-set, where the control has another trap label, its IAcc.
        forgets: Whether an escape made it forget. A plain student that lacks the class has not learned it.

    Returns:
        None if it was not measured which share of OOD images gets the trap label.
    """
    share = trap_share(metrics)
    control_share = trap_share(control) if control and "trap_share" not in metrics else None
    if share is None:
        return None
    trapped_from = 50.0 if control_share is None else (100 + control_share) / 2
    free_until = free_below(metrics) if control_share is None else control_share + FREE_WITHIN
    if share > free_until:
        return "trapped" if share >= trapped_from else "partly trapped"
    if not forgets:
        return "free"
    if control_recall is None:
        control_recall = (control or {}).get("iacc" if "trap_share" in metrics else "trap_recall")
    recall, reference = metrics.get("trap_recall"), control_recall if control else metrics.get("iacc")
    if recall is not None and reference is not None and recall < LOST_RECALL * reference:
        return "over-forgetting"
    return "free"
