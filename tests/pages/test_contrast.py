"""Contrast by WCAG 2.2, from the values that the app is dressed in: text 4.5 to 1, what a chart draws 3 to 1."""

from __future__ import annotations

import re
import tomllib
from itertools import product

import pytest

from atesc_core.figures import theme
from pages._parts import look

TEXT, SHAPE = 4.5, 3.0
THEME = tomllib.loads((look.ASSETS.parent / ".streamlit" / "config.toml").read_text())["theme"]
SHEET = (look.ASSETS / "look" / "look.css").read_text()
# [ours] Two of Okabe and Ito's hues are too light for white; what is drawn in them says its group in words as well.
LIGHT_ON_WHITE = {"fragile", "robust"}


def luminance(colour: str) -> float:
    parts = [int(colour[at:at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def grounds(mode: str) -> dict[str, str]:
    """What text stands on: name -> colour."""
    own = THEME[mode]
    return {"page": own["backgroundColor"], "widget": own["secondaryBackgroundColor"],
            "sidebar": own["sidebar"]["backgroundColor"], "tile": theme.look(mode).surface}


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
        assert contrast(own[text], ground) >= TEXT, f"{text} on the {name}"
    style = theme.look(mode)
    assert contrast(style.surface, own["primaryColor"]) >= TEXT  # the words on the page's one button
    assert contrast(style.ink, style.surface) >= TEXT and contrast(style.muted, style.surface) >= TEXT


@pytest.mark.parametrize(("mode", "selector"), list(product(["light", "dark"], quiet())))
def test_quiet_text_can_be_read(mode, selector):
    for name, ground in grounds(mode).items():
        seen = theme.mix(THEME[mode]["textColor"], ground, quiet()[selector])
        assert contrast(seen, ground) >= TEXT, f"{selector} on the {name}: {contrast(seen, ground):.2f}"


def test_the_sheet_dims_text_only_where_this_test_sees_it():
    assert {".atesc-lead", ".atesc-quiet", ".atesc-label", ".atesc-tile-of", ".atesc-help"} <= quiet().keys()


@pytest.mark.parametrize(("mode", "role"), list(product(["light", "dark"], theme.COLOURS)))
def test_what_is_drawn_in_a_roles_colour_can_be_seen(mode, role):
    if mode == "light" and role in LIGHT_ON_WHITE:
        assert contrast(theme.COLOURS[role], "#FFFFFF") < SHAPE  # else take it off the list
        return
    for name in ("page", "tile"):
        assert contrast(theme.look(mode).colour(role), grounds(mode)[name]) >= SHAPE, name


def test_no_text_is_written_in_a_roles_colour():
    """On white only the ID blue could be read."""
    sources = "".join(path.read_text() for path in (look.ASSETS.parent / "pages").rglob("*.py"))
    assert not re.findall(r"[\"';\s]color:\s*var\(--role", sources + SHEET)
