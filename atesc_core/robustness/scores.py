"""Robustness scores: one value for each image, larger = more robust.

The paper's split uses only whether an attack changes the teacher's prediction (Hong et al., 2025). A continuous score
lets the threshold be moved [this lab]. Each is a function of (teacher, x, split, generator) that returns (B,) float32.

The last four use no attack. They are for comparison, as cheaper ways to split.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from atesc_core.robustness.attack import Model, flips, min_epsilon, pgd
from atesc_core.specs.run import SplitSpec

Score = Callable[[Model, Tensor, SplitSpec, torch.Generator], Tensor]


@torch.no_grad()
def predictions(teacher: Model, x: Tensor) -> Tensor:
    """Arg max T(x), (B,) int64."""
    return teacher(x).argmax(1)


def min_eps(teacher: Model, x: Tensor, split: SplitSpec, generator: torch.Generator) -> Tensor:
    """Smallest ε, in 1/255, that changes the prediction; ∞ above ``split.max_epsilon``.

    The paper's split at budget ε is exactly ``min_eps > ε``: the threshold is the attack budget.
    """
    return min_epsilon(teacher, x, predictions(teacher, x), split.max_epsilon, split.steps)


def margin(teacher: Model, x: Tensor, split: SplitSpec, generator: torch.Generator) -> Tensor:
    """Smallest (logit of y − best other logit) on the attack's path at ``split.epsilon``.

    The paper's split at that budget is exactly ``margin > 0``.
    """
    return pgd(teacher, x, predictions(teacher, x), split.epsilon, split.steps, generator).margin


def kl(teacher: Model, x: Tensor, split: SplitSpec, generator: torch.Generator) -> Tensor:
    """−KL(T(x) ‖ T(x_adv)) in nats at ``split.epsilon``: 0 if the attack changes nothing."""
    attack = pgd(teacher, x, predictions(teacher, x), split.epsilon, split.steps, generator)
    with torch.no_grad():
        before, after = teacher(x).float().log_softmax(1), teacher(attack.adversarial).float().log_softmax(1)
    return -F.kl_div(after, before, log_target=True, reduction="none").sum(1)


def random(teacher: Model, x: Tensor, split: SplitSpec, generator: torch.Generator) -> Tensor:
    """Uniform in [0, 1), independent of the image: a baseline for other scores at an equal fragile share."""
    return torch.rand(len(x), generator=generator, device=x.device)


@torch.no_grad()
def confidence(teacher: Model, x: Tensor, split: SplitSpec, generator: torch.Generator) -> Tensor:
    """Log-odds of the teacher's own label, log p / (1 − p) in nats: a margin that needs no attack.

    As a robustness score: more confident = more robust [this lab]. Hendrycks & Gimpel (2017) use it in the
    opposite direction, uncertain = OOD; but an NTL teacher is most confident on OOD images.
    """
    logits = teacher(x).float()
    y = logits.argmax(1, keepdim=True)
    return logits.gather(1, y)[:, 0] - logits.scatter(1, y, float("-inf")).logsumexp(1)


@torch.no_grad()
def energy(teacher: Model, x: Tensor, split: SplitSpec, generator: torch.Generator) -> Tensor:
    """Log Σ exp of the logits: the negative energy of Liu et al. (2020) at temperature 1.

    As with ``confidence``, larger = more robust [this lab; published: smaller = more OOD].
    """
    return teacher(x).float().logsumexp(1)


@torch.no_grad()
def gmm(teacher: Model, x: Tensor, split: SplitSpec, generator: torch.Generator) -> Tensor:
    """Probability, 0..1, of the high-loss component of a two-Gaussian mixture fitted to the batch's losses.

    The class-prior losses are CE(T(x), argmax T(x)): the criterion of TA-DFKD (Shin & Choi, AAAI 2024), where clean
    means at most 0.5.

    As published, confident images are the clean ones, which teach: the opposite of ``confidence`` above. Published:
    batches of 32, and images are drawn until a batch of clean ones is full; here it is the batch as given (the
    student's, 256 of a pool), and its clean part teaches.
    """
    logits = teacher(x).float()
    return high_component(F.cross_entropy(logits, logits.argmax(1), reduction="none"))


EM_STEPS, EM_FLOOR = 10, 5e-4  # as published: iterations of the fit, and constant added to each variance


def high_component(values: Tensor) -> Tensor:
    """Posterior of the higher of two Gaussians fitted to ``values``, (B,): (B,) in 0..1; near 0 if all are equal.

    EM on values scaled to [0, 1], as published; it starts from the two halves of that range [this lab: published,
    k-means], always takes all its steps, and stays on the device.
    """
    low, high = values.aminmax()
    scaled = ((values - low) / (high - low).clamp_min(1e-12))[:, None]
    upper = (scaled > 0.5).float()
    belongs = torch.cat([1 - upper, upper], 1)
    for _ in range(EM_STEPS):
        weight = belongs.sum(0).clamp_min(1e-6)
        mean = (belongs * scaled).sum(0) / weight
        variance = (belongs * (scaled - mean) ** 2).sum(0) / weight + EM_FLOOR
        belongs = (weight.log() - variance.log() / 2 - (scaled - mean) ** 2 / (2 * variance)).softmax(1)
    return belongs[:, 1]


SCORES: dict[str, Score] = {
    "min_eps": min_eps,
    "margin": margin,
    "kl": kl,
    "random": random,
    "confidence": confidence,
    "energy": energy,
    "gmm": gmm,
}


def all_scores(
    teacher: Model, x: Tensor, split: SplitSpec, generator: torch.Generator, batch_size: int = 256
) -> dict[str, Tensor]:
    """Every score of every image, computed in batches: name -> (N,) on the device of x."""
    return {
        name: torch.cat([score(teacher, part, split, generator) for part in torch.split(x, batch_size)])
        for name, score in SCORES.items()
    }


def robust_share(teacher: Model, x: Tensor, epsilons: list[float], steps: int) -> list[float]:
    """Per cent of the images x, (N, 3, H, W), whose prediction survives the split's attack at each ε (1/255)."""
    y = predictions(teacher, x)
    return [100 * (~flips(teacher, x, y, epsilon, steps)).sum().item() / len(x) for epsilon in epsilons]
