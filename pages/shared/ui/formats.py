"""Numbers as text."""

from __future__ import annotations

from atesc_core.figures import theme


def per_cent(value: float | None) -> str:
    """A percentage (0..100) with one decimal, without the % sign; ``–`` for None."""
    return "–" if value is None else f"{value:.1f}"


count = theme.format_count  # a count as text, formatted as in the figures


def amount(value: float) -> str:
    """A number with one decimal, thousands separated as in a count: ``1 024.0``."""
    return f"{value:,.1f}".replace(",", theme.THIN_SPACE)


def duration(seconds: float | None) -> str:
    """``45 s``, ``1 min 40 s``, ``2 h 05 min``; ``–`` for None."""
    if seconds is None:
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes_left:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def capitalised(text: str) -> str:
    """The text with a capital first letter; all others stay as they are."""
    return text[:1].upper() + text[1:]


def measured_on(split: str, images: int | None = None, epoch: int | None = None) -> str:
    """Description of a measurement: ``ID test · 1 000 images · epoch 6``."""
    parts = [split]
    if images is not None:
        parts.append(f"{count(images)} images")
    if epoch is not None:
        parts.append(f"epoch {epoch}")
    return " · ".join(parts)
