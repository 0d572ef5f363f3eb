"""The visual language: what is text stays text, and numbers are written one way."""

import ast
import re
import tomllib

import pytest

from atesc_core import paths
from atesc_core.figures import theme
from pages.shared.ui import appearance, elements, formats


def test_text_given_to_any_piece_is_never_markup():
    pieces = [
        elements.chip("<b>"),
        elements.bold("<b>"),
        elements.muted("<b>"),
        elements.swatch("id", "<b>"),
        elements.as_html("<b>"),
        elements.tile("<b>", "<b>", "<b>", measured_on="<b>", help_text='"<b>', change="<b>"),
    ]
    for piece in pieces:
        assert "<b><b>" not in piece.replace("<b>&lt;b&gt;</b>", "")
        assert "&lt;b&gt;" in piece
    assert 'data-help="&quot;&lt;b&gt;"' in pieces[-1]


@pytest.mark.parametrize("status", ["queued", "running", "paused", "done", "stopped", "interrupted", "failed"])
def test_every_status_is_a_word_and_a_colour(status):
    piece = elements.status_chip(status)
    assert re.sub("<[^>]*>", "", piece) == status
    assert "--role-" in piece


def test_a_status_that_does_not_exist_is_refused():
    with pytest.raises(KeyError):
        elements.status_chip("sleeping")


def test_streamlits_named_colours_are_the_roles_own():
    """:blue[...] on a page is the ID blue, in the light theme and in the dark one."""
    settings = tomllib.loads((paths.HOME / ".streamlit" / "config.toml").read_text())["theme"]
    names = {"blue": "id", "red": "ood", "orange": "robust", "green": "SL", "violet": "NTL"}
    for mode in ("light", "dark"):
        style = theme.style(mode)
        assert {name: settings[mode][f"{name}Color"] for name in names} == {
            name: style.colour(role) for name, role in names.items()
        }
        assert settings[mode]["textColor"] == style.ink


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (100, "1 min 40 s"), (7500, "2 h 05 min"), (None, "–")],
)
def test_durations(seconds, words):
    assert formats.duration(seconds) == words


def test_numbers_say_what_they_are_of():
    assert formats.measured_on("ID test", 1000, 6) == "ID test · 1\u202f000 images · epoch 6"
    assert formats.per_cent(61.25) == "61.2"
    assert formats.per_cent(None) == "–"


def test_the_style_sheet_needs_no_other_file():
    assert set(re.findall(r"url\(\"?([a-z]+:)", appearance._style_sheet())) == {"data:"}
    assert appearance._style_sheet().count("url(") == 2


def test_no_page_is_changed_on_the_server():
    """What the sidebar's timer asked for in the old page's name, before the browser had heard of the new one, left that
    one blank: in one of twenty presses of "Use for the next run" on a busy machine."""
    root = paths.HOME
    for source in (root / "app.py", *(root / "pages").rglob("*.py")):
        assert "st.switch_page(" not in source.read_text(), source.name


def test_every_style_of_a_keyed_element_finds_one():
    """Keys had been renamed, and the name of a shortcut lay across the story's buttons."""
    sources = [ast.parse(path.read_text()) for path in (paths.HOME / "pages").rglob("*.py")]
    literals = {
        re.sub(r"[^A-Za-z0-9_-]", "-", node.value.strip())
        for source in sources
        for node in ast.walk(source)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    styles = "".join(path.read_text() for path in (paths.HOME / "assets").rglob("*.css"))
    keys = {name.strip("-") for name in re.findall(r"st-key-([\w-]+)", styles)}
    assert len(keys) > 10
    starts = tuple(literal for literal in literals if len(literal) > 5)  # of keys that are put together
    unused = {key for key in keys if not key.startswith(starts) and not any(name.startswith(key) for name in literals)}
    assert unused == set()
