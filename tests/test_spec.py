from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atesc_core.spec import PRESETS, RunSpec, SpecError, describe_field, field_paths, from_preset

specs = st.builds(
    RunSpec,
    teacher=st.from_regex(r"[a-z0-9-]{1,40}", fullmatch=True),
    seed=st.integers(0, 2**31 - 1),
    epochs=st.integers(1, 1000),
    lr=st.floats(1e-6, 10),
)


@given(specs)
def test_round_trips_through_yaml_and_a_link(spec):
    assert RunSpec.from_yaml(spec.to_yaml()) == spec
    assert RunSpec.from_token(spec.to_token()) == spec


@given(st.text(max_size=200))
def test_a_damaged_link_is_a_clear_error(token):
    with contextlib.suppress(SpecError):
        RunSpec.from_token(token)


def test_every_setting_says_what_it_is_and_whose_choice():
    for path in field_paths(RunSpec(teacher="t").model_dump()):
        sentence, source = describe_field(path)
        if path.rsplit(".", 1)[-1] not in ("teacher", "kind") or path == "escape.kind":
            assert sentence and source in ("paper", "ours"), path


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_specs_that_carry_their_name(preset):
    assert from_preset(preset, "t").preset == preset


@pytest.mark.parametrize(("changes", "named"), [
    ({"epochs": 0}, "epochs: 0"),
    ({"lr": float("nan")}, "lr: nan"),
    ({"escape.kind": "flee"}, "escape.kind: 'flee'"),
    ({"escape.wieght": 1}, "escape.wieght: no such setting"),
    ({"split.threshold": "high"}, "'high'"),
])
def test_a_wrong_setting_is_named_with_its_value(changes, named):
    with pytest.raises(SpecError) as caught:
        from_preset("quick", "t", **changes)
    assert named in str(caught.value)


def test_a_spec_cannot_be_changed_in_place():
    with pytest.raises(ValueError, match="frozen"):
        RunSpec(teacher="t").seed = 3
