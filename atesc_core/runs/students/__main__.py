"""What the students of a run make of images, computed in a process of its own and left where ``views`` finds it.

    python -m atesc_core.runs.students answers RUN EPOCH --runs-dir DIR

asks every student that is kept about the synthetic images of an epoch, and

    python -m atesc_core.runs.students features RUN --runs-dir DIR

asks the last one for its features of the real images that its teacher is measured on, and of every epoch's synthetic
ones, all with 8 bits a channel as they are shown. On the CPU: a run on a GPU is left alone.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from atesc_core.files import atomic_write
from atesc_core.jobs import report_progress
from atesc_core.models import Classifier
from atesc_core.runs import RunStore
from atesc_core.runs.students.loading import load_student
from atesc_core.runs.students.views import View, answers, features
from atesc_core.teachers.measurement import measured_report
from atesc_core.training.evaluation import predict

Wanted = tuple[int, str, View]  # the student's epoch; what is done, in words


@torch.no_grad()
def seen(student: Classifier, view: View) -> np.ndarray:
    """(N, C) or (N, F) float32, as the view asks."""
    x = torch.from_numpy(view.images).float() / 255
    if view.what == "probabilities":
        return predict(student, x).softmax(1).numpy()
    return torch.cat([student.features(part).float() for part in x.split(500)]).numpy()


def make(store: RunStore, run_id: str, wanted: Iterable[Wanted]) -> None:
    """Those of the wanted that are not there yet; tells how far it is."""
    missing = [one for one in wanted if not one[2].path.exists()]
    for done, (epoch, words, view) in enumerate(missing):
        report_progress(done / len(missing), words)
        if not view.student.exists():  # a run that goes on has let go of it
            continue
        found = seen(load_student(store, run_id, epoch), view)
        with atomic_write(view.path) as file:
            np.save(file, found, allow_pickle=False)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m atesc_core.runs.students", description=__doc__)
    tasks = parser.add_subparsers(dest="task", required=True)
    for name in ("answers", "features"):
        task = tasks.add_parser(name)
        task.add_argument("run")
        if name == "answers":
            task.add_argument("epoch", type=int)
        task.add_argument("--runs-dir", type=Path, required=True)
    told = parser.parse_args()
    if hasattr(os, "nice"):
        os.nice(5)  # a run that is going comes first
    store = RunStore(told.runs_dir)
    make(
        store,
        told.run,
        wanted_answers(store, told.run, told.epoch) if told.task == "answers" else wanted_features(store, told.run),
    )


def wanted_answers(store: RunStore, run_id: str, epoch: int) -> list[Wanted]:
    """Of every kept student, about the synthetic images of ``epoch``."""
    views = answers(store, run_id, store.snapshot(run_id, epoch))
    return [(student, f"the student of epoch {student}", view) for student, view in views.items()]


def wanted_features(store: RunStore, run_id: str) -> list[Wanted]:
    """Of the last kept student: of real images, then of the newest synthetic ones, then of all before."""
    spec = store.get_distillation(run_id).spec
    report = measured_report(spec.teacher, store.runs_dir, spec.split, attacked=False)
    sets = {"real ID images": report.id.images, "real OOD images": report.ood.images}
    sets |= {
        f"synthetic images of epoch {epoch}": store.snapshot(run_id, epoch).images
        for epoch in reversed(store.snapshots(run_id))
    }
    student, views = features(store, run_id, sets)
    return [(student, words, view) for words, view in views.items()]


if __name__ == "__main__":
    main()
