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
    """A copy whose last convolutions have their input channels in another order. ``random``: on the CPU.

    With all of its convolutions shuffled a small net would keep nothing at all. Share of test images on which three
    copies label as the shipped backdoor teacher does, two of four convolutions: 11 % of ID, 98 % of OOD.
    """
    twin = copy.deepcopy(teacher).requires_grad_(False)
    convolutions = [layer for layer in twin.modules() if isinstance(layer, nn.Conv2d)]
    for layer in convolutions[-min(LAYERS, max(1, len(convolutions) // 2)) :]:
        order = torch.randperm(layer.weight.shape[1], generator=random).to(layer.weight.device)
        layer.weight.copy_(layer.weight[:, order])
    return twin.eval()


class Vaccine:
    """A term of any synthesizer's loss, with ``escape.kind`` abd; else nothing. The copies follow from the seed: a
    resumed run has the same, without keeping them. Published too, and left out as in the published runs by default:
    drawing other copies where synthetic images show that these are no use."""

    def __init__(self, spec: RunSpec, teacher: Classifier):
        random = torch.Generator().manual_seed(spec.seed)
        self.weight = spec.escape.vaccine
        self.copies = [shuffled(teacher, random) for _ in range(COPIES)] if spec.escape.kind == "abd" else []

    def terms(self, x: Tensor, t: Tensor) -> dict[str, Tensor]:
        """−weight · mean KL(T ‖ copies) / C over the images on which the copies' mean logits choose as the teacher
        does. x: (B, 3, H, W) in [0, 1]; t: (B, C), the teacher's logits. The gradient goes through both."""
        if not self.copies:
            return {}
        with autocast(x.device):
            logits = torch.stack([twin(x).float() for twin in self.copies]).mean(0)
        suspect = logits.argmax(1) == t.argmax(1)
        return {"vaccine": -self.weight * masked_mean(kl_divergence(t, logits) / t.shape[1], suspect)}
