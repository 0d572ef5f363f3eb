"""Contrast by WCAG 2.2, from the values that the app is dressed in: text 4.5 to 1, what a chart draws 3 to 1."""

from __future__ import annotations

import re
import tomllib
from itertools import product

import pytest

from atesc_core import paths
from atesc_core.figures import theme
from atesc_core.figures.theme import SHAPE_CONTRAST, TEXT_CONTRAST, contrast

THEME = tomllib.loads((paths.HOME / ".streamlit" / "config.toml").read_text())["theme"]
SHEET = (paths.ASSETS / "appearance" / "style.css").read_text()


def grounds(mode: str) -> dict[str, str]:
    """What text stands on: name -> colour."""
    own = THEME[mode]
    return {
        "page": own["backgroundColor"],
        "widget": own["secondaryBackgroundColor"],
        "sidebar": own["sidebar"]["backgroundColor"],
        "tile": theme.style(mode).surface,
    }


def quiet() -> dict[str, float]:
    """Selector -> opacity of each rule of the style sheet that dims a text."""
    rules = re.findall(r"^(\.atesc[\w-]*(?: \w+)?) \{([^}]*)\}", SHEET, re.MULTILINE)
    found = {name: re.search(r"opacity: ([\d.]+)", body) for name, body in rules}
    return {name: float(match[1]) for name, match in found.items() if match}


def test_the_contrast_of_black_and_white():
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.01)  # the known shade just below the limit


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_text_links_and_named_greys_can_be_read(mode):
    own = THEME[mode]
    for (name, ground), text in product(grounds(mode).items(), ("textColor", "linkColor", "grayColor")):
        assert contrast(own[text], ground) >= TEXT_CONTRAST, f"{text} on the {name}"
    style = theme.style(mode)
    assert contrast(style.surface, own["primaryColor"]) >= TEXT_CONTRAST  # the words on the page's one button
    assert contrast(style.ink, style.surface) >= TEXT_CONTRAST
    assert contrast(style.muted, style.surface) >= TEXT_CONTRAST


@pytest.mark.parametrize(("mode", "selector"), list(product(["light", "dark"], quiet())))
def test_quiet_text_can_be_read(mode, selector):
    for name, ground in grounds(mode).items():
        seen = theme.mix(THEME[mode]["textColor"], ground, quiet()[selector])
        assert contrast(seen, ground) >= TEXT_CONTRAST, f"{selector} on the {name}: {contrast(seen, ground):.2f}"


def test_the_sheet_dims_text_only_where_this_test_sees_it():
    assert {".atesc-lead", ".atesc-quiet", ".atesc-label", ".atesc-tile-of", ".atesc-help"} <= quiet().keys()


@pytest.mark.parametrize(("mode", "role"), list(product(["light", "dark"], theme.COLOURS)))
def test_what_is_drawn_in_a_roles_colour_can_be_seen(mode, role):
    """Two of Okabe and Ito's hues are too light for white: by their rim, there."""
    for name in ("page", "tile"):
        assert contrast(theme.style(mode).outline(role), grounds(mode)[name]) >= SHAPE_CONTRAST, name
        assert contrast(theme.style(mode).text_colour(role), grounds(mode)[name]) >= TEXT_CONTRAST, name


@pytest.mark.parametrize("role", theme.COLOURS)
def test_what_a_page_shows_in_a_roles_colour_has_a_rim_that_can_be_seen(role):
    share = int(re.search(r"--rim: light-dark\(color-mix\(in srgb, var\(--own\) (\d+)%, #000\)", SHEET)[1])
    for name in ("page", "tile"):
        assert (
            contrast(theme.mix(theme.COLOURS[role], "#000000", share / 100), grounds("light")[name]) >= SHAPE_CONTRAST
        ), name


def test_a_rim_is_as_little_darker_as_it_can_be():
    assert theme.style("light").outline("id") == theme.COLOURS["id"]
    for role in ("fragile", "robust"):
        share = round(100 * int(theme.style("light").outline(role)[1:3], 16) / int(theme.COLOURS[role][1:3], 16))
        assert contrast(theme.mix(theme.COLOURS[role], "#000000", (share + 1) / 100), "#FFFFFF") < SHAPE_CONTRAST
    assert theme.with_contrast("#BD1F01", "#181D24", SHAPE_CONTRAST) > "#BD1F01", "on a dark surface it is lighter"


def test_no_text_is_written_in_a_roles_colour():
    """On white only the ID blue could be read."""
    sources = "".join(path.read_text() for path in (paths.HOME / "pages").rglob("*.py"))
    assert not re.findall(r"[\"';\s]color:\s*var\(--role", sources + SHEET)
