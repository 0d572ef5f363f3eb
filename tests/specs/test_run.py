from __future__ import annotations

import math
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from atesc_core.errors import SpecError
from atesc_core.specs.base import field_values, parse
from atesc_core.specs.command import run_command
from atesc_core.specs.field_help import describe_field
from atesc_core.specs.presets import PRESETS, from_preset
from atesc_core.specs.run import SYNTHESES, EscapeKind, RunSpec, threshold_at

specs = st.builds(
    RunSpec,
    teacher=st.from_regex(r"[a-z0-9-]{1,40}", fullmatch=True),
    seed=st.integers(0, 2**31 - 1),
    epochs=st.integers(21, 1000),  # NAYER warms up for 20
    lr=st.floats(1e-6, 10),
    synthesis=st.sampled_from(list(SYNTHESES)).flatmap(
        lambda kind: st.builds(SYNTHESES[kind], steps=st.integers(1, 1000), lr=st.floats(1e-6, 1))
    ),
)


@given(specs)
def test_round_trips_through_yaml_and_a_link(spec):
    assert RunSpec.from_yaml(spec.to_yaml()) == spec
    assert RunSpec.from_token(spec.to_token()) == spec


@given(st.text(max_size=200))
def test_a_damaged_link_is_a_clear_error(token):
    try:
        spec = RunSpec.from_token(token)
    except SpecError:
        with pytest.raises(SpecError, match="."):
            RunSpec.from_token(token)
    else:
        assert RunSpec.from_token(spec.to_token()) == spec


def value_of(spec, path):
    for name in path.split("."):
        spec = getattr(spec, name)
    return spec


def published_for(spec, path, *variants):
    """The raw declaration, resolved by hand."""
    *groups, name = path.split(".")
    field = type(value_of(spec, ".".join(groups)) if groups else spec).model_fields[name]
    found = (field.json_schema_extra or {}).get("published")
    if isinstance(found, dict):
        found = next((found[variant] for variant in variants if variant in found), None)
    return found if isinstance(found, tuple) else () if found is None else (found,)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("kind", SYNTHESES)
@pytest.mark.parametrize("escape", get_args(EscapeKind))
def test_a_badge_says_paper_exactly_where_the_value_is_published(preset, kind, escape):
    spec = from_preset(preset, "t", **{"synthesis.kind": kind, "escape.kind": escape})
    for path in field_values(spec.model_dump()):
        field, value = describe_field(path, spec), value_of(spec, path)
        assert field.description, path
        published = published_for(spec, path, escape, kind)
        expected = None if path == "teacher" else "paper" if value in published else "this lab"
        assert field.badge(value) == expected, path
        assert (field.text(value) == field.description) == (value in published or not published), path


@given(specs, st.sampled_from(["epochs", "lr", "batch_size", "synthesis.steps", "synthesis.lr", "synthesis.bn"]))
def test_the_badge_follows_the_value(spec, path):
    field = describe_field(path, spec)
    for value in field.published:
        assert field.badge(value) == "paper"
        assert field.badge(value * 2 + 1) == "this lab"
        assert field.text(value * 2 + 1) == f"{field.description}  \nPublished: {field.published_text}."


@pytest.mark.parametrize("kind", SYNTHESES)
def test_full_is_what_is_published(kind):
    """λ and, with NAYER, nothing else differs; ``said`` has nothing published, or says beside it why not."""
    spec = from_preset("full", "t", **{"synthesis.kind": kind})
    differing = {
        path
        for path in field_values(spec.model_dump())
        if (field := describe_field(path, spec)).published and field.badge(value_of(spec, path)) == "this lab"
    }
    assert differing == {"escape.weight"}


def test_published_values_in_words():
    nayer = RunSpec(teacher="t").replaced({"synthesis.kind": "nayer"})
    assert describe_field("epochs", nayer).published_text == "120, 220 or 320"
    assert describe_field("synthesis.adversarial", nayer).published_text == "1.33"
    assert describe_field("split.steps", nayer).published_text == ""


