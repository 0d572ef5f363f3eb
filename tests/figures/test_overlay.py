"""What the comparison draws: which colour, which line, which band, in which panel."""

import math
from dataclasses import replace

import pandas as pd
import pytest

from atesc_core.figures import theme
from atesc_core.figures.export import files
from atesc_core.figures.overlay import BANDS, SpecCurve, overlay, panel_spans, quantity_title
from atesc_core.figures.overlay import panel_rows as rows

MEAN = [30.0, 55.0, 66.0]


def points(mean, sd=2.0, low=5.0, high=4.0) -> pd.DataFrame:
    values = pd.Series(mean, dtype=float)
    return pd.DataFrame(
        {
            "epoch": range(1, len(values) + 1),
            "mean": values,
            "sd": sd,
            "low": values - low,
            "high": values + high,
            "seeds": 3,
        }
    )


PLAIN = SpecCurve("A", "plain", {"iacc": points(MEAN), "olacc": points([90.0, 95.0, 99.0])}, seeds=3)
ESCAPED = SpecCurve("B", "ATEsc", {"iacc": points(MEAN), "asr": points([90.0, 50.0, 10.0])}, seeds=3, escape="atesc")
LOSS = SpecCurve("A", "plain", {"s/fragile": points([0.1, 0.01, -0.5], sd=0.05)}, seeds=3)


def traces(figure, *parts):
    return [each for each in figure.data if each.uid == theme.trace_id(*parts)]


def trace(figure, *parts):
    (found,) = traces(figure, *parts)
    return found


@pytest.mark.parametrize("mode", theme.MODES)
def test_colour_is_the_quantity_and_dash_the_escape(mode):
    figure, look = overlay([PLAIN, ESCAPED], ["iacc", "olacc", "asr"], mode), theme.style(mode)
    drawn = {
        (letter, quantity): trace(figure, letter, quantity).line
        for letter, quantity in (("A", "iacc"), ("A", "olacc"), ("B", "iacc"), ("B", "asr"))
    }
    assert [line.color for line in drawn.values()] == [
        look.colour("id"),
        look.colour("ood"),
        look.colour("id"),
        look.colour("ood"),
    ]
    assert [line.dash for line in drawn.values()] == ["dot", "dot", "solid", "solid"]


def test_specs_of_one_escape_differ_by_their_points():
    same = [PLAIN, SpecCurve("B", "plain too", PLAIN.points)]
    figure = overlay(same, ["iacc"])
    assert trace(figure, "A", "iacc").marker.symbol != trace(figure, "B", "iacc").marker.symbol


def test_an_sl_teacher_is_thin_with_open_points():
    figure = overlay([PLAIN, SpecCurve("B", "SL", PLAIN.points, teacher="SL")], ["iacc"])
    own, control = trace(figure, "A", "iacc"), trace(figure, "B", "iacc")
    assert control.line.width < own.line.width
    assert control.marker.color == theme.style("light").surface != own.marker.color


def test_olacc_and_asr_never_share_a_panel():
    figure = overlay([PLAIN, ESCAPED], ["iacc", "olacc", "asr"])
    assert trace(figure, "A", "olacc").yaxis == "y2"
    assert trace(figure, "B", "asr").yaxis == "y3"
    assert not traces(figure, "A", "asr")
    assert not traces(figure, "B", "olacc")


@pytest.mark.parametrize(
    ("band", "upper", "lower"), [("sd", [32, 57, 68], [64, 53, 28]), ("range", [34, 59, 70], [61, 50, 25])]
)
def test_the_band_is_what_it_says(band, upper, lower):
    figure = overlay([PLAIN], ["iacc"], band=band)
    drawn = trace(figure, "A", "iacc", "band")
    assert list(drawn.y) == pytest.approx(upper + lower)
    assert trace(figure, "A", "key").name == f"A · plain (mean, {BANDS[band]}, 3 seeds)"


def test_one_seed_has_no_band_and_says_so():
    """In print by itself; on the page by the caption under the chart."""
    figure = overlay([SpecCurve("A", "plain", PLAIN.points)], ["iacc"], mode="print")
    assert not traces(figure, "A", "iacc", "band")
    assert trace(figure, "A", "key").name == "A · plain (one seed)"
    assert trace(overlay([SpecCurve("A", "plain", PLAIN.points)], ["iacc"]), "A", "key").name == "A · plain"
    assert "±" not in trace(figure, "A", "iacc").hovertemplate


def test_a_smoothed_line_has_its_rough_one_behind():
    figure = overlay([SpecCurve("A", "plain", PLAIN.points, unsmoothed={"iacc": points([1, 2, 3])})], ["iacc"])
    assert list(trace(figure, "A", "iacc", "rough").y) == [1, 2, 3]
    assert [each.uid for each in figure.data].index(theme.trace_id("A", "iacc", "rough")) < [
        each.uid for each in figure.data
    ].index(theme.trace_id("A", "iacc"))


