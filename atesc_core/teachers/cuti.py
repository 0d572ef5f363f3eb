"""CUTI-domain: a close-set teacher that learns to fail on OOD images, and on OOD features in ID style.

Wang et al., CVPR 2023 (arXiv 2303.11078), as in the published code (LyWang12/CUTI-Domain, train_ts_digit.py;
tmllab/NTLBench, pretrain/trainer_CUTI.py). Steps alternate: the OOD half of a batch goes through the network
unchanged, or gets the channel statistics of the ID half after every stage (the isolation domain). The 1×1 convolutions
that mix these statistics are drawn again at every stage of every step and never trained.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from atesc_core.models import Classifier
from atesc_core.teachers.ntl import class_mean_cross_entropy


def restyle(content: Tensor, style: Tensor, mix_mean: Tensor, mix_std: Tensor) -> Tensor:
    """Content · sigmoid(mix_std · σ) + sigmoid(mix_mean · μ), with μ, σ the channel statistics of ``style``.

    content, style: (B, C, H, W), paired by image; mix_mean, mix_std: (C, C). The variance is biased, plus 1e-5,
    so that it exists for a 1×1 map [this lab; published: unbiased].
    """
    std = (style.var((2, 3), correction=0) + 1e-5).sqrt()
    scale, shift = torch.sigmoid(std @ mix_std.T), torch.sigmoid(style.mean((2, 3)) @ mix_mean.T)
    return content * scale[:, :, None, None] + shift[:, :, None, None]


def cuti_loss(logits_id: Tensor, logits_ood: Tensor, y_id: Tensor, y_ood: Tensor, alpha: float) -> dict[str, Tensor]:
    """L_id − min(1, α·L_ood), on the published scale: the two terms and their total. logits: (B, C); y: (B,)."""
    loss_id = class_mean_cross_entropy(logits_id, y_id)
    loss_ood = (alpha * class_mean_cross_entropy(logits_ood, y_ood)).clamp(max=1)
    return {"id": loss_id, "ood": loss_ood, "total": loss_id - loss_ood}


@contextmanager
def isolation_domain(model: Classifier, random: torch.Generator) -> Iterator[None]:
    """Inside this context, ``model`` re-styles the second half of a batch after every stage; the first half is ID.

    BatchNorm's running statistics do not change [this lab], because the teacher will never get re-styled maps later.
    """

    def hook(_: nn.Module, __: tuple[Tensor], out: Tensor) -> Tensor:
        style, content = out.chunk(2)
        return torch.cat([style, restyle(content, style, *_mixing(out, random))])

    norms = [(layer, layer.momentum) for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]
    for layer, _ in norms:
        layer.momentum = 0.0
    hooks = [model.backbone.get_submodule(name).register_forward_hook(hook) for name in model.stages]
    try:
        yield
    finally:
        for handle in hooks:
            handle.remove()
        for layer, momentum in norms:
            layer.momentum = momentum


def _mixing(maps: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Two (C, C) matrices, uniform in ±1/√C, like a new 1×1 convolution of PyTorch."""
    channels = maps.shape[1]
    drawn = (2 * torch.rand(2, channels, channels, generator=random) - 1) / channels**0.5
    first, second = drawn.to(maps)
    return first, second
