"""One image under the attack: exact on a linear model, and the run's own numbers on a real run."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from atesc_core.errors import StoreError
from atesc_core.inspection import Inspection, attack_image, inspect, smallest_budget, takes_long
from atesc_core.models import build
from atesc_core.runs import RunStore
from atesc_core.runs.students.files import load_student
from atesc_core.specs.run import SplitSpec
from atesc_core.teachers.zoo import load_teacher
from atesc_core.training.evaluation import predict
from tests.support.copies import copy_lab


class Linear(torch.nn.Module):
    """Two classes; logits (x − 0.5) · w, so that the sign step is the best attack there is."""

    def __init__(self, seed: int):
        super().__init__()
        self.weight = torch.randn(2, 48, generator=torch.Generator().manual_seed(seed))

    def forward(self, x):
        return (x - 0.5).flatten(1) @ self.weight.T


def test_a_linear_teacher_is_attacked_as_it_says_on_paper():
    teacher, student = Linear(0), Linear(1)
    x = 0.5 + 0.02 * torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(2))
    logits = teacher(x[None])[0]
    y = int(logits.argmax())
    step = (teacher.weight[1 - y] - teacher.weight[y]).sign().view(3, 4, 4)
    distance = float(logits[y] - logits[1 - y]) / float((teacher.weight[0] - teacher.weight[1]).norm(p=1)) * 255
    for epsilon, flips in ((1.01 * distance, True), (0.4 * distance, False)):
        adversarial, flipped, by_teacher, by_student = attack_image(teacher, student, x, epsilon, 4)
        expected = x + epsilon / 255 * step
        assert flipped is flips
        torch.testing.assert_close(adversarial, expected)
        torch.testing.assert_close(by_teacher, teacher(expected[None]).softmax(1)[0])
        torch.testing.assert_close(by_student, student(expected[None]).softmax(1)[0])


def test_without_a_student_nothing_is_said_for_it():
    assert attack_image(Linear(0), None, torch.full((3, 4, 4), 0.6), 1.0, 4)[3] is None


@pytest.fixture
def run(lab_with_runs):
    return lab_with_runs.store, lab_with_runs.atesc


def test_an_image_flips_at_the_budget_that_its_score_names(run):
    store, run_id = run
    shown, split = store.snapshot(run_id, 2), store.get(run_id).spec.split
    scores = shown.scores["min_eps"]
    found = [inspect(store, run_id, 2, index, smallest_budget(score, split)) for index, score in enumerate(scores)]
    assert [inspection.flipped for inspection in found] == np.isfinite(scores).tolist()
    for image, inspection in zip(shown.images, found, strict=True):
        assert np.abs(inspection.adversarial - image / 255).max() <= inspection.epsilon / 255 + 1e-6


def test_the_last_student_is_the_checkpoints(run):
    store, run_id = run
    found = inspect(store, run_id, 2, 5, 8.0)
    student = build(store.get(run_id).spec.student, 10, seed=0)
    saved = torch.load(store.checkpoint_file(run_id), weights_only=True)
    student.load_state_dict(saved["state"]["student"])
    there = torch.from_numpy(found.adversarial)[None]
    teacher = load_teacher(store.get(run_id).spec.teacher).model
    assert (found.students, found.epsilon) == ((1, 2), 8.0)
    np.testing.assert_allclose(found.student, predict(student, there).softmax(1)[0], atol=1e-6)
    np.testing.assert_allclose(found.teacher, predict(teacher, there).softmax(1)[0], atol=1e-6)
    # and it is the student whose view of the image itself the snapshot holds
    x = torch.from_numpy(store.snapshot(run_id, 2).images[5:6]).float() / 255
    np.testing.assert_allclose(store.snapshot(run_id, 2).student_probs[5], predict(student, x).softmax(1)[0], atol=1e-5)


def test_an_earlier_epochs_student_is_asked_itself(run):
    store, run_id = run
    found = inspect(store, run_id, 1, 5, 8.0)
    student = load_student(store, run_id, 1)
    there = torch.from_numpy(found.adversarial)[None]
    np.testing.assert_allclose(found.student, predict(student, there).softmax(1)[0], atol=1e-6)
    x = torch.from_numpy(store.snapshot(run_id, 1).images[5:6]).float() / 255
    np.testing.assert_allclose(store.snapshot(run_id, 1).student_probs[5], predict(student, x).softmax(1)[0], atol=1e-5)


@pytest.fixture
def thinned_run(run, tmp_path):
    """A copy of the lab whose run keeps the student of its last epoch only."""
    store, run_id = run
    copy_lab(store.runs_dir, tmp_path / "lab")
    thinned = RunStore(tmp_path / "lab")
    thinned.student_file(run_id, 1).unlink()
    return thinned, run_id


def test_no_other_student_replaces_one_that_is_not_kept(run, thinned_run):
    last, earlier = inspect(*thinned_run, 2, 5, 8.0), inspect(*thinned_run, 1, 5, 8.0)
    np.testing.assert_array_equal(last.student, inspect(*run, 2, 5, 8.0).student)
    assert earlier.student is None  # no other replaces it
    assert earlier.students == last.students == (2,)


def test_what_is_not_there_is_named(run):
    with pytest.raises(ValueError, match="index: 32 of epoch 2; expected 0 to 31"):
        inspect(*run, 2, 32, 8.0)
    with pytest.raises(StoreError, match="epoch: 9"):
        inspect(*run, 9, 0, 8.0)


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_process_of_its_own_finds_the_same(run, epoch, tmp_path):
    store, run_id = run
    out = tmp_path / "made" / "found.npz"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "atesc_core.inspection",
            run_id,
            str(epoch),
            "3",
            "4.5",
            "--runs-dir",
            str(store.runs_dir),
            "--out",
            str(out),
        ],
        check=True,
    )
    here, there = inspect(store, run_id, epoch, 3, 4.5), Inspection.load(out)
    for name in ("adversarial", "teacher", "student"):
        np.testing.assert_array_equal(getattr(here, name), getattr(there, name))
    assert (here.epsilon, here.flipped, here.students) == (there.epsilon, there.flipped, there.students)


def test_small_ones_are_quick():
    assert not takes_long(64, 4)
    assert takes_long(224, 4)


def test_beyond_the_largest_budget_the_largest_is_shown():
    split = SplitSpec(max_epsilon=16.0)
    assert (smallest_budget(3.25, split), smallest_budget(np.inf, split)) == (3.25, 16.0)