def test_a_logarithmic_axis_has_no_place_for_what_is_not_above_0():
    figure = overlay([LOSS], ["s/fragile"], log=True)
    assert figure.layout.yaxis.type == "log"
    assert list(trace(figure, "A", "s/fragile").y) == [0.1, 0.01]
    assert list(trace(figure, "A", "s/fragile", "band").y) == pytest.approx([0.15, 0.06, 0.01, 0.05])
    assert letters(figure) == {"<b>A</b>": (2, -2)}  # 10 to the power of it, at the last point that is drawn


def test_accuracy_is_linear_whatever_is_asked():
    figure = overlay([PLAIN], ["iacc"], log=True)
    assert figure.layout.yaxis.type is None
    assert list(figure.layout.yaxis.tickvals) == [0, 20, 40, 60, 80, 100]


def letters(figure) -> dict[str, tuple[float, float]]:
    return {note.text: (note.x, note.y) for note in figure.layout.annotations if note.yref != "paper"}


def test_letters_stand_at_the_ends_and_apart():
    (at, lower), (_, upper) = letters(overlay([PLAIN, ESCAPED], ["iacc"])).values()
    assert at == 3
    assert (lower + upper) / 2 == pytest.approx(66)
    assert upper - lower == pytest.approx(6.5)


def test_letters_of_different_epochs_stay_at_their_lines():
    shorter = SpecCurve("B", "ATEsc", {"iacc": points([30.0, 66.0])})
    assert letters(overlay([PLAIN, shorter], ["iacc"])) == {"<b>A</b>": (3, 66.0), "<b>B</b>": (2, 66.0)}


def test_panels_zoom_together():
    layout = overlay([PLAIN, ESCAPED], ["iacc", "olacc", "asr"]).layout
    assert [layout.xaxis2.matches, layout.xaxis3.matches] == ["x", "x"]
    assert layout.uirevision == theme.UIREVISION


@pytest.mark.parametrize(("panels", "across", "down"), [(1, 1, 1), (2, 2, 1), (3, 3, 1), (4, 2, 2), (5, 3, 2)])
def test_panels_lie_in_rows(panels, across, down):
    places = panel_spans(panels, 0.07)
    assert len({x for x, _ in places}) == across
    assert len({y for _, y in places}) == down == rows(panels)
    assert all(0 <= low < high <= 1 + 1e-9 for place in places for low, high in place)


def test_axes_carry_units():
    assert [quantity_title(quantity) for quantity in ("iacc", "asr", "s/fragile")] == [
        "IAcc (%)",
        "ASR (%)",
        "Student loss, learn (nats)",
    ]


def test_the_csv_of_the_curves_has_mean_sd_and_range():
    rows = files.figure_data(overlay([PLAIN], ["iacc"]))
    assert list(rows["value"]) == MEAN
    assert list(rows["sd"]) == [2, 2, 2]
    assert list(rows["low"]) == [25, 50, 61]
    assert set(rows["seeds"]) == {3}
    assert set(rows["quantity"]) == {"iacc"}


@pytest.mark.parametrize("lines", [[], [SpecCurve("A", "plain", {})], [SpecCurve("A", "plain", {"iacc": points([])})]])
def test_without_a_point_it_says_what_it_waits_for(lines):
    text = overlay(lines, ["iacc"]).layout.annotations[-1].text
    assert "end of epoch 1" in text.replace("<br>", " ")


def test_names_from_users_do_not_reach_a_selector():
    figure = overlay([SpecCurve("A", "<img onerror=x>, a b/c", PLAIN.points)], ["iacc"])
    assert all(each.uid.isalnum() for each in figure.data)


def test_it_becomes_json_without_sd():
    figure = overlay([SpecCurve("A", "plain", {"iacc": points(MEAN, sd=math.nan)})], ["iacc"], "dark")
    assert "null" in figure.to_json()


@pytest.mark.parametrize("mode", theme.MODES)
def test_numbered_curves_have_a_colour_of_their_own_in_every_panel(mode):
    numbered = [replace(PLAIN, number=0), replace(ESCAPED, number=1)]
    figure = overlay(numbered, ["iacc", "olacc", "asr"], mode)
    plain, escaped = (
        {trace(figure, letter, part).line.color for part in parts}
        for letter, parts in (("A", ("iacc", "olacc", "key")), ("B", ("iacc", "asr", "key")))
    )
    assert len(plain) == len(escaped) == 1
    assert plain != escaped
    surface = theme.style(mode).surface
    assert all(theme.contrast(colour, surface) >= theme.SHAPE_CONTRAST for colour in (*plain, *escaped))
