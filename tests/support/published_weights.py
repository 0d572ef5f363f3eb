"""Checkpoints in the formats of published repositories (keys and shapes, random weights), and their expected logits.

Written from the layers of those repositories (see atesc_core/teachers/formats.py), not from this lab's models. The
functions ``*_logits`` compute the logits from a state dict with functional calls: a loaded teacher must give the same.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

State = dict[str, Tensor]


class _Writer:
    """Collects named random weights."""

    def __init__(self) -> None:
        self.state: State = {}
        self.random = torch.Generator().manual_seed(0)

    def normal(self, key: str, *shape: int, spread: float) -> None:
        self.state[key] = spread * torch.randn(shape, generator=self.random)

    def conv(self, name: str, inside: int, outside: int, side: int = 3, bias: bool = False) -> None:
        self.normal(f"{name}.weight", outside, inside, side, side, spread=(2 / (inside * side**2)) ** 0.5)
        if bias:
            self.normal(f"{name}.bias", outside, spread=0.1)

    def linear(self, name: str, inside: int, outside: int) -> None:
        self.normal(f"{name}.weight", outside, inside, spread=inside**-0.5)
        self.normal(f"{name}.bias", outside, spread=0.1)

    def bn(self, name: str, width: int) -> None:
        self.state[f"{name}.weight"] = 1 + 0.1 * torch.randn(width, generator=self.random)
        self.normal(f"{name}.bias", width, spread=0.1)
        self.normal(f"{name}.running_mean", width, spread=0.1)
        self.state[f"{name}.running_var"] = 0.5 + torch.rand(width, generator=self.random)
        self.state[f"{name}.num_batches_tracked"] = torch.tensor(1)


def resnet34(num_classes: int, imagenet: bool = False) -> State:
    """ResNet-34 of CMI (3×3 stem, shortcut, linear), or of torchvision and NTLBench (7×7 stem, downsample, fc)."""
    write = _Writer()
    short, head = ("downsample", "fc") if imagenet else ("shortcut", "linear")
    write.conv("conv1", 3, 64, 7 if imagenet else 3)
    write.bn("bn1", 64)
    inside = 64
    for layer, (blocks, width) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512)), 1):
        for index in range(blocks):
            block = f"layer{layer}.{index}"
            write.conv(f"{block}.conv1", inside, width)
            write.bn(f"{block}.bn1", width)
            write.conv(f"{block}.conv2", width, width)
            write.bn(f"{block}.bn2", width)
            if inside != width:
                write.conv(f"{block}.{short}.0", inside, width, 1)
                write.bn(f"{block}.{short}.1", width)
            inside = width
    write.linear(head, 512, num_classes)
    return write.state


def wrn(num_classes: int, blocks: int) -> State:
    """WRN-(6·blocks+4)-2 of CMI."""
    write = _Writer()
    write.conv("conv1", 3, 16)
    inside = 16
    for group, width in enumerate((32, 64, 128), 1):
        for index in range(blocks):
            block = f"block{group}.layer.{index}"
            write.bn(f"{block}.bn1", inside)
            write.conv(f"{block}.conv1", inside, width)
            write.bn(f"{block}.bn2", width)
            write.conv(f"{block}.conv2", width, width)
            if inside != width:
                write.conv(f"{block}.convShortcut", inside, width, 1)
            inside = width
    write.bn("bn1", 128)
    write.linear("fc", 128, num_classes)
    return write.state


VGG11 = ((64,), (128,), (256, 256), (512, 512), (512, 512))
VGG13 = ((64, 64), (128, 128), (256, 256), (512, 512), (512, 512))


def cmi_vgg(num_classes: int, blocks: tuple[tuple[int, ...], ...], batch_norm: bool) -> State:
    write = _Writer()
    inside = 3
    for number, widths in enumerate(blocks):
        for index, width in enumerate(widths):
            position = index * (3 if batch_norm else 2)
            write.conv(f"block{number}.{position}", inside, width, bias=True)
            if batch_norm:
                write.bn(f"block{number}.{position + 1}", width)
            inside = width
    write.linear("classifier", 512, num_classes)
    return write.state


def ntl_vgg13(num_classes: int, image_side: int, batch_norm: bool = False, head: str = "classifier1") -> State:
    write = _Writer()
    inside, position = 3, 0
    for widths in VGG13:
        for width in widths:
            write.conv(f"features.{position}", inside, width, bias=True)
            if batch_norm:
                write.bn(f"features.{position + 1}", width)
            inside, position = width, position + (3 if batch_norm else 2)
        position += 1
    write.linear(f"{head}.0", 512 * (image_side // 32) ** 2, 256)
    write.linear(f"{head}.3", 256, 256)
    write.linear(f"{head}.6", 256, num_classes)
    return write.state


# ── expected logits of normalised images ─────────────────────────────────────────────────


def _bn(state: State, name: str, x: Tensor) -> Tensor:
    weight, bias, mean, var = (state[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var"))
    return F.batch_norm(x, mean, var, weight, bias)


def _conv(state: State, name: str, x: Tensor, stride: int = 1) -> Tensor:
    weight = state[f"{name}.weight"]
    return F.conv2d(x, weight, state.get(f"{name}.bias"), stride, weight.shape[-1] // 2)


def _linear(state: State, name: str, x: Tensor) -> Tensor:
    return F.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])


def resnet34_logits(state: State, x: Tensor) -> Tensor:
    imagenet = "fc.weight" in state
    x = F.relu(_bn(state, "bn1", _conv(state, "conv1", x, 2 if imagenet else 1)))
    if imagenet:
        x = F.max_pool2d(x, 3, 2, 1)
    for layer, blocks in enumerate((3, 4, 6, 3), 1):
        for index in range(blocks):
            block, stride = f"layer{layer}.{index}", 2 if layer > 1 and index == 0 else 1
            body = F.relu(_bn(state, f"{block}.bn1", _conv(state, f"{block}.conv1", x, stride)))
            body = _bn(state, f"{block}.bn2", _conv(state, f"{block}.conv2", body))
            short = f"{block}.{'downsample' if imagenet else 'shortcut'}"
            if stride == 2:
                x = _bn(state, f"{short}.1", _conv(state, f"{short}.0", x, 2))
            x = F.relu(body + x)
    return _linear(state, "fc" if imagenet else "linear", x.mean((2, 3)))


def wrn_logits(state: State, x: Tensor) -> Tensor:
    x = _conv(state, "conv1", x)
    for group in (1, 2, 3):
        index = 0
        while (block := f"block{group}.layer.{index}") + ".conv1.weight" in state:
            stride = 2 if group > 1 and index == 0 else 1
            active = F.relu(_bn(state, f"{block}.bn1", x))
            body = F.relu(_bn(state, f"{block}.bn2", _conv(state, f"{block}.conv1", active, stride)))
            body = _conv(state, f"{block}.conv2", body)
            x = body + (_conv(state, f"{block}.convShortcut", active, stride) if index == 0 else x)
            index += 1
    return _linear(state, "fc", F.relu(_bn(state, "bn1", x)).mean((2, 3)))


def cmi_vgg_logits(state: State, x: Tensor) -> Tensor:
    side = x.shape[-1]
    for number in range(5):
        positions = sorted({int(key.split(".")[1]) for key in state if key.startswith(f"block{number}.")})
        for position in positions:
            name = f"block{number}.{position}"
            x = (_bn if f"{name}.running_mean" in state else _conv)(state, name, x)
            if f"block{number}.{position + 1}.running_mean" not in state:
                x = F.relu(x)
        if number < 3 or number == 3 and side == 64:
            x = F.max_pool2d(x, 2)
    return _linear(state, "classifier", x.mean((2, 3)))


def ntl_vgg13_logits(state: State, x: Tensor) -> Tensor:
    convolutions = sorted(int(key.split(".")[1]) for key in state if key.endswith("weight") and state[key].ndim == 4)
    for index, position in enumerate(convolutions):
        x = _conv(state, f"features.{position}", x)
        if f"features.{position + 1}.running_mean" in state:
            x = _bn(state, f"features.{position + 1}", x)
        x = F.relu(x)
        if index % 2:
            x = F.max_pool2d(x, 2)
    head = "classifier1" if "classifier1.0.weight" in state else "classifier"
    x = F.relu(_linear(state, f"{head}.0", x.flatten(1)))
    return _linear(state, f"{head}.6", F.relu(_linear(state, f"{head}.3", x)))


# name: (checkpoint for a number of classes, its logits, name of the architecture, image side in px)
PUBLISHED: dict[str, tuple[Callable[[int], State], Callable[[State, Tensor], Tensor], str, int]] = {
    "CMI ResNet-34": (resnet34, resnet34_logits, "resnet34", 32),
    "CMI WRN-40-2": (lambda n: wrn(n, 6), wrn_logits, "wrn_40_2", 32),
    "CMI WRN-16-2": (lambda n: wrn(n, 2), wrn_logits, "wrn_16_2", 32),
    "CMI VGG-11": (lambda n: cmi_vgg(n, VGG11, True), cmi_vgg_logits, "vgg11_bn", 32),
    "CMI VGG-11 at 64 px": (lambda n: cmi_vgg(n, VGG11, True), cmi_vgg_logits, "vgg11_bn", 64),
    "CMI VGG-13": (lambda n: cmi_vgg(n, VGG13, True), cmi_vgg_logits, "vgg13_bn", 32),
    "RepDistiller VGG-11": (lambda n: cmi_vgg(n, VGG11, False), cmi_vgg_logits, "vgg11", 32),
    "NTLBench VGG-13, 32 px": (lambda n: ntl_vgg13(n, 32), ntl_vgg13_logits, "vgg13_dense32", 32),
    "NTLBench VGG-13, 64 px": (lambda n: ntl_vgg13(n, 64), ntl_vgg13_logits, "vgg13_dense64", 64),
    "NTLBench VGG-13-BN": (lambda n: ntl_vgg13(n, 64, True), ntl_vgg13_logits, "vgg13_bn_dense64", 64),
    "VGG-13, torchvision's classifier": (
        lambda n: ntl_vgg13(n, 32, head="classifier"),
        ntl_vgg13_logits,
        "vgg13_dense32",
        32,
    ),
    "NTLBench ResNet-34": (lambda n: resnet34(n, imagenet=True), resnet34_logits, "resnet34_imagenet", 64),
}
