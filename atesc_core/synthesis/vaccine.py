"""ABD's shuffling vaccine (Hong et al., ICML 2023): the generator is kept from what survives shuffled channels.

A backdoor needs few channels: a teacher's copy with its last convolutions' input channels shuffled forgets its
classes and still gives the backdoor's label. So images that such copies label as the teacher does are suspect, and
the generator is asked to pull both apart on them. It is the generator's half of ABD; self-retrospection, which works
on the student afterwards, is not here. Published constants: github.com/illidanlab/ABD, zskt/main.py and its sweeps.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from atesc_core.device import autocast
from atesc_core.models import Classifier
from atesc_core.specs.run import RunSpec
from atesc_core.training.divergence import kl_divergence, masked_mean

COPIES = 3  # as published: one alone depends too much on its shuffle
LAYERS = 5  # as published for WRN-16-2, counted from the output; at most half of a net's convolutions [this lab]


def shuffled(teacher: Classifier, random: torch.Generator) -> Classifier:
    """A copy of the teacher whose last convolutions have their input channels in random order. ``random``: on the CPU.

    Were all convolutions of a small net shuffled, no class would survive. Share of test images on which three
    copies label as the shipped backdoor teacher does, two of four convolutions: 11 % of ID, 98 % of OOD.
    """
    twin = copy.deepcopy(teacher).requires_grad_(False)
    convolutions = [layer for layer in twin.modules() if isinstance(layer, nn.Conv2d)]
    for layer in convolutions[-min(LAYERS, max(1, len(convolutions) // 2)) :]:
        order = torch.randperm(layer.weight.shape[1], generator=random).to(layer.weight.device)
        layer.weight.copy_(layer.weight[:, order])
    return twin.eval()


class Vaccine:
    """An additional term of any synthesizer's loss when ``escape.kind`` is abd; no term otherwise.

    The copies follow from the run's seed, so that a checkpoint need not hold them. Left out, as in the published
    runs by default: drawing other copies when synthetic images show that these are of no use.
    """

    def __init__(self, spec: RunSpec, teacher: Classifier):
        random = torch.Generator().manual_seed(spec.seed)
        self.weight = spec.escape.vaccine
        self.copies = [shuffled(teacher, random) for _ in range(COPIES)] if spec.escape.kind == "abd" else []

    def terms(self, images: Tensor, teacher_logits: Tensor) -> dict[str, Tensor]:
        """{"vaccine": −weight · mean KL(T ‖ copies) / C}, or {} without copies. The gradient goes through both arguments.

        The mean is over the images to which the copies' mean logits give the teacher's label.

        Args:
            images: (B, 3, H, W) in [0, 1].
            teacher_logits: (B, C).
        """
        if not self.copies:
            return {}
        with autocast(images.device):
            logits = torch.stack([twin(images).float() for twin in self.copies]).mean(0)
        suspect = logits.argmax(1) == teacher_logits.argmax(1)
        return {"vaccine": -self.weight * masked_mean(kl_divergence(teacher_logits, logits) / logits.shape[1], suspect)}
