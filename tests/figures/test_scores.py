import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atesc_core.figures import scores, theme
from atesc_core.figures.scores import _place_labels, bin_counts, bin_edges
from atesc_core.vocabulary import SCORE_TITLES
from tests.support.figure_samples import ID_SCORES, OOD_SCORES, SCORES


def bars(figure):
    return {trace.meta["group"]: trace for trace in figure.data if trace.type == "bar"}


def outline(figure, role):
    return next(trace for trace in figure.data if trace.meta["group"] == f"{role} outline")


def test_a_score_at_the_threshold_is_fragile():
    found = bars(scores(SCORES, 4.0))
    assert found["fragile"].y.sum() == 4  # 0.5, 1.0, 3.9 and 4.0 itself
    assert found["robust"].y.sum() == 4
    assert found["fragile"].name == "fragile 50.0 %"


def test_the_groups_have_their_colours_and_are_stacked():
    for mode in theme.MODES:
        figure = scores(SCORES, 4.0, mode)
        assert figure.layout.barmode == "stack"
        assert {role: bar.marker.color for role, bar in bars(figure).items()} == {
            role: theme.style(mode).colour(role) for role in ("fragile", "robust")
        }


def test_without_a_threshold_the_bars_are_grey():
    figure = scores(SCORES, None)
    assert set(bars(figure)) == {"synthetic"}
    assert not figure.layout.shapes
    assert bars(figure)["synthetic"].marker.color == theme.COLOURS["synthetic"]


def test_infinite_scores_stand_in_a_bin_of_their_own_beyond_the_maximum():
    figure = scores(SCORES, 4.0, max_epsilon=32)
    robust = bars(figure)["robust"]
    assert robust.y[-1] == 2
    assert robust.x[-1] > 12
    place = list(figure.layout.xaxis.tickvals).index(robust.x[-1])
    assert figure.layout.xaxis.ticktext[place] == "> 32"


def test_a_bin_takes_its_upper_edge():
    assert bin_counts(np.array([0.0, 1.0, 1.1, 2.0]), np.array([0.0, 1.0, 2.0])).tolist() == [2, 2, 0]


@settings(deadline=None)
@given(st.lists(st.one_of(st.floats(-5, 40), st.just(np.inf)), max_size=60), st.floats(0, 32))
def test_every_image_is_in_one_bar(values, threshold):
    found = bars(scores(values, threshold))
    assert sum(bar.y.sum() for bar in found.values()) == len(values)
    assert found["fragile"].y.sum() == sum(value <= threshold for value in values)


@settings(deadline=None)
@given(st.integers(1, 32))
def test_a_threshold_on_an_edge_divides_the_bars_cleanly(threshold):
    found = bars(scores(np.linspace(0, 32, 129), float(threshold)))
    assert not (found["fragile"].y * found["robust"].y).any()


def test_outlines_have_the_area_of_the_synthetic_bars():
    figure = scores(SCORES, 4.0, id_values=ID_SCORES, ood_values=OOD_SCORES)
    for role in ("id", "ood"):
        line = outline(figure, role)
        x, y = np.array(line.x, float), np.array(line.y, float)
        ok = np.isfinite(y[:-1]) & np.isfinite(y[1:]) & np.isfinite(x[:-1]) & np.isfinite(x[1:])
        area = (np.diff(x)[ok] * y[:-1][ok]).sum()
        assert area == pytest.approx(len(SCORES) * 1.0)  # bins are 1/255 wide
        assert line.line.color == theme.COLOURS[role]
        assert line.fill is None
        assert "same area" in line.name


def test_hovering_an_outline_tells_what_it_is_a_share_of():
    line = outline(scores(SCORES, 4.0, id_values=ID_SCORES), "id")
    assert "4 ID validation images" in line.hovertemplate
    assert len(line.customdata) == len(line.x)


def test_the_threshold_is_the_first_shape_unless_the_page_draws_it():
    assert scores(SCORES, 4.0, suggestions={"otsu": 6.0}).layout.shapes[0].x0 == 4.0
    assert not scores(SCORES, 4.0, draw_threshold=False).layout.shapes


