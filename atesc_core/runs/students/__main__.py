"""The job that computes what a run's students give for images, and puts it where outputs.py finds it.

    python -m atesc_core.runs.students probabilities RUN EPOCH --runs-dir DIR

computes the class probabilities of the synthetic images of EPOCH by every student that is kept, and

    python -m atesc_core.runs.students features RUN --runs-dir DIR

the features, by the last student, of the real images that its teacher is measured on and of every epoch's synthetic
ones, all with 8 bits a channel as they are shown, and

    python -m atesc_core.runs.students labels RUN --runs-dir DIR

its labels for all validation images. On the CPU: a run on a GPU is left alone.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from atesc_core.domains.loading import load_pair
from atesc_core.files import atomic_write, save_array
from atesc_core.jobs import report_progress
from atesc_core.models import Classifier
from atesc_core.runs import RunStore
from atesc_core.runs.students.files import load_student
from atesc_core.runs.students.outputs import CachedOutput, cached_features, cached_probabilities
from atesc_core.runs.students.validation import validation_labels
from atesc_core.teachers.cards import card_file, read_card
from atesc_core.teachers.measurement import measured_report
from atesc_core.training.evaluation import predict

BATCH = 500  # images
NamedOutput = tuple[str, CachedOutput]  # a description of student or images, and their output


def probabilities_of_snapshot(store: RunStore, run_id: str, epoch: int) -> list[NamedOutput]:
    """Probabilities of the synthetic images of ``epoch``, by every student on disk."""
    outputs = cached_probabilities(store, run_id, store.snapshot(run_id, epoch))
    return [(f"the student of epoch {student}", output) for student, output in outputs.items()]


def features_of_run(store: RunStore, run_id: str) -> list[NamedOutput]:
    """Features by the last student: of real images, then of synthetic images, newest epoch first."""
    spec = store.get_distillation(run_id).spec
    report = measured_report(spec.teacher, store.runs_dir, spec.split, attacked=False)
    image_sets = {"real ID images": report.id.images, "real OOD images": report.ood.images}
    for epoch in reversed(store.snapshot_epochs(run_id)):
        image_sets[f"synthetic images of epoch {epoch}"] = store.snapshot(run_id, epoch).images
    _, outputs = cached_features(store, run_id, image_sets)
    return list(outputs.items())


def compute_labels(store: RunStore, run_id: str) -> None:
    """Compute and write the last student's labels for the validation images of its teacher's pair."""
    spec = store.get_distillation(run_id).spec
    report = measured_report(spec.teacher, store.runs_dir, spec.split, attacked=False)
    labels = validation_labels(store, run_id, report)
    if labels.path.exists():
        return
    report_progress(0.1, "the student's labels")
    card = read_card(card_file(spec.teacher, store.runs_dir))
    student, data = load_student(store, run_id, labels.epoch), load_pair(card.pair, card.image_side)
    given = [predict(student, domain.validation.images).argmax(1).numpy() for domain in (data.id, data.ood)]
    labels.write(*given)


def compute_missing(store: RunStore, run_id: str, outputs: Iterable[NamedOutput]) -> None:
    """Compute and write the outputs that are missing, and report the progress."""
    missing = [(name, output) for name, output in outputs if not output.path.exists()]
    for done, (name, output) in enumerate(missing):
        report_progress(done / len(missing), name)
        if not output.student.exists():  # a running run has deleted it
            continue
        values = compute(load_student(store, run_id, output.epoch), output)
        with atomic_write(output.path) as file:
            save_array(file, values)


@torch.no_grad()
def compute(student: Classifier, output: CachedOutput) -> NDArray[np.float32]:
    """(N, C) probabilities or (N, F) features of the output's images."""
    images = torch.from_numpy(output.images).float() / 255
    values = (
        predict(student, images).softmax(1)
        if output.kind == "probabilities"
        else torch.cat([student.features(batch).float() for batch in torch.split(images, BATCH)])
    )
    array: NDArray[np.float32] = values.numpy()
    return array


def main() -> None:
    """Compute the outputs that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m atesc_core.runs.students", description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    for kind in ("probabilities", "features", "labels"):
        arguments_of_kind = kinds.add_parser(kind)
        arguments_of_kind.add_argument("run")
        if kind == "probabilities":
            arguments_of_kind.add_argument("epoch", type=int)
        arguments_of_kind.add_argument("--runs-dir", type=Path, required=True)
    arguments = parser.parse_args()
    if hasattr(os, "nice"):
        os.nice(5)  # a run that is going comes first
    store = RunStore(arguments.runs_dir)
    if arguments.kind == "probabilities":
        compute_missing(store, arguments.run, probabilities_of_snapshot(store, arguments.run, arguments.epoch))
    elif arguments.kind == "features":
        compute_missing(store, arguments.run, features_of_run(store, arguments.run))
    else:
        compute_labels(store, arguments.run)


if __name__ == "__main__":
    main()
