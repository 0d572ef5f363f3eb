"""Every teacher that ships, with every synthesizer and every form of escape, from the command line for a few steps;
and every architecture, as teacher and as student, with every synthesizer."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch

from atesc_core import cli
from atesc_core.distillation.loop import one_round
from atesc_core.distillation.state import Distillation
from atesc_core.models import ARCHITECTURES, build
from atesc_core.runs import RunStore
from atesc_core.runs.worker import work
from atesc_core.specs.presets import from_preset
from atesc_core.specs.run import SYNTHESES
from atesc_core.teachers import TeacherCard, list_teachers
from atesc_core.teachers.zoo import Teacher
from tests.support.commands import run_in_process
from tests.support.short_runs import SMALLEST_SYNTHESIS

FEW = {
    "device": "cpu",
    "epochs": 2,
    "rounds": 1,
    "student_steps": 2,
    "batch_size": 16,
    "snapshot_images": 8,
    "split.steps": 1,
    "split.threshold": 4.0,
    "escape.warmup_epochs": 1,
}


def latin_square() -> Iterator[tuple[TeacherCard, str, str]]:
    """Every teacher with every synthesizer and with every escape, and every synthesizer with every escape."""
    for number, card in enumerate(list_teachers()):
        for at, synthesizer in enumerate(SYNTHESES):
            yield card, synthesizer, ("none", "ckd", "atesc")[(number + at) % 3]


@pytest.mark.parametrize(
    ("card", "synthesizer", "escape"), list(latin_square()), ids=lambda value: getattr(value, "name", value)
)
def test_teachers_synthesizers_and_escapes_run_together(tmp_path, monkeypatch, card, synthesizer, escape):
    monkeypatch.setattr(cli.runs, "follow", lambda store, run: work(tmp_path, "cpu") or store.get(run.id))
    settings = [
        word for name, value in (FEW | SMALLEST_SYNTHESIS[synthesizer]).items() for word in ("--set", f"{name}={value}")
    ]
    run_in_process(
        "distill",
        "--teacher",
        card.name,
        "--synthesizer",
        synthesizer,
        "--escape",
        escape,
        *settings,
        "--runs-dir",
        tmp_path,
    )
    store = RunStore(tmp_path)
    [run] = store.distillations()
    assert run.status == "done", run.error
    assert {"iacc", {"close": "oacc", "open": "olacc", "backdoor": "asr"}[card.setting]} <= set(run.metrics)
    steps = store.rounds(run.id)
    assert steps.filter(regex="^[gs]/").map(abs).max(axis=None) < float("inf")
    assert steps["threshold"].notna().tolist() == ([False, False] if escape == "none" else [False, True])
    store.close()


# Every architecture once, and one of each family with every synthesizer.
TAUGHT = [(arch, "dfq") for arch, entry in ARCHITECTURES.items() if not entry.only_for_files] + [
    (arch, synthesizer)
    for arch in ("small", "vgg11", "vgg11_bn", "resnet18", "wrn_16_2")
    for synthesizer in SYNTHESES
    if synthesizer != "dfq"
]


@pytest.mark.parametrize(("arch", "synthesizer"), TAUGHT)
def test_every_architecture_teaches_and_learns(arch, synthesizer):
    """A plain round, then one that splits. No automatic threshold: it attacks many more images, which takes a deep net
    long and does not depend on it."""
    card = TeacherCard(
        name="t",
        kind="NTL",
        pair="mnistm-mnist",
        arch=arch,
        image_side=16,
        num_classes=10,
        class_names=tuple("0123456789"),
        parameters=1,
        metrics={"iacc": 10.0, "oacc": 10.0},
        test_images={"id": 1000, "ood": 1000},
    )
    spec = from_preset(
        "quick",
        "t",
        **FEW
        | SMALLEST_SYNTHESIS[synthesizer]
        | {
            "synthesis.kind": synthesizer,
            "student": arch,
            "batch_size": 4,
            "student_steps": 1,
            "split.threshold": 0.01,
        },
    )
    run = Distillation(spec, Teacher(card, build(arch, 10, seed=0).eval()))
    untaught = {name: value.clone() for name, value in run.student.state_dict().items()}
    plain, splitting = one_round(run, 1, 1), one_round(run, 2, 1)
    assert "s/robust" in splitting.losses
    assert "s/robust" not in plain.losses
    assert all(math.isfinite(value) for value in (plain.losses | splitting.losses).values())
    assert any(not torch.equal(value, untaught[name]) for name, value in run.student.state_dict().items())
