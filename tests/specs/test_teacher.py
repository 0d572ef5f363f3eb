from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atesc_core.errors import SpecError
from atesc_core.specs.base import parse
from atesc_core.specs.field_help import describe_field
from atesc_core.specs.teacher import METHODS, PRESETS, TeacherRecipe, TeacherSpec, uses

specs = st.sampled_from(list(METHODS)).flatmap(
    lambda method: st.builds(
        TeacherSpec,
        name=st.from_regex(r"[a-z0-9][a-z0-9_-]{0,63}", fullmatch=True),
        pair=st.sampled_from(["mnistm-mnist", "open mnistm 'folder:/my images/ä' 3"]),
        epochs=st.integers(1, 1000),
        lr=st.floats(1e-8, 1),
        beta=st.floats(0, 10),
        seed=st.integers(0, 2**31 - 1),
        **{name: st.just(value) for name, value in METHODS[method].items()},
    )
)


@given(specs)
def test_round_trips_through_yaml_and_a_link(spec):
    assert TeacherSpec.from_yaml(spec.to_yaml()) == spec
    assert TeacherSpec.from_token(spec.to_token()) == spec


@given(specs)
def test_a_card_keeps_the_recipe_and_nothing_of_the_run(spec):
    kept = spec.recipe.model_dump()
    assert kept == {name: getattr(spec, name) for name in TeacherRecipe.model_fields}
    assert not {"name", "device", "preset"} & kept.keys()


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("method", METHODS)
def test_a_badge_says_paper_exactly_where_the_value_is_published(preset, method):
    spec = TeacherSpec(name="t", pair="mnistm-mnist", **METHODS[method] | PRESETS[preset])
    for name, info in TeacherSpec.model_fields.items():
        field, value = describe_field(name, spec), getattr(spec, name)
        assert field.description
        published = (info.json_schema_extra or {}).get("published")
        if isinstance(published, dict):
            published = published.get(method)
        published = published if isinstance(published, tuple) else () if published is None else (published,)
        expected = None if name in ("name", "pair", "kind") else "paper" if value in published else "this lab"
        assert field.badge(value) == expected, name


@pytest.mark.parametrize(
    ("method", "chosen"),
    [("tntl", {"seed", "device", "threads", "preset"}), ("cuti", {"seed", "device", "threads", "preset", "beta"})],
)
def test_the_paper_preset_is_what_is_published(method, chosen):
    spec = TeacherSpec(name="t", pair="mnistm-mnist", **METHODS[method] | PRESETS["paper"])
    badges = {name: describe_field(name, spec).badge(getattr(spec, name)) for name in TeacherSpec.model_fields}
    assert {name for name, badge in badges.items() if badge == "this lab"} == chosen


@pytest.mark.parametrize("name", ["", "../x", "A", "a b", "x" * 65, "-x", "a\n"])
def test_a_name_never_becomes_another_path(name):
    with pytest.raises(SpecError, match="name: "):
        parse(TeacherSpec, {"name": name, "pair": "mnistm-mnist", "kind": "SL"})


def test_what_a_training_reads_depends_on_method_and_setting():
    read = {
        (method, setting): {name for name in TeacherRecipe.model_fields if uses(name, method, setting)}
        for method in METHODS
        for setting in ("close", "open")
    }
    common = read["sl", "close"]
    assert {"alpha", "beta"}.isdisjoint(common)
    assert read["sl", "open"] == common
    assert read["tntl", "close"] - common == {"alpha", "beta"}
    assert read["tntl", "open"] - common == {"beta"}
    assert read["cuti", "close"] - common == {"alpha"}
