"""What the students' accuracies say about the trap and the escape."""

from __future__ import annotations

import pandas as pd
import pytest

from atesc_core.recording.verdict import story_verdict


def curve(metric: str, *points: tuple[float, float]) -> pd.DataFrame:
    """Epochs 1, 2, ... with (IAcc, OOD metric) each."""
    rows = enumerate(points, 1)
    return pd.DataFrame([{"epoch": epoch, "iacc": iacc, metric: other} for epoch, (iacc, other) in rows])


def costly(curve: pd.DataFrame, worst: float, recall: float, share: float | None = None) -> pd.DataFrame:
    """The curve with what it cost, the same at each epoch."""
    costs = {"worst_recall": worst, "trap_recall": recall} | ({} if share is None else {"trap_share": share})
    return curve.assign(**costs)


TRAPPED = curve("asr", (50, 90), (70, 99.8))
CONTROL = costly(curve("asr", (60, 1), (85, 0.4)), 70, 80)
CLOSE = costly(curve("oacc", (77, 2)), 60, 90, share=96)
CLOSE_CONTROL = costly(curve("oacc", (80, 92)), 70, 85, share=11)


@pytest.mark.parametrize(
    ("curves", "finished", "expected"),
    [
        ({}, False, ["The first accuracies come after the first epoch."]),
        ({}, True, ["No student has been measured."]),
        ({"plain": TRAPPED}, False, ["after epoch 2: 70.0 % of ID images right, 99.8 % of triggered images", "Next:"]),
        ({"plain": TRAPPED}, True, ["after epoch 2"]),
        (
            {"plain": TRAPPED, "control": CONTROL},
            True,
            ["is in the trap: IAcc 70.0, ASR 99.8 %, from the SL teacher IAcc 85.0, ASR 0.4 % (epoch 2)"],
        ),
        ({"plain": CONTROL, "control": CONTROL}, True, ["The plain student does not give the trap label: IAcc 85.0"]),
        (  # like the shipped backdoor teacher with development seed 0
            {
                "plain": costly(curve("asr", (34.8, 0.0)), 0, 4),
                "control": costly(curve("asr", (83.0, 2.6)), 69, 99),
                "atesc": costly(curve("asr", (23.0, 29.8)), 0, 10),
                "twin": costly(curve("asr", (68.1, 0.2)), 47, 54),
            },
            True,
            [
                "The plain student does not give the trap label, but it learned less of ID: IAcc 34.8, ASR 0.0 %",
                "ATEsc is worse off: ASR 0.0 → 29.8 %",
                "Twin has helped on ID images: ASR 0.0 → 0.2 %, with 33.3 points more IAcc, "
                "14.9 below the SL teacher's student",
            ],
        ),
        (  # nobody was in the trap, so nobody is out of it
            {
                "plain": costly(curve("olacc", (80, 22)), 60, 80),
                "control": costly(curve("olacc", (83, 20)), 69, 99),
                "twin": costly(curve("olacc", (80, 5)), 60, 80),
            },
            True,
            ["Twin gives the trap label less often than the plain student, which was not in the trap: OLAcc 22.0"],
        ),
        (
            {
                "plain": costly(curve("olacc", (80, 99)), 60, 80),
                "control": costly(curve("olacc", (83, 20)), 69, 99),
                "twin": costly(curve("olacc", (80, 90)), 60, 80),
            },
            True,
            ["Twin is still in the trap, if less: OLAcc 99.0 → 90.0 %"],
        ),
        (  # close-set: out of the trap, and no better on OOD
            {
                "plain": costly(curve("oacc", (77, 2)), 60, 90, share=95),
                "control": CLOSE_CONTROL,
                "twin": costly(curve("oacc", (77, 2)), 60, 80, share=0),
            },
            True,
            ["Twin is out of the trap: OAcc 2.0 → 2.0 %"],
        ),
        (
            {"plain": TRAPPED, "atesc": curve("asr", (50, 91), (69, 3))},
            True,
            ["ATEsc is out of the trap: ASR 99.8 → 3.0 %, for 1.0 points of IAcc (epoch 2)"],
        ),
        ({"plain": TRAPPED, "atesc": curve("asr", (50, 91), (72, 3))}, True, ["with 2.0 points more IAcc"]),
        ({"plain": TRAPPED, "atesc": curve("asr", (50, 91), (69, 70))}, True, ["ATEsc is still in the trap, if less"]),
        ({"plain": TRAPPED, "atesc": curve("asr", (50, 91), (69, 40))}, True, ["ATEsc is on its way out"]),
        (
            {"plain": TRAPPED, "atesc": curve("asr", (50, 91))},
            False,
            ["ATEsc has not helped yet: ASR 90.0 → 91.0 %, at the same IAcc (epoch 1)"],
        ),
        (
            {"plain": curve("asr", (50, 90)), "atesc": curve("asr", (50, 90))},  # side by side, before the first split
            False,
            ["ATEsc has not begun to act: as plain up to epoch 1."],
        ),
        ({"plain": TRAPPED, "atesc": curve("asr", (50, 91), (69, 97))}, True, ["ATEsc has not helped: "]),
        ({"plain": CONTROL, "atesc": TRAPPED}, True, ["ATEsc is worse off"]),
        (
            {"plain": TRAPPED, "atesc": curve("asr", (50, 91), (69, 97)), "twin": curve("asr", (50, 91), (71, 3))},
            True,
            ["ATEsc has not helped: ASR 99.8", "Twin is out of the trap: ASR 99.8 → 3.0 %, with 1.0 points more IAcc"],
        ),
        (
            {"plain": TRAPPED, "control": CONTROL, "atesc": costly(curve("asr", (50, 91), (69, 3)), 70, 20)},
            True,
            ["ATEsc is out of the trap, but has forgotten the trap label's own class (20.0 % of it right): ASR 99.8"],
        ),
        (
            {"plain": TRAPPED, "control": CONTROL, "atesc": curve("asr", (50, 91), (69, 30))},
            True,
            ["ATEsc is on its way out"],
        ),
        # Close-set: higher OAcc is better; who is trapped is judged by the share of the trap label.
        (
            {"plain": CLOSE, "control": CLOSE_CONTROL, "atesc": costly(curve("oacc", (70, 30)), 50, 60, share=40)},
            True,
            [
                "is in the trap: IAcc 77.0, OAcc 2.0 %, trap label on OOD 96.0 %, from the SL teacher IAcc 80.0",
                "ATEsc is on its way out: OAcc 2.0 → 30.0 %, for 7.0 points of IAcc",
            ],
        ),
        (
            {"plain": CLOSE, "control": CLOSE_CONTROL, "atesc": costly(curve("oacc", (70, 60)), 70, 60, share=8)},
            True,
            ["trap", "ATEsc is out of the trap: OAcc"],
        ),
        (
            {"plain": curve("oacc", (77, 2)), "control": curve("oacc", (80, 92)), "atesc": curve("oacc", (70, 60))},
            True,
            ["The plain student: IAcc 77.0, OAcc 2.0 %, from", "ATEsc has helped: OAcc 2.0 → 60.0 %"],
        ),
    ],
)
def test_the_verdict_says_what_was_measured(curves, finished, expected):
    sentences = " ".join(story_verdict(curves, finished))
    for words in expected:
        assert words in sentences
    assert ("Next:" in sentences) == (not finished and "plain" in curves)
