"""TODO: what this module is."""

from __future__ import annotations

from collections.abc import Sequence

from atesc_core.figures import theme


def per_cent(value: float | None) -> str:
    """0..100 with one decimal, without the sign: the unit goes where the tile or axis has it."""
    return "–" if value is None else f"{value:.1f}"


count = theme.format_count  # as figures write it


def duration(seconds: float | None) -> str:
    """`45 s`, `1 min 40 s`, `2 h 05 min`; `–` when unknown."""
    if seconds is None:
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes_left:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def measured_on(what: str, images: int | None = None, epoch: int | None = None) -> str:
    """What a number is of: `ID test · 1 000 images · epoch 6`."""
    parts: Sequence[str] = [what]
    if images is not None:
        parts = [*parts, f"{count(images)} images"]
    if epoch is not None:
        parts = [*parts, f"epoch {epoch}"]
    return " · ".join(parts)
