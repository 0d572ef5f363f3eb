"""The interface of a synthesizer, and the BatchNorm statistics that all of them match."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from atesc_core.models import ARCHITECTURES, Classifier
from atesc_core.specs.run import RunSpec
from atesc_core.synthesis.vaccine import Vaccine
from atesc_core.training.divergence import kl_divergence


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
        generator_teacher: the model whose logits and BatchNorm inputs train the generator, (B, 3, H, W) in [0, 1] to
            (B, C). The teacher unless given.
    """

    generator: nn.Module

    def __init__(
        self,
        spec: RunSpec,
        teacher: Classifier,
        image_side: int,
        random: torch.Generator,
        generator_teacher: nn.Module | None = None,
    ):
        self.spec, self.image_side, self.num_classes = spec, image_side, teacher.num_classes
        self.random, self.device = random, random.device
        self.teacher: nn.Module = teacher if generator_teacher is None else generator_teacher
        self.vaccine = Vaccine(spec, teacher)
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

    @abstractmethod
    def sample(self, count: int) -> Tensor:
        """``count`` images for the student, (count, 3, H, W) in [0, 1], without gradient."""

    def draw(self, count: int, score: Callable[[Tensor], Tensor] | None = None) -> tuple[Tensor, Tensor | None]:
        """Images as ``sample`` returns them, and their scores, (count,), if a pool stores them, else None.

        ``score`` maps images, (B, 3, H, W) in [0, 1], to (B,). A pool calls it once for each of its images.
        """
        return self.sample(count), None

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values, for a checkpoint."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the state that ``state_dict`` returned."""


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
        f"The teacher has no BatchNorm layer: {kind.upper()}'s R_BN term has nothing to match and is 0, so that "
        "nothing holds its images to the statistics of the teacher's training data."
    )


class LayerInputs(ABC):
    """Context manager that measures the inputs of ``layers``.

    While it is open, each forward pass calls ``_measure(layer, inputs)`` for each layer.
    """

    def __init__(self, layers: list[nn.Module]):
        self.layers = layers

    def __enter__(self) -> Self:
        self.handles = [layer.register_forward_pre_hook(self._measure) for layer in self.layers]
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()

    @abstractmethod
    def _measure(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None: ...


class BatchNormMatch(LayerInputs):
    """R_BN = Σ over BatchNorm layers ‖σ²_run − σ²_batch‖₂ + ‖μ_run − μ_batch‖₂, of each layer's input.

    Within ``with BatchNormMatch(teacher) as match:`` a forward pass of the teacher fills ``match.loss()``.
    The running statistics of an NTL teacher mix ID and OOD images, so matching them pulls synthetic images towards OOD.
    """

    def __init__(self, teacher: nn.Module):
        super().__init__([layer for layer in teacher.modules() if isinstance(layer, nn.BatchNorm2d)])
        self.terms: list[Tensor] = []

    def _measure(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, nn.BatchNorm2d)
        assert layer.running_mean is not None
        assert layer.running_var is not None
        variance, mean = torch.var_mean(inputs[0].float(), dim=(0, 2, 3), correction=0)
        distance = (layer.running_var - variance).norm() + (layer.running_mean - mean).norm()
        self.terms.append(distance)

    def loss(self) -> Tensor:
        """The sum over layers; 0 for a teacher without BatchNorm."""
        return torch.stack(self.terms).sum() if self.terms else torch.zeros(())
