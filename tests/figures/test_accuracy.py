import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atesc_core.figures import Curve, accuracy, theme
from atesc_core.figures.accuracy import spread_labels
from tests.support.figure_samples import CHANGES, CURVES, ESCAPED, PLAIN


def trace(figure, curve, metric):
    uid = theme.trace_id(f"{curve.key}/{metric}")
    return next(each for each in figure.data if each.uid == uid)


@pytest.mark.parametrize("mode", theme.MODES)
def test_iacc_is_id_coloured_and_olacc_ood_coloured(mode):
    figure, look = accuracy(CURVES, mode), theme.style(mode)
    for curve in CURVES:
        assert trace(figure, curve, "iacc").line.color == look.colour("id")
        assert trace(figure, curve, "olacc").line.color == look.colour("ood")


@pytest.mark.parametrize("metric", ["oacc", "olacc", "asr"])
def test_every_ood_metric_has_the_ood_colour(metric):
    curve = Curve(PLAIN.rename(columns={"olacc": metric}))
    assert trace(accuracy([curve]), curve, metric).line.color == theme.COLOURS["ood"]


@pytest.mark.parametrize(("escape", "dash"), [("none", "dot"), ("ckd", "dash"), ("atesc", "solid")])
def test_the_escape_is_the_line(escape, dash):
    curve = Curve(PLAIN, escape=escape)
    figure = accuracy([curve])
    assert {trace(figure, curve, metric).line.dash for metric in curve.metrics} == {dash}


def test_it_draws_the_numbers_it_was_given():
    line = trace(accuracy([CURVES[0]]), CURVES[0], "iacc")
    assert list(line.x) == [1, 2, 3]
    assert list(line.y) == [30.0, 55.0, 66.8]


def test_an_sl_control_is_thinner_and_a_ghost_is_fainter():
    full, control, ghost = Curve(PLAIN, "n"), Curve(PLAIN, "s", teacher="SL"), Curve(PLAIN, "g", ghost=True)
    figure = accuracy([full, control, ghost])
    widths = [trace(figure, curve, "iacc").line.width for curve in (full, control, ghost)]
    assert widths[0] > widths[1] == widths[2]
    assert trace(figure, ghost, "iacc").opacity < 0.5
    assert trace(figure, control, "iacc").opacity == 1


def test_several_runs_share_one_legend_entry_each():
    shown = [each.name for each in accuracy(CURVES).data if each.showlegend is not False]
    assert shown == ["plain", "ATEsc"]


def test_one_run_has_one_legend_entry_a_metric():
    shown = [each.name for each in accuracy([Curve(PLAIN)]).data if each.showlegend is not False]
    assert shown == ["IAcc", "OLAcc"]


def test_a_change_of_threshold_is_marked_where_it_happened():
    mark = next(each for each in accuracy(CURVES).data if each.name == "threshold changed")
    assert {x for x in mark.x if np.isfinite(x)} == {1.5}
    assert "threshold 4" in mark.hovertext


def test_seeds_become_a_mean_with_a_band_of_one_standard_deviation():
    seeds = pd.concat([PLAIN.assign(seed=s, iacc=PLAIN["iacc"] + s) for s in (0, 1, 2)])
    curve = Curve(seeds, "plain")
    figure = accuracy([curve])
    assert list(trace(figure, curve, "iacc").y) == pytest.approx([31.0, 56.0, 67.8])
    band = next(each for each in figure.data if each.uid == theme.trace_id("plain/iacc", "band"))
    assert list(band.y[:3]) == pytest.approx([32.0, 57.0, 68.8])
    assert list(band.y[3:]) == pytest.approx([66.8, 55.0, 30.0])
    assert "3 seeds" in trace(figure, curve, "iacc").hovertemplate


def test_one_seed_has_no_band():
    assert len(accuracy([Curve(PLAIN.assign(seed=7))]).data) == 2


def test_the_axis_stays_still_while_a_run_grows():
    ranges = {tuple(accuracy([Curve(PLAIN.head(n))], epochs=12).layout.xaxis.range) for n in (1, 2, 3)}
    assert len(ranges) == 1


def test_a_growing_run_keeps_its_traces():
    early, late = (accuracy([Curve(PLAIN.head(n), "run")], epochs=12) for n in (1, 3))
    assert [t.uid for t in early.data] == [t.uid for t in late.data]


def test_an_epoch_without_a_measurement_is_left_out():
    curve = Curve(PLAIN.assign(iacc=[30.0, np.nan, 66.8]))
    assert list(trace(accuracy([curve]), curve, "iacc").x) == [1, 3]


@pytest.mark.parametrize("curves", [[], [Curve(PLAIN.head(0))]])
def test_without_an_epoch_it_says_what_it_waits_for(curves):
    assert "epoch 1" in accuracy(curves, epochs=6).layout.annotations[0].text


def test_names_from_users_do_not_reach_a_selector():
    figure = accuracy([Curve(PLAIN, "<img onerror=x>, a b/c"), Curve(ESCAPED, "b", changes=CHANGES)])
    assert all(each.uid.isalnum() for each in figure.data)


@settings(deadline=None)
@given(st.lists(st.floats(0, 100), min_size=1, max_size=10), st.floats(0.1, 12))
def test_end_labels_keep_apart_and_in_order(values, gap):
    places = spread_labels(values, gap)
    fits = min(gap, 100 / max(len(values) - 1, 1))
    ordered = np.array(places)[np.argsort(values, kind="stable")]
    assert (np.diff(ordered) >= fits - 1e-6).all()
    assert min(places) >= -1e-6
    assert max(places) <= 100 + 1e-6


@settings(deadline=None)
@given(st.lists(st.integers(0, 10), min_size=1, max_size=10, unique=True))
def test_end_labels_that_do_not_touch_stay_at_their_values(tens):
    values = [10.0 * ten for ten in tens]
    assert spread_labels(values, 7.5) == pytest.approx(values)
