"""The classifier of all architectures: images in [0, 1] to features to logits. It normalises images itself."""

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
    """Images (B, 3, H, W) in [0, 1] to logits (B, C).

    Args:
        backbone: maps normalised images to features, (B, F).
        num_features: F.
        num_classes: C; a linear ``head`` maps features to logits.
        stages: names of the backbone's modules that end a stage; CUTI-domain changes the style of their output.
        mean: mean of each of the three channels; stored with the weights.
        std: standard deviation of each of the three channels; stored with the weights.
    """

    mean: Tensor
    std: Tensor

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
        features: Tensor = self.backbone((x - self.mean) / self.std)
        return features

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, 3, H, W) in [0, 1]; returns logits, (B, C)."""
        logits: Tensor = self.head(self.features(x))
        return logits


def untouched(model: nn.Module, x: Tensor) -> Tensor:
    """``model(x)`` in the model's current mode, without a change to its BatchNorm statistics."""
    copies = {name: buffer.clone() for name, buffer in model.named_buffers()}
    output: Tensor = torch.func.functional_call(model, copies, (x,))
    return output


@dataclass(frozen=True)
class Architecture:
    """An entry of ARCHITECTURES: calling it with a number of classes builds the classifier."""

    builder: Callable[[int], Classifier]
    about: str
    image_side: int = 32  # pixels; the published side, but others work
    batch_norm: bool = True
    only_for_files: bool = False  # not offered for new networks: nobody has published it

    def __call__(self, num_classes: int) -> Classifier:
        """A new classifier of this architecture, with weights drawn at random."""
        return self.builder(num_classes)

    @property
    def description(self) -> str:
        """Description for the user, with a warning if the architecture has no BatchNorm."""
        return self.about + ("." if self.batch_norm else f". {NO_BATCH_NORM}.")


def he_init(model: nn.Module) -> nn.Module:
    """The model, its convolutions drawn from N(0, 2 / fan out), their biases 0 (He et al., 2015).

    Deep nets without BatchNorm do not train with other weights.
    """
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return model
