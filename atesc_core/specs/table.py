"""Every setting of a run and of a teacher's training as Markdown tables: ``python -m atesc_core.specs.table``.

docs/user-guide.md holds these tables; a test compares both.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from atesc_core.specs.base import JobSpec
from atesc_core.specs.field_help import describe_field, published_values, values_text
from atesc_core.specs.presets import PRESETS, from_preset
from atesc_core.specs.run import NAYER_EPOCHS, SYNTHESES, RunSpec
from atesc_core.specs.teacher import ABOUT_METHODS, METHODS, TeacherRecipe, TeacherSpec, uses
from atesc_core.specs.teacher import PRESETS as TRAINING_PRESETS
from atesc_core.vocabulary import ESCAPE_NAMES, SYNTHESIZER_NAMES

# the methods for which a published value may differ, in the order of a cell
VARIANTS = SYNTHESIZER_NAMES | ESCAPE_NAMES | {name: about[0] for name, about in ABOUT_METHODS.items()}


def settings_table() -> str:
    """All settings, one table per group: name, default, published value, meaning. Then the presets, value by value."""
    run = RunSpec(teacher="t")
    training = TeacherSpec(name="t", pair="mnistm-mnist", kind="NTL")
    groups: list[tuple[str, JobSpec, str, type[BaseModel]]] = [
        ("A run", run, "", RunSpec),
        *(
            (
                f"Synthesis, {name}",
                run.replaced({"synthesis.kind": kind, "epochs": NAYER_EPOCHS}),
                "synthesis.",
                SYNTHESES[kind],
            )
            for kind, name in SYNTHESIZER_NAMES.items()
        ),
        ("Split", run, "split.", type(run.split)),
        ("Escape", run, "escape.", type(run.escape)),
        ("A teacher's training", training, "", TeacherRecipe),
    ]
    return "\n".join([*(_group(*group) for group in groups), *_preset_tables()])


def _group(title: str, spec: JobSpec, prefix: str, model: type[BaseModel]) -> str:
    rows = [_row(prefix + name, spec, model.model_fields[name]) for name in _plain_fields(model)]
    return _table(title, ["setting", "default", "published", "meaning"], rows)


def _plain_fields(model: type[BaseModel]) -> list[str]:
    """The fields that hold a value, not a group of settings."""
    return [name for name, field in model.model_fields.items() if not isinstance(field.default, BaseModel)]


def _row(path: str, spec: JobSpec, field: FieldInfo) -> list[str]:
    default = "required" if field.is_required() else _value_cell(path, spec)
    return [f"`{path}`", default, _published_cell(field), field.description or ""]


def _value_cell(path: str, spec: JobSpec) -> str:
    """The value of a field, with its badge unless it is published."""
    value: Any = spec
    for name in path.split("."):
        value = getattr(value, name)
    badge = describe_field(path, spec).badge(value)
    return f"`{value}`, {badge}" if badge == "this lab" else f"`{value}`"


def _published_cell(field: FieldInfo) -> str:
    """Each published value once, with the methods that it is published for if there are several."""
    methods: dict[tuple[Any, ...], list[str]] = {}
    for variant, name in VARIANTS.items():
        if values := published_values(field, (variant,)):
            methods.setdefault(values, []).append(name)
    if len(methods) == 1:
        return values_text(next(iter(methods)))
    return "; ".join(f"{', '.join(names)}: {values_text(values)}" for values, names in methods.items())


def _preset_tables() -> list[str]:
    """For each synthesizer and training method, the values of the presets beside the published ones."""
    tables = []
    for kind, name in SYNTHESIZER_NAMES.items():
        runs = {preset: from_preset(preset, "t", **{"synthesis.kind": kind}) for preset in reversed(PRESETS)}
        first = next(iter(runs.values()))
        paths = [*_plain_fields(RunSpec), *(f"synthesis.{field}" for field in _plain_fields(SYNTHESES[kind]))]
        paths += [f"escape.{field}" for field in _plain_fields(type(first.escape))]
        tables.append(_preset_table(f"Presets, {name}", dict(runs), paths))
    for method, (name, _) in ABOUT_METHODS.items():
        trainings = {
            preset: TeacherSpec(name="t", pair="mnistm-mnist", **METHODS[method] | TRAINING_PRESETS[preset])
            for preset in reversed(TRAINING_PRESETS)
        }
        paths = [field for field in TeacherRecipe.model_fields if uses(field, method, "close")]
        tables.append(_preset_table(f"Presets of a training, {name}", dict(trainings), paths))
    return tables


def _preset_table(title: str, specs: dict[str, JobSpec], paths: list[str]) -> str:
    """The settings for which something is published; a value that differs from it is marked *this lab*."""
    rows = []
    for path in paths:
        published = describe_field(path, next(iter(specs.values()))).published_text
        if published and not path.endswith((".kind", "method")):
            rows.append([f"`{path}`", published, *(_value_cell(path, spec) for spec in specs.values())])
    return _table(title, ["setting", "published", *(f"`{preset}`" for preset in specs)], rows)


def _table(title: str, heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    cells = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    return "\n".join([f"### {title}", "", *(f"| {' | '.join(line)} |" for line in cells), ""])


if __name__ == "__main__":
    print(settings_table())
