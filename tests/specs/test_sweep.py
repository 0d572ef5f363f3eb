"""Sweeps: which runs a few texts stand for, and what they refuse."""

from __future__ import annotations

import shlex
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atesc_core.errors import SpecError
from atesc_core.specs.command import sweep_command
from atesc_core.specs.presets import from_preset
from atesc_core.specs.run import RunSpec
from atesc_core.specs.sweep import MAX_RUNS, parse_values, sweep

BASE = from_preset("quick", "a")


def fields(specs: list[RunSpec]) -> list[tuple[object, ...]]:
    return [(spec.escape.weight, spec.seed) for spec in specs]


@pytest.mark.parametrize(
    ("field", "text", "values"),
    [
        ("seed", "10-13", [10, 11, 12, 13]),
        ("seed", "1,5,10-12", [1, 5, 10, 11, 12]),
        ("seed", " 3 , 1-3 ,2", [3, 1, 2]),
        ("seed", "7-7", [7]),
        ("escape.weight", "0.1,0.3,1", [0.1, 0.3, 1]),
        ("synthesis.kind", "dfq,cmi", ["dfq", "cmi"]),
        ("synthesis.flip", "true,false,1", [True, False, 1]),
        ("teacher", "a, 12,3-4,null", ["a", "12", "3-4", "null"]),
        ("split.threshold", "auto,4", ["auto", 4]),
    ],
)
def test_values(field, text, values):
    found = parse_values(field, text)
    assert found == values
    assert list(map(type, found)) == list(map(type, values))


def test_every_combination_the_last_field_first():
    assert fields(sweep(BASE, ["escape.weight=0.1,0.3", "seed=1-3"])) == [
        (0.1, 1),
        (0.1, 2),
        (0.1, 3),
        (0.3, 1),
        (0.3, 2),
        (0.3, 3),
    ]
    assert sweep(BASE, []) == [BASE]


def test_the_same_run_is_there_once():
    assert fields(sweep(BASE, ["escape.weight=1,1.0,1e-3,0.001", "seed=2,2"])) == [(1.0, 2), (0.001, 2)]


def test_a_setting_that_a_run_does_not_use_makes_no_second_run():
    found = sweep(BASE, ["escape.kind=none,ckd,atesc", "escape.weight=0.1,1"])
    assert [(spec.escape.kind, spec.escape.weight) for spec in found] == [
        ("none", 0.1),
        ("ckd", 0.1),
        ("atesc", 0.1),
        ("atesc", 1.0),
    ]
    assert len(sweep(BASE.replaced({"escape.kind": "none"}), ["split.threshold=4,6,8"])) == 1


def test_another_synthesizer_has_its_own_values_of_the_preset_and_what_was_set_by_hand():
    base = BASE.replaced({"epochs": 4, "synthesis.lr": 0.5, "synthesis.adversarial": 3.0})
    dfq, cmi, nayer = sweep(base, ["synthesis.kind=dfq,cmi,nayer"])
    assert dfq == base
    by_hand = {"epochs": 4, "synthesis.lr": 0.5, "synthesis.adversarial": 3.0}
    assert cmi == from_preset("quick", "a", **{"synthesis.kind": "cmi"} | by_hand)
    assert (nayer.synthesis.kind, nayer.synthesis.steps, nayer.synthesis.lr) == ("nayer", 15, 0.5)


@pytest.mark.parametrize(
    ("varied", "says"),
    [
        (["seed"], "vary: 'seed': expected FIELD=VALUES"),
        (["=1"], "vary: '=1': expected FIELD=VALUES"),
        (["seed=1", "seed=2"], "seed: it is varied twice"),
        (["seed="], "seed: a value is missing"),
        (["seed=1,,2"], "seed: a value is missing"),
        (["seed=9-1"], "seed: '9-1': expected a range that ends after it starts"),
        (["seed=0-999999999"], "seed: '0-999999999': 1,000,000,000 values; expected at most 500"),
        (["seed=0-499,600"], "seed: '0-499,600': expected at most 500 values"),
        (["seed=" + "1," * 600], "seed: .*: expected at most 500 values"),
        (["seed=0-99", "escape.weight=0,1,2,3,4,5"], "sweep: 600 runs; expected at most 500"),
        (["seed=" + "9" * 50 + "-" + "9" * 51], "seed: .*: Input should be a valid integer"),
        (["seed=x"], "seed: 'x': Input should be a valid integer"),
        (["seed=-1"], "seed: -1: Input should be greater than or equal to 0"),
        (["seed=[1]"], r"seed: '\[1\]': expected a number, a word, true or false"),
        (["escape.weight=nan"], "escape.weight: 'nan'"),
        (["escape.wait=1"], "escape.wait: no such setting; known settings: teacher, "),
        (["escape=1"], "escape: 1: "),
        (["synthesis.kind=dfq,gan"], "synthesis.kind: 'gan': expected one of dfq, cmi, nayer"),
        (["preset=quick,full"], "preset: it cannot be varied"),
        (["threshold_changes=1"], "threshold_changes: it cannot be varied"),
    ],
)
def test_what_is_wrong_is_named(varied, says):
    with pytest.raises(SpecError, match=f"^{says}"):
        sweep(BASE, varied)


@given(st.lists(st.integers(0, 60), min_size=1, max_size=8), st.integers(0, 5))
def test_numbers_and_ranges_are_read_as_written(starts, length):
    text = ",".join(f"{start}-{start + length}" if start % 2 else str(start) for start in starts)
    expected = [seed for start in starts for seed in (range(start, start + length + 1) if start % 2 else [start])]
    assert parse_values("seed", text) == list(dict.fromkeys(expected))


@given(
    st.lists(
        st.text(max_size=30)
        | st.builds("{}={}".format, st.sampled_from(["seed", "escape.kind", "split.threshold"]), st.text(max_size=30)),
        max_size=3,
    )
)
def test_any_text_is_read_or_refused_at_once(varied):
    began = time.monotonic()
    try:
        specs = sweep(BASE, varied)
    except SpecError:
        specs = []
    assert len(specs) == len(set(specs)) <= MAX_RUNS
    assert time.monotonic() - began < 10


def test_the_command_says_the_same():
    base = BASE.replaced({"escape.weight": 1.0, "synthesis.kind": "dfq"})
    assert shlex.split(sweep_command(base, ["seed=0-9", "teacher=a,b c"], "one group")) == [
        *("atesc", "sweep", "a", "--preset", "quick"),
        *("--set", "synthesis.kind=dfq", "--set", "escape.kind=atesc", "--set", "escape.weight=1.0"),
        *("--vary", "seed=0-9", "--vary", "teacher=a,b c", "--name", "one group"),
    ]
