"""The paper's third idea, and the one loop that everything drives: synthesize, split, distil, forget.

``distill`` is a generator of events. The worker, the command line, a notebook and a test all ask it for
the next event; not asking is a pause. The student sees synthetic images only: ``evaluate`` is called
with the student, never the other way round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from atesc_core.device import autocast, memory_format, pick_device
from atesc_core.distillation.evaluation import predict
from atesc_core.distillation.events import (
    CheckpointReady,
    EpochDone,
    Event,
    SnapshotTaken,
    StepDone,
    ThresholdChanged,
)
from atesc_core.distillation.losses import FORGETTING, ckd, group_mean
from atesc_core.models import Classifier, build
from atesc_core.robustness.detection import valley
from atesc_core.robustness.scores import SCORES, all_scores
from atesc_core.robustness.split import fragile, split_by_score
from atesc_core.spec import RunSpec
from atesc_core.synthesis import SYNTHESIZERS
from atesc_core.teachers import Teacher

CALIBRATION_IMAGES = 512  # synthetic images whose scores set an automatic threshold


@dataclass
class Controls:
    """What may be changed while a run is going. ``threshold`` set by hand holds from the next round on."""

    threshold: float | None = None


class Distillation:
    """The state of one run: student, synthesizer, optimiser, randomness, threshold."""

    def __init__(self, spec: RunSpec, teacher: Teacher):
        self.spec = spec
        self.device = pick_device(spec.device)
        self.random = torch.Generator(self.device).manual_seed(spec.seed)
        self.watching = torch.Generator(self.device)  # for snapshots: looking at a run must not change it
        self.teacher = teacher.model.to(self.device, memory_format=memory_format(self.device)).eval()
        self.teacher.requires_grad_(False)
        self.student = build(spec.student, teacher.card.num_classes, spec.seed)
        self.student.to(self.device, memory_format=memory_format(self.device))
        self.synthesizer = SYNTHESIZERS[spec.synthesis.kind](spec, self.teacher, teacher.card.image_side, self.random)
        self.optimiser = torch.optim.SGD(self.student.parameters(), lr=spec.lr, momentum=0.9,
                                         weight_decay=spec.weight_decay)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
            self.optimiser, spec.epochs * spec.rounds * spec.student_steps)
        self.epoch = 0  # epochs done
        self.threshold: float | None = None if spec.split.threshold == "auto" else spec.split.threshold

    def splitting(self, epoch: int) -> bool:
        return self.spec.escape.kind != "none" and epoch > self.spec.escape.warmup_epochs

    def calibrate(self) -> float:
        """The automatic threshold: the valley of synthetic images' own scores. No real data [ours]."""
        x = self.synthesizer.sample(CALIBRATION_IMAGES)
        return valley(SCORES[self.spec.split.score](self.teacher, x, self.spec.split, self.random).cpu().numpy())

    def student_step(self, epoch: int) -> dict[str, Tensor]:
        """One update of the student; returns detached loss terms and ``fragile_share`` while splitting."""
        spec, escape = self.spec, self.spec.escape
        x = self.synthesizer.sample(spec.batch_size).contiguous(memory_format=memory_format(self.device))
        is_fragile = torch.ones(len(x), dtype=torch.bool, device=self.device)
        if self.splitting(epoch):
            is_fragile = fragile(self.teacher, x, spec.split, self.threshold, self.random)
        self.student.train()
        with autocast(self.device):
            with torch.no_grad():
                t = self.teacher(x).float()
            s = self.student(x).float()
        terms = {"fragile": ckd(t, s, is_fragile, spec.temperature)}
        if escape.kind == "atesc" and self.splitting(epoch):
            forgetting = FORGETTING[escape.forgetting](t, s, escape.clamp)
            terms["robust"] = escape.weight * group_mean(forgetting, ~is_fragile)
        total = sum(terms.values())
        self.optimiser.zero_grad(set_to_none=True)
        total.backward()
        self.optimiser.step()
        self.schedule.step()
        terms["total"] = total
        if self.splitting(epoch):
            terms["fragile_share"] = is_fragile.float().mean()
        return {name: value.detach() for name, value in terms.items()}

    def snapshot(self) -> SnapshotTaken:
        """Looks without touching: the run's own randomness and BatchNorm statistics stay as they were."""
        self.watching.manual_seed(self.spec.seed)
        kept = self.random.get_state()
        x = self.synthesizer.sample(self.spec.snapshot_images)
        self.random.set_state(kept)
        x = (x * 255).round() / 255  # what is shown is what is scored
        scores = all_scores(self.teacher, x, self.spec.split, self.watching)
        threshold = self.threshold
        if threshold is None:
            threshold = valley(scores[self.spec.split.score].cpu().numpy())
        with torch.no_grad():
            features = torch.cat([self.teacher.features(part).float() for part in x.split(256)])
        return SnapshotTaken(
            epoch=self.epoch,
            images=(x * 255).round().to(torch.uint8).cpu(),
            teacher_probs=predict(self.teacher, x).softmax(1).cpu(),
            student_probs=predict(self.student, x).softmax(1).cpu(),
            features=features.cpu(),
            scores={name: value.float().cpu() for name, value in scores.items()},
            fragile=split_by_score(scores[self.spec.split.score], threshold).cpu(),
            threshold=threshold,
        )

    def state(self) -> dict[str, Any]:
        return {
            "epoch": self.epoch, "threshold": self.threshold, "random": self.random.get_state(),
            "student": self.student.state_dict(), "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(), "synthesizer": self.synthesizer.state_dict(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        self.epoch, self.threshold = state["epoch"], state["threshold"]
        self.random.set_state(state["random"].cpu())
        self.student.load_state_dict(state["student"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        self.synthesizer.load_state_dict(state["synthesizer"])


def distill(spec: RunSpec, teacher: Teacher, evaluate: Callable[[Classifier], dict[str, float]] | None = None,
            controls: Controls | None = None, resume: dict[str, Any] | None = None) -> Iterator[Event]:
    """Distil ``teacher`` into a student as ``spec`` says; yields events, an epoch at a time:
    StepDone for every round, EpochDone, SnapshotTaken, CheckpointReady (ThresholdChanged where it happens).

    ``evaluate`` only measures; without it the same student comes out. ``resume`` is the state of a
    CheckpointReady of the same spec. Raises ValueError where the spec names an unknown part or device.
    """
    controls = controls or Controls()
    run = Distillation(spec, teacher)
    if resume is not None:
        run.load_state(resume)
    while run.epoch < spec.epochs:
        epoch = run.epoch + 1
        for round_ in range(1, spec.rounds + 1):
            if controls.threshold is not None and controls.threshold != run.threshold:
                run.threshold = controls.threshold
                yield ThresholdChanged(epoch, round_, run.threshold, by="hand")
            if run.splitting(epoch) and run.threshold is None:
                run.threshold = run.calibrate()
                yield ThresholdChanged(epoch, round_, run.threshold, by="auto")
            yield one_round(run, epoch, round_)
        run.epoch = epoch
        yield EpochDone(epoch, _images_seen(spec, epoch, spec.rounds), evaluate(run.student) if evaluate else {})
        yield run.snapshot()
        yield CheckpointReady(epoch, run.state())


def one_round(run: Distillation, epoch: int, round_: int) -> StepDone:
    """Generator steps, then student steps. Values leave the device once a round, not once a step."""
    generator_terms = run.synthesizer.train_round(run.student)
    student_terms = [run.student_step(epoch) for _ in range(run.spec.student_steps)]
    losses = {f"g/{name}": float(value) for name, value in generator_terms.items()}
    means = {name: float(torch.stack([terms[name] for terms in student_terms]).mean()) for name in student_terms[0]}
    share = means.pop("fragile_share", None)
    losses |= {f"s/{name}": value for name, value in means.items()}
    return StepDone(epoch, round_, _images_seen(run.spec, epoch, round_), losses, share,
                    run.threshold if run.splitting(epoch) else None)


def _images_seen(spec: RunSpec, epoch: int, round_: int) -> int:
    return ((epoch - 1) * spec.rounds + round_) * spec.student_steps * spec.batch_size
