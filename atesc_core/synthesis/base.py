"""The interface of a synthesizer, and the BatchNorm statistics that all of them match."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from atesc_core.models import Classifier


class Synthesizer(ABC):
    """Makes images from a frozen teacher. State lives here; randomness comes from the generator given."""

    @abstractmethod
    def train_round(self, student: Classifier) -> dict[str, Tensor]:
        """Learn for one round; returns each loss term, weighted, as a detached scalar."""

    @abstractmethod
    def sample(self, count: int) -> Tensor:
        """``count`` images for the student, (B, 3, H, W) in [0, 1], without gradient."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]: ...

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class BatchNormMatch:
    """R_BN = Σ over BatchNorm layers ‖σ²_run − σ²_batch‖₂ + ‖μ_run − μ_batch‖₂, on each layer's input.

    Within ``with BatchNormMatch(teacher) as match:`` a forward pass of the teacher fills ``match.loss()``.
    The teacher's running statistics of an NTL teacher mix ID and OOD, so matching them is itself a
    pull towards OOD.
    """

    def __init__(self, teacher: nn.Module):
        self.layers = [layer for layer in teacher.modules() if isinstance(layer, nn.BatchNorm2d)]
        self.terms: list[Tensor] = []

    def __enter__(self) -> BatchNormMatch:
        self.handles = [layer.register_forward_pre_hook(self._measure) for layer in self.layers]
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()

    def _measure(self, layer: nn.BatchNorm2d, inputs: tuple[Tensor]) -> None:
        variance, mean = torch.var_mean(inputs[0].float(), dim=(0, 2, 3), correction=0)
        self.terms.append((layer.running_var - variance).norm() + (layer.running_mean - mean).norm())

    def loss(self) -> Tensor:
        """The sum over layers; 0 for a teacher without BatchNorm."""
        return torch.stack(self.terms).sum() if self.terms else torch.zeros(())
