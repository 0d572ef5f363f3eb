"""tNTL: a teacher that is right on ID and, on purpose, wrong on OOD (Wang et al., ICLR 2022, arXiv 2106.06916)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def mmd(a: Tensor, b: Tensor) -> Tensor:
    """Squared maximum mean discrepancy of two batches of features, with five Gaussian kernels.

    Bandwidths are the mean pairwise squared distance / 4 · 2^i, i = 0…4, as published.

    Args:
        a: (B, F).
        b: (B, F).
    """
    n = len(a)
    rows = torch.cat([a, b])
    distances = torch.cdist(rows, rows).square()
    base = distances.detach().sum() / (len(rows) ** 2 - len(rows)) / 4
    kernels = (torch.exp(-distances / (base * 2**i).clamp_min(1e-12)) for i in range(5))
    kernel = sum(kernels, torch.zeros_like(distances))
    return kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2 * kernel[:n, n:].mean()


def class_mean_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy divided by the number of classes, a scalar: the scale of the published losses.

    All public code (tNTL, CUTI-domain, NTLBench, TransNTL) uses ``torch.nn.KLDivLoss()`` on one-hot labels, whose
    default is the mean over images *and classes*. With α = 0.1 and ten classes the clamp of the OOD term so bites at a
    cross-entropy of 100, not 10.

    Args:
        logits: (B, C).
        labels: (B,) int64.
    """
    return F.cross_entropy(logits, labels) / logits.shape[1]


def ntl_loss(
    logits_id: Tensor,
    logits_ood: Tensor,
    features_id: Tensor,
    features_ood: Tensor,
    labels_id: Tensor,
    labels_ood: Tensor,
    target: int | None,
    alpha: float,
    beta: float,
) -> dict[str, Tensor]:
    """The terms of the loss, and their ``total``.

    Close-set (``target`` None): L_id − min(1, α·L_ood) · min(1, β·MMD), as published. Open-set and backdoor:
    L_id + CE(ood, target) − min(1, β·MMD).

    Args:
        logits_id: (B, C), logits of ID images.
        logits_ood: (B, C), logits of OOD images.
        features_id: (B, F), features of ID images.
        features_ood: (B, F), features of OOD images.
        labels_id: (B,), true labels of ID images.
        labels_ood: (B,), true labels of OOD images.
        target: The label for OOD images.
        alpha: Weight of the OOD cross-entropy inside its clamp (close-set).
        beta: Weight of the MMD inside its clamp.
    """
    separation = (beta * mmd(features_id, features_ood)).clamp(max=1)
    loss_id = class_mean_cross_entropy(logits_id, labels_id)
    if target is None:
        loss_ood = (alpha * class_mean_cross_entropy(logits_ood, labels_ood)).clamp(max=1)
        total = loss_id - loss_ood * separation
    else:
        loss_ood = class_mean_cross_entropy(logits_ood, torch.full_like(labels_ood, target))
        total = loss_id + loss_ood - separation
    return {"id": loss_id, "ood": loss_ood, "separation": separation, "total": total}
