"""Untargeted L∞ PGD against the teacher's prediction (Madry et al., 2018), and the smallest ε that flips it.

Attacks raise log Σ exp of the other logits − z_y, not cross-entropy: its gradient softmax_y − 1 is exactly 0 in float32
from a margin of 17 nats on, and an over-confident teacher then looks robust. Logits are first divided by their range in
each image, so that a teacher's temperature changes no step of an attack and no split.

Budgets are in 1/255 everywhere; images are in [0, 1]. Gradients are taken with respect to the input
only, and random numbers come from the ``generator`` argument; ``flips`` and ``min_epsilon`` use none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Model = Callable[[Tensor], Tensor]  # (B, 3, H, W) in [0, 1] -> logits (B, C)

PATH = 4.0  # length of the path of ``pgd_early_exit`` after its first step, in budgets
RANGE = 10.0  # of an image's normalised logits; a higher one weighs the best other logit more


@dataclass(frozen=True)
class Attack:
    """The result of PGD on B images."""

    adversarial: Tensor  # (B, 3, H, W), the end of each path
    flipped: Tensor  # (B,) bool: the prediction changed somewhere on the path
    margin: Tensor  # (B,), minimum over the path of logit y − best other logit


def margins(logits: Tensor, y: Tensor) -> Tensor:
    """Logit of y − best other logit, (B,): negative if the prediction is not y. logits: (B, C), y: (B,) int64."""
    other_logits = logits.scatter(1, y[:, None], float("-inf"))
    return logits.gather(1, y[:, None])[:, 0] - other_logits.amax(1)


def normalised_loss(logits: Tensor, y: Tensor) -> Tensor:
    """What attacks raise, (B,): log Σ exp of the other logits − z_y, of logits scaled to a range of 10 in each image.

    The range is a constant of the gradient. A factor of the logits cancels, to the last bit where it is a power of two.
    Unlike the margin itself, it sees all other labels, not the best alone. logits: (B, C); y: (B,) int64.
    """
    span = logits.detach().amax(1) - logits.detach().amin(1)
    scaled = logits * (RANGE / torch.where(span > 0, span, 1.0))[:, None]
    others = scaled.scatter(1, y[:, None], float("-inf")).logsumexp(1)
    return others - scaled.gather(1, y[:, None])[:, 0]


def pgd(model: Model, x: Tensor, y: Tensor, epsilon: float | Tensor, steps: int, generator: torch.Generator) -> Attack:
    """PGD: raises the margin by signed gradient steps of 2.5 ε / steps, from a random start.

    Args:
        model: the attacked model.
        x: (B, 3, H, W) in [0, 1].
        y: (B,) int64, the predictions to change.
        epsilon: the L∞ budget in 1/255, one value for all images or (B,).
        steps: number of gradient steps.
        generator: random generator of the start, on the device of ``x``.
    """
    budget = _budget(epsilon, x)
    noise = torch.rand(x.shape, generator=generator, device=x.device, dtype=x.dtype) * 2 - 1
    adversarial = (x + budget * noise).clamp(0, 1)
    best = torch.full((len(x),), float("inf"), device=x.device, dtype=x.dtype)
    for _ in range(steps):
        margin, gradient = _margin_and_gradient(model, adversarial, y)
        best = torch.minimum(best, margin)
        adversarial = _moved(adversarial, gradient, 2.5 / steps, x, budget)
    with torch.no_grad():
        best = torch.minimum(best, margins(model(adversarial).float(), y))
    return Attack(adversarial, best < 0, best)


def flips(
    model: Model, x: Tensor, y: Tensor, epsilon: float | Tensor, steps: int, logits: Tensor | None = None
) -> Tensor:
    """Whether ``pgd_early_exit`` changes the prediction, (B,) bool. The arguments are the same."""
    return pgd_early_exit(model, x, y, epsilon, steps, logits)[1]


def pgd_early_exit(
    model: Model, x: Tensor, y: Tensor, epsilon: float | Tensor, steps: int, logits: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """A cheap PGD in which images leave the attack as soon as they are flipped [this lab].

    The first step starts at the image and uses the whole budget: it flips most fragile images. For the others follow up
    to ``steps`` signed steps, whose size falls linearly and adds up to 4 ε. On CUDA all images stay to the end, because
    finding those that leave would synchronise the device at every step. Agreement with a far stronger attack:
    python -m benchmarks.attack_agreement; cost: python -m benchmarks.split_cost.

    Args:
        model: the attacked model.
        x: (B, 3, H, W) in [0, 1].
        y: (B,) int64, the predictions to change.
        epsilon: the L∞ budget in 1/255, one for all or (B,).
        steps: the largest number of gradient steps after the first.
        logits: (B, C) of ``x``, with a graph to ``x``. The attack starts from them, which saves a forward pass.

    Returns:
        The attacked images, (B, 3, H, W), and whether the prediction changed, (B,) bool.
    """
    margin, gradient = _margin_and_gradient(model, x, y) if logits is None else _from_logits(x, logits, y)
    x = x.detach()
    budget, early_exit = _budget(epsilon, x), not x.is_cuda
    adversarial = _moved(x, gradient, 1.0, x, budget)
    with torch.no_grad():
        after = margins(model(adversarial).float(), y)
    flipped = torch.minimum(margin, after) < 0
    active = torch.arange(len(x), device=x.device)
    if early_exit:
        active = active[~flipped]
    for number in range(steps):
        if not len(active):
            return adversarial, flipped
        current = adversarial[active]
        margin, gradient = _margin_and_gradient(model, current, y[active])
        step = PATH * 2 * (steps - number) / (steps * (steps + 1))
        moved = _moved(current, gradient, step, x[active], budget[active])
        flipped[active] |= margin < 0
        adversarial[active] = torch.where(flipped[active].view(-1, 1, 1, 1), current, moved)
        if early_exit:
            active = active[margin >= 0]
    with torch.no_grad():
        flipped[active] |= margins(model(adversarial[active]).float(), y[active]) < 0
    return adversarial, flipped


def _budget(epsilon: float | Tensor, x: Tensor) -> Tensor:
    """The budget on the scale of x, (B, 1, 1, 1)."""
    return (torch.as_tensor(epsilon, dtype=x.dtype, device=x.device) / 255).expand(len(x)).view(-1, 1, 1, 1)


def _margin_and_gradient(model: Model, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The margin, (B,), and the gradient of ``normalised_loss``, (B, 3, H, W), both at x."""
    leaf = x.detach().requires_grad_()
    return _from_logits(leaf, model(leaf).float(), y)