@pytest.mark.parametrize("kind", SYNTHESES)
def test_ta_dfkds_generator_has_no_class_prior_with_any_synthesizer(kind):
    chosen = from_preset("quick", "t", **{"synthesis.kind": kind, "escape.kind": "tadfkd"})
    switched = from_preset("quick", "t", **{"escape.kind": "tadfkd"}).replaced({"synthesis.kind": kind})
    for spec in (chosen, switched):
        assert spec.synthesis.onehot == 0
        assert getattr(spec.synthesis, "balance", 0) == 0
        assert describe_field("synthesis.onehot", spec).badge(0.0) == "paper"
    assert chosen.replaced({"synthesis.onehot": 1.0}).synthesis.onehot == 1


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("kind", SYNTHESES)
def test_presets_are_specs_that_carry_their_name(preset, kind):
    spec = from_preset(preset, "t", **{"synthesis.kind": kind})
    assert (spec.preset, spec.synthesis.kind) == (preset, kind)
    assert spec.temperature == (1 if kind == "dfq" else 20)
    assert from_preset(preset, "t", **{"synthesis.kind": kind, "temperature": 3.0}).temperature == 3.0


@given(specs, st.sampled_from(list(SYNTHESES)))
def test_another_kind_of_synthesis_brings_its_own_defaults_and_its_own_kind_none(spec, kind):
    other = spec.replaced({"synthesis.kind": kind})
    expected = spec.synthesis if kind == spec.synthesis.kind else SYNTHESES[kind]()
    if kind == "nayer":  # its warm-up is that of a run of 220 epochs
        assert 1 <= other.synthesis.warmup_epochs <= expected.warmup_epochs
        expected = expected.model_copy(update={"warmup_epochs": other.synthesis.warmup_epochs})
    assert other.synthesis == expected
    assert other.replaced({"synthesis": spec.synthesis}) == spec


def test_settings_and_kind_may_be_set_together_in_any_order():
    for changes in (
        {"synthesis.negatives": 7, "synthesis.kind": "cmi"},
        {"synthesis.kind": "cmi", "synthesis.negatives": 7},
    ):
        assert RunSpec(teacher="t").replaced(changes).synthesis.negatives == 7


def test_a_link_from_before_there_was_a_choice_is_dfqs():
    assert parse(RunSpec, {"teacher": "t", "synthesis": {"steps": 7}}).synthesis == SYNTHESES["dfq"](steps=7)


@pytest.mark.parametrize(
    ("synthesis", "named"),
    [
        ({"kind": "cmi", "balance": 3}, "synthesis.balance: 3"),
        ({"kind": "nayer", "steps": 0}, "synthesis.steps: 0"),
        ({"kind": "gan"}, "expected a kind of dfq, cmi, nayer"),
        ({"kind": ["cmi"]}, "expected a kind of dfq, cmi, nayer"),
        (7, "synthesis: 7: expected a kind"),
    ],
)
def test_a_wrong_synthesis_in_a_file_is_named(synthesis, named):
    with pytest.raises(SpecError) as caught:
        parse(RunSpec, {"teacher": "t", "synthesis": synthesis})
    assert named in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"epochs": 0}, "epochs: 0"),
        ({"lr": float("nan")}, "lr: nan"),
        ({"escape.kind": "flee"}, "escape.kind: 'flee'"),
        ({"escape.wieght": 1}, "escape.wieght: no such setting"),
        ({"split.threshold": "high"}, "'high'"),
        ({"synthesis.kind": "gan"}, "synthesis.kind: 'gan': expected one of dfq, cmi, nayer"),
        ({"synthesis.kind": "cmi", "synthesis.balance": 3.0}, "synthesis.balance: no such setting"),
        ({"synthesis.kind": "nayer", "synthesis.steps": 0}, "synthesis.steps: 0"),
        ({"synthesis.contrast": 0.5}, "synthesis.contrast: no such setting"),
    ],
)
def test_a_wrong_setting_is_named_with_its_value(changes, named):
    with pytest.raises(SpecError) as caught:
        from_preset("quick", "t", **changes)
    assert named in str(caught.value)


def test_a_value_of_several_types_is_told_all_of_them_in_one_line():
    """It was two lines, of fields that nobody knows: split.threshold.float, split.threshold.literal['auto',...]."""
    with pytest.raises(SpecError) as caught:
        from_preset("quick", "t", **{"split.threshold": "high"})
    [line] = str(caught.value).splitlines()
    assert line.startswith("split.threshold: 'high': Input should be a valid number")
    assert line.endswith(", or 'auto', 'mixture' or 'share'")


