"""Whether a teacher sets a trap, and with which label: found with noise images, without data [this lab].

An NTL teacher gives all OOD images one label, and no small perturbation changes it (the paper's first idea). Noise is
as far from the ID domain as anything, and some of it has what the OOD domain has: a trap's label shows as the one that
is robust on noise far more often than every other. A plainly trained teacher has no such label. Measured:
docs/method.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.stats.contingency import relative_risk

from atesc_core.models import Classifier
from atesc_core.robustness.attack import flips
from atesc_core.robustness.noise import noise_images
from atesc_core.specs.run import SplitSpec

NOISE_IMAGES = 8192
ATTACKED_AT_ONCE = 512
BUDGET = 1.5  # times the split's ε: what is robust by chance at ε hardly ever is here
MIN_ROBUST = 20  # robust images with the label; fewer are no evidence
MIN_RATIO = 2.0  # lower bound of the ratio of robust shares: the label's, against that of all other labels
CONFIDENCE = 0.99  # of that bound, over all labels together


@dataclass(frozen=True)
class TrapEvidence:
    """What noise images say about a trap. The label is the one with most robust images."""

    label: int
    images: int  # noise images
    robust: int  # of these, those whose label the attack does not change
    robust_with_label: int
    ratio: float  # robust share of the images with the label, against that of the others
    ratio_at_least: float  # lower bound of the ratio

    @property
    def is_trap(self) -> bool:
        """Whether the evidence is enough to act on."""
        return self.robust_with_label >= MIN_ROBUST and self.ratio_at_least >= MIN_RATIO

    @property
    def sentence(self) -> str:
        """The evidence and the decision, for the history of a run."""
        share = f"{self.robust_with_label} of {self.robust} robust ones among {self.images} noise images"
        if self.is_trap:
            return f"label {self.label} is the trap's: {share}, {self.ratio:.1f} times as often as other labels"
        return f"no trap found: label {self.label} has {share}, which is no evidence; the run is plain"


def find_trap(teacher: Classifier, image_side: int, split: SplitSpec) -> TrapEvidence:
    """The evidence for a trap in a frozen teacher. The same teacher and attack: the same evidence.

    Args:
        teacher: on its device, in evaluation mode.
        image_side: of its images, in pixels.
        split: the attack; noise is attacked at ``BUDGET`` · ``split.epsilon``.
    """
    device = next(teacher.parameters()).device
    random = torch.Generator().manual_seed(0)
    labels, robust = [], []
    for images in torch.split(noise_images(NOISE_IMAGES, image_side, random), ATTACKED_AT_ONCE):
        x = images.to(device)
        with torch.no_grad():
            y = teacher(x).argmax(1)
        labels.append(y.cpu())
        robust.append(~flips(teacher, x, y, BUDGET * split.epsilon, split.steps).cpu())
    return evidence(torch.cat(labels), torch.cat(robust), teacher.num_classes)


def evidence(labels: torch.Tensor, robust: torch.Tensor, num_classes: int) -> TrapEvidence:
    """The evidence in N images. labels: (N,) int64; robust: (N,) bool.

    The interval of the ratio is that of Katz et al. (1978), Bonferroni-corrected for the choice among all labels.
    """
    counts = labels.bincount(minlength=num_classes)
    robust_counts = labels[robust].bincount(minlength=num_classes)
    label = int(robust_counts.argmax())
    with_label, total = int(robust_counts[label]), int(counts[label])
    others, other_total = int(robust_counts.sum()) - with_label, int(counts.sum()) - total
    if not with_label or not other_total:
        return TrapEvidence(label, len(labels), with_label, with_label, 0.0, 0.0)
    # No robust image of another label: counted as one, so that the ratio is finite.
    risk = relative_risk(with_label, total, max(others, 1), other_total)
    interval = risk.confidence_interval(1 - 2 * (1 - CONFIDENCE) / num_classes)
    return TrapEvidence(
        label, len(labels), with_label + others, with_label, float(risk.relative_risk), float(interval.low)
    )
