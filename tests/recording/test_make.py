"""A recording says what the store says, on the run's own clock."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import get_args

import numpy as np
import pandas as pd
import pytest

from atesc_core.errors import NotRecordableError, UnknownRunError
from atesc_core.recording import Recording, record
from atesc_core.recording.file import load, to_bytes
from atesc_core.recording.manifest import Manifest
from atesc_core.recording.writer import RunClock, evenly_thinned
from atesc_core.runs import RunStore
from atesc_core.runs.log import RunLog
from atesc_core.specs.run import ScoreName
from atesc_core.teachers import list_teachers
from pages.story.students import image_tooltips
from tests.support.copies import copy_lab
from tests.support.labs import Lab


def test_the_runs_numbers_and_images_are_the_stores(lab_with_runs: Lab, recorded: Recording):
    store = lab_with_runs.store
    for own, run_id in zip(
        recorded.manifest.runs, (lab_with_runs.plain, lab_with_runs.atesc, lab_with_runs.control), strict=True
    ):
        assert (own.run, own.spec, own.status) == (run_id, store.get(run_id).spec, "done")
        pd.testing.assert_frame_equal(own.epochs_until(), store.epochs(run_id).drop(columns="time"))
        assert len(own.steps) == len(store.rounds(run_id))
        assert [kept.epoch for kept in own.snapshots] == store.snapshot_epochs(run_id)
        shown, ours = store.snapshot(run_id, 2), recorded.pictures(own, 2)
        np.testing.assert_array_equal(ours.images, shown.images)
        np.testing.assert_array_equal(ours.score("min_eps"), shown.scores["min_eps"])
        np.testing.assert_array_equal(ours.teacher_class, shown.teacher_probs.argmax(1))
        assert own.snapshots[-1].threshold == shown.threshold


def test_a_snapshot_of_one_group_has_no_threshold(lab_with_runs: Lab, tmp_path):
    copy_lab(lab_with_runs.runs_dir, tmp_path / "lab")
    store = RunStore(tmp_path / "lab")
    run = store.get_distillation(lab_with_runs.atesc)
    RunLog(store, run).write_snapshot(replace(store.snapshot(run.id, 2), threshold=np.inf))
    cards = {card.name: card for card in list_teachers()}
    manifest = record(store, [run.id], cards).manifest
    json.loads(manifest.model_dump_json(exclude_none=True), parse_constant=pytest.fail)  # JSON has no Infinity
    assert Manifest.model_validate_json(manifest.model_dump_json(exclude_none=True)) == manifest
    assert manifest.runs[0].snapshots[-1].threshold is None
    assert manifest.runs[0].snapshots[0].threshold is not None


def test_times_are_the_stamps_since_the_run_began(lab_with_runs: Lab, recorded: Recording):
    run = recorded.manifest.runs[0]
    history = lab_with_runs.store.history(run.run)
    began = history.loc[history["kind"] == "started", "time"].iloc[0]
    steps, epochs = lab_with_runs.store.rounds(run.run), lab_with_runs.store.epochs(run.run)
    np.testing.assert_allclose([row.seconds for row in run.steps], steps["time"] - began, atol=2e-3)
    np.testing.assert_allclose([row.seconds for row in run.epochs], epochs["time"] - began, atol=2e-3)


def test_a_run_is_seen_as_it_stood_then(recording: Recording):
    run = recording.manifest.runs[0]
    assert list(run.epochs_until(2.4)["epoch"]) == []
    assert list(run.epochs_until(2.5)["iacc"]) == [50.0]
    assert list(run.epochs_until()["iacc"]) == [50.0, 75.0]
    assert (run.progress_at(0.5), run.progress_at(1.0), run.progress_at(9.0)) == (0.0, 0.25, 1.0)
    assert run.snapshot_at(4.9) is None
    assert run.snapshot_at(5.0).epoch == 2
    assert run.seconds == recording.seconds == 5.0


def history(*events: tuple[float, str]) -> pd.DataFrame:
    return pd.DataFrame(events, columns=["time", "kind"])


def test_the_clock_stands_while_the_run_is_held():
    """Rounds of 1 s from 100; paused from 102 to 150; its last round after a resume; an epoch's end 0.5 s later."""
    steps = pd.DataFrame({"time": [101.0, 102.0, 151.0]})
    clock = RunClock(steps, history((90, "created"), (100, "started"), (102.1, "paused"), (150, "resumed")))
    assert [clock(at) for at in (99, 100.5, 101, 102, 120, 151, 151.5)] == [0, 0, 1, 2, 3, 3, 3.5]


