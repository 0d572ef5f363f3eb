"""ResNet (He et al., 2016) with either stem.

The 3×3 stem is for CIFAR-sized images: zju-vipa/CMI and tmtuan1307/NAYER, datafree/models/classifiers/resnet.py,
which follow huawei-noah's DAFL. The 7×7 stem with a max-pooling is torchvision's, which tmllab/NTLBench
(models/cmi_models/classifiers/resnet_in.py) uses at 64 px too. Modules carry CMI's names, so that published
weights fit.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

import torch
from torch import Tensor, nn

from atesc_core.models.base import Architecture, Classifier

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}


class _Basic(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        keeps_shape = stride == 1 and in_channels == out_channels
        self.shortcut = (
            nn.Sequential()
            if keeps_shape
            else nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        body = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(body + self.shortcut(x))


def resnet(num_classes: int, depth: int, large_stem: bool = False) -> Classifier:
    """x: (B, 3, s, s); features: (B, 512)."""
    stem = nn.Conv2d(3, 64, 7, 2, 3, bias=False) if large_stem else nn.Conv2d(3, 64, 3, 1, 1, bias=False)
    layers = OrderedDict(conv1=stem, bn1=nn.BatchNorm2d(64), relu=nn.ReLU(inplace=True))
    if large_stem:
        layers["maxpool"] = nn.MaxPool2d(3, 2, 1)
    in_channels = 64
    for number, (blocks, out_channels) in enumerate(zip(BLOCKS[depth], (64, 128, 256, 512), strict=True), 1):
        first = _Basic(in_channels, out_channels, 1 if number == 1 else 2)
        layers[f"layer{number}"] = nn.Sequential(
            first, *(_Basic(out_channels, out_channels, 1) for _ in range(blocks - 1))
        )
        in_channels = out_channels
    backbone = nn.Sequential(layers | {"pool": nn.AdaptiveAvgPool2d(1), "flat": nn.Flatten()})
    return Classifier(backbone, 512, num_classes, stages=("relu", "layer1", "layer2", "layer3", "layer4"))


RESNETS = {
    f"resnet{depth}": Architecture(
        partial(resnet, depth=depth), f"ResNet-{depth} with the 3×3 stem for small images, as CMI and NAYER build it"
    )
    for depth in BLOCKS
} | {
    f"resnet{depth}_imagenet": Architecture(
        partial(resnet, depth=depth, large_stem=True),
        f"ResNet-{depth} with the 7×7 stem and max-pooling, as torchvision and NTLBench build it",
        image_side=64,
    )
    for depth in BLOCKS
}
