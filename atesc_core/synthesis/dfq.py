"""DFQ: one persistent generator against the student (Choi et al., 2020, as used by Hong et al., 2025)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from atesc_core.device import autocast, memory_format
from atesc_core.distillation.additions.projection import Untrapped
from atesc_core.models import Classifier, Generator, untouched
from atesc_core.specs.run import RunSpec
from atesc_core.synthesis.base import BatchNormMatch, Learned, Synthesizer, without_gradient
from atesc_core.synthesis.vaccine import Vaccine
from atesc_core.training.divergence import kl_divergence


class DFQ(Synthesizer):
    """L_G = bn·R_BN + onehot·CE(T, argmax T) − adversarial·KL(T‖S) + balance·Σ p̄ log p̄."""

    def __init__(self, spec: RunSpec, teacher: Untrapped, image_side: int, random: torch.Generator):
        self.settings, self.batch_size = spec.synthesis, spec.batch_size
        self.teacher, self.random, self.device = teacher, random, random.device
        self.vaccine = Vaccine(spec, teacher.teacher)
        self.generator = Generator(self.settings.latent, image_side, self.settings.width, spec.seed)
        self.generator.to(self.device, memory_format=memory_format(self.device))
        self.optimiser = torch.optim.Adam(self.generator.parameters(), lr=self.settings.lr, betas=(0.5, 0.999))

    def _noise(self, count: int) -> Tensor:
        return torch.randn(count, self.settings.latent, generator=self.random, device=self.device)

    def turns(self, student: Classifier) -> Iterator[Learned]:
        """A turn is a step."""
        student.eval()
        for _ in range(self.settings.steps):
            z = self._noise(self.batch_size)
            with autocast(self.device), BatchNormMatch(self.teacher) as match:
                x = self.generator(z)
                t = self.teacher(x).float()
                s = student(x).float()
            p = t.softmax(1).mean(0)
            terms = {
                "bn": self.settings.bn * match.loss(),
                "onehot": self.settings.onehot * F.cross_entropy(t, t.argmax(1)),
                "adversarial": -self.settings.adversarial * kl_divergence(t, s).mean(),
                "balance": self.settings.balance * (p * p.clamp_min(1e-12).log()).sum(),
            } | self.vaccine.terms(x, t)
            self.optimiser.zero_grad(set_to_none=True)
            sum(terms.values()).backward(inputs=list(self.generator.parameters()))  # the student's would be thrown away
            self.optimiser.step()
            yield Learned(self.settings.steps, [without_gradient(terms)], x.detach(), partial(self._again, z), noise=z)

    @torch.no_grad()
    def _again(self, z: Tensor) -> Tensor:
        """Images of the same noise, of the generator as it is now."""
        with autocast(self.device):
            return untouched(self.generator, z).float()

    @torch.no_grad()
    def sample(self, count: int) -> Tensor:
        with autocast(self.device):
            return self.generator(self._noise(count)).float()

    def state_dict(self) -> dict[str, Any]:
        return {"generator": self.generator.state_dict(), "optimiser": self.optimiser.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.generator.load_state_dict(state["generator"])
        self.optimiser.load_state_dict(state["optimiser"])
