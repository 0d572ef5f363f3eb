"""Names that come from files, links and other visitors are shown as they stand, in whatever widget."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from streamlit.testing.v1 import AppTest

from pages.shared.ui import elements
from tests.support.labs import logged_run
from tests.support.pages import PAGE_NAMES

IMAGE = "![x](http://x.example/x.png)"


def markdown(app: AppTest) -> Iterator[str]:
    """Every text of a page that Streamlit draws as Markdown."""
    for element in [*app.main, *app.sidebar]:
        stack = [element]
        while stack:
            node = stack.pop()
            stack += getattr(node, "children", {}).values()
            proto = node.proto
            yield from (str(getattr(proto, field, "")) for field in ("label", "help", "title"))
            if node.type in ("markdown", "caption", "error", "warning", "info", "success", "toast"):
                yield proto.body
            if node.type in ("button_group", "segmented_control", "pills", "radio"):
                yield from (str(getattr(option, "content", option)) for option in proto.options)


@pytest.mark.parametrize("name", PAGE_NAMES)
def test_a_runs_names_are_never_markup(open_page, store, name):
    """A teacher's name in the list of runs fetched an image from another host."""
    for escape in ("none", "atesc"):
        logged_run(store, (50, 50), (60, 40), escape=escape, teacher=IMAGE)
    app = open_page(name)
    assert not app.exception
    texts = list(markdown(app))
    assert texts
    assert not [text for text in texts if "![" in text]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (IMAGE, r"\!\[x\](http\://x.example/x.png)"),
        ("[log in](//x)", r"\[log in\](//x)"),
        ("a_b_c", "a_b_c"),
        ("_a_", r"\_a\_"),
        ("# A", r"\# A"),
        ("<b>$x$</b>", r"\<b\>\$x\$\</b\>"),
        ("two\nlines", "two  \nlines"),
    ],
)
def test_plain_text(text, shown):
    assert elements.plain(text) == shown