def test_a_single_step_between_two_pauses_counts_as_the_others():
    steps = pd.DataFrame({"time": [102.0, 104.0, 170.0]})
    clock = RunClock(steps, history((100, "started"), (104.1, "paused"), (170.1, "step")))
    assert [clock(at) for at in (102, 104, 170)] == [2, 4, 6]


def test_rounds_in_slow_motion_count_as_the_others():
    """Rounds of 1 s; then one of 30 s and half of another in slow motion, which ends at 146."""
    steps = pd.DataFrame({"time": [101.0, 102.0, 132.0, 150.0, 151.0]})
    clock = RunClock(steps, history((100, "started"), (102.1, "slow"), (146, "resumed")))
    assert [clock(at) for at in steps["time"]] == [1, 2, 3, 4, 5]


def test_a_run_without_rounds_has_no_time():
    assert RunClock(pd.DataFrame({"time": []}), history((100, "started")))(123) == 0


def test_thinned_keeps_both_ends():
    assert evenly_thinned([1, 2, 3], 3) == [1, 2, 3]
    assert evenly_thinned(list(range(1, 101)), 4) == [1, 34, 67, 100]


def test_fewer_images_where_asked(lab_with_runs: Lab):
    cards = {card.name: card for card in list_teachers()}
    recording = record(lab_with_runs.store, [lab_with_runs.plain], cards, images=5)
    assert [kept.images for kept in recording.manifest.runs[0].snapshots] == [5, 5]
    assert recording.manifest.title == recording.manifest.runs[0].label == "mnistm-badnet_sq-ntl"
    assert recording.manifest.border is None


@pytest.mark.parametrize(
    ("ids", "error", "named"),
    [
        ([], NotRecordableError, "0 runs; expected 1 to 12"),
        (["zzzzzzzz"], UnknownRunError, "zzzzzzzz"),
        (["zzzzzzzz"] * 2, NotRecordableError, "expected each once"),
        (["../../x"], UnknownRunError, "8 letters"),
    ],
)
def test_what_cannot_be_recorded_is_named(lab_with_runs: Lab, ids, error, named):
    with pytest.raises(error, match=named):
        record(lab_with_runs.store, ids, {})


def test_a_teacher_that_is_gone_is_named(lab_with_runs: Lab):
    with pytest.raises(NotRecordableError, match="'mnistm-badnet_sq-ntl' is not among the teachers"):
        record(lab_with_runs.store, [lab_with_runs.plain], {})


def test_markup_in_names_becomes_words(lab_with_runs: Lab):
    cards = {card.name: card.model_copy(update={"class_names": ("<b>", *"123456789")}) for card in list_teachers()}
    recording = record(lab_with_runs.store, [lab_with_runs.plain], cards, title="<i>\nx")
    assert recording.manifest.title == "‹i› x"
    assert recording.manifest.runs[0].teacher.class_names[0] == "‹b›"


@pytest.mark.parametrize("score", get_args(ScoreName))
def test_a_run_of_any_score_can_be_replayed(lab_with_runs: Lab, tmp_path, score):
    """The replay of a run that was split by gmm, energy, random or confidence ended in an AttributeError."""
    copy_lab(lab_with_runs.runs_dir, tmp_path / "lab")
    store = RunStore(tmp_path / "lab")
    run = store.get_distillation(lab_with_runs.atesc)
    spec = run.spec.replaced({"split.score": score})
    with store.database.write() as connection:
        connection.execute("UPDATE runs SET spec = ? WHERE id = ?", (json.dumps(spec.sparse()), run.id))
    cards = {card.name: card for card in list_teachers()}
    replayed = load(io.BytesIO(to_bytes(record(store, [run.id], cards))))
    [recorded_run] = replayed.manifest.runs
    values = replayed.pictures(recorded_run, 2).score(recorded_run.spec.split.score)
    np.testing.assert_array_equal(values, store.snapshot(run.id, 2).scores[score])
    assert len(image_tooltips(recorded_run, replayed.pictures(recorded_run, 2), np.arange(3))) == 3
