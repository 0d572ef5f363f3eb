"""TODO: what this module is."""

from __future__ import annotations

import base64
import json
import zlib
from contextlib import suppress
from typing import Any, Literal, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from atesc_core.errors import SpecError

Source = Literal["paper", "lab"]
Model = TypeVar("Model", bound=BaseModel)


def setting(default: Any, description: str, source: Source, **bounds: Any) -> Any:
    """A field whose description and source the app can show; ``bounds`` are pydantic's (ge, gt, le ...)."""
    return Field(default, description=description, json_schema_extra={"source": source}, **bounds)


class Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def sparse(self) -> dict[str, Any]:
        """Only what differs from the defaults."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def to_token(self) -> str:
        """The spec as a short URL-safe string: only what differs from the defaults, compressed."""
        text = json.dumps(self.sparse(), separators=(",", ":"))
        return base64.urlsafe_b64encode(zlib.compress(text.encode(), 9)).decode().rstrip("=")

    @classmethod
    def from_token(cls, token: str) -> Self:
        """Raises SpecError where the token is damaged or its fields are not this spec's."""
        try:
            packed = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
            text = zlib.decompressobj().decompress(packed, 64 * 1024)
            values = json.loads(text)
        except (ValueError, zlib.error) as error:
            raise SpecError(f"spec: {token[:40]!r} is not a link's ({error})") from None
        return parse(cls, values)


class JobSpec(Spec):
    """All of a run: what is written beside it, and typed as a command."""

    def to_yaml(self) -> str:
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)

    @classmethod
    def from_yaml(cls, text: str) -> Self:
        return parse(cls, yaml.safe_load(text))

    def replaced(self, changes: dict[str, Any]) -> Self:
        """A copy with dotted fields set, e.g. ``{"escape.weight": 0.3, "epochs": 12}``, validated anew."""
        values = self.model_dump()
        for path, value in changes.items():
            *groups, name = path.split(".")
            place = values
            for group in groups:
                place = place.get(group) if isinstance(place, dict) else None
            if not isinstance(place, dict) or name not in place:
                raise SpecError(f"{path}: no such setting; known settings: {', '.join(field_paths(values))}")
            place[name] = value
        return parse(type(self), values)


def parse(model: type[Model], values: Any) -> Model:
    """Validate ``values`` as ``model``, with one readable line a wrong field. Raises SpecError."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        wrong: dict[tuple[str, str], list[str]] = {}
        for each in error.errors():
            field = _path(each["loc"], values, each["type"] == "missing") or model.__name__
            wrong.setdefault((field, _shown(each["input"])), []).append(each["msg"])
        lines = [f"{field}: {shown}: {_either(messages)}" for (field, shown), messages in wrong.items()]
        raise SpecError("\n".join(lines)) from None


def _path(place: tuple[str | int, ...], values: Any, missing: bool) -> str:
    """Dotted; pydantic names the kind of synthesis, and each type that a value may be of, as if they were fields."""
    kept = []
    for part in place:
        with suppress(LookupError, TypeError):
            values = values[part]
            kept.append(part)
    return ".".join(map(str, [*kept, place[-1]] if missing else kept))


def _either(messages: list[str]) -> str:
    """One sentence of what a value of several types might have been."""
    return ", or ".join([messages[0], *(each.removeprefix("Input should be ") for each in messages[1:])])


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def field_paths(values: dict[str, Any], prefix: str = "") -> list[str]:
    """Dotted names of all settings in a dumped spec."""
    paths = []
    for name, value in values.items():
        paths += field_paths(value, f"{prefix}{name}.") if isinstance(value, dict) else [prefix + name]
    return paths
