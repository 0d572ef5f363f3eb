"""The last student's features of real and synthetic images, as the student itself computes them."""

from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from atesc_core.errors import StoreError
from atesc_core.runs import RunStore
from atesc_core.runs.students import cached_features
from atesc_core.runs.students.files import load_student
from atesc_core.teachers.report import Report, report_file
from tests.support.copies import copy_lab


def test_the_last_student_sees_real_and_every_epochs_images(lab_with_runs):
    store, run_id = lab_with_runs.store, lab_with_runs.atesc
    spec = store.get(run_id).spec
    subprocess.run(
        [sys.executable, "-m", "atesc_core.runs.students", "features", run_id, "--runs-dir", str(store.runs_dir)],
        check=True,
        capture_output=True,
    )
    report = Report.load(report_file(store.runs_dir, spec.teacher, spec.split))
    sets = {
        "id": report.id.images,
        "ood": report.ood.images,
        1: store.snapshot(run_id, 1).images,
        2: store.snapshot(run_id, 2).images,
    }
    epoch, outputs = cached_features(store, run_id, sets)
    assert epoch == 2
    student = load_student(store, run_id, 2)
    for name, images in sets.items():
        with torch.no_grad():
            expected = student.features(torch.from_numpy(images).float() / 255)
        assert outputs[name].read().shape == (len(images), student.head.in_features)
        np.testing.assert_allclose(outputs[name].read(), expected, atol=1e-5)


def test_where_no_student_is_kept_it_says_so(lab_with_runs, tmp_path):
    copy_lab(lab_with_runs.runs_dir, tmp_path / "lab")
    store, run_id = RunStore(tmp_path / "lab"), lab_with_runs.atesc
    shutil.rmtree(store.folder(run_id) / "students")
    with pytest.raises(StoreError, match="keeps no student yet"):
        cached_features(store, run_id, {})
