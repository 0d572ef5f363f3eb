"""R_BN: how far the inputs of a teacher's BatchNorm layers are from its running statistics."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from atesc_core.models.batchnorm import LayerInputs


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