def _from_logits(x: Tensor, logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """``_margin_and_gradient`` from the logits (B, C) of x, which carry a graph to it."""
    (gradient,) = torch.autograd.grad(normalised_loss(logits, y).sum(), x)
    return margins(logits.detach(), y), gradient


def _moved(x: Tensor, gradient: Tensor, step: float, origin: Tensor, budget: Tensor) -> Tensor:
    """``x`` after a signed step of ``step`` budgets, clipped to the budget around ``origin`` and to [0, 1]."""
    moved = x + step * budget * gradient.sign()
    return torch.minimum(torch.maximum(moved, origin - budget), origin + budget).clamp(0, 1)


def min_epsilon(model: Model, x: Tensor, y: Tensor, max_epsilon: float, steps: int, *, bisections: int = 7) -> Tensor:
    """The smallest budget, in 1/255, at which ``flips`` changes the prediction, by bisection over [0, max_epsilon].

    Args:
        model: the attacked model.
        x: (B, 3, H, W) in [0, 1].
        y: (B,) int64, the predictions to change.
        max_epsilon: the largest budget, in 1/255.
        steps: number of gradient steps of each attack.
        bisections: number of attacks after the first.

    Returns:
        (B,): the upper end of an interval of width max_epsilon / 2^bisections; ∞ if ``max_epsilon`` does not change
        the prediction; 0 if the prediction is not ``y`` even without an attack.
    """
    highest = torch.full((len(x),), float(max_epsilon), device=x.device)
    flips_at_most = flips(model, x, y, highest, steps)
    lower, upper = torch.zeros_like(highest), highest
    for _ in range(bisections):
        middle = (lower + upper) / 2
        flipped = flips(model, x, y, middle, steps)
        lower, upper = torch.where(flipped, lower, middle), torch.where(flipped, middle, upper)
    with torch.no_grad():
        wrong_already = model(x).argmax(1) != y
    smallest = torch.where(flips_at_most, upper, torch.inf)
    return torch.where(wrong_already, 0.0, smallest)
