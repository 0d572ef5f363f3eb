"""Classifiers: images in [0, 1] to logits. Normalisation lives inside, global pooling takes any image side."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class Classifier(nn.Module):
    """``backbone`` maps (B, 3, H, W) to (B, F); ``head`` maps features to logits.

    ``mean`` and ``std`` are the normalisation of the three channels and travel with the weights.
    """

    def __init__(self, backbone: nn.Module, num_features: int, num_classes: int,
                 mean: tuple[float, float, float] = (0.5, 0.5, 0.5),
                 std: tuple[float, float, float] = (0.5, 0.5, 0.5)):
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(num_features, num_classes)
        self.num_classes = num_classes
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))

    def features(self, x: Tensor) -> Tensor:
        """x: (B, 3, H, W) in [0, 1]; returns the penultimate layer, (B, F)."""
        return self.backbone((x - self.mean) / self.std)

    def forward(self, x: Tensor) -> Tensor:
        """x: (B, 3, H, W) in [0, 1]; returns logits, (B, C)."""
        return self.head(self.features(x))


def _conv_bn(inside: int, outside: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inside, outside, 3, stride, 1, bias=False), nn.BatchNorm2d(outside), nn.ReLU(inplace=True)]


def _pooled(layers: list[nn.Module], side: int = 1) -> nn.Sequential:
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(side), nn.Flatten())


def small(num_classes: int) -> Classifier:
    """Four convolutions, 90 k parameters: fast enough for two cores at 16×16.

    The head sees a 4×4 map rather than one mean: a backdoor trigger is known by its place.
    """
    layers = [*_conv_bn(3, 32), *_conv_bn(32, 48, 2), *_conv_bn(48, 64), *_conv_bn(64, 64, 2)]
    return Classifier(_pooled(layers, side=4), 64 * 4 * 4, num_classes)


def vgg13_bn(num_classes: int) -> Classifier:
    """VGG-13 with BatchNorm (Simonyan & Zisserman, 2015), global pooling instead of the three dense layers."""
    layers: list[nn.Module] = []
    inside = 3
    for outside in (64, 128, 256, 512, 512):
        layers += [*_conv_bn(inside, outside), *_conv_bn(outside, outside), nn.MaxPool2d(2)]
        inside = outside
    return Classifier(_pooled(layers), 512, num_classes)


class _Residual(nn.Module):
    """Basic block of a ResNet (He et al., 2016)."""

    def __init__(self, inside: int, outside: int, stride: int):
        super().__init__()
        self.body = nn.Sequential(
            *_conv_bn(inside, outside, stride),
            nn.Conv2d(outside, outside, 3, 1, 1, bias=False), nn.BatchNorm2d(outside),
        )
        self.shortcut = nn.Identity() if stride == 1 and inside == outside else nn.Sequential(
            nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def resnet18(num_classes: int) -> Classifier:
    """ResNet-18 with the 3×3 stem used for CIFAR-sized images."""
    layers = _conv_bn(3, 64)
    inside = 64
    for outside, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        layers += [_Residual(inside, outside, stride), _Residual(outside, outside, 1)]
        inside = outside
    return Classifier(_pooled(layers), 512, num_classes)


ARCHITECTURES: dict[str, Callable[[int], Classifier]] = {"small": small, "vgg13_bn": vgg13_bn, "resnet18": resnet18}


def build(arch: str, num_classes: int, seed: int = 0) -> Classifier:
    """A freshly initialised classifier; the global random state is left as it was. Raises ValueError."""
    if arch not in ARCHITECTURES:
        raise ValueError(f"arch: {arch!r} is not known; expected one of {', '.join(ARCHITECTURES)}")
    if not 2 <= num_classes <= 10_000:
        raise ValueError(f"num_classes: {num_classes}: expected 2 to 10000")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ARCHITECTURES[arch](num_classes)
