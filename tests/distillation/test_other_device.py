"""The steps of every synthesizer and escape leave no tensor on the CPU when a run is on a GPU. No GPU is needed."""

from __future__ import annotations

import pytest
import torch
from torch.fx.experimental import _config

from atesc_core.distillation import state
from atesc_core.distillation.state import Distillation
from atesc_core.robustness.scores import all_scores
from atesc_core.robustness.trap import TrapEvidence
from atesc_core.specs.presets import from_preset
from atesc_core.synthesis import twin
from atesc_core.teachers.zoo import load_teacher
from tests.support.other_device import META, other_device

TEACHER = "mnistm-mnist-ntl"
SMALL = {"batch_size": 16, "student_steps": 1}


def no_directions(teacher, *_):
    layers = [layer for layer in teacher.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    return [torch.zeros(layer.num_features, device=META) for layer in layers]


@pytest.mark.parametrize("escape", ["none", "atesc", "ckd", "twin", "abd", "tadfkd"])
@pytest.mark.parametrize("kind", ["dfq", "cmi", "nayer"])
def test_no_tensor_stays_on_the_cpu(kind, escape, monkeypatch):
    # Values, which this device has not: what noise says, and which images have a label (here all).
    monkeypatch.setattr(twin, "noise_directions", no_directions)
    teacher = load_teacher(TEACHER)
    with other_device(state), _config.patch(meta_nonzero_assume_all_nonzero=True):
        spec = from_preset("full", TEACHER, device="cuda", **SMALL | {"synthesis.kind": kind, "escape.kind": escape})
        trap = TrapEvidence(0, 16_384, 100, 90, 5.0) if escape == "twin" else None
        run = Distillation(spec, teacher, trap=trap)
        run.threshold = 4.0
        terms = run.synthesizer.train_round(run.student) | run.student_step(spec.epochs)
        scores = all_scores(run.teacher, run.synthesizer.sample(8), spec.split, run.random)
    assert {name: value.device for name, value in (terms | scores).items()} == dict.fromkeys(terms | scores, META)
    assert {each.device for each in (*run.student.parameters(), *run.synthesizer.generator.parameters())} == {META}


def test_a_tensor_on_the_cpu_is_found():
    """The checks above can fail: a mask that was made on the CPU."""
    teacher = load_teacher(TEACHER)
    with other_device(state):
        run = Distillation(from_preset("full", TEACHER, device="cuda", **SMALL), teacher)
        batch = run.student_batch(1)
        object.__setattr__(batch, "teach_mask", torch.ones(16, dtype=torch.bool))
        with pytest.raises(RuntimeError, match="device"):
            run.learn(batch)
