"""The state of one run, which a checkpoint holds, and the steps that change it. ``loop.py`` sets their order."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from atesc_core.device import autocast, memory_format, pick_device
from atesc_core.distillation.batch import StudentBatch
from atesc_core.distillation.events import SnapshotTaken
from atesc_core.distillation.losses import student_losses
from atesc_core.models import Classifier, build
from atesc_core.models.batchnorm import BatchNormInputs
from atesc_core.robustness.scores import SCORES, all_scores
from atesc_core.robustness.split import fragile, split_by_score
from atesc_core.robustness.thresholds import suggest
from atesc_core.robustness.trap import TrapEvidence
from atesc_core.specs.run import RunSpec
from atesc_core.synthesis import SYNTHESIZERS
from atesc_core.teachers.zoo import Teacher
from atesc_core.training.divergence import detached
from atesc_core.training.evaluation import predict

CALIBRATION_IMAGES = 512  # synthetic images whose scores set an automatic threshold


def frozen(teacher: Teacher, device: torch.device) -> Classifier:
    """The teacher's network on the device, in evaluation mode, without gradients of its weights."""
    model = teacher.model.to(device).to(memory_format=memory_format(device)).eval()
    return model.requires_grad_(False)


class Distillation:
    """One run: teacher, student, synthesizer, optimiser, random generators, threshold, and number of finished epochs.

    Args:
        spec: the run.
        teacher: the teacher that ``spec.teacher`` names.
        resume: what ``state_dict`` returned for a run with the same spec.
        trap: with twin synthesis, what `trap_label.seek_trap` has found; not for a resumed run.

    Raises:
        ValueError: the spec names an unknown part, or a device that is not present.
    """

    def __init__(
        self, spec: RunSpec, teacher: Teacher, resume: dict[str, Any] | None = None, trap: TrapEvidence | None = None
    ):
        self.spec = spec
        self.device = pick_device(spec.device)
        self.random = torch.Generator(self.device).manual_seed(spec.seed)
        self.snapshot_random = torch.Generator(self.device)  # separate, because a snapshot must not change the run
        self.teacher = frozen(teacher, self.device)
        self.student = build(spec.student, teacher.card.num_classes, spec.seed)
        self.student.to(self.device).to(memory_format=memory_format(self.device))
        self.image_side = teacher.card.image_side
        self.trap = TrapEvidence(**resume["trap"]) if resume and resume["trap"] else trap
        if spec.escape.kind == "twin" and self.trap is None:
            raise ValueError("trap: None; twin synthesis expects what `seek_trap` has found")
        synthesizer = SYNTHESIZERS[spec.synthesis.kind]
        self.synthesizer = synthesizer(spec, self.teacher, self.image_side, self.random, self.trap)
        self.optimiser = torch.optim.SGD(
            self.student.parameters(), lr=spec.lr, momentum=0.9, weight_decay=spec.weight_decay
        )
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
            self.optimiser, spec.epochs * spec.rounds * spec.student_steps
        )
        self.epoch = 0  # epochs done
        self.threshold: float | None = None if isinstance(spec.split.threshold, str) else spec.split.threshold
        self.threshold_is_by_hand = False
        if resume:
            self._load_state_dict(resume)

    @property
    def learning_rate(self) -> float:
        """Learning rate of the student's next step."""
        return float(self.optimiser.param_groups[0]["lr"])

    def splits_in(self, epoch: int) -> bool:
        """Whether images are split in this epoch: never in a plain run or during the warm-up."""
        return self.spec.escape.splits and epoch > self.spec.escape.warmup_epochs

    def finds_threshold_in(self, epoch: int) -> bool:
        """Whether the spec's rule finds a threshold at the beginning of this epoch."""
        return isinstance(self.spec.split.threshold, str) and self.splits_in(epoch)

    def calibrate(self) -> float:
        """The threshold that the spec's rule finds in the scores of synthetic images. No real data [this lab]."""
        if not self.synthesizer.has_images:
            self.synthesizer.train_round(self.student)
        images, scores = self.synthesizer.draw(CALIBRATION_IMAGES, self.score)
        return self.suggested_threshold(self.score(images) if scores is None else scores)

    def suggested_threshold(self, scores: Tensor) -> float:
        """Threshold by the spec's rule from scores, (N,). Only if ``spec.split.threshold`` names a rule."""
        split = self.spec.split
        assert isinstance(split.threshold, str)
        return suggest(split.threshold, scores.cpu().numpy(), split.fragile_share)

    def score(self, images: Tensor) -> Tensor:
        """The robustness score of images, (B, 3, H, W) in [0, 1]: (B,)."""
        return SCORES[self.spec.split.score](self.teacher, images, self.spec.split, self.random)

    def fragile_mask(self, images: Tensor, teacher_logits: Tensor, scores: Tensor | None) -> Tensor:
        """Which images are fragile at the threshold, (B,) bool: by their ``scores``, or by an attack if these are None.

        The attack starts from ``teacher_logits``, (B, C), when these carry a graph to ``images``.
        """
        assert self.threshold is not None
        if scores is not None:
            return split_by_score(scores, self.threshold)
        return fragile(
            self.teacher,
            images,
            teacher_logits.argmax(1),
            self.spec.split,
            self.threshold,
            self.random,
            teacher_logits if teacher_logits.requires_grad else None,
        )

    def student_batch(self, epoch: int) -> StudentBatch:
        """Draws the next batch, with what the escape lets the student do with each image."""
        splits, count = self.splits_in(epoch), self.spec.batch_size
        images, scores = self.synthesizer.draw(count, self.score if splits else None)
        images = images.contiguous(memory_format=memory_format(self.device))
        # The attack of min ε starts from this forward pass; not on CUDA, where it has only the precision of bfloat16.
        needs_graph = splits and scores is None and self.spec.split.score == "min_eps" and not images.is_cuda
        with torch.set_grad_enabled(needs_graph), autocast(self.device):
            logits = self.teacher(images.requires_grad_(needs_graph)).float()
        everything = torch.ones(count, dtype=torch.bool, device=self.device)
        if splits:
            is_fragile = self.fragile_mask(images, logits, scores)
            forget = ~is_fragile if self.spec.escape.kind == "atesc" else None
            return StudentBatch(images.detach(), logits.detach(), is_fragile, forget, is_fragile)
        half, ood_count = self.synthesizer.ood_half, self.spec.escape.ood_images
        if half is None or not ood_count or epoch <= self.spec.escape.warmup_epochs:
            return StudentBatch(images, logits, everything)
        ood_images = half.sample(ood_count)
        with torch.no_grad(), autocast(self.device):
            ood_logits = self.teacher(ood_images).float()
        has_trap_label = ood_logits.argmax(1) == half.label
        return StudentBatch(
            torch.cat([images, ood_images]),
            torch.cat([logits, ood_logits]),
            torch.cat([everything, torch.zeros_like(has_trap_label)]),
            torch.cat([~everything, has_trap_label]),
        )

    def learn(self, batch: StudentBatch) -> tuple[dict[str, Tensor], Tensor]:
        """One update of the student.

        Returns:
            The loss terms, scalars without gradient, with ``fragile_share`` (0..1) of the synthetic images if
            the batch is split; and the student's logits before the update, (M, C).
        """
        self.student.train()
        with autocast(self.device):
            logits = self.student(batch.images).float()
        terms = student_losses(batch, logits, self.spec)
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(terms["total"])
        self.optimiser.step()
        self.schedule.step()
        if batch.fragile_mask is not None:
            terms["fragile_share"] = batch.fragile_mask.float().mean()
        return detached(terms), logits.detach()

    def student_step(self, epoch: int) -> dict[str, Tensor]:
        """One update of the student on the next batch; returns the loss terms as ``learn`` does."""
        return self.learn(self.student_batch(epoch))[0]

    def snapshot(self) -> SnapshotTaken:
        """Synthetic images and all that is shown about them. Does not change random generators or statistics."""
        self.snapshot_random.manual_seed(self.spec.seed)
        random_state = self.random.get_state()
        images = self.synthesizer.sample(self.spec.snapshot_images)
        self.random.set_state(random_state)
        images = (images * 255).round() / 255  # score exactly the images that are shown
        scores = all_scores(self.teacher, images, self.spec.split, self.snapshot_random)
        threshold = self.threshold
        if threshold is None:
            threshold = self.suggested_threshold(scores[self.spec.split.score])
        with torch.no_grad(), BatchNormInputs(self.teacher) as inputs:
            features = torch.cat([self.teacher.features(part).float() for part in torch.split(images, 256)])
        return SnapshotTaken(
            epoch=self.epoch,
            images=(images * 255).round().to(torch.uint8).cpu(),
            teacher_probs=predict(self.teacher, images).softmax(1).cpu(),
            student_probs=predict(self.student, images).softmax(1).cpu(),
            features=features.cpu(),
            batchnorm=inputs.statistics(),
            scores={name: value.float().cpu() for name, value in scores.items()},
            fragile=split_by_score(scores[self.spec.split.score], threshold).cpu(),
            threshold=threshold,
        )

    def state_dict(self) -> dict[str, Any]:
        """Everything that is needed to continue the run, except its spec and its teacher."""
        return {
            "epoch": self.epoch,
            "threshold": self.threshold,
            "threshold_is_by_hand": self.threshold_is_by_hand,
            "random": self.random.get_state(),
            "student": self.student.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "synthesizer": self.synthesizer.state_dict(),
            "trap": self.trap and asdict(self.trap),
        }

    def _load_state_dict(self, state: dict[str, Any]) -> None:
        self.epoch, self.threshold = state["epoch"], state["threshold"]
        # A checkpoint of a version that found a threshold once goes on as it began.
        self.threshold_is_by_hand = state.get("threshold_is_by_hand", self.threshold is not None)
        self.random.set_state(state["random"].cpu())
        self.student.load_state_dict(state["student"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        self.synthesizer.load_state_dict(state["synthesizer"])
