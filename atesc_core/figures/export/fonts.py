"""The fonts of printed figures. They are shipped, so figures do not depend on the fonts of a machine."""

from __future__ import annotations

import base64
import io
from functools import cache, lru_cache
from pathlib import Path

from atesc_core.paths import ASSETS

FOLDER = ASSETS / "fonts" / "print"
FAMILIES: dict[str, str] = {"sans": "Arimo", "serif": "Tinos"}  # with the widths of Arial and of Times New Roman
FACES: dict[int, str] = {400: "Regular", 700: "Bold"}


def face_file(font: str, weight: int) -> Path:
    """The shipped font file of ``font`` (sans or serif) in ``weight`` (400 or 700)."""
    return FOLDER / f"{FAMILIES[font]}-{FACES[weight]}.ttf"


def missing(text: str, font: str) -> str:
    """The characters of ``text`` that the shipped ``font`` (sans or serif) does not have, each once, in order.

    A browser draws such characters in any other font, so the caller should warn the user.
    """
    return "".join(
        dict.fromkeys(letter for letter in text if ord(letter) not in _letters(font) and not letter.isspace())
    )


def face_rules(font: str, text: str) -> str:
    """CSS that embeds the font, reduced to the characters of ``text``, so that a file needs no other file."""
    return "".join(
        f"@font-face{{font-family:'{FAMILIES[font]}';font-weight:{weight};src:url(data:font/ttf;base64,{data})}}"
        for weight in FACES
        for data in [base64.b64encode(_reduced(font, weight, "".join(sorted(set(text))))).decode()]
    )


@cache
def face_script() -> str:
    """JavaScript that loads every font into a page before plotly measures text there."""
    faces = [
        (FAMILIES[font], weight, base64.b64encode(face_file(font, weight).read_bytes()).decode())
        for font in FAMILIES
        for weight in FACES
    ]
    return "".join(
        f"document.fonts.add(new FontFace('{family}',Uint8Array.from(atob('{data}'),"
        f"letter=>letter.charCodeAt(0)),{{weight:'{weight}'}}));"
        for family, weight, data in faces
    )


@cache
def _letters(font: str) -> frozenset[int]:
    from fontTools.ttLib import TTFont

    with TTFont(face_file(font, 400), lazy=True) as face:
        return frozenset(face.getBestCmap())


@lru_cache(64)
def _reduced(font: str, weight: int, letters: str) -> bytes:
    from fontTools.subset import Options, Subsetter
    from fontTools.ttLib import TTFont

    reducer = Subsetter(Options(layout_features=["kern", "mark", "mkmk", "ccmp"], notdef_outline=True))
    reducer.populate(text=letters)
    out = io.BytesIO()
    with TTFont(face_file(font, weight), recalcTimestamp=False) as face:
        reducer.subset(face)
        face.save(out)
    return out.getvalue()
