"""The visual language of all figures: fixed hues, lines for escapes, one look per mode."""

import colorsys
from typing import get_args

import pytest

from atesc_core import vocabulary
from atesc_core.figures import theme
from atesc_core.specs.run import EscapeKind

OKABE_ITO = {
    "id": "#0072B2",
    "ood": "#D55E00",
    "fragile": "#56B4E9",
    "robust": "#E69F00",
    "SL": "#009E73",
    "NTL": "#CC79A7",
}


def hls(colour: str) -> tuple[float, float, float]:
    return colorsys.rgb_to_hls(*(part / 255 for part in bytes.fromhex(colour[1:])))


def test_light_and_print_colours_are_those_of_the_visual_language():
    for mode in ("light", "print"):
        assert {role: theme.style(mode).colour(role) for role in OKABE_ITO} == OKABE_ITO


@pytest.mark.parametrize("role", OKABE_ITO)
def test_dark_lightens_and_keeps_the_hue(role):
    hue, lightness, _ = hls(OKABE_ITO[role])
    dark_hue, dark_lightness, _ = hls(theme.style("dark").colour(role))
    assert abs(dark_hue - hue) * 360 < 2
    assert dark_lightness > lightness


def test_dark_colours_differ_from_each_other():
    assert len(set(theme.DARK_COLOURS.values())) == len(theme.DARK_COLOURS)


def test_escapes_differ_by_line():
    assert {name: theme.DASHES[name] for name in ("none", "ckd", "atesc")} == {
        "none": "dot",
        "ckd": "dash",
        "atesc": "solid",
    }
    assert (
        len(set(theme.DASHES.values()))
        == len(theme.DASHES)
        == len(vocabulary.ESCAPE_NAMES)
        == len(get_args(EscapeKind))
    )


def test_screens_are_transparent_and_paper_is_white():
    assert {theme.template(mode).layout.paper_bgcolor for mode in ("light", "dark")} == {"rgba(0,0,0,0)"}
    assert theme.template("print").layout.paper_bgcolor == "#FFFFFF"


def test_print_text_is_8_points_at_96_px_to_the_inch():
    layout = theme.template("print").layout
    assert layout.font.size == layout.xaxis.title.font.size == pytest.approx(8 * 96 / 72)


def test_an_unknown_mode_is_named():
    with pytest.raises(ValueError, match="sepia.*light, dark, print"):
        theme.style("sepia")


def test_number_has_three_digits_and_a_true_minus():
    assert [theme.format_number(value) for value in (4, -0.5, 12.345)] == ["4", "−0.5", "12.3"]
    assert [theme.format_number(value) for value in (8.854e-5, -2e12, 0.0265)] == ["8.9e−5", "−2.0e12", "0.0265"]


def test_uids_are_safe_in_a_css_selector_and_tell_names_apart():
    names = ["a b", "a,b", "<b>", "a/b", "ä"]
    uids = {theme.trace_id(name) for name in names}
    assert len(uids) == len(names)
    assert all(uid.isalnum() for uid in uids)
    assert theme.trace_id("ab", "c") != theme.trace_id("a", "bc")


def test_mixing_ends_at_both_colours():
    assert theme.mix("#112233", "#FFEEDD", 1) == "#112233"
    assert theme.mix("#112233", "#FFEEDD", 0) == "#FFEEDD"


@pytest.mark.parametrize("mode", theme.MODES)
def test_a_message_in_an_empty_figure_fits_a_narrow_one(mode):
    """It stood on one line: in a third of a page its ends were cut, and it ran over the axis title."""
    figure = theme.show_message(
        theme.new_figure(mode, "accuracy", "Epoch", "%"), "The first point comes at the end of epoch 1"
    )
    lines = figure.layout.annotations[-1].text.split("<br>")
    assert lines == ["The first point", "comes at the end", "of epoch 1"]
