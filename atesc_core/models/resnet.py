"""ResNet (He et al., 2016) with either stem.

The 3×3 stem is for CIFAR-sized images: zju-vipa/CMI and tmtuan1307/NAYER, datafree/models/classifiers/resnet.py,
which follow huawei-noah's DAFL. The 7×7 stem with a max-pooling is torchvision's, which tmllab/NTLBench
(models/cmi_models/classifiers/resnet_in.py) uses at 64 px too. Modules carry CMI's names, so that published
weights fit. People change the stride or the pooling of a stem without a change to a name or a shape; the
architectures ``resnet18_k3s1_pool`` and so on are for their files.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from itertools import product

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


def resnet(num_classes: int, depth: int, kernel: int = 3, stride: int = 1, pool: bool = False) -> Classifier:
    """x: (B, 3, s, s); features: (B, 512).

    Args:
        num_classes: number of logits.
        depth: a key of BLOCKS.
        kernel: side of the first convolution's kernel in pixels.
        stride: stride of the first convolution.
        pool: whether a max-pooling that halves the side follows the first convolution.
    """
    stem = nn.Conv2d(3, 64, kernel, stride, kernel // 2, bias=False)
    layers = OrderedDict(conv1=stem, bn1=nn.BatchNorm2d(64), relu=nn.ReLU(inplace=True))
    if pool:
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


def _other_stems(depth: int) -> dict[str, Architecture]:
    """The same names and shapes as the two published stems, computed with another stride or pooling."""
    return {
        f"resnet{depth}_k{kernel}s{stride}{'_pool' if pool else ''}": Architecture(
            partial(resnet, depth=depth, kernel=kernel, stride=stride, pool=pool),
            f"ResNet-{depth} with a {kernel}×{kernel} stem of stride {stride} and {'' if pool else 'no '}max-pooling",
            image_side=32 if kernel == 3 else 64,
            only_for_files=True,
        )
        for kernel, stride, pool in product((3, 7), (1, 2), (False, True))
        if (kernel, stride, pool) not in {(3, 1, False), (7, 2, True)}
    }


RESNETS = (
    {
        f"resnet{depth}": Architecture(
            partial(resnet, depth=depth),
            f"ResNet-{depth} with the 3×3 stem for small images, as CMI and NAYER build it",
        )
        for depth in BLOCKS
    }
    | {
        f"resnet{depth}_imagenet": Architecture(
            partial(resnet, depth=depth, kernel=7, stride=2, pool=True),
            f"ResNet-{depth} with the 7×7 stem and max-pooling, as torchvision and NTLBench build it",
            image_side=64,
        )
        for depth in BLOCKS
    }
    | {name: architecture for depth in BLOCKS for name, architecture in _other_stems(depth).items()}
)
