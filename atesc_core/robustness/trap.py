"""Whether a teacher sets a trap, and with which label: found with noise images, without data [this lab].

An NTL teacher gives all OOD images one label, and no small perturbation changes it (the paper's first idea). Noise is
as far from the ID domain as anything, and some of it has what the OOD domain has: images with the trap label are robust
far more often than images with any other. Plainly trained teachers have no such label: docs/teachers.md.

Where a second label may have as many robust images, noise does not say which of them it is. Then both halves of twin
synthesis are tried with each, and the teacher's BatchNorm statistics decide (distillation/trap_label.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from atesc_core.models import Classifier
from atesc_core.robustness.attack import flips
from atesc_core.robustness.noise import noise_images

NOISE_IMAGES = 16_384
MOST_NOISE_IMAGES = 4 * NOISE_IMAGES  # where a label stands out, but has fewer than MIN_ROBUST robust images
CHUNK = 256  # noise images made and attacked at once
EPSILON = 7.0  # attack budget in 1/255, with STEPS steps: an SL teacher has hardly a robust image among the noise
STEPS = 8
MIN_ROBUST = 20  # robust images with the label; fewer are no evidence
MIN_RATIO = 1.5  # lower bound of the ratio of robust shares: the label's, against that of all other labels
CONFIDENCE = 0.99  # of that bound, and that no other label has as many robust images, over all labels together
FITS_BEST = 0.9  # R_BN with the trap label is below this share of R_BN with any other that noise allows


@dataclass(frozen=True)
class TrapEvidence:
    """What noise images say about a trap, and where they leave two labels, what the teacher's statistics say."""

    label: int  # of the trap: the one whose robust share stands out most, unless ``fits`` say that it is a rival
    images: int  # noise images
    robust: int  # of these, those whose label the attack does not change
    robust_with_label: int  # of the label that stands out most
    ratio_at_least: float  # lower bound of: robust share of the images with that label / of the other images
    rivals: tuple[int, ...] = ()  # labels that may have as many robust images, as long as nothing decides
    fits: tuple[tuple[int, float | None], ...] = ()  # (label, R_BN of both halves), the one that stands out most first

    @property
    def stands_out(self) -> bool:
        """Whether a label is robust often enough among noise, whichever it is."""
        return self.robust_with_label >= MIN_ROBUST and self.ratio_at_least >= MIN_RATIO

    @property
    def lacks_images(self) -> bool:
        """Whether a label is robust often enough, but on too few images: more noise would say more."""
        return self.ratio_at_least >= MIN_RATIO and self.robust_with_label < MIN_ROBUST

    @property
    def is_trap(self) -> bool:
        """Whether the evidence is enough to act on."""
        return self.stands_out and not self.rivals

    def decided_by(self, fits: dict[int, float | None]) -> TrapEvidence:
        """The evidence with the label that fits the statistics best; with its rivals still there if none does clearly.

        fits: of the label and each rival, R_BN of both halves; None if it was not finite.
        """
        tried = replace(self, fits=tuple((label, fits[label]) for label in (self.label, *self.rivals)))
        known = {label: math.inf if fit is None else fit for label, fit in fits.items()}
        best, second = sorted(known, key=known.__getitem__)[:2]
        return replace(tried, label=best, rivals=()) if known[best] < FITS_BEST * known[second] else tried

    @property
    def sentence(self) -> str:
        """The evidence and the decision, for the history of a run."""
        stands_out = self.fits[0][0] if self.fits else self.label
        share = (
            f"label {stands_out} has {self.robust_with_label} of the {self.robust} "
            f"robust ones among {self.images} noise images at ε = {EPSILON:g}, "
            f"a robust share at least {self.ratio_at_least:.1f} times that of other labels"
        )
        if not self.stands_out:
            return f"no trap found, the run is plain: {share}; a trap needs {MIN_ROBUST} images and {MIN_RATIO:g} times"
        if self.fits:
            share += f"; {_labels([label for label, _ in self.fits[1:]])} may have as many. R_BN of both halves: "
            share += ", ".join(
                f"{'not finite' if fit is None else f'{fit:.2f}'} with label {label}" for label, fit in self.fits
            )
        if self.is_trap:
            return f"trap found{f' with label {self.label}' * bool(self.fits)}: {share}"
        if self.fits:
            return f"no trap found, the run is plain: {share}; a trap needs less than {FITS_BEST:g} of every other's"
        return (
            f"no trap found, the run is plain: {share}; {_labels(self.rivals)} may have as many, and no statistics of "
            "BatchNorm layers decide"
        )


