"""A far stronger and far more expensive attack than the split's: the reference that the split is compared with."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from atesc_core.robustness.attack import Model, margins, normalised_loss

Loss = Callable[[Tensor, Tensor], Tensor]  # logits (B, C), labels (B,) -> what the attack raises, (B,)

MOMENTUM = 0.75  # weight of the new step; the rest repeats the last one (APGD, Croce & Hein, 2020)


def strong_flips(
    model: Model,
    x: Tensor,
    y: Tensor,
    epsilon: float,
    generator: torch.Generator,
    *,
    steps: int = 100,
    restarts: int = 4,
) -> Tensor:
    """Whether any of several long attacks changes the prediction, (B,) bool.

    Each restart attacks three times: on the margin (Carlini & Wagner, 2017), on the difference of logits ratio (DLR,
    Croce & Hein, 2020) and on the split's own loss; none loses its gradient where the model is very sure. The first
    restart starts at the image, the others at random. Signed steps with momentum fall from 2 ε to 0 along a cosine. An
    image leaves once it is flipped.

    Args:
        model: the attacked model. DLR has no gradient where it has only two classes.
        x: (B, 3, H, W) in [0, 1].
        y: (B,) int64, the predictions to change.
        epsilon: the L∞ budget in 1/255.
        generator: random generator of the starts, on the device of ``x``.
        steps: gradient steps of each attack.
        restarts: starts of each loss.
    """
    flipped = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    for restart in range(restarts):
        for loss in (_negative_margin, difference_of_logits_ratio, normalised_loss):
            left = (~flipped).nonzero()[:, 0]
            if not len(left):
                return flipped
            images = x[left]
            noise = torch.rand(images.shape, generator=generator, device=x.device) * 2 - 1
            start = (images + min(restart, 1) * epsilon / 255 * noise).clamp(0, 1)
            flipped[left] = _attack(model, images, y[left], epsilon / 255, steps, start, loss)
    return flipped


def difference_of_logits_ratio(logits: Tensor, y: Tensor) -> Tensor:
    """DLR, (B,): −(z_y − best other logit) / (largest − third largest logit), which no scale of the logits changes."""
    ordered = logits.sort(1, descending=True).values
    third = ordered[:, min(2, logits.shape[1] - 1)]
    return -margins(logits, y) / (ordered[:, 0] - third).clamp_min(1e-12)


def _negative_margin(logits: Tensor, y: Tensor) -> Tensor:
    return -margins(logits, y)


def _attack(model: Model, x: Tensor, y: Tensor, budget: float, steps: int, start: Tensor, loss: Loss) -> Tensor:
    """Whether the prediction changed anywhere on the path of one attack, (B,) bool. ``budget``: on the scale of x."""
    flipped = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    active = torch.arange(len(x), device=x.device)
    current, before = start, start
    schedule = torch.cos(torch.arange(steps) * torch.pi / (2 * steps)) * 2 * budget
    for step in schedule.tolist():
        leaf = current.detach().requires_grad_()
        logits = model(leaf).float()
        wrong = margins(logits.detach(), y[active]) < 0
        (gradient,) = torch.autograd.grad(loss(logits, y[active]).sum(), leaf)
        flipped[active[wrong]] = True
        stays = ~wrong
        active, current, before, gradient = active[stays], current[stays], before[stays], gradient[stays]
        if not len(active):
            return flipped
        low, high = (x[active] - budget).clamp(0, 1), (x[active] + budget).clamp(0, 1)
        stepped = torch.minimum(torch.maximum(current + step * gradient.sign(), low), high)
        moved = current + MOMENTUM * (stepped - current) + (1 - MOMENTUM) * (current - before)
        before, current = current, torch.minimum(torch.maximum(moved, low), high)
    with torch.no_grad():
        flipped[active] = margins(model(current).float(), y[active]) < 0
    return flipped
