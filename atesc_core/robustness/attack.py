"""Untargeted L∞ PGD from the teacher's own prediction (Madry et al., 2018), and the smallest ε that flips it.

Budgets are in 1/255 everywhere; images are in [0, 1]. Gradients are taken with respect to the input
only, and randomness comes from the generator that is passed in; ``flips`` and ``min_epsilon`` use none.
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


def pgd(model: Model, x: Tensor, y: Tensor, epsilon: float | Tensor, steps: int, generator: torch.Generator) -> Attack:
    """Raise the cross-entropy of ``y`` by ``steps`` signed gradient steps of 2.5 ε / steps, from a random start.

    x: (B, 3, H, W) in [0, 1]; y: (B,) the predictions to change; epsilon: budget in 1/255, one or (B,).
    """
    budget = _budget(epsilon, x)
    noise = torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype) * 2 - 1
    adversarial = (x + budget * noise).clamp(0, 1)
    best = torch.full((len(x),), float("inf"), device=x.device, dtype=x.dtype)
    for _ in range(steps):
        margin, gradient = _look(model, adversarial, y)
        best = torch.minimum(best, margin)
        adversarial = _moved(adversarial, gradient, 2.5 / steps, x, budget)
    with torch.no_grad():
        best = torch.minimum(best, margins(model(adversarial).float(), y))
    return Attack(adversarial, best < 0, best)


def flips(
    model: Model, x: Tensor, y: Tensor, epsilon: float | Tensor, steps: int, logits: Tensor | None = None
) -> Tensor:
    """Whether ``strike`` changes the prediction: (B,) bool."""
    return strike(model, x, y, epsilon, steps, logits)[1]


def strike(
    model: Model, x: Tensor, y: Tensor, epsilon: float | Tensor, steps: int, logits: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """(adversarial, flipped): where the attack left each image, (B, 3, H, W), and whether the prediction changed there,
    (B,) bool. The cheap form of ``pgd`` [this lab; agreement with PGD-20 and cost: python -m benchmarks.split_cost].

    The first step, from the image itself, takes the whole budget. Most images are then settled and leave the attack:
    those that it flipped, and as robust those that kept more than half of their margin. Up to ``steps`` signed steps
    of 2.5 ε / steps go on from there with the others, each leaving once flipped. On CUDA nobody leaves before the
    end: to know who does would stop the queue at every step.

    x: (B, 3, H, W) in [0, 1]; y: (B,) int64, the predictions to change; epsilon: budget in 1/255, one or (B,).
    logits: (B, C), what ``model`` has said of x already, where it was asked with x in the graph: a pass less.
    """
    margin, gradient = _look(model, x, y) if logits is None else _seen(x, logits, y)
    x = x.detach()
    budget, leaving = _budget(epsilon, x), not x.is_cuda
    adversarial = _moved(x, gradient, 1.0, x, budget)
    with torch.no_grad():
        after = margins(model(adversarial).float(), y)
    flipped = torch.minimum(margin, after) < 0
    active = torch.arange(len(x), device=x.device)
    if leaving:
        active = active[~flipped & (after <= margin / 2)]
    for _ in range(steps):
        if not len(active):
            return adversarial, flipped
        here = adversarial[active]
        margin, gradient = _look(model, here, y[active])
        moved = _moved(here, gradient, 2.5 / steps, x[active], budget[active])
        flipped[active] |= margin < 0
        adversarial[active] = torch.where(flipped[active].view(-1, 1, 1, 1), here, moved)
        if leaving:
            active = active[margin > 0]
    with torch.no_grad():
        flipped[active] |= margins(model(adversarial[active]).float(), y[active]) < 0
    return adversarial, flipped


def _budget(epsilon: float | Tensor, x: Tensor) -> Tensor:
    """(B, 1, 1, 1), in units of x."""
    return (torch.as_tensor(epsilon, dtype=x.dtype, device=x.device) / 255).expand(len(x)).view(-1, 1, 1, 1)


def _look(model: Model, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """(margin, gradient of the cross-entropy of y) at x: (B,) and (B, 3, H, W)."""
    here = x.detach().requires_grad_()
    return _seen(here, model(here).float(), y)


def _seen(x: Tensor, logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """``_look`` where the model has been asked: logits (B, C) of x, which is in their graph."""
    (gradient,) = torch.autograd.grad(F.cross_entropy(logits, y, reduction="sum"), x)
    return margins(logits.detach(), y), gradient


def _moved(x: Tensor, gradient: Tensor, step: float, origin: Tensor, budget: Tensor) -> Tensor:
    """x, a signed step of ``step`` budgets further, still within the budget of ``origin`` and in [0, 1]."""
    moved = x + step * budget * gradient.sign()
    return torch.minimum(torch.maximum(moved, origin - budget), origin + budget).clamp(0, 1)


def min_epsilon(model: Model, x: Tensor, y: Tensor, max_epsilon: float, steps: int, *, bisections: int = 7) -> Tensor:
    """The smallest budget, in 1/255, that ``flips`` the prediction, by bisection over [0, max_epsilon].

    x: (B, 3, H, W) in [0, 1]; y: (B,). Returns (B,): the upper end of an interval max_epsilon / 2^bisections
    wide; ∞ where even ``max_epsilon`` did not change it; 0 where the prediction is not ``y`` to begin with.
    """
    highest = torch.full((len(x),), float(max_epsilon), device=x.device)
    reached = flips(model, x, y, highest, steps)
    lower, upper = torch.zeros_like(highest), highest
    for _ in range(bisections):
        middle = (lower + upper) / 2
        flipped = flips(model, x, y, middle, steps)
        lower, upper = torch.where(flipped, lower, middle), torch.where(flipped, middle, upper)
    with torch.no_grad():
        wrong_already = model(x).argmax(1) != y
    found = torch.where(reached, upper, torch.inf)
    return torch.where(wrong_already, 0.0, found)
