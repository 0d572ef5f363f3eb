"""NAYER: a noisy layer instead of a latent vector (Tran et al., 2024).

Differences from the published code (tmtuan1307/NAYER), besides those marked [this lab] below:

- ``bn_mmt`` (0.9 in the published code): from the second loop on, R_BN there compares a mean of the statistics of this
  batch and of earlier loops, weighted 1 to 9. Here it compares the statistics of each batch alone [this lab: one R_BN
  for all synthesizers; a batch here has every class about equally often, so its statistics can match those of all].
- Augmentation for the student: the published code reads the pool through the data set's training transform, so the
  student gets images that are shifted and mirrored differently each time. Here it gets the images unchanged, as with
  CMI, because their stored robustness scores are valid only for the unchanged images (pool.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from atesc_core.device import autocast, memory_format
from atesc_core.models import Classifier, Generator
from atesc_core.specs.run import NAYERSpec
from atesc_core.synthesis.base import GeneratorUpdate, agreed_kl
from atesc_core.synthesis.pool import BestBatch, PooledSynthesizer
from atesc_core.synthesis.views import shifted
from atesc_core.training.divergence import detached

EMBEDDING = 512  # the length of a CLIP text embedding, as published


class LabelGenerator(nn.Module):
    """Labels → frozen embedding → BatchNorm1d → noisy Linear → Generator.

    The embedding is one fixed orthogonal vector per class [this lab: the published code uses CLIP's embeddings of "a
    image of {class}"; here no text encoder and none of its knowledge about class names is used]. Images i·C to
    (i + 1)·C of a batch share the i-th noisy layer. In a layer each label occurs once, so the images of a label differ
    because of the layers (as published).
    """

    embedding: Tensor  # (C, E)

    def __init__(self, num_classes: int, batch_size: int, noise: int, image_side: int, width: int, seed: int):
        super().__init__()
        self.num_classes, layers = num_classes, -(-batch_size // num_classes)
        length = max(EMBEDDING, num_classes)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # the same embedding for every generator of a run
            self.register_buffer("embedding", nn.init.orthogonal_(torch.empty(num_classes, length)))
        self.norm = nn.BatchNorm1d(length)
        self.weight = nn.Parameter(torch.zeros(layers, length, noise))
        self.bias = nn.Parameter(torch.zeros(layers, 1, noise))
        self.body = Generator(noise, image_side, width, seed)

    @torch.no_grad()
    def redraw(self, random: torch.Generator) -> None:
        """New noisy layers, weights from N(0, 1)."""
        self.weight.normal_(generator=random)
        self.bias.zero_()

    def labels(self, count: int, random: torch.Generator) -> Tensor:
        """(count,) labels: every class once per noisy layer; the classes of an incomplete last layer are random."""
        layers, device = len(self.weight), self.embedding.device
        last = torch.randperm(self.num_classes, generator=random, device=device)
        return torch.cat([torch.arange(self.num_classes, device=device).repeat(layers - 1), last])[:count]

    def forward(self, y: Tensor) -> Tensor:
        """y: (B,) labels in the order of ``labels``; returns (B, 3, H, W) in [0, 1]."""
        embedded = self.norm(self.embedding[y])
        missing = len(self.weight) * self.num_classes - len(y)
        by_layer = F.pad(embedded, (0, 0, 0, missing)).view(len(self.weight), self.num_classes, -1)
        noisy = torch.baddbmm(self.bias, by_layer, self.weight)
        images: Tensor = self.body(noisy.flatten(0, 1)[: len(y)])
        return images


class NAYER(PooledSynthesizer):
    """bn·R_BN + onehot·CE(T, y) + adversarial·L_adv; no adversarial term during the warm-up.

    A loop draws new noisy layers, trains them with the generator and adds its best batch to the pool.
    """

    generator: LabelGenerator

    def _build(self) -> None:
        super()._build()
        assert isinstance(self.spec.synthesis, NAYERSpec)
        self.settings = self.spec.synthesis
        self.batch_size = self.settings.batch_size
        self.rounds_done = 0
        self.generator = self._generator(self.spec.seed)

    def _generator(self, seed: int) -> LabelGenerator:
        generator = LabelGenerator(
            self.num_classes, self.batch_size, self.settings.noise, self.image_side, self.settings.width, seed
        )
        return generator.to(self.device).to(memory_format=memory_format(self.device))

    def turns(self, student: Classifier) -> Iterator[GeneratorUpdate]:
        """Each loop is a turn. Its result is the images of the step with the lowest loss."""
        student.eval()
        settings = self.settings
        epoch, round_ = divmod(self.rounds_done, self.spec.rounds)
        if round_ == 0 and (epoch - settings.warmup_epochs) % settings.generator_life == 0:
            self.generator = self._generator(self.spec.seed + epoch)
        warming = epoch < settings.warmup_epochs
        loops = settings.warmup_loops if warming else settings.loops
        for _ in range(loops):
            yield self._loop(student, 0.0 if warming else settings.adversarial, loops)
        self.rounds_done += 1

    def _loop(self, student: Classifier, adversarial: float, turn_count: int) -> GeneratorUpdate:
        self.generator.redraw(self.random)
        y = self.generator.labels(self.batch_size, self.random)
        optimiser = torch.optim.Adam(self.generator.parameters(), lr=self.settings.lr, betas=(0.5, 0.999))
        best, losses = BestBatch(), []
        augment = partial(shifted, random=self.random, flip=self.settings.flip)
        first: Tensor | None = None
        for _ in range(self.settings.steps):
            with autocast(self.device):
                x = self.generator(y).float()
                view = augment(x)
                t, terms = self._observe(view, self.settings.bn, augment)
                adversarial_term = agreed_kl(t, student(view).float()) if adversarial else t.new_zeros(())
            terms |= {
                "onehot": self.settings.onehot * F.cross_entropy(t, y),
                "adversarial": adversarial * adversarial_term,
            }
            first = x.detach() if first is None else first
            losses.append(detached(terms))
            best.compare(self._descend(terms, optimiser), x)
        self.pool.add(*best.batch)
        assert first is not None
        return GeneratorUpdate(turn_count, losses, first, lambda: best.batch[0], labels=y)

    def state_dict(self) -> dict[str, Any]:
        """The pool, the number of rounds done, and the generator."""
        return super().state_dict() | {"rounds": self.rounds_done, "generator": self.generator.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the state that ``state_dict`` returned."""
        super().load_state_dict(state)
        self.rounds_done = state["rounds"]
        self.generator.load_state_dict(state["generator"])
