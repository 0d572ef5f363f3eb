"""TODO: what this module is."""

from __future__ import annotations

from pydantic import BaseModel

from atesc_core.specs.base import Source
from atesc_core.specs.run import SYNTHESES, RunSpec


def describe_field(path: str, kind: str = "dfq", model: type[BaseModel] = RunSpec) -> tuple[str, Source | None]:
    """The sentence and the source of a dotted field, for help texts and tooltips; ``kind`` is the synthesis.kind."""
    *groups, name = path.split(".")
    for group in groups:
        model = SYNTHESES[kind] if group == "synthesis" else type(model.model_fields[group].default)
    field = model.model_fields[name]
    extra = field.json_schema_extra or {}
    return field.description or "", extra.get("source")
