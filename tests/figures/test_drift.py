"""What compares two feature spaces: the share of synthetic images nearer to real OOD, by epoch."""

from __future__ import annotations

from atesc_core.figures import theme
from atesc_core.figures.drift import Drift, drift

NTL = Drift([1, 2, 3], [50.0, 75.0, 90.0], "NTL", "atesc", 0.0, curve_id="a")
SL = Drift([1, 2], [20.0, 12.5], "SL", "none", 48.0, curve_id="b")


def test_a_line_a_run_in_its_teachers_colour_and_its_escapes_dash():
    lines = {trace.name: trace for trace in drift([NTL, SL]).data if "markers" in trace.mode}
    assert list(lines) == ["NTL teacher, ATEsc", "SL teacher, plain"]
    for line, drawn in zip((NTL, SL), lines.values(), strict=True):
        assert (list(drawn.x), list(drawn.y)) == (line.epochs, line.shares)
        assert (drawn.line.color, drawn.line.dash) == (theme.COLOURS[line.teacher], theme.DASHES[line.escape])


def test_real_images_are_a_level_behind():
    levels = [trace for trace in drift([NTL, SL]).data if trace.mode == "lines"]
    assert [list(level.y) for level in levels] == [[0.0, 0.0], [48.0, 48.0]]
    assert all(level.opacity < 1 for level in levels)


def test_runs_of_one_teacher_have_one_level():
    again = Drift([1, 2], [10.0, 5.0], "NTL", "none", 0.0, curve_id="c")
    assert len([trace for trace in drift([NTL, SL, again]).data if trace.mode == "lines"]) == 2


def test_the_epoch_that_is_looked_at_is_marked():
    [mark] = drift([NTL, SL], epoch=2).layout.shapes
    assert (mark.x0, mark.x1) == (2, 2)
    assert not drift([NTL, SL]).layout.shapes


def test_two_lines_of_one_kind_can_be_told_apart():
    first, second = (
        trace for trace in drift([NTL, Drift([1], [5.0], "NTL", "atesc", curve_id="c")]).data if "markers" in trace.mode
    )
    assert first.line.width > second.line.width
    assert first.marker.color != second.marker.color
