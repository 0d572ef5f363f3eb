"""The trap label of a run with twin synthesis [this lab].

Noise says it (robustness/trap.py). Where noise leaves several labels, the teacher's BatchNorm statistics decide: a
batch of ID images and of images with the trap label has the statistics of the batches that the teacher was trained on.
With another label in its place it has not, or only after much longer. Measured: docs/method.md.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import replace

import torch
from torch import nn

from atesc_core.device import pick_device
from atesc_core.distillation.events import LabelTried
from atesc_core.distillation.state import Distillation, frozen
from atesc_core.robustness.trap import TrapEvidence, find_trap
from atesc_core.specs.run import RunSpec
from atesc_core.teachers.zoo import Teacher

STEPS = 120  # of the generators, with each label; the last quarter counts


def seek_trap(spec: RunSpec, teacher: Teacher) -> Generator[LabelTried, None, TrapEvidence]:
    """Yields the progress with each label that noise leaves, if there are several; returns the evidence.

    Nothing decides without BatchNorm layers, or where the run does not match them: then there is no label to act on.
    """
    model = frozen(teacher, pick_device(spec.device))
    found = find_trap(model, teacher.card.image_side)
    has_statistics = any(isinstance(layer, nn.BatchNorm2d) for layer in model.modules())
    if not (found.stands_out and found.rivals and has_statistics and spec.synthesis.bn):
        return found
    fits = {}
    for label in (found.label, *found.rivals):
        fits[label] = yield from halves_fit(spec, teacher, replace(found, label=label, rivals=()))
    return found.decided_by(fits)


def halves_fit(spec: RunSpec, teacher: Teacher, trap: TrapEvidence) -> Generator[LabelTried, None, float | None]:
    """Trains a run with this trap for at least STEPS steps; yields after each round.

    Returns R_BN of both halves then, without its weight: of the last step of each turn, as some synthesizers begin anew
    with each. None if it is not finite.
    """
    run = Distillation(spec, teacher, trap=trap)
    done, ends = 0, []
    yield LabelTried(trap.label, 0)
    while done < STEPS:
        for update in run.synthesizer.turns(run.student):
            done += len(update.losses)
            ends.append((done, update.losses[-1]["bn"]))
        for _ in range(spec.student_steps):
            run.student_step(epoch=1)
        yield LabelTried(trap.label, min(done, STEPS))
    fit = float(torch.stack([value for at, value in ends if at > done * 3 / 4]).mean()) / spec.synthesis.bn
    return fit if math.isfinite(fit) else None
