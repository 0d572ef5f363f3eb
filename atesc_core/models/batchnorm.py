"""Statistics of the inputs of a network's BatchNorm layers: those that it stores, and those of given images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

import torch
from torch import Tensor, nn


class LayerInputs(ABC):
    """Context manager that measures the inputs of the layers in ``measured``.

    While it is open, each forward pass calls ``_measure(layer, inputs)`` for each layer.
    """

    def __init__(self, measured: list[nn.Module]):
        self.measured = measured

    def __enter__(self) -> Self:
        self.handles = [layer.register_forward_pre_hook(self._measure) for layer in self.measured]
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()

    @abstractmethod
    def _measure(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None: ...


class BatchNormInputs(LayerInputs):
    """Context manager that measures the inputs of the BatchNorm layers of ``model``.

    Within ``with BatchNormInputs(model) as inputs:`` every forward pass in evaluation mode adds its images. Layers
    count in the order in which the first pass reaches them, which is their depth. Layers without running statistics
    are left out.
    """

    def __init__(self, model: nn.Module):
        self._found = {
            module: name
            for name, module in model.named_modules()
            if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None
        }
        super().__init__(list(self._found))
        self._sums: dict[nn.BatchNorm2d, Tensor] = {}  # in order of depth: (2, C) sums of x and of x²
        self._counts: dict[nn.BatchNorm2d, int] = {}

    def _measure(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, nn.BatchNorm2d)
        x = inputs[0].detach().float()
        variance, mean = (part.double().cpu() for part in torch.var_mean(x, dim=(0, 2, 3), correction=0))
        count = x.numel() // x.shape[1]
        sums = count * torch.stack([mean, variance + mean.square()])
        self._sums[layer] = self._sums[layer] + sums if layer in self._sums else sums
        self._counts[layer] = self._counts.get(layer, 0) + count

    @property
    def layers(self) -> tuple[str, ...]:
        """(L,) names of the modules, by depth."""
        return tuple(self._found[module] for module in self._sums)

    @property
    def channels(self) -> tuple[int, ...]:
        """(L,) number of channels of each layer."""
        return tuple(sums.shape[1] for sums in self._sums.values())

    def statistics(self) -> Tensor:
        """(2, K) float32: mean and biased variance over all images, of the K channels of all layers, by depth.

        K is 0 for a network without BatchNorm.
        """
        moments = [sums / self._counts[module] for module, sums in self._sums.items()]
        if not moments:
            return torch.empty(2, 0)
        mean, square = torch.cat(moments, dim=1)
        return torch.stack([mean, (square - mean.square()).clamp_min(0)]).float()

    def running(self) -> Tensor:
        """(2, K) float32: the running mean and variance that the network stores, in the order of ``statistics``."""
        pairs = []
        for module in self._sums:
            assert module.running_mean is not None
            assert module.running_var is not None
            pairs.append(torch.stack([module.running_mean, module.running_var]).detach().float().cpu())
        return torch.cat(pairs, dim=1) if pairs else torch.empty(2, 0)
