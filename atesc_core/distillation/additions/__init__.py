"""Additions of this lab to the paper's escape. A field of ``spec.escape`` switches each of them on.

- ``probes``: noise images are attacked like synthetic images, and the robust ones are forgotten too;
- ``overrepresented_only``: only robust images with an over-represented label are forgotten;
- ``trap_projection``: the direction of the trap is removed from the teacher that teaches the student and trains the
  generator.

The run calls ``Additions.extend`` once for each split batch. Measured in docs/results.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from atesc_core.device import autocast
from atesc_core.distillation.additions.labels import overrepresented
from atesc_core.distillation.additions.probes import Probes
from atesc_core.distillation.additions.projection import DECAY, TrapProjection
from atesc_core.distillation.batch import StudentBatch
from atesc_core.models import Classifier
from atesc_core.specs.run import RunSpec


class Additions:
    """The three additions of one run and their state: probes, label counts, and the sums behind the projection."""

    def __init__(self, spec: RunSpec, teacher: Classifier, image_side: int, device: torch.device):
        self.spec, self.teacher, self.image_side, self.device = spec, teacher, image_side, device
        self.label_counts = torch.zeros(
            2, teacher.num_classes, device=device
        )  # decayed counts: row 0 of robust, row 1 of fragile images
        self.projection = TrapProjection(teacher)

    @property
    def generator_teacher(self) -> nn.Module:
        """The teacher that trains the generator; with the projection, once the trap's direction is known."""
        return self.projection

    @cached_property
    def probes(self) -> Probes:
        """The probes, made and attacked at the first use."""
        return Probes(self.teacher, self.image_side, self.spec.split, self.spec.seed, self.device)

    def extend(self, batch: StudentBatch, features: Tensor, threshold: float, random: torch.Generator) -> StudentBatch:
        """The batch with the additions that the spec switches on; the same batch when it switches on none.

        Args:
            batch: N synthetic images, split; all robust ones are to be forgotten.
            features: (N, F), the teacher's features of these images.
            threshold: the threshold of the split, in units of the score.
            random: the run's random generator, which draws P probes.

        Returns:
            N + P images.
        """
        escape, count = self.spec.escape, batch.synthetic_count
        assert batch.fragile_mask is not None
        fragile = batch.fragile_mask
        if escape.probes:
            probe_images, probe_features, probe_fragile = self.probes.draw(escape.probes, threshold, random)
            features, fragile = torch.cat([features, probe_features]), torch.cat([fragile, probe_fragile])
            batch = replace(
                batch,
                images=torch.cat([batch.images, probe_images]),
                teacher_logits=self._logits(self.teacher.head, features),
                forget_mask=~fragile,
                fragile_mask=fragile,
            )
        labels = batch.teacher_logits.argmax(1)
        if escape.overrepresented_only:
            self._count_labels(labels, fragile, count)
            batch = replace(batch, forget_mask=~fragile & overrepresented(*self.label_counts)[labels])
        if escape.trap_projection:
            synthetic = torch.arange(len(labels), device=self.device) < count
            trustworthy = fragile & synthetic & ~overrepresented(*self.label_counts)[labels]
            self.projection.observe(features, batch.forget_mask, trustworthy)
            batch = replace(batch, target_logits=self._logits(self.projection.head, features[:count]))
        return batch

    def _logits(self, head: Callable[[Tensor], Tensor], features: Tensor) -> Tensor:
        with torch.no_grad(), autocast(self.device):
            return head(features).float()

    def _count_labels(self, labels: Tensor, fragile: Tensor, synthetic_count: int) -> None:
        """Adds a batch to the counts. Fragile probes are left out, because they do not teach the student."""
        self.label_counts.mul_(DECAY)
        self.label_counts[0].index_add_(0, labels, (~fragile).float())
        self.label_counts[1].index_add_(0, labels[:synthetic_count], fragile[:synthetic_count].float())

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint. Probes follow from the run's seed and are not part of it."""
        return {"label_counts": self.label_counts, "projection": self.projection.running_sums()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the state that ``state_dict`` returned."""
        self.label_counts = state["label_counts"].to(self.device)
        self.projection.load_running_sums(state["projection"])
