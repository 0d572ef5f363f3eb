"""CMI: contrastive model inversion (Fang et al., 2021, as used by Hong et al., 2025)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from atesc_core.device import autocast, memory_format
from atesc_core.models import Classifier, Generator
from atesc_core.models.batchnorm import LayerInputs
from atesc_core.specs.run import CMISpec
from atesc_core.synthesis.base import GeneratorUpdate, agreed_kl
from atesc_core.synthesis.pool import BestBatch, PooledSynthesizer, Ring
from atesc_core.synthesis.views import shifted, zoomed
from atesc_core.training.divergence import detached


def contrast(local_views: Tensor, global_views: Tensor, batch: int, temperature: float) -> Tensor:
    """L_cr: each image's local view must find its global view among the global views of all images. A scalar in nats.

    local_views, global_views: (B + N, F) unit vectors, first of the batch, then of the bank. The global views are
    targets without gradient. Batch and bank are averaged separately, so that a large bank does not reduce the gradient
    of the batch (as published).
    """
    similar = local_views @ global_views.detach().T / temperature
    losses = F.cross_entropy(similar, torch.arange(len(local_views), device=local_views.device), reduction="none")
    return losses[:batch].mean() + (losses[batch:].mean() if len(losses) > batch else 0)


class LayerMeans(LayerInputs):
    """The input of each BatchNorm layer, averaged over positions: (B, D) for all layers together.

    For a teacher without BatchNorm, the input of each convolution [this lab]. Filled by the
    teacher's forward passes within ``with``.
    """

    def __init__(self, teacher: nn.Module):
        modules = list(teacher.modules())
        super().__init__(
            [m for m in modules if isinstance(m, nn.BatchNorm2d)] or [m for m in modules if isinstance(m, nn.Conv2d)]
        )
        self.means: list[Tensor] = []

    def _measure(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self.means.append(inputs[0].float().mean((2, 3)))

    def take(self, count: int) -> Tensor:
        """(count, D), of the first ``count`` images of the first forward pass since the last call."""
        means = torch.cat([mean[:count] for mean in self.means[: len(self.measured)]], 1)
        self.means.clear()
        return means


class CMI(PooledSynthesizer):
    """bn·R_BN + onehot·CE(T, y) + adversarial·L_adv + contrast·L_cr.

    Generator and z start again at each call. The head of L_cr, its optimiser and the feature bank stay for the whole
    run.
    """

    def _build(self) -> None:
        super()._build()
        assert isinstance(self.spec.synthesis, CMISpec)
        self.settings = self.spec.synthesis
        self.batch_size = self.settings.batch_size
        self.generator = Generator(self.settings.latent, self.image_side, self.settings.width, self.spec.seed)
        self.generator.to(self.device).to(memory_format=memory_format(self.device))
        self.bank = Ring(self.settings.bank, self.device)  # (local and global features of an image, 2 D)
        with torch.no_grad(), LayerMeans(self.teacher) as means:
            self.teacher(torch.zeros(1, 3, self.image_side, self.image_side, device=self.device))
            length = means.take(1).shape[1]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.spec.seed)
            self.head = nn.Sequential(
                nn.Linear(length, length), nn.ReLU(inplace=True), nn.Linear(length, self.settings.head)
            ).to(self.device)
        self.head_optimiser = torch.optim.Adam(self.head.parameters(), lr=self.settings.lr)

    def turns(self, student: Classifier) -> Iterator[GeneratorUpdate]:
        """A call is one turn. Its result is the images of the step with the lowest loss."""
        student.eval()
        restart(self.generator, self.random)
        z = torch.randn(self.batch_size, self.settings.latent, generator=self.random, device=self.device)
        drawn = z.clone()
        z.requires_grad_()
        y = torch.randint(self.num_classes, (self.batch_size,), generator=self.random, device=self.device)
        optimiser = torch.optim.Adam([*self.generator.parameters(), z], lr=self.settings.lr, betas=(0.5, 0.999))
        best, losses = BestBatch(), []
        first: Tensor | None = None
        for _ in range(self.settings.steps):
            with autocast(self.device):
                x = self.generator(z).float()
                terms, features = self._losses(x, y, student)
            first = x.detach() if first is None else first
            losses.append(detached(terms))
            best.compare(self._descend(terms, optimiser, self.head_optimiser), x, features)
        images, features = best.batch
        self.pool.add(images)
        self.bank.add(features)
        assert first is not None
        yield GeneratorUpdate(1, losses, first, lambda: images, noise=drawn, labels=y)

    def _losses(self, x: Tensor, y: Tensor, student: Classifier) -> tuple[dict[str, Tensor], Tensor]:
        """The weighted terms, and the features of both views, (B, 2 D)."""
        settings = self.settings
        augment = partial(shifted, random=self.random, flip=settings.flip)
        view = augment(x)
        with LayerMeans(self.teacher) as means:
            t, terms = self._observe(view, settings.bn, augment)
            global_features = means.take(len(view))
            self.teacher(zoomed(x, self.random, settings.flip))
            features = torch.cat([means.take(len(view)), global_features], 1)
        terms |= {
            "onehot": settings.onehot * F.cross_entropy(t, y),
            "adversarial": settings.adversarial * agreed_kl(t, student(view).float()),
            "contrast": settings.contrast * self._contrast(features),
        }
        return terms, features

    def _contrast(self, features: Tensor) -> Tensor:
        rows = features
        if len(self.bank):
            indices = self.bank.draw(min(self.settings.negatives, len(self.bank)), self.random)
            rows = torch.cat([features, self.bank.filled_rows()[indices]])
        local_views, global_views = (F.normalize(self.head(part).float(), dim=1) for part in rows.chunk(2, 1))
        return contrast(local_views, global_views, self.batch_size, self.settings.contrast_temperature)

    def state_dict(self) -> dict[str, Any]:
        """The pool, the feature bank, and the head with its optimiser; the generator starts again at each call."""
        return super().state_dict() | {
            "bank": self.bank.state_dict(),
            "head": self.head.state_dict(),
            "head_optimiser": self.head_optimiser.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the state that ``state_dict`` returned."""
        super().load_state_dict(state)
        self.bank.load_state_dict(state["bank"])
        self.head.load_state_dict(state["head"])
        self.head_optimiser.load_state_dict(state["head_optimiser"])


@torch.no_grad()
def restart(generator: nn.Module, random: torch.Generator) -> None:
    """New weights, as in the published code: N(0, 0.02²), BatchNorm's N(1, 0.02²), biases 0."""
    for layer in generator.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d, nn.BatchNorm2d)):
            layer.weight.normal_(float(isinstance(layer, nn.BatchNorm2d)), 0.02, generator=random)
            if layer.bias is not None:
                layer.bias.zero_()
