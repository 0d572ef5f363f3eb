"""Accuracies of a classifier, in all and by class, measured on real images. No student learns from them."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from atesc_core.device import autocast, memory_format
from atesc_core.domains.domain import ImageSet
from atesc_core.domains.loading import PairData
from atesc_core.training.events import Measured


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
        teacher: Its most frequent label on OOD images is the trap label of a close-set pair, which is not known
            without it. In other pairs the trap label is the pair's target. It is moved to ``device``.
    """

    def __init__(
        self,
        data: PairData,
        device: torch.device,
        images: Literal["validation", "test"] = "test",
        teacher: nn.Module | None = None,
    ):
        self.pair, self.device, self.classes = data.pair, device, len(data.id.classes)
        self.id, self.ood = (getattr(domain, images).to(device) for domain in (data.id, data.ood))
        self.format = memory_format(device)
        self.trap_label = self.pair.target
        if self.trap_label is None and teacher is not None:
            self.trap_label = int(self._labels(teacher.to(device), self.ood).bincount().argmax())

    def __call__(self, model: nn.Module) -> Measured:
        """IAcc; OAcc, OLAcc or ASR; recall of each class, of the worst and of the trap label's own."""
        on_id, on_ood = (self._labels(model, part) for part in (self.id, self.ood))
        recalls = class_recalls(on_id, self.id.labels, self.classes)
        given = None if self.trap_label is None else share(on_ood == self.trap_label)
        metrics = {
            "iacc": accuracy(on_id, self.id),
            self.pair.metric: accuracy(on_ood, self.ood) if self.pair.target is None else given,
            "worst_recall": min(recall for recall in recalls if recall is not None),
            "trap_recall": None if self.trap_label is None else recalls[self.trap_label],
            "trap_share": given if self.pair.target is None else None,
        }
        return Measured({name: value for name, value in metrics.items() if value is not None}, recalls, self.trap_label)

    @torch.no_grad()
    def _labels(self, model: nn.Module, images: ImageSet) -> Tensor:
        with autocast(self.device):
            return predict(model, images.images.to(memory_format=self.format)).argmax(1)


def class_recalls(predicted: Tensor, labels: Tensor, classes: int) -> tuple[float | None, ...]:
    """Share of each class' images that get its label, in per cent; None for a class without images.

    predicted, labels: (N,) int64 in 0 to ``classes`` − 1.
    """
    totals = labels.bincount(minlength=classes).tolist()
    hits = labels[predicted == labels].bincount(minlength=classes).tolist()
    return tuple(100 * hit / total if total else None for hit, total in zip(hits, totals, strict=True))
