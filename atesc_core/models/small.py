"""The small network of the shipped teachers: fast enough for two cores at 16×16."""

from __future__ import annotations

from torch import Tensor, nn

from atesc_core.models.base import Architecture, Classifier


class _Pool(nn.AdaptiveAvgPool2d):
    """Skips pooling if the map already has the output size: at 16 px this saves 5 % of a step on the CPU."""

    def forward(self, x: Tensor) -> Tensor:
        return x if x.shape[-2:] == (self.output_size, self.output_size) else super().forward(x)


def small(num_classes: int) -> Classifier:
    """Four convolutions with BatchNorm, 90 k parameters.

    The head gets a 4×4 map, not one mean, because the position of a backdoor trigger matters.
    """
    layers = [*_conv_bn(3, 32), *_conv_bn(32, 48, 2), *_conv_bn(48, 64), *_conv_bn(64, 64, 2)]
    backbone = nn.Sequential(*layers, _Pool(4), nn.Flatten())
    return Classifier(backbone, 64 * 4 * 4, num_classes, stages=("2", "5", "8", "11"))


def _conv_bn(in_channels: int, out_channels: int, stride: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    ]


SMALL = {"small": Architecture(small, "Four convolutions with BatchNorm, made for two cores", image_side=16)}
