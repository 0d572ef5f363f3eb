"""DFQ: one persistent generator against the student (Choi et al., 2020, as used by Hong et al., 2025)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from atesc_core.device import autocast, memory_format
from atesc_core.models import Classifier, Generator, untouched
from atesc_core.specs.run import DFQSpec
from atesc_core.synthesis.base import GeneratorUpdate, Synthesizer
from atesc_core.training.divergence import detached, kl_divergence


class DFQ(Synthesizer):
    """L_G = bn·R_BN + onehot·CE(T, argmax T) − adversarial·KL(T‖S) + balance·Σ p̄ log p̄."""

    def _build(self) -> None:
        assert isinstance(self.spec.synthesis, DFQSpec)
        self.settings, self.batch_size = self.spec.synthesis, self.spec.batch_size
        latent, width = self.settings.latent, self.settings.width
        self.generator = Generator(latent, self.image_side, width, self.spec.seed, large=True)
        self.generator.to(self.device).to(memory_format=memory_format(self.device))
        self.optimiser = torch.optim.Adam(self.generator.parameters(), lr=self.settings.lr, betas=(0.5, 0.999))

    def _noise(self, count: int) -> Tensor:
        return torch.randn(count, self.settings.latent, generator=self.random, device=self.device)

    def turns(self, student: Classifier) -> Iterator[GeneratorUpdate]:
        """Each step of the generator is a turn."""
        student.eval()
        self.generator.train()
        for _ in range(self.settings.steps):
            z = self._noise(self.batch_size)
            with autocast(self.device):
                x = self.generator(z)
                t, terms = self._observe(x, self.settings.bn)
                s = student(x).float()
            p = t.softmax(1).mean(0)
            terms |= {
                "onehot": self.settings.onehot * F.cross_entropy(t, t.argmax(1)),
                "adversarial": -self.settings.adversarial * kl_divergence(t, s).mean(),
                "balance": self.settings.balance * (p * p.clamp_min(1e-12).log()).sum(),
            }
            self._descend(terms, self.optimiser)
            images_after = partial(self._images_of, z)
            yield GeneratorUpdate(self.settings.steps, [detached(terms)], x.detach(), images_after, noise=z)

    @torch.no_grad()
    def _images_of(self, z: Tensor) -> Tensor:
        """Images of the current generator from this noise."""
        with autocast(self.device):
            return untouched(self.generator, z).float()

    @torch.no_grad()
    def sample(self, count: int) -> Tensor:
        """``count`` new images, (count, 3, H, W) in [0, 1], without gradient.

        The generator is in evaluation mode, as in the published code: its BatchNorm layers take their running
        statistics, not those of these images.
        """
        self.generator.eval()
        with autocast(self.device):
            images: Tensor = self.generator(self._noise(count)).float()
        return images

    def state_dict(self) -> dict[str, Any]:
        """The generator and its optimiser."""
        own = {"generator": self.generator.state_dict(), "optimiser": self.optimiser.state_dict()}
        return super().state_dict() | own

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the state that ``state_dict`` returned."""
        super().load_state_dict(state)
        self.generator.load_state_dict(state["generator"])
        self.optimiser.load_state_dict(state["optimiser"])
