"""The description and the source of a setting, for help texts and tooltips."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from atesc_core.specs.base import Source
from atesc_core.specs.run import SYNTHESES, RunSpec


def describe_field(path: str, kind: str = "dfq", model: type[BaseModel] = RunSpec) -> tuple[str, Source | None]:
    """The description of a dotted field and the source of its default (None if the field has no default).

    Args:
        path: the dotted name of the field, e.g. ``escape.weight``.
        kind: the ``synthesis.kind`` whose settings ``synthesis.*`` means.
        model: the class of the spec.
    """
    *groups, name = path.split(".")
    for group in groups:
        model = SYNTHESES[kind] if group == "synthesis" else type(model.model_fields[group].default)
    field = model.model_fields[name]
    extra = field.json_schema_extra
    source: Any = extra.get("source") if isinstance(extra, dict) else None
    return field.description or "", source
