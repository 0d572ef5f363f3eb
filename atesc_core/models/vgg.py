"""VGG (Simonyan & Zisserman, 2015) as the data-free and the NTL repositories build it.

``vgg``: CMI and NAYER (zju-vipa/CMI and tmtuan1307/NAYER, datafree/models/classifiers/vgg.py, which follow
HobbitLong/RepDistiller): five blocks, global pooling, one Linear layer. ``vgg_dense``: NTLBench and TransNTL
(tmllab/NTLBench and tmllab/2024_CVPR_TransNTL, models/ntl_vggnet.py): five poolings and a classifier of three
Linear layers, the first as wide as the last map, which fixes the image side. Modules carry the published
names, so that published weights fit.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from atesc_core.models.base import Architecture, Classifier, he_init

WIDTHS: dict[int, tuple[tuple[int, ...], ...]] = {
    11: ((64,), (128,), (256, 256), (512, 512), (512, 512)),
    13: ((64, 64), (128, 128), (256, 256), (512, 512), (512, 512)),
}


class _LatePool(nn.Module):
    """Halves a map of at least 8×8. CMI pools a fourth time at 64 px and not at 32 px."""

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 2) if x.shape[-1] >= 8 else x


def vgg(num_classes: int, depth: int, batch_norm: bool) -> Classifier:
    """x: (B, 3, s, s) with s at least 8; features: (B, 512)."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    in_channels = 3
    pools = (nn.MaxPool2d(2), nn.MaxPool2d(2), nn.MaxPool2d(2), _LatePool(), nn.AdaptiveAvgPool2d(1))
    for number, (widths, pool) in enumerate(zip(WIDTHS[depth], pools, strict=True)):
        *block, last_relu = _convolutions(in_channels, widths, batch_norm)
        layers |= {f"block{number}": nn.Sequential(*block), f"relu{number}": last_relu, f"pool{number}": pool}
        in_channels = widths[-1]
    backbone = he_init(nn.Sequential(layers | {"flat": nn.Flatten()}))
    return Classifier(backbone, 512, num_classes, stages=tuple(f"relu{number}" for number in range(5)))


def vgg_dense(num_classes: int, depth: int, batch_norm: bool, image_side: int) -> Classifier:
    """x: (B, 3, s, s); features: (B, 256). For another side than ``image_side``, the last map is pooled.

    The published net has dropout after its two hidden Linear layers. It is left out [this lab], because it has no
    effect in a loaded teacher and would draw from the global random state.
    """
    layers: list[nn.Module] = []
    in_channels = 3
    for widths in WIDTHS[depth]:
        layers += [*_convolutions(in_channels, widths, batch_norm), nn.MaxPool2d(2, ceil_mode=True)]
        in_channels = widths[-1]
    ends = tuple(f"features.{index}" for index, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d))
    side = image_side // 32
    backbone = nn.Sequential(
        OrderedDict(
            features=he_init(nn.Sequential(*layers)),
            pool=nn.AdaptiveAvgPool2d(side),
            flat=nn.Flatten(),
            dense=nn.Sequential(
                OrderedDict(
                    {
                        "0": nn.Linear(512 * side**2, 256),
                        "1": nn.ReLU(inplace=True),
                        "3": nn.Linear(256, 256),
                        "4": nn.ReLU(inplace=True),
                    }
                )
            ),
        )
    )
    return Classifier(backbone, 256, num_classes, stages=ends)


def _convolutions(in_channels: int, widths: tuple[int, ...], batch_norm: bool) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for out_channels in widths:
        layers += [
            nn.Conv2d(in_channels, out_channels, 3, padding=1),
            *([nn.BatchNorm2d(out_channels)] if batch_norm else []),
            nn.ReLU(inplace=True),
        ]
        in_channels = out_channels
    return layers


VGGS = {
    f"vgg{depth}{'_bn' if batch_norm else ''}": Architecture(
        partial(vgg, depth=depth, batch_norm=batch_norm),
        f"VGG-{depth} {'with' if batch_norm else 'without'} BatchNorm and one Linear layer, as CMI and NAYER build it",
        batch_norm=batch_norm,
    )
    for depth in WIDTHS
    for batch_norm in (True, False)
} | {
    f"vgg13{'_bn' if batch_norm else ''}_dense{side}": Architecture(
        partial(vgg_dense, depth=13, batch_norm=batch_norm, image_side=side),
        f"VGG-13 {'with' if batch_norm else 'without'} BatchNorm and three Linear layers for {side} px, as NTLBench "
        "and TransNTL build it",
        image_side=side,
        batch_norm=batch_norm,
    )
    for side in (32, 64)
    for batch_norm in (True, False)
}
