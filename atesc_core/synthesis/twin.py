"""Twin synthesis: the batch that the teacher was trained on, half ID and half OOD [this lab].

The BatchNorm statistics of an NTL teacher are a mix of both domains, so that a generator that matches them alone (R_BN)
makes images between the domains: this is the trap. Here a second generator makes the OOD half. Both halves together
match the statistics, and the OOD half is asked for the trap label (robustness/trap.py finds it). Only the ID half
teaches the student, and the student forgets the teacher's answer to the OOD half. Measured: docs/method.md.

The statistics do not say which half looks like ID in the first layers: images of the ID half had ID content in OOD
colours. Two terms say it. Mixtures of quarters of images, which show nothing any more, must carry the trap label if
they are of the OOD half, and must not if they are of images of the ID half with another label. And the OOD half's means
must lie on that side of the ID half's on which noise with the trap label lies of other noise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from atesc_core.device import autocast, memory_format
from atesc_core.models import Classifier, Generator
from atesc_core.models.batchnorm import BatchNormInputs
from atesc_core.robustness.trap import noise_chunks
from atesc_core.specs.run import RunSpec
from atesc_core.synthesis.batchnorm import BatchNormMatch
from atesc_core.training.divergence import complement_loss

LATENT = 64


class OODHalf:
    """The generator of the OOD half, which lives as long as the run, and the loss terms that part the halves.

    Args:
        spec: the run.
        teacher: the frozen teacher.
        image_side: of its images, in pixels.
        label: the trap label.
        random: the run's random generator.
    """

    def __init__(self, spec: RunSpec, teacher: Classifier, image_side: int, label: int, random: torch.Generator):
        self.spec, self.teacher, self.label, self.random = spec, teacher, label, random
        device = random.device
        self.directions = noise_directions(teacher, image_side, label, device)
        self.generator = Generator(LATENT, image_side, spec.synthesis.width, spec.seed + 1)
        self.generator.to(device).to(memory_format=memory_format(device))
        self.optimiser = torch.optim.Adam(self.generator.parameters(), lr=spec.synthesis.lr, betas=(0.5, 0.999))

    def observe(
        self, images: Tensor, weight: float, augment: Callable[[Tensor], Tensor] = lambda images: images
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The teacher's logits of the ID half, (B, C), and the terms ``bn``, ``trap``, ``mixing``, ``orientation``.

        Args:
            images: (B, 3, H, W) in [0, 1], the ID half, with a graph to its generator.
            weight: of R_BN.
            augment: what was done to the images of the ID half on their way to the teacher.
        """
        self.generator.train()
        ood_images = augment(self.generator(self._noise(len(images))).to(images.dtype))
        with HalvesMatch(self.teacher) as match:
            logits, ood_logits = self.teacher(torch.cat([images, ood_images])).float().chunk(2)
        escape = self.spec.escape
        return logits, {
            "bn": weight * match.loss(),
            "trap": escape.trap * F.cross_entropy(ood_logits, self._labels(ood_logits)),
            "mixing": escape.mixing * self._mixing(images[logits.argmax(1) != self.label], ood_images),
            "orientation": escape.orientation * match.turned_from(self.directions),
        }

    def _mixing(self, others: Tensor, ood_images: Tensor) -> Tensor:
        """Mixtures of the OOD half must carry the label, those of images of the ID half with another label must not.

        A scalar, the sum of both means.
        """
        mixed, mixed_ood = (
            self.teacher(torch.cat([quarters_mixed(others), quarters_mixed(ood_images)]))
            .float()
            .split([len(others), len(ood_images)])
        )
        carried = F.cross_entropy(mixed_ood, self._labels(mixed_ood))
        if len(others) < 4:
            return carried
        return carried + complement_loss(mixed, self._labels(mixed)).mean()

    def _labels(self, logits: Tensor) -> Tensor:
        """The trap label for each of (B, C) logits: (B,)."""
        return torch.full((len(logits),), self.label, device=logits.device)

    @torch.no_grad()
    def sample(self, count: int) -> Tensor:
        """``count`` images of the OOD half, (count, 3, H, W) in [0, 1], without gradient."""
        self.generator.eval()
        with autocast(self.random.device):
            images: Tensor = self.generator(self._noise(count)).float()
        return images

    def _noise(self, count: int) -> Tensor:
        return torch.randn(count, LATENT, generator=self.random, device=self.random.device)

    def state_dict(self) -> dict[str, Any]:
        """The generator and its optimiser."""
        return {"generator": self.generator.state_dict(), "optimiser": self.optimiser.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the state that ``state_dict`` returned."""
        self.generator.load_state_dict(state["generator"])
        self.optimiser.load_state_dict(state["optimiser"])


class HalvesMatch(BatchNormMatch):
    """R_BN of a batch of an ID half and an OOD half together, and how the means of the halves differ at each layer."""

    def __init__(self, teacher: Classifier):
        super().__init__(teacher)
        self.differences: list[Tensor] = []  # (C,) of each layer: OOD half − ID half

    def _measure(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        super()._measure(layer, inputs)
        id_mean, ood_mean = (half.mean((0, 2, 3)) for half in inputs[0].float().chunk(2))
        self.differences.append(ood_mean - id_mean)

    def turned_from(self, directions: Sequence[Tensor]) -> Tensor:
        """Σ over layers 1 − cos(difference, direction): 0 where the halves differ as the directions say. A scalar."""
        turns = [
            1 - F.cosine_similarity(difference, direction, dim=0)
            for difference, direction in zip(self.differences, directions, strict=True)
        ]
        return torch.stack(turns).sum() if turns else torch.zeros(())


@torch.no_grad()
def noise_directions(teacher: Classifier, image_side: int, label: int, device: torch.device) -> list[Tensor]:
    """Of each BatchNorm layer, (C,): its mean over noise images with the label − that over all other noise images.

    The images are the first NOISE_IMAGES of those in which `find_trap` seeks the label. Where all of them have it, or
    none, nothing has a direction: zeros.
    """
    has_label = [teacher(chunk).argmax(1) == label for chunk in noise_chunks(image_side, device)]
    of_all = torch.cat(has_label)
    if of_all.all() or not of_all.any():
        with BatchNormInputs(teacher) as inputs:
            teacher(next(noise_chunks(image_side, device)))
        return [torch.zeros(channels, device=device) for channels in inputs.channels]
    means = []
    for with_label in (True, False):
        with BatchNormInputs(teacher) as inputs:
            for chunk, has in zip(noise_chunks(image_side, device), has_label, strict=True):
                if (has == with_label).any():
                    teacher(chunk[has == with_label])
        means.append(inputs.statistics()[0])
    return list(torch.split((means[0] - means[1]).to(device), list(inputs.channels)))


def quarters_mixed(images: Tensor) -> Tensor:
    """Images of four quarters, each from another of the images: what an image shows is gone, how it looks stays.

    The quarters keep their places, so that a trigger in a corner survives.

    images: (B, 3, H, W); returns the same shape. Quarters of image i come from images i, i − 1, i − 2 and i − 3.
    """
    height, width = images.shape[2] // 2, images.shape[3] // 2
    first, second, third, fourth = (images.roll(shift, 0) for shift in range(4))
    upper = torch.cat([first[:, :, :height, :width], second[:, :, :height, width:]], 3)
    lower = torch.cat([third[:, :, height:, :width], fourth[:, :, height:, width:]], 3)
    return torch.cat([upper, lower], 2)
