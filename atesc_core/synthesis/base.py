"""The interface of a synthesizer, and what all of them have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from atesc_core.models import ARCHITECTURES, Classifier
from atesc_core.robustness.trap import TrapEvidence
from atesc_core.specs.run import RunSpec
from atesc_core.synthesis.batchnorm import BatchNormMatch
from atesc_core.synthesis.twin import OODHalf
from atesc_core.synthesis.vaccine import Vaccine
from atesc_core.training.divergence import kl_divergence, total_loss
from atesc_core.vocabulary import SYNTHESIZER_NAMES


@dataclass(frozen=True)
class GeneratorUpdate:
    """One turn of the generator: its losses, and images before and after it. All tensors have no gradient; B images."""

    turn_count: int  # turns in this round
    losses: list[dict[str, Tensor]]  # weighted terms of each step of the turn, scalars
    images_before: Tensor  # (B, 3, H, W) in [0, 1], the images of the first step
    images_after: Callable[[], Tensor]  # (B, 3, H, W) in [0, 1] after the last step; computed only when called
    noise: Tensor | None = None  # (B, L), the noise of the images
    labels: Tensor | None = None  # (B,) int64, the target labels of the images


class Synthesizer(ABC):
    """Makes images from a frozen teacher, in the teacher's image size.

    Args:
        spec: the run; ``spec.synthesis`` holds the settings.
        teacher: the teacher, frozen.
        image_side: side of the images in pixels.
        random: the generator of all random numbers; its device is the device of all computations.
        trap: with twin synthesis, what is known about a trap: without one, the synthesizer is the plain one.
    """

    generator: nn.Module

    def __init__(
        self,
        spec: RunSpec,
        teacher: Classifier,
        image_side: int,
        random: torch.Generator,
        trap: TrapEvidence | None = None,
    ):
        self.spec, self.image_side, self.num_classes = spec, image_side, teacher.num_classes
        self.random, self.device = random, random.device
        self.teacher = teacher
        self.vaccine = Vaccine(spec, teacher)
        self.ood_half: OODHalf | None = None
        if trap is not None and trap.is_trap:
            self.ood_half = OODHalf(spec, teacher, image_side, trap.label, random)
        self._build()

    @abstractmethod
    def _build(self) -> None:
        """Makes the generator, and what else the synthesizer trains or keeps."""

    @property
    def has_images(self) -> bool:
        """Whether images can be drawn; a pool is empty before the first round."""
        return True

    @abstractmethod
    def turns(self, student: Classifier) -> Iterator[GeneratorUpdate]:
        """Trains the generator for one round: each ``next()`` does one turn.

        The gradient of a turn's last step stays in the generator's weights until the next turn. If the caller stops
        before the last turn, the state of the synthesizer is undefined.
        """

    def train_round(self, student: Classifier) -> dict[str, Tensor]:
        """Trains for one round; returns each weighted loss term of the last step, a scalar without gradient."""
        terms: dict[str, Tensor] = {}
        for turn in self.turns(student):
            terms = turn.losses[-1]
        return terms

    def _observe(
        self, images: Tensor, weight: float, augment: Callable[[Tensor], Tensor] = lambda images: images
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The teacher's logits of the generator's images, and the terms that every synthesizer has.

        Args:
            images: (B, 3, H, W) in [0, 1], with a graph to the generator.
            weight: of R_BN.
            augment: how the images were augmented; those of an OOD half are augmented in the same way.

        Returns:
            (B, C), and scalars: ``bn``, weight · R_BN, and the terms of the escape.
        """
        if self.ood_half is not None:
            return self.ood_half.observe(images, weight, augment)
        with BatchNormMatch(self.teacher) as match:
            logits = self.teacher(images).float()
        return logits, {"bn": weight * match.loss()} | self.vaccine.terms(images, logits)

    def _descend(self, terms: dict[str, Tensor], *optimisers: torch.optim.Optimizer) -> Tensor:
        """One step of the optimisers, and of that of the OOD half; nothing else gets a gradient. Returns the loss."""
        loss = total_loss(terms)
        steps = [*optimisers, *([] if self.ood_half is None else [self.ood_half.optimiser])]
        for optimiser in steps:
            optimiser.zero_grad(set_to_none=True)
        parameters = [each for optimiser in steps for group in optimiser.param_groups for each in group["params"]]
        torch.autograd.backward(loss, inputs=parameters)
        for optimiser in steps:
            optimiser.step()
        return loss

    @abstractmethod
    def sample(self, count: int) -> Tensor:
        """``count`` images for the student, (count, 3, H, W) in [0, 1], without gradient."""

    def draw(self, count: int, score: Callable[[Tensor], Tensor] | None = None) -> tuple[Tensor, Tensor | None]:
        """Images as ``sample`` returns them, and their scores, (count,), if a pool stores them, else None.

        ``score`` maps images, (B, 3, H, W) in [0, 1], to (B,). A pool calls it once for each of its images.
        """
        return self.sample(count), None

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values, for a checkpoint."""
        return {} if self.ood_half is None else {"ood_half": self.ood_half.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the state that ``state_dict`` returned."""
        if self.ood_half is not None:
            self.ood_half.load_state_dict(state["ood_half"])


def agreed_kl(teacher: Tensor, student: Tensor) -> Tensor:
    """L_adv = −mean[KL(T ‖ S) · 1(arg max T = arg max S)], of logits (B, C): a scalar.

    It favours images near the student's decision border, not images that the student gets wrong anyway (CMI, NAYER).
    """
    return -(kl_divergence(teacher, student) * (teacher.argmax(1) == student.argmax(1))).mean()


def batchnorm_notice(arch: str, kind: str) -> str | None:
    """A warning for the user that R_BN of the synthesizer ``kind`` has nothing to match in a teacher of ``arch``.

    None if the architecture has BatchNorm. It does not load a teacher.
    """
    if ARCHITECTURES[arch].batch_norm:
        return None
    return (
        f"The teacher has no BatchNorm layer: {SYNTHESIZER_NAMES[kind]}'s R_BN term has nothing to match and is 0, "
        "so that nothing holds its images to the statistics of the teacher's training data."
    )
