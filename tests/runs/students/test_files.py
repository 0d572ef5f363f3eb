"""The students that a run keeps: the loop's own, bit for bit, bounded on disk, and fit to be looked at as teachers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from atesc_core.distillation.loop import distill
from atesc_core.errors import StoreError
from atesc_core.runs import RunStore
from atesc_core.runs.students.files import epochs_to_keep, load_student, save_student, student_bytes
from atesc_core.teachers.files import list_file
from atesc_core.teachers.formats import recognise
from atesc_core.teachers.staging import StagedTeacher
from atesc_core.teachers.zoo import load_teacher
from atesc_core.training.evaluation import predict
from atesc_core.training.events import CheckpointReady
from tests.support.copies import copy_lab


@pytest.fixture
def run(lab_with_runs):
    return lab_with_runs.store, lab_with_runs.atesc


@pytest.mark.parametrize(
    ("epoch", "most", "boundary", "named"),
    [
        (4, 4, None, {1, 2, 3, 4}),
        (5, 4, None, {2, 4, 5}),
        (6, 4, None, {2, 4, 6}),
        (9, 4, None, {4, 8, 9}),
        (9, 4, 3, {3, 4, 8, 9}),
        (6, 4, 3, {2, 3, 4, 6}),
        (2, 4, 3, {1, 2}),
        (100, 1, 60, {60, 100}),  # these two whatever they take
        (100, 1, None, {100}),
    ],
)
def test_which_epochs_students_are_kept(epoch, most, boundary, named):
    assert epochs_to_keep(epoch, 10, boundary, 10 * most) == named


@given(most=st.integers(1, 12), boundary=st.none() | st.integers(1, 40), epochs=st.integers(1, 80))
def test_none_is_wanted_back_that_was_let_go_and_none_takes_more_than_its_share(most, boundary, epochs):
    there: set[int] = set()
    for epoch in range(1, epochs + 1):
        named = epochs_to_keep(epoch, 1, boundary, most)
        assert named <= there | {epoch}
        assert len(named) <= max(most, 2)
        there = named
    assert {epochs, *([boundary] if boundary and boundary <= epochs else [])} <= there


def test_the_students_are_the_loops_own(run):
    store, run_id = run
    spec = store.get(run_id).spec
    students = {
        event.epoch: {name: value.clone() for name, value in event.state["student"].items()}
        for event in distill(spec, load_teacher(spec.teacher))
        if isinstance(event, CheckpointReady)
    }
    assert list(store.student_files(run_id)) == list(students) == [1, 2]
    for epoch, path in store.student_files(run_id).items():
        weights = load_file(path)
        assert weights.keys() == students[epoch].keys()
        assert all(torch.equal(weights[name], value) for name, value in students[epoch].items()), epoch
        shown = store.snapshot(run_id, epoch)
        x = torch.from_numpy(shown.images).float() / 255
        said = predict(load_student(store, run_id, epoch), x).softmax(1)
        torch.testing.assert_close(said, torch.from_numpy(shown.student_probs))


@pytest.fixture
def own_run(run, tmp_path):
    """The same run, in a lab that may be changed."""
    store, run_id = run
    copy_lab(store.runs_dir, tmp_path / "lab")
    return RunStore(tmp_path / "lab"), run_id


def test_on_disk_they_stay_within_the_bound(own_run):
    store, run_id = own_run
    state = load_student(store, run_id, 2).state_dict()
    size = store.student_file(run_id, 2).stat().st_size
    for epoch in range(3, 10):
        save_student(store, store.get_distillation(run_id), epoch, state, max_bytes=4 * size + size // 2)
    assert list(store.student_files(run_id)) == [1, 4, 8, 9]  # 1: the last before the split
    assert not list(store.folder(run_id).glob("students/.*"))


def test_a_student_can_be_a_teacher(own_run, tmp_path):
    store, run_id = own_run
    path = tmp_path / "student.safetensors"
    path.write_bytes(student_bytes(store, run_id, 2))
    found, card = recognise(list_file(path)), load_teacher(store.get(run_id).spec.teacher).card
    assert (found.arch, found.num_classes, found.says_normalisation) == ("small", 10, True)
    assert (found.class_names, found.image_side) == (card.class_names, card.image_side)
    added = StagedTeacher(path).check("NTL", card.pair).add("a-student", store.runs_dir)
    measured = {name: value for name, value in store.get(run_id).metrics.items() if name in ("iacc", "asr")}
    assert added.metrics == pytest.approx(measured, abs=0.006)  # as the run measured it


def test_of_a_student_that_is_not_kept_the_error_names_those_that_are(own_run):
    store, run_id = own_run
    store.student_file(run_id, 1).unlink()
    assert list(store.student_files(run_id)) == [2]
    with pytest.raises(StoreError, match="epoch: 1 of run .* has no student kept; there are those of: 2"):
        load_student(store, run_id, 1)
