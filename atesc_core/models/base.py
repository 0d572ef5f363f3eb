"""What every classifier is: images in [0, 1] to logits, with features on the way and normalisation inside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

NO_BATCH_NORM = (
    "Without BatchNorm a teacher keeps no running statistics: there is nothing for a synthesizer to match, "
    "R_BN is 0 whatever its weight, and DFQ, CMI and NAYER are led by their other losses alone"
)


class Classifier(nn.Module):
    """``backbone`` maps (B, 3, H, W) to (B, F); ``head`` maps features to logits.

    ``mean`` and ``std`` are the normalisation of the three channels and travel with the weights. ``stages``
    names the modules of the backbone whose output ends a stage of it: where CUTI-domain re-styles.
    """

    def __init__(
        self,
        backbone: nn.Module,
        num_features: int,
        num_classes: int,
        stages: tuple[str, ...],
        mean: tuple[float, float, float] = (0.5, 0.5, 0.5),
        std: tuple[float, float, float] = (0.5, 0.5, 0.5),
    ):
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(num_features, num_classes)
        self.num_classes = num_classes
        self.stages = stages
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))

    def features(self, x: Tensor) -> Tensor:
        """x: (B, 3, H, W) in [0, 1]; returns the penultimate layer, (B, F)."""
        return self.backbone((x - self.mean) / self.std)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, 3, H, W) in [0, 1]; returns logits, (B, C)."""
        return self.head(self.features(x))


def untouched(model: nn.Module, x: Tensor) -> Tensor:
    """``model(x)`` in the mode that the model is in, its BatchNorm statistics left as they are."""
    copies = {name: buffer.clone() for name, buffer in model.named_buffers()}
    return torch.func.functional_call(model, copies, (x,))


@dataclass(frozen=True)
class Architecture:
    """A line of the table of architectures: how to make one, and what a user is told of it."""

    make: Callable[[int], Classifier]
    about: str
    image_side: int = 32  # pixels it was made for; others work
    batch_norm: bool = True

    def __call__(self, num_classes: int) -> Classifier:
        return self.make(num_classes)

    @property
    def description(self) -> str:
        return self.about + ("." if self.batch_norm else f". {NO_BATCH_NORM}.")


def he_init(model: nn.Module) -> nn.Module:
    """Convolutions ~ N(0, 2 / fan out), biases 0 (He et al., 2015): without BatchNorm a deep net needs it to train."""
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return model
