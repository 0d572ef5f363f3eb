"""Base of all specifications: validation with readable messages, YAML, links, and changes by dotted name."""

from __future__ import annotations

import base64
import json
import zlib
from contextlib import suppress
from typing import Annotated, Any, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from atesc_core.errors import SpecError
from atesc_core.specs.text import MAX_CHARACTERS, parse_json, parse_yaml

Model = TypeVar("Model", bound=BaseModel)
NO_HTML = r"[^<>\x00-\x1f]*"  # charts would draw it
PlainText = Annotated[str, Field(max_length=200, pattern=rf"^{NO_HTML}$")]


def setting(default: Any, description: str, published: Any = None, **bounds: Any) -> Any:
    """A field with a description and what is published for it.

    Args:
        default: its value unless another is given.
        description: one or two sentences for the user, with the unit.
        published: the value in the paper or in its public code; a tuple where several are published; a dict from
            variant (``Spec.variants``) to either where that differs. None if nothing is published.
        bounds: pydantic's (ge, gt, le, lt ...).
    """
    return Field(default, description=description, json_schema_extra={"published": published}, **bounds)


class Spec(BaseModel):
    """A frozen, validated group of settings; unknown fields, NaN and ∞ are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @property
    def variants(self) -> tuple[str, ...]:
        """The methods in these settings, for which different values are published; the first that has one decides."""
        return ()

    def sparse(self) -> dict[str, Any]:
        """The fields that differ from their defaults."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def to_token(self) -> str:
        """The spec as a short string for a URL: the fields that differ from their defaults, compressed."""
        text = json.dumps(self.sparse(), separators=(",", ":"))
        return base64.urlsafe_b64encode(zlib.compress(text.encode(), 9)).decode().rstrip("=")

    @classmethod
    def from_token(cls, token: str) -> Self:
        """The spec in a token that ``to_token`` made.

        Raises:
            SpecError: the token is damaged, or its fields are not those of this spec.
        """
        try:
            packed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
            text = zlib.decompressobj().decompress(packed, MAX_CHARACTERS)
            values = parse_json(text, "settings")
        except (ValueError, zlib.error) as error:  # a SpecError is a ValueError
            raise SpecError(f"link: {token[:40]!r} holds no settings ({error})") from None
        return parse(cls, values)


class JobSpec(Spec):
    """Everything that defines one run; it can be written as YAML and as a command."""

    def to_yaml(self) -> str:
        """All fields as YAML."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)

    @classmethod
    def from_yaml(cls, text: str) -> Self:
        """The spec in a YAML text; missing fields have their defaults.

        Raises:
            SpecError: a field is unknown or its value is not allowed.
        """
        return parse(cls, parse_yaml(text, "spec"))

    def replaced(self, changes: dict[str, Any]) -> Self:
        """A copy with dotted fields set, e.g. ``{"escape.weight": 0.3, "epochs": 12}``, validated again.

        Raises:
            SpecError: a field is unknown or its value is not allowed.
        """
        values = self.model_dump()
        for path, value in changes.items():
            *groups, name = path.split(".")
            group_values: Any = values
            for group in groups:
                group_values = group_values.get(group) if isinstance(group_values, dict) else None
            if not isinstance(group_values, dict) or name not in group_values:
                raise SpecError(f"{path}: no such setting; known settings: {', '.join(field_values(values))}")
            group_values[name] = value
        return parse(type(self), values)


def parse(model: type[Model], values: Any, stored: bool = False) -> Model:
    """``values`` validated as ``model``.

    Args:
        model: the class.
        values: its fields.
        stored: whether an earlier version may have written them: what a run no longer may be begun with, is read.

    Raises:
        SpecError: with one readable line for each wrong field.
    """
    try:
        return model.model_validate(values, context={"stored": stored})
    except ValidationError as error:
        messages_by_field: dict[tuple[str, str], list[str]] = {}
        for each in error.errors():
            if not each["loc"] and isinstance(
                each["input"], dict
            ):  # of several fields together: its message names them
                messages_by_field[each["msg"], ""] = []
                continue
            field = _path(each["loc"], values, each["type"] == "missing") or model.__name__
            messages_by_field.setdefault((field, _shown(each["input"])), []).append(each["msg"])
        lines = [
            f"{field}: {shown}: {_either(messages)}" if messages else field
            for (field, shown), messages in messages_by_field.items()
        ]
        raise SpecError("\n".join(lines)) from None


def _path(location: tuple[str | int, ...], values: Any, missing: bool) -> str:
    """The dotted name of a field, without the names of union members, which pydantic lists like fields."""
    parts = []
    for part in location:
        with suppress(LookupError, TypeError):
            values = values[part]
            parts.append(part)
    return ".".join(map(str, [*parts, location[-1]] if missing else parts))


def _either(messages: list[str]) -> str:
    """One sentence from the messages about a value that may be of several types."""
    return ", or ".join([messages[0], *(each.removeprefix("Input should be ") for each in messages[1:])])


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def field_values(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted name -> value of all settings in a dumped spec."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= field_values(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat
