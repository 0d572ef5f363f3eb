"""Wide ResNet (Zagoruyko & Komodakis, 2016) for CIFAR-sized images.

As zju-vipa/CMI and tmtuan1307/NAYER build it (datafree/models/classifiers/wresnet.py, after
polo5/ZeroShotKnowledgeTransfer). Modules carry the published names, so that published weights fit.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

import torch
from torch import Tensor, nn

from atesc_core.models.base import Architecture, Classifier, he_init


class _PreActivated(nn.Module):
    """Block with BatchNorm and ReLU before each convolution; a shortcut that changes the width starts after them."""

    def __init__(self, in_channels: int, out_channels: int, stride: int):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.convShortcut = (
            None if in_channels == out_channels else nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        active = torch.relu(self.bn1(x))
        body = self.conv2(torch.relu(self.bn2(self.conv1(active))))
        output: Tensor = body + (x if self.convShortcut is None else self.convShortcut(active))
        return output


def wrn(num_classes: int, depth: int, widen: int) -> Classifier:
    """x: (B, 3, s, s); features: (B, 64 · widen). ``depth`` is 6 n + 4, with n blocks in each of three groups."""
    blocks = (depth - 4) // 6
    layers: OrderedDict[str, nn.Module] = OrderedDict(conv1=nn.Conv2d(3, 16, 3, 1, 1, bias=False))
    in_channels = 16
    for number, out_channels in enumerate((16 * widen, 32 * widen, 64 * widen), 1):
        first = _PreActivated(in_channels, out_channels, 1 if number == 1 else 2)
        group = nn.Sequential(first, *(_PreActivated(out_channels, out_channels, 1) for _ in range(blocks - 1)))
        layers[f"block{number}"] = nn.Sequential(OrderedDict(layer=group))
        in_channels = out_channels
    layers |= {
        "bn1": nn.BatchNorm2d(in_channels),
        "relu": nn.ReLU(inplace=True),
        "pool": nn.AdaptiveAvgPool2d(1),
        "flat": nn.Flatten(),
    }
    return Classifier(
        he_init(nn.Sequential(layers)), in_channels, num_classes, stages=("conv1", "block1", "block2", "relu")
    )


WRNS = {
    f"wrn_{depth}_{widen}": Architecture(
        partial(wrn, depth=depth, widen=widen), f"Wide ResNet {depth}-{widen}, as CMI and NAYER build it"
    )
    for depth, widen in ((16, 2), (40, 2))
}
