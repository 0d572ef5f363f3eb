"""Untargeted L∞ PGD from the teacher's own prediction (Madry et al., 2018), and the smallest ε that flips it.

Budgets are in 1/255 everywhere; images are in [0, 1]. Gradients are taken with respect to the input
only, and randomness comes from the generator that is passed in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

Model = Callable[[Tensor], Tensor]  # (B, 3, H, W) in [0, 1] -> logits (B, C)


@dataclass(frozen=True)
class Attack:
    """What PGD found. ``adversarial``: (B, 3, H, W), where each image was left; ``flipped``: (B,) bool, the
    prediction changed on the path; ``margin``: (B,), the smallest on the path of logit y − best other logit."""

    adversarial: Tensor
    flipped: Tensor
    margin: Tensor


def margins(logits: Tensor, y: Tensor) -> Tensor:
    """logit of y − best other logit. logits: (B, C), y: (B,) int64; returns (B,)."""
    others = logits.scatter(1, y[:, None], float("-inf"))
    return logits.gather(1, y[:, None])[:, 0] - others.amax(1)


def pgd(model: Model, x: Tensor, y: Tensor, epsilon: float | Tensor, steps: int, generator: torch.Generator,
        *, leave_when_flipped: bool = False) -> Attack:
    """Raise the cross-entropy of ``y`` by ``steps`` signed gradient steps of 2.5 ε / steps, from a random start.

    x: (B, 3, H, W) in [0, 1]; y: (B,) the predictions to change; epsilon: budget in 1/255, one or (B,).
    ``leave_when_flipped`` takes an image out of the attack as soon as its prediction changes, which
    gives the same ``flipped`` at a fraction of the cost; ``margin`` is then not the path's minimum.
    """
    budget = (torch.as_tensor(epsilon, dtype=x.dtype, device=x.device) / 255).expand(len(x))
    noise = torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype) * 2 - 1
    adversarial = (x + budget.view(-1, 1, 1, 1) * noise).clamp(0, 1)
    best = torch.full((len(x),), float("inf"), device=x.device, dtype=x.dtype)
    active = torch.arange(len(x), device=x.device)
    for step in range(steps + 1):
        here = adversarial[active].requires_grad_(step < steps)
        logits = model(here).float()
        best[active] = torch.minimum(best[active], margins(logits.detach(), y[active]))
        if step == steps:
            break
        (gradient,) = torch.autograd.grad(F.cross_entropy(logits, y[active], reduction="sum"), here)
        if leave_when_flipped:
            staying = best[active] > 0
            active, here, gradient = active[staying], here[staying], gradient[staying]
            if not len(active):
                break
        eps = budget[active].view(-1, 1, 1, 1)
        moved = here.detach() + 2.5 * eps / steps * gradient.sign()
        origin = x[active]
        adversarial[active] = torch.minimum(torch.maximum(moved, origin - eps), origin + eps).clamp(0, 1)
    return Attack(adversarial, best < 0, best)


def min_epsilon(model: Model, x: Tensor, y: Tensor, max_epsilon: float, steps: int, generator: torch.Generator,
                *, bisections: int = 7) -> Tensor:
    """The smallest budget, in 1/255, at which PGD changes the prediction, by bisection over [0, max_epsilon].

    x: (B, 3, H, W) in [0, 1]; y: (B,). Returns (B,): the upper end of an interval max_epsilon / 2^bisections
    wide; ∞ where even ``max_epsilon`` did not change it; 0 where the prediction is not ``y`` to begin with.
    """
    highest = torch.full((len(x),), float(max_epsilon), device=x.device)
    reached = pgd(model, x, y, highest, steps, generator, leave_when_flipped=True).flipped
    lower, upper = torch.zeros_like(highest), highest
    for _ in range(bisections):
        middle = (lower + upper) / 2
        flipped = pgd(model, x, y, middle, steps, generator, leave_when_flipped=True).flipped
        lower, upper = torch.where(flipped, lower, middle), torch.where(flipped, middle, upper)
    with torch.no_grad():
        wrong_already = model(x).argmax(1) != y
    found = torch.where(reached, upper, torch.inf)
    return torch.where(wrong_already, 0.0, found)
