"""The fonts that figures print in. They are shipped: what a machine has installed changes nothing."""

from __future__ import annotations

import base64
import io
from functools import cache, lru_cache
from pathlib import Path

from atesc_core.paths import ASSETS

FOLDER = ASSETS / "fonts" / "print"
FAMILIES: dict[str, str] = {"sans": "Arimo", "serif": "Tinos"}  # as wide as Arial and as Times New Roman
FACES: dict[int, str] = {400: "Regular", 700: "Bold"}


def face_file(font: str, weight: int) -> Path:
    """The shipped font file of ``font`` (sans or serif) in ``weight`` (400 or 700)."""
    return FOLDER / f"{FAMILIES[font]}-{FACES[weight]}.ttf"


def missing(text: str, font: str) -> str:
    """The characters of ``text`` that the shipped ``font`` (sans or serif) does not have, each once, in order.

    A browser takes those from whatever font it finds: whoever prints them must say so.
    """
    return "".join(
        dict.fromkeys(letter for letter in text if ord(letter) not in _letters(font) and not letter.isspace())
    )


def face_rules(font: str, text: str) -> str:
    """CSS that brings the font along, reduced to the characters of ``text``: for a file that must stand alone."""
    return "".join(
        f"@font-face{{font-family:'{FAMILIES[font]}';font-weight:{weight};src:url(data:font/ttf;base64,{data})}}"
        for weight in FACES
        for data in [base64.b64encode(_reduced(font, weight, "".join(sorted(set(text))))).decode()]
    )


@cache
def face_script() -> str:
    """JavaScript that makes every font known to a page before anything is measured on it."""
    every = [
        (FAMILIES[font], weight, base64.b64encode(face_file(font, weight).read_bytes()).decode())
        for font in FAMILIES
        for weight in FACES
    ]
    return "".join(
        f"document.fonts.add(new FontFace('{family}',Uint8Array.from(atob('{data}'),"
        f"letter=>letter.charCodeAt(0)),{{weight:'{weight}'}}));"
        for family, weight, data in every
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
