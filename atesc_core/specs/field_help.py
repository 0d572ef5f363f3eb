"""What a setting is and what is published for it, for forms, tooltips and tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from atesc_core.specs.base import JobSpec

Badge = Literal["paper", "this lab"]


@dataclass(frozen=True)
class FieldHelp:
    """One setting in a spec."""

    description: str
    published: tuple[Any, ...]  # the published values; empty if nothing is published for the methods of the spec
    has_badge: bool  # False for what every user chooses anew: the teacher, the pair, the name

    def badge(self, value: Any) -> Badge | None:
        """``paper`` if ``value`` is published, else ``this lab``; None for a field without a badge."""
        if not self.has_badge:
            return None
        return "paper" if value in self.published else "this lab"

    def text(self, value: Any) -> str:
        """The description, with the published values if ``value`` is none of them."""
        if not self.published or value in self.published:
            return self.description
        return f"{self.description}  \nPublished: {self.published_text}."

    @property
    def published_text(self) -> str:
        """The published values in words, ``120, 220 or 320``; empty if there is none."""
        return values_text(self.published)


def describe_field(path: str, spec: JobSpec) -> FieldHelp:
    """What is known of the field of ``spec`` with this dotted name, e.g. ``escape.weight``.

    Its published values are those for the methods that ``spec`` names: its escape and synthesizer, or its training.
    """
    *groups, name = path.split(".")
    holder: Any = spec
    for group in groups:
        holder = getattr(holder, group)
    field = type(holder).model_fields[name]
    extra = field.json_schema_extra
    has_badge = isinstance(extra, dict) and "published" in extra
    return FieldHelp(field.description or "", published_values(field, spec.variants), has_badge)


def published_values(field: Any, variants: tuple[str, ...]) -> tuple[Any, ...]:
    """The values published for a pydantic field: those for the first of ``variants`` that has any."""
    extra = field.json_schema_extra
    published: Any = extra.get("published") if isinstance(extra, dict) else None
    if isinstance(published, dict):
        published = next((published[variant] for variant in variants if variant in published), None)
    if published is None:
        return ()
    return published if isinstance(published, tuple) else (published,)


def values_text(values: tuple[Any, ...]) -> str:
    """Values in words: ``120, 220 or 320``; numbers in their shortest form."""
    texts = [f"{value:g}" if isinstance(value, float) else str(value) for value in values]
    return " or ".join([", ".join(texts[:-1]), texts[-1]]) if len(texts) > 1 else "".join(texts)
