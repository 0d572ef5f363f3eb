"""What the students of a run make of images, computed in a process of its own and left where ``views`` finds it.

    python -m atesc_core.students answers RUN EPOCH --runs-dir DIR

asks every student that is kept about the synthetic images of an epoch. On the CPU: a run on a GPU is left alone.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from atesc_core.distillation.evaluation import predict
from atesc_core.models import Classifier
from atesc_core.runs import RunStore
from atesc_core.runs.files import replacing
from atesc_core.students.kept import load_student
from atesc_core.students.views import View, answers


@torch.no_grad()
def seen(student: Classifier, view: View) -> np.ndarray:
    """(N, C) or (N, F) float32, as the view asks."""
    x = torch.from_numpy(view.images).float() / 255
    if view.what == "probabilities":
        return predict(student, x).softmax(1).numpy()
    return torch.cat([student.features(part).float() for part in x.split(500)]).numpy()


def make(store: RunStore, run_id: str, wanted: Iterable[tuple[int, str, View]]) -> None:
    """Those of the wanted (epoch of the student, in words, view) that are not there yet; tells how far it is."""
    missing = [one for one in wanted if not one[2].path.exists()]
    for done, (epoch, words, view) in enumerate(missing):
        print(json.dumps({"share": done / len(missing), "what": words}), flush=True)
        if not view.student.exists():  # a run that goes on has let go of it
            continue
        found = seen(load_student(store, run_id, epoch), view)
        with replacing(view.path) as file:
            np.save(file, found, allow_pickle=False)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m atesc_core.students", description=__doc__)
    tasks = parser.add_subparsers(dest="task", required=True)
    tasks.add_parser("answers")
    for task in tasks.choices.values():
        task.add_argument("run")
        task.add_argument("epoch", type=int)
        task.add_argument("--runs-dir", type=Path, required=True)
    told = parser.parse_args()
    if hasattr(os, "nice"):
        os.nice(5)  # a run that is going comes first
    store = RunStore(told.runs_dir)
    images = store.snapshot(told.run, told.epoch).images
    make(store, told.run, ((epoch, f"the student of epoch {epoch}", view)
                           for epoch, view in answers(store, told.run, images).items()))


if __name__ == "__main__":
    main()
