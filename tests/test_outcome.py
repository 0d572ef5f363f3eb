"""When one student counts as trapped, worked out by hand at each bound."""

from __future__ import annotations

import pytest

from atesc_core.outcome import trap_outcome, trap_share

CONTROL = {"iacc": 89.0, "olacc": 20.0, "trap_recall": 80.0}  # bounds: 60, 25 and a recall of 40


@pytest.mark.parametrize(
    ("olacc", "recall", "expected"),
    [
        (60, 80, "trapped"),
        (59.9, 80, "partly trapped"),
        (25.1, 0, "partly trapped"),
        (25, 40, "free"),
        (25, 39.9, "over-forgetting"),
        (0, 85, "free"),
        (0, 0, "over-forgetting"),
        (100, 0, "trapped"),
    ],
)
def test_against_the_student_of_the_sl_teacher(olacc, recall, expected):
    assert trap_outcome({"iacc": 70.0, "olacc": olacc, "trap_recall": recall}, CONTROL) == expected


@pytest.mark.parametrize(
    ("asr", "recall", "expected"),
    [(50, 90, "trapped"), (49.9, 90, "partly trapped"), (10, 35, "free"), (10, 34.9, "over-forgetting")],
)
def test_without_a_control_the_bounds_are_fixed_and_the_recall_is_compared_with_its_own_iacc(asr, recall, expected):
    assert trap_outcome({"iacc": 70.0, "asr": asr, "trap_recall": recall}) == expected


def test_close_set_is_judged_by_the_share_of_the_trap_label_not_by_oacc():
    student = {"iacc": 50.0, "oacc": 9.0, "trap_share": 95.0, "trap_recall": 60.0}
    assert trap_share(student) == 95
    assert trap_outcome(student) == "trapped"
    assert trap_outcome({"iacc": 50.0, "oacc": 9.0}) is None  # not measured: no claim


def test_the_controls_recall_is_that_of_the_students_trap_label():
    """In close-set the control's most frequent label is another class: its IAcc stands in where it is not known."""
    control = {"iacc": 89.0, "trap_share": 15.0, "trap_recall": 20.0}
    student = {"iacc": 70.0, "trap_share": 0.0, "trap_recall": 30.0}
    assert trap_outcome(student, control) == "over-forgetting"
    assert trap_outcome(student, control, control_recall=50.0) == "free"


def test_where_the_recall_was_not_measured_nothing_is_said_of_it():
    assert trap_outcome({"olacc": 0.0}, {"olacc": 20.0}) == "free"


def test_the_bound_without_a_control_is_that_of_the_metric():
    """Students of SL teachers give up to a fifth of other classes to one label, but hardly any trigger works."""
    assert trap_outcome({"iacc": 70.0, "olacc": 24.0}) == trap_outcome({"iacc": 70.0, "trap_share": 24.0}) == "free"
    assert trap_outcome({"iacc": 70.0, "asr": 24.0}) == "partly trapped"


def test_a_plain_student_has_not_forgotten_what_it_never_learned():
    student = {"iacc": 34.8, "asr": 0.0, "trap_recall": 4.0}
    control = {"iacc": 83.0, "asr": 2.6, "trap_recall": 99.0}
    assert trap_outcome(student, control) == "over-forgetting"
    assert trap_outcome(student, control, forgets=False) == "free"