def _labels(labels: Sequence[int]) -> str:
    return f"label{'s' * (len(labels) > 1)} {' and '.join(map(str, labels))}"


def find_trap(teacher: Classifier, image_side: int) -> TrapEvidence:
    """The evidence for a trap in a frozen teacher. The same teacher: the same evidence.

    Args:
        teacher: on its device, in evaluation mode.
        image_side: of its images, in pixels.
    """
    device = next(teacher.parameters()).device
    labels, robust = [], []
    for number, x in enumerate(noise_chunks(image_side, device, MOST_NOISE_IMAGES), 1):
        with torch.no_grad():
            y = teacher(x).argmax(1)
        labels.append(y.cpu())
        robust.append(~flips(teacher, x, y, EPSILON, STEPS).cpu())
        if number * CHUNK % NOISE_IMAGES == 0:
            found = evidence(torch.cat(labels), torch.cat(robust), teacher.num_classes)
            if not found.lacks_images:
                break
    return found


def noise_chunks(image_side: int, device: torch.device, images: int | None = None) -> Iterator[torch.Tensor]:
    """The first noise images, NOISE_IMAGES unless named, always the same, (CHUNK, 3, H, W) in [0, 1] at once."""
    random = torch.Generator().manual_seed(0)
    for _ in range((images or NOISE_IMAGES) // CHUNK):
        yield noise_images(CHUNK, image_side, random).to(device)


def evidence(labels: torch.Tensor, robust: torch.Tensor, num_classes: int) -> TrapEvidence:
    """The evidence in N images. labels: (N,) int64; robust: (N,) bool.

    The interval of a ratio is that of Katz et al. (1978). Another label is a rival unless a sign test says that it has
    fewer robust images, or the interval that it has a smaller robust share. All is Bonferroni-corrected for the choice
    among all labels.
    """
    counts = labels.bincount(minlength=num_classes).tolist()
    robust_counts = labels[robust].bincount(minlength=num_classes).tolist()
    images, all_robust = len(labels), int(robust.sum())
    bounds = [
        _ratio_at_least(with_label, total, all_robust - with_label, images - total, num_classes)
        for with_label, total in zip(robust_counts, counts, strict=True)
    ]
    label = max(range(num_classes), key=lambda label: (bounds[label], robust_counts[label]))
    rivals = tuple(
        other
        for other, count in enumerate(robust_counts)
        if other != label
        and _may_be_as_many(count, robust_counts[label], num_classes)
        and _ratio_at_least(robust_counts[label], counts[label], count, counts[other], num_classes) <= 1
    )
    return TrapEvidence(label, images, all_robust, robust_counts[label], bounds[label], rivals)


def _may_be_as_many(count: int, of_label: int, num_classes: int) -> bool:
    """Whether chance alone may have given a label ``count`` robust images where the other has ``of_label``."""
    total = count + of_label
    if not count:
        return False
    from scipy.stats import binomtest  # slow to import, and only twin synthesis asks

    return float(binomtest(of_label, total, alternative="greater").pvalue) >= (1 - CONFIDENCE) / num_classes


def _ratio_at_least(with_label: int, total: int, others: int, other_total: int, num_classes: int) -> float:
    """Lower bound of (with_label / total) / (others / other_total); 0 if there is nothing to compare.

    No robust image of another label counts as one, so that the ratio is finite.
    """
    if not with_label or not other_total:
        return 0.0
    from scipy.stats.contingency import relative_risk  # as above

    risk = relative_risk(with_label, total, max(others, 1), other_total)
    return float(risk.confidence_interval(1 - 2 * (1 - CONFIDENCE) / num_classes).low)
