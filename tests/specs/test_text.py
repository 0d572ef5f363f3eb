"""Texts from outside are read within bounds, or refused in a sentence, at once."""

from __future__ import annotations

import base64
import zlib

import pytest

from atesc_core.errors import SpecError
from atesc_core.figures.export.recipe import Recipe
from atesc_core.specs.run import RunSpec
from atesc_core.specs.text import parse_json, parse_yaml


def laughs() -> str:
    """Ten lines that stand for ten milliards of values."""
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 10)}]" for i in range(9)]
    return "\n".join(lines)


def test_what_the_lab_writes_is_read():
    assert parse_json('{"a": [1, 2.5, null, "ü"]}', "x") == {"a": [1, 2.5, None, "ü"]}
    assert parse_json(b'{"a": 1}', "x") == {"a": 1}
    assert parse_yaml("a: 1\nb: [x, y]\n", "x") == {"a": 1, "b": ["x", "y"]}


@pytest.mark.parametrize("parser", [parse_json, parse_yaml])
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[" * 60_000, "60,000 lists or dicts in one another; expected at most 32"),
        ("[" * 33 + "]" * 33, "33 lists or dicts in one another"),
        ("1" * 70_000, "70,000 characters; expected at most 65,536"),
        ("{", "not (JSON|YAML)"),
        ("9" * 5000, "not (JSON|YAML)"),
        (b"\xff\xfe", "not (JSON|YAML)"),
    ],
)
def test_what_is_too_long_too_deep_or_damaged_is_named(parser, text, says):
    with pytest.raises(SpecError, match=f"recipe: {says}"):
        parser(text, "recipe")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (laughs(), "an alias"),
        ("a: &a [*a]", "an alias"),
        ("!!python/object/apply:os.getcwd []", "not YAML"),
        ("? [1]\n: 2", "not YAML"),
        ("2026-02-31", "not YAML"),
    ],
)
def test_yaml_that_stands_for_much_or_for_code_is_refused(text, says):
    with pytest.raises(SpecError, match=says):
        parse_yaml(text, "recipe")


def test_every_way_in_goes_through_the_bounded_parser():
    """A link of 110 characters that stood for 60 000 brackets ended in a RecursionError."""
    deep = base64.urlsafe_b64encode(zlib.compress(b"[" * 60_000, 9)).decode().rstrip("=")
    assert len(deep) < 150
    with pytest.raises(SpecError, match="lists or dicts in one another"):
        RunSpec.from_token(deep)
    bomb = base64.urlsafe_b64encode(zlib.compress(b" " * 10**8, 9)).decode().rstrip("=")
    with pytest.raises(SpecError, match="holds no settings"):
        RunSpec.from_token(bomb)
    for read in (RunSpec.from_yaml, Recipe.from_yaml):
        with pytest.raises(SpecError, match="alias"):
            read(laughs())
