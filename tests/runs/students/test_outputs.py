"""What students say of chosen images: exact against a hand computation, and the run's own numbers on a real run."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from atesc_core.runs.students import agreement, cached_probabilities
from atesc_core.runs.students.__main__ import compute_missing
from atesc_core.runs.students.files import load_student
from atesc_core.training.evaluation import predict

# Two students, four images, two classes.
ANSWERS = {
    4: np.array([[0.75, 0.25], [0.5, 0.5], [0.125, 0.875], [0.0, 1.0]], np.float32),
    2: np.array([[0.25, 0.75], [1.0, 0.0], [0.75, 0.25], [0.5, 0.5]], np.float32),
}
LABELS = np.array([0, 1, 1, 0])  # the teacher's


@pytest.mark.parametrize(
    ("chosen", "same_label", "confidence"),
    [
        # student of epoch 2 says 1, 0, 0, 0 (a tie is the first class); that of epoch 4 says 0, 0, 1, 1
        (None, [25.0, 50.0], [100 * (0.25 + 0 + 0.25 + 0.5) / 4, 100 * (0.75 + 0.5 + 0.875 + 0) / 4]),
        ([0, 2], [0.0, 100.0], [25.0, 100 * (0.75 + 0.875) / 2]),
        ([3], [100.0, 0.0], [50.0, 0.0]),
    ],
)
def test_agreement_as_computed_by_hand(chosen, same_label, confidence):
    found = agreement(ANSWERS, LABELS, chosen)
    assert found["epoch"].tolist() == [2, 4]
    assert found["agreement"].tolist() == same_label
    assert found["confidence"].tolist() == confidence


def test_every_kept_student_is_asked_once(lab_with_runs, capsys):
    store, run_id = lab_with_runs.store, lab_with_runs.atesc
    images = store.snapshot(run_id, 1).images
    outputs = cached_probabilities(store, run_id, store.snapshot(run_id, 1))
    assert [output.read() for output in outputs.values()] == [None, None]
    subprocess.run(
        [
            sys.executable,
            "-m",
            "atesc_core.runs.students",
            "probabilities",
            run_id,
            "1",
            "--runs-dir",
            str(store.runs_dir),
        ],
        check=True,
        capture_output=True,
    )
    x = torch.from_numpy(images).float() / 255
    for epoch, output in outputs.items():
        expected = predict(load_student(store, run_id, epoch), x).softmax(1)
        np.testing.assert_allclose(output.read(), expected, atol=1e-6)
    np.testing.assert_allclose(outputs[1].read(), store.snapshot(run_id, 1).student_probs, atol=1e-5)
    compute_missing(store, run_id, [("again", output) for output in outputs.values()])
    assert capsys.readouterr().out == ""  # nothing is asked twice
    others = cached_probabilities(store, run_id, store.snapshot(run_id, 2))
    assert {output.path for output in others.values()}.isdisjoint(output.path for output in outputs.values())


def test_it_tells_how_far_it_is(lab_with_runs, capsys):
    store, run_id = lab_with_runs.store, lab_with_runs.plain
    outputs = cached_probabilities(store, run_id, store.snapshot(run_id, 1))
    compute_missing(store, run_id, [(f"the student of epoch {epoch}", output) for epoch, output in outputs.items()])
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert told == [
        {"share": 0.0, "message": "the student of epoch 1"},
        {"share": 0.5, "message": "the student of epoch 2"},
    ]
