"""Sweeps: the runs of every combination of values of some settings."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from contextlib import suppress
from itertools import product
from typing import Any

from atesc_core.errors import SpecError
from atesc_core.specs.base import _shown
from atesc_core.specs.presets import PRESETS, changed_by_hand, from_preset
from atesc_core.specs.run import ESCAPE_SETTINGS, SYNTHESES, EscapeSpec, RunSpec, SplitSpec
from atesc_core.specs.text import parse_yaml

MAX_RUNS = 500  # of one sweep
RANGE = re.compile(r"([0-9]{1,12})-([0-9]{1,12})")
NOT_VARIED = ("preset", "threshold_changes")


def sweep(base: RunSpec, varied: Sequence[str]) -> list[RunSpec]:
    """The runs of every combination of the varied values; the last field varies fastest.

    Another ``synthesis.kind`` than that of ``base`` starts from its values in the preset of ``base``, with the settings
    of ``base`` that differ from that preset. Of several runs that make the same student, as those of plain distillation
    with several thresholds, the first is returned.

    Args:
        base: the settings that are not varied.
        varied: texts ``FIELD=VALUES``, as ``seed=1,5,10-12`` (whole numbers, both ends included) or
            ``synthesis.kind=dfq,cmi``; fields by their dotted names.

    Raises:
        SpecError: a field is unknown or is here twice, a value is not allowed, or they are more than MAX_RUNS runs.
    """
    values = {}
    for text in varied:
        field, equals, listed = text.partition("=")
        field = field.strip()
        if not (field and equals):
            raise SpecError(f"vary: {_shown(text)}: expected FIELD=VALUES, e.g. seed=10-19")
        if field in values:
            raise SpecError(f"{field}: it is varied twice; expected each field once")
        values[field] = parse_values(field, listed)
    if (count := math.prod(map(len, values.values()))) > MAX_RUNS:
        raise SpecError(f"sweep: {count:,} runs; expected at most {MAX_RUNS}")
    by_student: dict[RunSpec, RunSpec] = {}
    for combination in product(*values.values()):
        spec = _changed(base, dict(zip(values, combination, strict=True)))
        by_student.setdefault(_used_settings(spec), spec)
    return list(by_student.values())


def parse_values(field: str, text: str) -> list[Any]:
    """The values in a text such as ``1,5,10-12`` or ``auto,4``, each once, in their order. `sweep` checks them.

    Args:
        field: the dotted name of their setting.
        text: numbers, words, and ranges of whole numbers with both ends included.

    Raises:
        SpecError: a value is missing, a range ends before it starts, or they are more than MAX_RUNS values.
    """
    if field in NOT_VARIED:
        raise SpecError(f"{field}: it cannot be varied; expected another setting, e.g. seed or escape.weight")
    words = text.split(",", MAX_RUNS)
    if len(words) > MAX_RUNS:
        raise SpecError(f"{field}: {_shown(text)}: expected at most {MAX_RUNS} values")
    values: dict[tuple[type, Any], Any] = {}
    for word in map(str.strip, words):
        for value in _values_of_word(field, word):
            values[type(value), value] = value
        if len(values) > MAX_RUNS:
            raise SpecError(f"{field}: {_shown(text)}: expected at most {MAX_RUNS} values")
    return list(values.values())


def _values_of_word(field: str, word: str) -> Sequence[Any]:
    """The values of what stands between two commas."""
    if not word:
        raise SpecError(f"{field}: a value is missing; expected values between commas, e.g. 0.1,0.3,1")
    if field in RunSpec.model_fields and RunSpec.model_fields[field].annotation is str:
        return [word]  # a name, even if it looks like a number
    if match := RANGE.fullmatch(word):
        first, last = int(match[1]), int(match[2])
        if last < first:
            raise SpecError(f"{field}: {word!r}: expected a range that ends after it starts, e.g. 10-19")
        if last - first >= MAX_RUNS:
            raise SpecError(f"{field}: {word!r}: {last - first + 1:,} values; expected at most {MAX_RUNS}")
        return range(first, last + 1)
    with suppress(SpecError):
        value = parse_yaml(word, field)
        if isinstance(value, (int, float, str)):
            return [value]
    raise SpecError(f"{field}: {_shown(word)}: expected a number, a word, true or false")


def _changed(base: RunSpec, changes: dict[str, Any]) -> RunSpec:
    """``base`` with these fields set."""
    kind = changes.get("synthesis.kind", base.synthesis.kind)
    if kind == base.synthesis.kind or kind not in tuple(SYNTHESES) or base.preset not in PRESETS:
        return base.replaced(changes)
    fields = SYNTHESES[kind].model_fields
    by_hand = {
        path: value
        for path, value in changed_by_hand(base, base.preset).items()
        if not path.startswith("synthesis.") or path.removeprefix("synthesis.") in fields
    }
    kept = by_hand | {"escape.kind": base.escape.kind, "threshold_changes": base.threshold_changes}
    return from_preset(base.preset, base.teacher, **(kept | changes))


def _used_settings(spec: RunSpec) -> RunSpec:
    """The spec with the settings that change nothing in its student at their defaults."""
    used = {name: getattr(spec.escape, name) for name in ("kind", *ESCAPE_SETTINGS[spec.escape.kind])}
    split = spec.split if spec.escape.splits else SplitSpec()
    return spec.model_copy(update={"escape": EscapeSpec(**used), "split": split})
