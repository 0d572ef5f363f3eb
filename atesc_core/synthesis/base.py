"""The interface of a synthesizer, and the BatchNorm statistics that all of them match."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from atesc_core.models import ARCHITECTURES, Classifier
from atesc_core.training.divergence import kl_divergence


@dataclass(frozen=True)
class Learned:
    """What a turn of the generator did, kept without computing anything. B images, all without gradient."""

    of: int  # turns in this round
    losses: list[dict[str, Tensor]]  # of each of its steps: the terms, weighted, scalars
    before: Tensor  # (B, 3, H, W) in [0, 1], that its first step was taken on
    after: Callable[[], Tensor]  # (B, 3, H, W) in [0, 1], what its last step left: computed when it is asked for
    noise: Tensor | None = None  # (B, L), that the images were made from
    labels: Tensor | None = None  # (B,), that they were asked for


class Synthesizer(ABC):
    """Makes images from a frozen teacher. State lives here; randomness comes from the generator given."""

    has_images = True  # before its first round
    generator: nn.Module

    @abstractmethod
    def turns(self, student: Classifier) -> Iterator[Learned]:
        """Learn for one round, a turn each time the next is asked for. The gradient of a turn's last step stays with
        the generator's weights until then. To stop half-way spoils the synthesizer."""

    def train_round(self, student: Classifier) -> dict[str, Tensor]:
        """Learn for one round; returns each loss term of its last step, weighted, as a detached scalar."""
        for turn in self.turns(student):
            terms = turn.losses[-1]
        return terms

    @abstractmethod
    def sample(self, count: int) -> Tensor:
        """``count`` images for the student, (B, 3, H, W) in [0, 1], without gradient."""

    def draw(self, count: int, score: Callable[[Tensor], Tensor] | None = None) -> tuple[Tensor, Tensor | None]:
        """As ``sample``, and the images' scores, (B,), where a pool keeps them; None where it does not.

        ``score`` maps images, (B, 3, H, W) in [0, 1], to (B,); a kept image is given to it once in its life.
        """
        return self.sample(count), None

    @abstractmethod
    def state_dict(self) -> dict[str, Any]: ...

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


def without_gradient(terms: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in terms.items()}


def agreed_kl(teacher: Tensor, student: Tensor) -> Tensor:
    """L_adv = −mean[KL(T ‖ S) · 1(arg max agree)], of logits (B, C): the student is asked what it only just knows,
    and not what it has wrong anyway (CMI, NAYER)."""
    return -(kl_divergence(teacher, student) * (teacher.argmax(1) == student.argmax(1))).mean()


def batchnorm_notice(arch: str, kind: str) -> str | None:
    """A sentence for the user where R_BN of the synthesizer ``kind`` has nothing to match in a teacher of ``arch``;
    None where it has. Asked of the table of architectures: no teacher need be loaded for it."""
    if ARCHITECTURES[arch].batch_norm:
        return None
    return (
        f"The teacher has no BatchNorm layer: {kind.upper()}'s R_BN term has nothing to match and is 0, so that "
        "nothing holds its images to the statistics of the teacher's training data."
    )


class Watched(ABC):
    """Within ``with``, ``_measure(layer, inputs)`` is called for each of ``layers`` that a forward pass comes to."""

    def __init__(self, layers: list[nn.Module]):
        self.layers = layers

    def __enter__(self) -> Self:
        self.handles = [layer.register_forward_pre_hook(self._measure) for layer in self.layers]
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()

    @abstractmethod
    def _measure(self, layer: nn.Module, inputs: tuple[Tensor]) -> None: ...


class BatchNormMatch(Watched):
    """R_BN = Σ over BatchNorm layers ‖σ²_run − σ²_batch‖₂ + ‖μ_run − μ_batch‖₂, on each layer's input.

    Within ``with BatchNormMatch(teacher) as match:`` a forward pass of the teacher fills ``match.loss()``.
    The teacher's running statistics of an NTL teacher mix ID and OOD, so matching them is itself a
    pull towards OOD.
    """

    def __init__(self, teacher: nn.Module):
        super().__init__([layer for layer in teacher.modules() if isinstance(layer, nn.BatchNorm2d)])
        self.terms: list[Tensor] = []

    def _measure(self, layer: nn.BatchNorm2d, inputs: tuple[Tensor]) -> None:
        variance, mean = torch.var_mean(inputs[0].float(), dim=(0, 2, 3), correction=0)
        self.terms.append((layer.running_var - variance).norm() + (layer.running_mean - mean).norm())

    def loss(self) -> Tensor:
        """The sum over layers; 0 for a teacher without BatchNorm."""
        return torch.stack(self.terms).sum() if self.terms else torch.zeros(())
