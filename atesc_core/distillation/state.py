"""TODO: what this module is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from atesc_core.device import autocast, memory_format, pick_device
from atesc_core.distillation.additions.labels import overrepresented
from atesc_core.distillation.additions.probes import Probes
from atesc_core.distillation.additions.projection import KEPT, Untrapped
from atesc_core.distillation.events import SnapshotTaken
from atesc_core.distillation.losses import FORGETTING, ckd
from atesc_core.models import build
from atesc_core.robustness.detection import suggest
from atesc_core.robustness.scores import SCORES, all_scores
from atesc_core.robustness.split import fragile, split_by_score
from atesc_core.specs.run import RunSpec
from atesc_core.synthesis import SYNTHESIZERS
from atesc_core.synthesis.base import without_gradient
from atesc_core.teachers.zoo import Teacher
from atesc_core.training.divergence import masked_mean
from atesc_core.training.evaluation import predict

CALIBRATION_IMAGES = 512  # synthetic images whose scores set an automatic threshold


@dataclass(frozen=True)
class StudentBatch:
    """What a step of the student learns from: N synthetic images, and P noise probes behind them."""

    x: Tensor  # (N + P, 3, H, W) in [0, 1]
    teacher: Tensor  # (N + P, C) logits
    taught: Tensor  # (N, C) logits that teach
    trapped: Tensor  # (N + P,) bool: held back, and forgotten by ATEsc
    fragile: Tensor | None = None  # (N + P,) bool; None while nothing is split

    @property
    def synthetic(self) -> int:
        return len(self.taught)


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
        self.untrapped = Untrapped(self.teacher)  # with escape.trap_projection, what teaches once the split begins
        self.synthesizer = SYNTHESIZERS[spec.synthesis.kind](spec, self.untrapped, teacher.card.image_side, self.random)
        self.optimiser = torch.optim.SGD(
            self.student.parameters(), lr=spec.lr, momentum=0.9, weight_decay=spec.weight_decay
        )
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
            self.optimiser, spec.epochs * spec.rounds * spec.student_steps
        )
        self.image_side = teacher.card.image_side
        self.counts = torch.zeros(2, teacher.card.num_classes, device=self.device)  # labels: robust, fragile; decayed
        self.epoch = 0  # epochs done
        self.threshold: float | None = None if isinstance(spec.split.threshold, str) else spec.split.threshold

    def splitting(self, epoch: int) -> bool:
        return self.spec.escape.splits and epoch > self.spec.escape.warmup_epochs

    def calibrate(self) -> float:
        """The threshold that synthetic images' own scores suggest. No real data [this lab]."""
        if not self.synthesizer.has_images:
            self.synthesizer.train_round(self.student)
        x, kept = self.synthesizer.draw(CALIBRATION_IMAGES, self.score)
        return self.suggested(self.score(x) if kept is None else kept)

    def suggested(self, scores: Tensor) -> float:
        """By the spec's rule, which is a name as long as no threshold is in force."""
        split = self.spec.split
        return suggest(split.threshold, scores.cpu().numpy(), split.fragile_share)

    def score(self, x: Tensor) -> Tensor:
        """The robustness score of x, (B, 3, H, W) in [0, 1]: (B,)."""
        return SCORES[self.spec.split.score](self.teacher, x, self.spec.split, self.random)

    def fragile(self, x: Tensor, t: Tensor, kept: Tensor | None) -> Tensor:
        """(B,) bool, of x, (B, 3, H, W), and t, (B, C) the teacher's logits: by their scores where they are ``kept``.
        An attack begins at t where x is in its graph."""
        if kept is None:
            logits = t if t.requires_grad else None
            return fragile(self.teacher, x, t.argmax(1), self.spec.split, self.threshold, self.random, logits)
        return split_by_score(kept, self.threshold)

    def trapped(self, is_fragile: Tensor, y: Tensor, teaching: int) -> Tensor:
        """(B,) bool: the robust group, or with ``overrepresented_only`` its images whose label crowds it. y: (B,) the
        teacher's labels. The first ``teaching`` images are synthetic, the others probes: fragile probes are not
        counted, crowding is measured against what teaches."""
        if not self.spec.escape.overrepresented_only:
            return ~is_fragile
        self.counts.mul_(KEPT)
        self.counts[0].index_add_(0, y, (~is_fragile).float())
        self.counts[1].index_add_(0, y[:teaching], is_fragile[:teaching].float())
        return ~is_fragile & overrepresented(*self.counts)[y]

    @cached_property
    def probes(self) -> Probes:
        return Probes(self.teacher, self.image_side, self.spec.split, self.spec.seed, self.device)

    def lesson(self, epoch: int) -> StudentBatch:
        """The next batch, split while splitting, and what the teacher says of it."""
        escape, n = self.spec.escape, self.spec.batch_size
        splitting = self.splitting(epoch)
        x, kept = self.synthesizer.draw(n, self.score if splitting else None)
        x = x.contiguous(memory_format=memory_format(self.device))
        # The attack of min ε goes on from this very pass; not on CUDA, where it has only bfloat16's precision.
        joined = splitting and kept is None and self.spec.split.score == "min_eps" and not x.is_cuda
        with torch.set_grad_enabled(joined), autocast(self.device):
            features = self.teacher.features(x.requires_grad_(joined))
            t = self.teacher.head(features).float()
        if not splitting:
            return StudentBatch(x, t, t, torch.zeros(n, dtype=torch.bool, device=self.device))
        is_fragile = self.fragile(x, t, kept)
        x, features, t = x.detach(), features.detach(), t.detach()
        taught = t
        if escape.probes:
            probes = self.probes.draw(escape.probes, self.threshold, self.random)
            x, features, is_fragile = map(torch.cat, zip((x, features, is_fragile), probes, strict=True))
            with torch.no_grad(), autocast(self.device):
                t = self.teacher.head(features).float()
        y = t.argmax(1)
        trapped = self.trapped(is_fragile, y, n)
        if escape.trap_projection:
            synthetic = torch.arange(len(x), device=self.device) < n
            self.untrapped.observe(features, trapped, is_fragile & synthetic & ~overrepresented(*self.counts)[y])
            with torch.no_grad(), autocast(self.device):
                taught = self.untrapped.head(features[:n]).float()
        return StudentBatch(x, t, taught, trapped, is_fragile)

    def losses(self, lesson: StudentBatch, s: Tensor) -> dict[str, Tensor]:
        """What the student is asked to make small. s: (N + P, C), its logits of the lesson's images."""
        spec, escape, n = self.spec, self.spec.escape, lesson.synthetic
        terms = {"fragile": ckd(lesson.taught, s[:n], ~lesson.trapped[:n], spec.temperature)}
        if lesson.fragile is not None and escape.kind == "atesc":
            forgotten = FORGETTING[escape.forgetting](lesson.teacher, s, escape.clamp)
            terms["robust"] = escape.weight * masked_mean(forgotten, lesson.trapped)
        terms["total"] = sum(terms.values())
        return terms

    def learn(self, lesson: StudentBatch) -> tuple[dict[str, Tensor], Tensor]:
        """One update of the student; returns detached loss terms, with ``fragile_share`` while splitting, and the
        logits that they are of."""
        self.student.train()
        with autocast(self.device):
            s = self.student(lesson.x).float()
        terms = self.losses(lesson, s)
        self.optimiser.zero_grad(set_to_none=True)
        terms["total"].backward()
        self.optimiser.step()
        self.schedule.step()
        if lesson.fragile is not None:
            terms["fragile_share"] = lesson.fragile[: lesson.synthetic].float().mean()
        return without_gradient(terms), s.detach()

    def student_step(self, epoch: int) -> dict[str, Tensor]:
        """One update of the student on the next batch; returns as ``learn`` its loss terms."""
        return self.learn(self.lesson(epoch))[0]

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
            threshold = self.suggested(scores[self.spec.split.score])
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
            "epoch": self.epoch,
            "threshold": self.threshold,
            "counts": self.counts,
            "random": self.random.get_state(),
            "student": self.student.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "synthesizer": self.synthesizer.state_dict(),
            "untrapped": self.untrapped.state(),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        self.epoch, self.threshold = state["epoch"], state["threshold"]
        self.counts = state["counts"].to(self.device)
        self.random.set_state(state["random"].cpu())
        self.student.load_state_dict(state["student"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        self.synthesizer.load_state_dict(state["synthesizer"])
        self.untrapped.load_state(state["untrapped"])