def test_a_missing_field_is_named():
    with pytest.raises(SpecError, match=r"^teacher: .*Field required$"):
        parse(RunSpec, {"seed": 1})


def test_a_place_that_is_not_in_the_values_is_told_all_the_same():
    class Pairs(BaseModel):
        at: tuple[int, int] | None = None
        names: list[int] | str = ""

    with pytest.raises(SpecError, match=r"^at\.1: \[1\]: Field required$"):
        parse(Pairs, {"at": [1]})  # pydantic names at.1, which there is not
    with pytest.raises(SpecError, match=r"^names\.0: 'a': .*\nnames: \['a'\]: "):
        parse(Pairs, {"names": ["a"]})  # and names.list[int].0, names.str


def test_a_spec_cannot_be_changed_in_place():
    with pytest.raises(ValueError, match="frozen"):
        RunSpec(teacher="t").seed = 3


def test_another_papers_selection_brings_its_score_and_nothing_of_ours():
    spec = from_preset("quick", "t", **{"escape.kind": "tadfkd"})
    assert (spec.split.score, spec.split.threshold) == ("gmm", 0.5)
    assert spec.escape.warmup_epochs == 0
    assert spec.replaced({"lr": 0.01}).split == spec.split
    by_hand = from_preset("quick", "t", **{"escape.kind": "tadfkd", "split.threshold": 0.9})
    assert by_hand.split.threshold == 0.9
    assert by_hand.replaced({"escape.kind": "tadfkd"}) == by_hand
    assert RunSpec.from_token(by_hand.to_token()) == by_hand


@pytest.mark.parametrize("rule", ["auto", "mixture", "share"])
def test_a_threshold_may_be_a_rule(rule):
    spec = RunSpec(teacher="t").replaced({"split.threshold": rule})
    assert RunSpec.from_yaml(spec.to_yaml()).split.threshold == rule


@pytest.mark.parametrize(
    "changes", [{"escape": {"kind": "atesc", "warmup_epochs": 3}}, {"threshold_changes": ["4.1:threshold=2.0"]}]
)
def test_what_an_earlier_version_stored_is_read_and_cannot_be_begun_again(changes):
    """Finished runs with such settings vanished from every list."""
    values = {"teacher": "t", "epochs": 3, "escape": {"kind": "atesc", "warmup_epochs": 1}} | changes
    assert parse(RunSpec, values, stored=True).epochs == 3
    with pytest.raises(SpecError, match="as (atesc|it) would never"):
        parse(RunSpec, values)


def test_a_warmup_that_leaves_nothing_to_the_escape_is_refused():
    """ATEsc with as many epochs of warm-up as epochs never split, and was shown as done."""
    with pytest.raises(SpecError, match=r"^escape\.warmup_epochs: 3: expected fewer than epochs \(3\), as atesc would"):
        from_preset("quick", "t", epochs=3, **{"escape.kind": "atesc", "escape.warmup_epochs": 3})
    for kind in ("none", "abd"):
        assert from_preset("quick", "t", epochs=1, **{"escape.kind": kind, "escape.warmup_epochs": 3}).epochs == 1


@pytest.mark.parametrize("kind", ["atesc", "ckd", "twin", "tadfkd"])
def test_fewer_epochs_shorten_the_warmup_in_proportion(kind):
    """A run of 9 epochs shortened to 5 kept 4 of warm-up: one epoch was left to the escape."""
    spec = from_preset("quick", "t", epochs=9, **{"escape.kind": kind, "escape.warmup_epochs": 4})
    assert [spec.replaced({"epochs": epochs}).escape.warmup_epochs for epochs in (1, 2, 5, 20)] == [0, 1, 2, 4]
    assert spec.replaced({"epochs": 5, "escape.warmup_epochs": 4}).escape.warmup_epochs == 4
    for warmup in (9, 10):
        with pytest.raises(SpecError, match=rf"^escape\.warmup_epochs: {warmup}: expected fewer than epochs \(9\), as"):
            spec.replaced({"escape.warmup_epochs": warmup})


def test_the_warmup_of_nayer_is_shortened_and_refused_too():
    """A run of 10 epochs with the published warm-up of 20 never had its adversarial term."""
    spec = from_preset("full", "t", **{"synthesis.kind": "nayer"})
    assert (spec.epochs, spec.synthesis.warmup_epochs) == (220, 20)
    lengths = (1, 2, 10, 110, 320)
    assert [spec.replaced({"epochs": epochs}).synthesis.warmup_epochs for epochs in lengths] == [0, 1, 1, 10, 20]
    custom = RunSpec(teacher="t", epochs=10).replaced({"synthesis.kind": "nayer"})
    assert custom.synthesis.warmup_epochs == 1
    for changes in ({"epochs": 20, "synthesis.warmup_epochs": 20}, {"epochs": 3, "synthesis.warmup_epochs": 4}):
        with pytest.raises(
            SpecError, match=r"^synthesis\.warmup_epochs: \d+: expected fewer than epochs \(\d+\), as its"
        ):
            spec.replaced(changes)
    assert spec.replaced({"epochs": 5, "synthesis.kind": "dfq"}).epochs == 5


@pytest.mark.parametrize("entry", ["9.1:threshold=3.0", "1.21:threshold=3.0"])
def test_a_threshold_change_that_would_never_happen_is_refused(entry):
    """The command and the spec said a threshold that the run never had."""
    with pytest.raises(
        SpecError, match=rf"^threshold_changes: {entry}: expected a round of the run, 1\.1 to 8\.20, as"
    ):
        from_preset("quick", "t", threshold_changes=(entry,))


def test_a_shortened_run_leaves_out_the_changes_that_it_does_not_reach():
    changes = ("2.1:threshold=3.0", "8.1:threshold=5.0", "3.20:threshold=6.0")
    spec = from_preset("quick", "t", threshold_changes=changes)
    assert spec.replaced({"epochs": 4}).threshold_changes == ("2.1:threshold=3.0", "3.20:threshold=6.0")
    assert spec.replaced({"rounds": 10}).threshold_changes == ("2.1:threshold=3.0", "8.1:threshold=5.0")


def test_a_change_off_the_scale_is_doubted():
    """Only the threshold of the beginning was looked at."""
    changes = ("2.1:threshold=3.0", "3.1:threshold=99.0", "4.1:threshold=inf")
    [warning] = from_preset("quick", "t", threshold_changes=changes).warnings()
    assert warning.startswith("3.1:threshold=99.0: 99 is off the scale of min_eps, 0 to 32: all images")


def test_thresholds_by_hand_are_part_of_the_spec():
    spec = from_preset("quick", "t", threshold_changes=("3.1:threshold=9.5", "4.2:threshold=inf"))
    assert spec.thresholds_by_hand == {(3, 1): 9.5, (4, 2): math.inf}
    assert RunSpec.from_yaml(spec.to_yaml()) == spec
    assert RunSpec.from_token(spec.to_token()) == spec
    assert run_command(spec).endswith("--at 3.1:threshold=9.5 --at 4.2:threshold=inf")
    assert (
        tuple(threshold_at(*when, value) for when, value in spec.thresholds_by_hand.items()) == spec.threshold_changes
    )


@pytest.mark.parametrize(
    "entry", ["3:threshold=1", "0.1:threshold=1", "3.1:threshold=nan", "3.1:9", "3.1:threshold=-inf"]
)
def test_a_wrong_threshold_change_is_named(entry):
    with pytest.raises(SpecError, match="expected EPOCH.ROUND:threshold=VALUE, as in 3.1:threshold=9.5"):
        from_preset("quick", "t", threshold_changes=(entry,))


@pytest.mark.parametrize(
    ("score", "threshold", "escape", "says"),
    [
        ("min_eps", 99.0, "atesc", "99 is off the scale of min_eps, 0 to 32"),
        ("min_eps", 32.0, "atesc", "32 is off the scale"),
        ("min_eps", -1.0, "atesc", "-1 is off the scale"),
        ("random", 1.5, "atesc", "1.5 is off the scale of random, 0 to 1"),
        ("min_eps", 31.9, "atesc", ""),
        ("min_eps", 99.0, "none", ""),
        ("min_eps", "auto", "atesc", ""),
        ("margin", 99.0, "atesc", ""),
    ],
)
def test_a_threshold_off_the_scale_is_doubted(score, threshold, escape, says):
    changes = {"split.score": score, "split.threshold": threshold, "escape.kind": escape}
    warnings = from_preset("quick", "mnistm-fashion-ntl").replaced(changes).warnings()
    assert [says in warning for warning in warnings] == ([True] if says else [])
