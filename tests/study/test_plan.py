"""Which runs a study asks for, and in which order."""

from __future__ import annotations

import shlex
from itertools import product

import pytest

from atesc_core.domains import DOMAINS, PAIRS, find_pair
from atesc_core.specs.presets import from_preset
from atesc_core.study import STUDIES, missing_data, plan, provide_teachers
from atesc_core.study.rows import DEVELOPMENT_TEACHERS
from atesc_core.teachers import fingerprint, list_teachers
from atesc_core.teachers import recipes as teachers
from atesc_core.teachers.recipes import RECIPES


def test_offline_holds_every_combination_once():
    cells = STUDIES["offline"].plan(5)
    found = [
        (cell.kind, find_pair(cell.pair).setting, cell.spec.synthesis.kind, cell.spec.escape.kind, cell.spec.seed)
        for cell in cells
    ]
    wanted = product(
        ("SL", "NTL"),
        ("close", "open", "backdoor"),
        ("dfq", "cmi", "nayer"),
        ("none", "ckd", "atesc", "twin"),
        range(100, 105),
    )
    assert len(found) == 360
    assert set(found) == set(wanted)


def test_a_prefix_is_a_useful_table():
    """A seed is done before the next begins; in it DFQ from NTL teachers first, with all that it is compared with."""
    cells = STUDIES["offline"].plan(2)
    assert [cell.spec.seed for cell in cells] == [100] * 72 + [101] * 72
    blocks = [(cell.spec.synthesis.kind, cell.kind) for cell in cells[:72:12]]
    assert blocks == [("dfq", "NTL"), ("dfq", "SL"), ("cmi", "NTL"), ("cmi", "SL"), ("nayer", "NTL"), ("nayer", "SL")]
    assert [cell.form for cell in cells[:4]] == ["plain", "CKD", "ATEsc", "Twin"]
    assert {cell.pair for cell in cells[:12]} == set(plan.OFFLINE_PAIRS)


def test_a_run_is_the_presets():
    cell = STUDIES["offline"].plan(1)[2]
    assert cell.spec == from_preset(
        "quick", "mnistm-fashion-ntl", device="cpu", seed=100, **{"synthesis.kind": "dfq", "escape.kind": "atesc"}
    )


def test_the_offline_study_lacks_nothing():
    assert missing_data(STUDIES["offline"].plan(1)) == {}


def test_no_evidence_is_on_a_seed_that_settings_were_chosen_on():
    """Both studies began at seed 0, and the pages said that the evidence was on other seeds."""
    chosen_on = {cell.spec.seed for cell in STUDIES["development"].plan(20)}
    for name in ("offline", "escape", "paper"):
        assert not chosen_on & {cell.spec.seed for cell in STUDIES[name].plan(20)}, name


def test_more_seeds_only_add_runs():
    for study in STUDIES.values():
        assert set(study.plan(study.seeds)) < set(study.plan(study.seeds + 1))


def test_the_papers_pairs_have_recipes_and_all_settings():
    cells = STUDIES["paper"].plan(1)
    assert {cell.spec.teacher for cell in cells} <= set(RECIPES)
    assert {find_pair(cell.pair).setting for cell in cells} == {"close", "open", "backdoor"}
    assert {cell.spec.preset for cell in cells} == {"full"}
    assert not any(PAIRS[cell.pair].offline for cell in cells)


def test_what_is_missing_comes_with_its_commands(tmp_path, monkeypatch):
    monkeypatch.setenv("ATESC_DATA_DIR", str(tmp_path))
    cells = [cell for cell in STUDIES["paper"].plan(1) if cell.pair == "svhn-mnistm"]
    assert DOMAINS["svhn"].status == "downloadable"
    assert missing_data(cells) == {
        f"svhn-mnistm-{kind}-32": ["atesc domains get svhn", f"atesc teachers train svhn-mnistm-{kind}-32"]
        for kind in ("ntl", "sl")
    }


def test_the_development_study_has_controls_and_teachers_of_two_seeds():
    cells = STUDIES["development"].plan(2)
    assert STUDIES["development"].images_from == "validation"
    assert {(cell.kind, cell.form) for cell in cells} == {
        *(("SL", form) for form in plan.CONTROL_FORMS),
        *(("NTL", form) for form in plan.DEVELOPMENT_FORMS),
    }
    assert {cell.spec.teacher for cell in cells if cell.pair == "mnistm-mnist"} == {
        f"mnistm-mnist-{kind}{seed}" for kind in ("sl", "ntl") for seed in ("", "-seed1")
    }


def test_a_teacher_of_another_seed_is_trained_by_a_command_that_parses(tmp_path):
    cells = [cell for cell in STUDIES["development"].plan(1) if cell.spec.teacher == "mnistm-mnist-ntl-seed1"]
    [made_by] = missing_data(cells, tmp_path)["mnistm-mnist-ntl-seed1"]
    words = shlex.split(made_by)
    assert words[:4] == ["atesc", "teachers", "train", "mnistm-mnist-ntl-seed1"]
    changes = [words[at + 1] for at, word in enumerate(words) if word == "--set"]
    assert "seed=1" in changes
    spec = teachers.from_preset("quick", words[3], "mnistm-mnist", words[words.index("--method") + 1])
    spec = spec.replaced(dict(change.split("=") for change in changes))
    assert spec.recipe == RECIPES["mnistm-mnist-ntl"].model_copy(update={"seed": 1})


@pytest.mark.parametrize("name", STUDIES)
def test_no_run_is_planned_twice(name):
    specs = [cell.spec for cell in STUDIES[name].plan(2)]
    assert len(set(specs)) == len(specs)


def test_teachers_of_the_offline_study_are_shipped():
    assert {cell.spec.teacher for cell in STUDIES["offline"].plan(1)} <= {card.name for card in list_teachers()}


def test_the_teachers_of_the_development_study_come_with_its_rows(tmp_path):
    """Trained again on another machine they had other weights, so that nobody could make the rows again."""
    own = tmp_path / "teachers" / "mnistm-fashion-ntl-seed1.json"
    own.parent.mkdir()
    own.write_text("one's own")
    provide_teachers(DEVELOPMENT_TEACHERS, tmp_path)
    assert own.read_text() == "one's own", "a name that is taken is left"
    own.unlink()
    provide_teachers(DEVELOPMENT_TEACHERS, tmp_path)
    assert missing_data(STUDIES["development"].plan(1), tmp_path) == {}
    weights = {fingerprint(planned.spec.teacher, tmp_path) for planned in STUDIES["development"].plan(1)}
    assert len(weights) == 8, "NTL of three pairs and SL, each of two training seeds"
