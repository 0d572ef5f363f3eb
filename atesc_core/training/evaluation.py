"""IAcc, OAcc, OLAcc and ASR of a classifier, measured on real images. No student learns from them."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from atesc_core.device import autocast, memory_format
from atesc_core.domains.domain import ImageSet
from atesc_core.domains.loading import PairData


@torch.no_grad()
def predict(model: nn.Module, images: Tensor, batch_size: int = 500) -> Tensor:
    """Logits of all images, (N, C) float32, in evaluation mode; the model's mode is restored afterwards."""
    was_training = model.training
    model.eval()
    logits = torch.cat([model(part).float() for part in torch.split(images, batch_size)])
    model.train(was_training)
    return logits


def share(hits: Tensor) -> float:
    """Share of true entries of a (N,) bool tensor, in per cent."""
    return 100 * hits.sum().item() / hits.numel()


def accuracy(predicted: Tensor, images: ImageSet) -> float:
    """Share of images whose predicted label is true, in per cent. predicted: (N,) int64."""
    return share(predicted == images.labels)


class Evaluator:
    """Measures a classifier on real images of a pair when it is called.

    Args:
        data: The images of the pair.
        device: The device to compute on.
        images: ``test`` to report, ``validation`` to choose a setting, a threshold or a teacher.
    """

    def __init__(self, data: PairData, device: torch.device, images: Literal["validation", "test"] = "test"):
        self.pair, self.device = data.pair, device
        self.id, self.ood = (getattr(domain, images).to(device) for domain in (data.id, data.ood))
        self.format = memory_format(device)

    def __call__(self, model: nn.Module) -> dict[str, float]:
        """``iacc``, and ``oacc``, ``olacc`` or ``asr``, of ``model``, in per cent."""
        with autocast(self.device):
            on_id, on_ood = (
                predict(model, part.images.to(memory_format=self.format)).argmax(1) for part in (self.id, self.ood)
            )
        ood = accuracy(on_ood, self.ood) if self.pair.target is None else share(on_ood == self.pair.target)
        return {"iacc": accuracy(on_id, self.id), self.pair.metric: ood}
