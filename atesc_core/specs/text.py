"""Read JSON and YAML from outside (links, files, command lines) within bounds on length, depth and time."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from atesc_core.errors import SpecError

MAX_CHARACTERS = 64 * 1024
MAX_DEPTH = 32  # lists and dicts in one another; the deepest text that the lab writes has 6


class _Loader(yaml.SafeLoader):
    """YAML's safe subset without aliases, with which a few lines can stand for billions of values."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("an alias (*name) is not read here")
        return super().compose_node(parent, index)


def parse_json(text: str | bytes, name: str, max_characters: int = MAX_CHARACTERS) -> Any:
    """The value that a JSON text stands for.

    Args:
        text: The text; bytes are UTF-8.
        name: What the text is, for messages.
        max_characters: The longest text that is read.

    Raises:
        SpecError: not JSON, or too long or too deep; the message names ``name``.
    """
    return _parse(text, name, max_characters, json.loads, "JSON")


def parse_yaml(text: str | bytes, name: str) -> Any:
    """The value that a YAML text stands for; tags of Python and aliases are not read. As `parse_json`."""
    return _parse(text, name, MAX_CHARACTERS, lambda decoded: yaml.load(decoded, _Loader), "YAML")  # noqa: S506


def _parse(text: str | bytes, name: str, max_characters: int, load: Any, form: str) -> Any:
    if len(text) > max_characters:
        raise SpecError(f"{name}: {len(text):,} characters; expected at most {max_characters:,}")
    try:
        decoded = text.decode() if isinstance(text, bytes) else text
        if (depth := _depth(decoded)) > MAX_DEPTH:
            raise SpecError(f"{name}: {depth:,} lists or dicts in one another; expected at most {MAX_DEPTH}")
        return load(decoded)
    except SpecError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError) as error:
        reason = " ".join(str(error).split())[:200]
        raise SpecError(f"{name}: not {form} ({reason})") from None


def _depth(text: str) -> int:
    """The largest number of brackets that are open at once, those in quoted texts included."""
    deepest = depth = 0
    for bracket in re.findall(r"[\[\]{}]", text):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest
