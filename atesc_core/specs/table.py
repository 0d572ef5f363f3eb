"""Every setting of a run and of a teacher's training as a Markdown table: ``python -m atesc_core.specs.table``.

docs/user-guide.md holds this table; a test compares both.
"""

from __future__ import annotations

from pydantic import BaseModel

from atesc_core.specs.field_help import describe_field
from atesc_core.specs.run import SYNTHESES, RunSpec
from atesc_core.specs.teacher import TeacherRecipe

SOURCES = {"paper": "paper", "lab": "this lab", None: ""}


def settings_table() -> str:
    """All settings, one table per group: name, default, source of the default, meaning."""
    split, escape = (type(RunSpec.model_fields[name].default) for name in ("split", "escape"))
    groups: list[tuple[str, str, type[BaseModel], str]] = [
        ("A run", "", RunSpec, ""),
        *((f"Synthesis, {kind.upper()}", "synthesis.", model, kind) for kind, model in SYNTHESES.items()),
        ("Split", "split.", split, ""),
        ("Escape", "escape.", escape, ""),
    ]
    parts = [_group(title, [_row(prefix + name, RunSpec, kind) for name in _plain_fields(model)])
             for title, prefix, model, kind in groups]  # fmt: skip
    training = [_row(name, TeacherRecipe, "") for name in _plain_fields(TeacherRecipe)]
    return "\n".join([*parts, _group("A teacher's training", training)])


def _group(title: str, rows: list[str]) -> str:
    return "\n".join([f"### {title}", "", "| setting | default | from | meaning |", "|---|---|---|---|", *rows, ""])


def _plain_fields(model: type[BaseModel]) -> list[str]:
    """The fields that hold a value, not a group of settings."""
    return [name for name, field in model.model_fields.items() if not isinstance(field.default, BaseModel)]


def _row(path: str, model: type[BaseModel], kind: str) -> str:
    meaning, source = describe_field(path, kind or "dfq", model)
    holder = model
    *groups, name = path.split(".")
    for group in groups:
        holder = SYNTHESES[kind] if group == "synthesis" else type(holder.model_fields[group].default)
    field = holder.model_fields[name]
    default = "required" if field.is_required() else f"`{field.default}`"
    return f"| `{path}` | {default} | {SOURCES[source]} | {meaning.replace('|', chr(92) + '|')} |"


if __name__ == "__main__":
    print(settings_table())