def test_one_group_has_a_note_and_no_line():
    figure = scores(SCORES, np.inf, suggestions={"auto": np.inf, "otsu": 6.0})
    found = bars(figure)
    assert (found["fragile"].y.sum(), found["robust"].y.sum()) == (len(SCORES), 0)
    assert [note.text for note in figure.layout.annotations] == ["one group: no image is held back"]
    assert "threshold" not in [shape.name for shape in figure.layout.shapes]
    ticks = next(trace for trace in figure.data if trace.meta["group"] == "suggested threshold")
    assert list(ticks.text) == ["Otsu"]
    assert "Infinity" not in figure.to_json()


def test_moving_the_threshold_keeps_traces_bins_and_axis():
    figures = [scores(SCORES, threshold, id_values=ID_SCORES) for threshold in (2.0, 9.0)]
    assert len({tuple(trace.uid for trace in figure.data) for figure in figures}) == 1
    assert len({tuple(figure.layout.xaxis.range) for figure in figures}) == 1


def test_suggestions_are_named_ticks():
    ticks = next(
        t
        for t in scores(SCORES, 4.0, suggestions={"otsu": 6.0, "median": 3.0}).data
        if t.meta["group"] == "suggested threshold"
    )
    assert list(ticks.x) == [6.0, 3.0]
    assert list(ticks.text) == ["Otsu", "median"]


@settings(deadline=None)
@given(st.lists(st.floats(0, 16), max_size=3), st.floats(0, 16), st.sampled_from(theme.MODES))
def test_names_meet_no_other_name(at, threshold, mode):
    figure = scores(SCORES, threshold, mode, suggestions={f"rule {n}": x for n, x in enumerate(at)})
    rules = {f"rule {n}": x for n, x in enumerate(at)}
    words = list(_place_labels(figure, theme.style(mode), rules, threshold).values())
    assert not any(one.overlaps(other) for place, one in enumerate(words) for other in words[:place])


def test_a_page_that_draws_the_line_has_the_first_row_to_itself():
    words = _place_labels(scores(SCORES, 4.0), theme.style("light"), {"otsu": 12.0}, 4.0, draw_threshold=False)
    assert words["otsu"].row == 1


def test_names_stand_above_every_bar():
    figure = scores(SCORES, 4.0, id_values=ID_SCORES, suggestions={"otsu": 4.1, "median": 4.2})
    lowest = min(next(t for t in figure.data if t.meta["group"] == "suggested threshold").y)
    tallest = max(np.nanmax(np.asarray(trace.y, float)) for trace in figure.data if trace.yaxis != "y2")
    assert tallest / figure.layout.yaxis.range[1] < lowest


def test_the_axis_ends_soon_after_the_scores_and_seldom_moves():
    ends = [bin_edges("min_eps", [np.array([score, np.inf])])[-1] for score in (0.0, 7.9, 8.0, 8.1, 15.0, 31.0)]
    assert ends == [8, 8, 8, 16, 16, 32]


@pytest.mark.parametrize(("score", "unit"), [("min_eps", "(1/255)"), ("margin", "(logits)"), ("kl", "(nats)")])
def test_the_axis_names_score_and_unit(score, unit):
    assert unit in SCORE_TITLES[score]
    assert scores(SCORES - 4, 0.0, score=score).layout.xaxis.title.text == SCORE_TITLES[score]


@pytest.mark.parametrize("values", [[], [np.inf], [2.0, 2.0]])
@pytest.mark.parametrize("score", SCORE_TITLES)
def test_few_or_equal_scores_are_no_obstacle(values, score):
    figure = scores(values, 1.0, score=score)
    assert sum(bar.y.sum() for bar in bars(figure).values()) == len(values)


def test_given_edges_are_used():
    edges = bin_edges("margin", [np.array([-2.0, 3.0])])
    assert len(bars(scores([0.0], 0.0, score="margin", edges=edges))["fragile"].y) == len(edges)
