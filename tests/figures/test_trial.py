"""Old and new threshold beside each other: colours say which metric, lines which threshold."""

import pytest

from atesc_core.figures import theme
from atesc_core.figures.trial import paired, signed_points, verdict
from tests.support.figure_samples import ESCAPED, PLAIN


def drawn(figure):
    return {(trace.meta["run"], trace.meta["metric"]): trace for trace in figure.data if "run" in (trace.meta or {})}


@pytest.mark.parametrize("mode", theme.MODES)
def test_both_arms_go_on_from_the_joint_past_in_the_metrics_colours(mode):
    look, lines = theme.style(mode), drawn(paired(PLAIN[:1], PLAIN[1:], ESCAPED[1:], (2.1249, 4.0), 1, mode))
    old, new = lines["old threshold 2.12", "OLAcc"], lines["new threshold 4", "OLAcc"]
    assert (list(old.x), list(old.y)) == ([1, 2, 3], [97.0, 100.0, 99.8])
    assert (list(new.x), list(new.y)) == ([1, 2, 3], [97.0, 52.0, 14.3])
    assert old.line.color == new.line.color == look.colour("ood")
    assert (old.line.width, new.line.width) == (look.thin_width, look.line_width)
    assert (old.marker.color, new.marker.color) == (look.surface, look.colour("ood"))
    past = lines["before they part", "IAcc"]
    assert (list(past.x), past.line.color, past.opacity) == ([1], look.colour("id"), 0.38)


def test_it_says_where_they_part_and_draws_an_arm_before_it_has_an_epoch():
    figure = paired(PLAIN[:2], PLAIN[2:], PLAIN[:0], (2.0, 4.0), 2, epochs=3)
    assert ("new threshold 4", "IAcc") in drawn(figure) or ("old threshold 2", "IAcc") in drawn(figure)
    mark = next(trace for trace in figure.data if trace.name == "threshold changed")
    assert list(mark.x[:2]) == [2, 2]
    assert "threshold 4" in mark.text
    assert figure.layout.xaxis.range[1] > 3
    legend = [trace.name for trace in figure.data if trace.showlegend is not False and trace.name != mark.name]
    assert legend == ["before they part", "old threshold 2", "new threshold 4"]


def test_from_the_start_there_is_no_joint_past():
    lines = drawn(paired(PLAIN[:0], PLAIN, ESCAPED, (2.0, 4.0), 0))
    assert {name for name, _ in lines} == {"old threshold 2", "new threshold 4"}


@pytest.mark.parametrize(
    ("points", "written"), [(1.25, "+1.2"), (-0.44, "−0.4"), (0.04, "±0.0"), (-0.04, "±0.0"), (100.0, "+100.0")]
)
def test_differences_carry_their_sign(points, written):
    assert signed_points(points) == written


@pytest.mark.parametrize(
    ("metric", "points", "word"),
    [
        ("iacc", 1.0, "better"),
        ("iacc", -1.0, "worse"),
        ("oacc", 1.0, "better"),
        ("olacc", 1.0, "worse"),
        ("asr", -1.0, "better"),
        ("asr", 0.04, "the same"),
    ],
)
def test_which_way_is_better(metric, points, word):
    assert verdict(metric, points) == word
