"""The app's style sheet, and its light and dark colours."""

from __future__ import annotations

import base64
from functools import cache
from typing import Literal

import streamlit as st

from atesc_core.figures import theme
from atesc_core.paths import ASSETS
from pages.shared.ui.elements import Role


def mode() -> Literal["light", "dark"]:
    """The theme of the visitor's browser; figures take it as their ``mode``."""
    return "dark" if st.context.theme.type == "dark" else "light"


def colour(role: Role) -> str:
    """Hex colour of a role in the visitor's theme."""
    return theme.style(mode()).colour(role)


def apply_style() -> None:
    """Add the app's style sheet to the page. Call it once in each run of pages/main.py."""
    # Popovers are outside of Streamlit's element with the theme, and would have the colours of the light one.
    st.html(f"<style>{_style_sheet()}body{{color-scheme:{mode()}}}</style>")


@cache
def _style_sheet() -> str:
    """style.css with the colours and the fonts embedded, so that no other font is visible while the page loads.

    Each colour is given for both themes, so that a change of theme has an immediate effect.
    """
    sheet = (ASSETS / "appearance" / "style.css").read_text()
    for font in (ASSETS / "fonts").glob("*.woff2"):
        data = base64.b64encode(font.read_bytes()).decode()
        sheet = sheet.replace(f'url("{font.name}")', f'url("data:font/woff2;base64,{data}")')
    light, dark = theme.style("light"), theme.style("dark")
    pairs = {f"role-{role}": (colour, dark.colours[role]) for role, colour in light.colours.items()}
    pairs |= {"atesc-ink": (light.ink, dark.ink), "atesc-surface": (light.surface, dark.surface)}
    variables = "".join(f"--{name}:light-dark({day},{night});" for name, (day, night) in pairs.items())
    return f":root{{{variables}}}{sheet}"
