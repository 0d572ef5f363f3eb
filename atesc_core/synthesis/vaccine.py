"""ABD's shuffling vaccine (Hong et al., ICML 2023): the generator avoids images whose label survives a shuffle.

A backdoor needs few channels: a copy of the teacher with shuffled input channels in its last convolutions forgets the
classes and still gives the backdoor's label. So images that get the same label from teacher and copies are suspect, and
the generator is trained to make both differ on them. This is the part of ABD for the generator; self-retrospection,
which changes the student afterwards, is not implemented.

Published constants: github.com/illidanlab/ABD, zskt/main.py and its sweeps.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from atesc_core.device import autocast
from atesc_core.models import Classifier
from atesc_core.specs.run import RunSpec
from atesc_core.training.divergence import kl_divergence, masked_mean

COPIES = 3  # as published; a single copy depends too much on its shuffle
LAYERS = 5  # as published for WRN-16-2, counted from the output; at most half of a net's convolutions [this lab]


def shuffled(teacher: Classifier, random: torch.Generator) -> Classifier:
    """A copy of the teacher whose last convolutions have their input channels in random order. ``random``: on the CPU.

    If all convolutions of a small net were shuffled, no class would survive. Of the shipped backdoor teacher
    the backdoor does not survive either (a test holds it), and the vaccine has nothing to find there.
    """
    shuffled_copy = copy.deepcopy(teacher).requires_grad_(False)
    convolutions = [layer for layer in shuffled_copy.modules() if isinstance(layer, nn.Conv2d)]
    for layer in convolutions[-min(LAYERS, max(1, len(convolutions) // 2)) :]:
        order = torch.randperm(layer.weight.shape[1], generator=random).to(layer.weight.device)
        layer.weight.copy_(layer.weight[:, order])
    return shuffled_copy.eval()


class Vaccine:
    """An additional term of any synthesizer's loss when ``escape.kind`` is abd; no term otherwise.

    The copies follow from the run's seed, so a checkpoint does not hold them. Left out, as in the published default:
    new copies if synthetic images show that these copies do not work.
    """

    def __init__(self, spec: RunSpec, teacher: Classifier):
        random = torch.Generator().manual_seed(spec.seed)
        self.weight = spec.escape.vaccine
        self.copies = [shuffled(teacher, random) for _ in range(COPIES)] if spec.escape.kind == "abd" else []

    def terms(self, images: Tensor, teacher_logits: Tensor) -> dict[str, Tensor]:
        """{"vaccine": −weight · mean KL(T ‖ copies) / C}, or {} without copies. Both arguments get a gradient.

        The mean is over the images to which the copies' mean logits give the teacher's label.

        Args:
            images: (B, 3, H, W) in [0, 1].
            teacher_logits: (B, C).
        """
        if not self.copies:
            return {}
        with autocast(images.device):
            logits = torch.stack([each(images).float() for each in self.copies]).mean(0)
        suspect = logits.argmax(1) == teacher_logits.argmax(1)
        return {"vaccine": -self.weight * masked_mean(kl_divergence(teacher_logits, logits) / logits.shape[1], suspect)}
