"""Rows: which run is the same run, and what the file may hold."""

from __future__ import annotations

import pytest
import torch

from atesc_core.specs.presets import from_preset
from atesc_core.study import STUDIES, PlannedRun, append_row, expected_seconds, outcome_key, read_rows, run_and_measure
from tests.support.study_rows import STUDY_SETTINGS, row, write

TEACHER = "mnistm-fashion-ntl"


def quick(**changes):
    return from_preset("quick", TEACHER, device="cpu", **changes)


def test_a_plain_run_has_no_use_for_the_split_and_the_escape():
    plain = {"escape.kind": "none"}
    assert outcome_key(quick(**plain)) == outcome_key(quick(**plain, **{"escape.weight": 0.5, "split.steps": 9}))
    assert outcome_key(quick(**plain)) != outcome_key(quick(**plain, lr=0.2))


def test_what_an_escape_does_makes_another_run():
    one = {"escape.kind": "atesc"}
    assert outcome_key(quick(**one)) != outcome_key(quick(**one, **{"escape.weight": 0.5}))
    assert outcome_key(quick(**one)) != outcome_key(quick(**one, **{"split.steps": 9}))
    assert outcome_key(quick(**one)) != outcome_key(quick(**{"escape.kind": "ckd"}))
    assert outcome_key(quick(**one)) != outcome_key(quick(**one, seed=1))


def test_watching_changes_no_run():
    assert outcome_key(quick(snapshot_images=8)) == outcome_key(quick(snapshot_images=256))


def test_runs_of_both_studies_are_done_once():
    """The forms study's DFQ runs at the first batch size are the evidence's too."""
    evidence = {outcome_key(cell.spec) for cell in STUDIES["offline"].plan(3)}
    shared = [cell for cell in STUDIES["escape"].plan(3) if outcome_key(cell.spec) in evidence]
    assert {(cell.form, cell.spec.batch_size) for cell in shared} == {("plain", 96), ("CKD", 96), ("ATEsc", 96)}
    assert len(shared) == 27


def test_rows_are_found_by_their_spec(tmp_path):
    first, second = STUDIES["offline"].plan(1)[:2]
    file = tmp_path / "rows.jsonl"
    append_row(row(first, 60, 90), file)
    append_row(row(second, 61, 91), file)
    append_row(row(first, 1, 2), file)  # done twice: the first counts
    found = read_rows(file)
    assert len(found) == 2
    assert found[outcome_key(first.spec)]["metrics"] == {"iacc": 60, "olacc": 90}


def test_without_a_file_there_are_no_rows(tmp_path):
    assert read_rows(tmp_path / "rows.jsonl") == {}


def test_a_row_from_before_a_setting_has_its_default(tmp_path):
    cell = STUDIES["offline"].plan(1)[0]
    old = row(cell, 60, 90)
    del old["spec"]["temperature"]
    assert outcome_key(cell.spec) in read_rows(write(tmp_path / "rows.jsonl", [old]))


def test_a_row_with_a_setting_that_is_no_more_is_nobodys(tmp_path):
    old = row(STUDIES["offline"].plan(1)[0], 60, 90)
    old["spec"]["escape"]["gone"] = 1
    assert read_rows(write(tmp_path / "rows.jsonl", [old])) == {}


def test_a_row_of_a_teacher_that_was_trained_anew_is_nobodys(tmp_path):
    cell = STUDIES["offline"].plan(1)[0]
    assert read_rows(write(tmp_path / "rows.jsonl", [row(cell, 60, 90, weights="16 of before")])) == {}


def test_rows_on_test_and_on_validation_images_are_kept_apart(tmp_path):
    cell = STUDIES["offline"].plan(1)[0]
    file = write(tmp_path / "rows.jsonl", [row(cell, 60, 90), row(cell, 50, 80, images_from="validation")])
    found = read_rows(file)
    assert found[outcome_key(cell.spec)]["metrics"]["iacc"] == 60
    assert found[outcome_key(cell.spec, "validation")]["metrics"]["iacc"] == 50


@pytest.mark.parametrize("line", ["{", "3", '{"metrics": {}}'])
def test_a_line_that_is_no_row_is_named(tmp_path, line):
    file = tmp_path / "rows.jsonl"
    file.write_text(line + "\n")
    with pytest.raises(ValueError, match="rows.jsonl, line 1: .*expected a run"):
        read_rows(file)


def test_expected_seconds_are_those_of_like_runs():
    plain, ckd = (
        PlannedRun("mnistm-fashion", "NTL", form, quick(**{"escape.kind": kind}))
        for form, kind in (("plain", "none"), ("CKD", "ckd"))
    )
    rows = [row(plain, 0, 0, seconds=10), row(plain, 0, 0, seconds=20), row(ckd, 0, 0, seconds=60)]
    assert expected_seconds(plain.spec, rows) == 15
    assert expected_seconds(quick(**{"escape.kind": "atesc"}), rows) == 30
    assert expected_seconds(from_preset("full", TEACHER), rows) is None


def test_a_run_becomes_a_row():
    epochs = []
    [made] = run_and_measure([from_preset("quick", TEACHER, **STUDY_SETTINGS)], on_epoch=epochs.append)
    assert epochs == [1, 2]
    assert made["metrics"] == made["curve"][-1]
    assert len(made["curve"]) == 2
    assert set(made["metrics"]) == {"iacc", "olacc", "worst_recall", "trap_recall"}
    assert (made["images_from"], made["trap_label"], len(made["recalls"])) == ("test", 0, 10)
    assert made["metrics"]["trap_recall"] == pytest.approx(made["recalls"][0], abs=0.06)
    assert made["images"] == {"id": 1000, "ood": 1000}
    assert float(made["threshold"]) > 0  # "inf": one group
    assert made["with"] == []
    assert made["torch"] == torch.__version__
    assert made["device"].startswith("CPU")
    [other] = run_and_measure([from_preset("quick", TEACHER, **STUDY_SETTINGS)], images_from="validation")
    assert other["images_from"] == "validation"
    assert other["curve"] != made["curve"]
    [again] = run_and_measure([from_preset("quick", TEACHER, **STUDY_SETTINGS)])
    assert (again["curve"], again["threshold"]) == (made["curve"], made["threshold"])
