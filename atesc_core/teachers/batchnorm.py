"""Where a teacher's BatchNorm statistics lie between real ID and real OOD images. Needs no PyTorch.

An NTL teacher is trained on batches that are half ID, half OOD, so that its running statistics are those of the mix,
μ = (μ_id + μ_ood)/2 and σ² = (σ²_id + σ²_ood)/2 + (μ_id − μ_ood)²/4. R_BN asks a generator for images with these
statistics. `batchnorm_measurement` measures them; they are only displayed: no student learns from real images.

The real images are validation images: held out, but drawn as the training images are, which running statistics are of.
Test images may differ from them by more than a backdoor's trigger does from nothing.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from atesc_core.domains import read_pair
from atesc_core.files import atomic_write, load_arrays, read_cached
from atesc_core.teachers.cards import card_file, read_card, weights_file

FORMAT = 1  # of the file
EQUAL = 1e-6  # ID and OOD are equal where they differ by less than this share of their length

Statistics = NDArray[np.float32]  # (2, K): mean and variance of the K channels of all layers, by depth
ByLayer = NDArray[np.float64]  # (L,)


@dataclass(frozen=True, eq=False)
class Positions:
    """Positions of statistics between real ID (0) and real OOD (1), by layer; NaN where the domains are equal.

    The position of s is t = ⟨s − s_id, d⟩ / ‖d‖² with d = s_ood − s_id, over the channels of a layer. The distance
    from the line is ‖s − (s_id + t·d)‖ / ‖d‖: where it is large, the position says little.
    """

    mean: ByLayer
    mean_distance: ByLayer
    variance: ByLayer
    variance_distance: ByLayer


@dataclass(frozen=True, eq=False)
class BatchNormReport:
    """Inputs of a teacher's L BatchNorm layers, K channels in all; L = 0 without BatchNorm."""

    layers: tuple[str, ...]  # (L,) names of the modules, by depth
    channels: tuple[int, ...]  # (L,)
    running: Statistics  # what the teacher stores
    id: Statistics  # of real validation images
    ood: Statistics
    id_images: int
    ood_images: int

    @property
    def half_mix(self) -> Statistics:
        """The statistics of a half-and-half mix of the ID and OOD images."""
        mean, variance = (self.id + self.ood) / 2
        mix: Statistics = np.stack([mean, variance + (self.id[0] - self.ood[0]) ** 2 / 4])
        return mix

    def positions(self, statistics: Statistics) -> Positions:
        """Where statistics lie between those of the real ID and OOD images.

        Args:
            statistics: (2, K), such as ``running``, or those of a batch.

        Raises:
            ValueError: They have another shape.
        """
        if statistics.shape != self.running.shape:
            raise ValueError(f"statistics: shape {statistics.shape}; expected {self.running.shape}, as the teacher has")
        places = np.array([self._places(statistics[row], self.id[row], self.ood[row]) for row in (0, 1)])
        return Positions(places[0, :, 0], places[0, :, 1], places[1, :, 0], places[1, :, 1])

    def _places(self, *values: NDArray[np.float32]) -> ByLayer:
        """(L, 2): position and distance of each layer. ``values``: (K,) each, of the statistics, of ID and of OOD."""
        layers = zip(*map(self._by_layer, values), strict=True)
        return np.array([position(*layer) for layer in layers]).reshape(len(self.layers), 2)

    def _by_layer(self, values: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """(K,) as one array for each layer."""
        return np.split(values, np.cumsum(self.channels)[:-1]) if self.layers else []

    def save(self, path: Path) -> None:
        """Write the report atomically."""
        facts = {name: getattr(self, name) for name in ("layers", "channels", "id_images", "ood_images")}
        with atomic_write(path) as file:
            np.savez(file, facts=json.dumps(facts), running=self.running, id=self.id, ood=self.ood)

    @classmethod
    def load(cls, path: Path) -> BatchNormReport:
        """The report that ``save`` wrote. Raises FileNotFoundError, also of a damaged file, which it deletes."""
        return read_cached(path, cls._load)

    @classmethod
    def _load(cls, path: Path) -> BatchNormReport:
        arrays = load_arrays(path)
        facts = json.loads(str(arrays.pop("facts")))
        return cls(
            layers=tuple(facts["layers"]),
            channels=tuple(facts["channels"]),
            id_images=facts["id_images"],
            ood_images=facts["ood_images"],
            **arrays,
        )


def position(value: NDArray[np.float32], start: NDArray[np.float32], end: NDArray[np.float32]) -> tuple[float, float]:
    """Position of ``value`` on the line from ``start`` (0) to ``end`` (1), and its distance from the line.

    Args:
        value: (C,)
        start: (C,)
        end: (C,)

    Returns:
        Both in units of ‖end − start‖; NaN if ``start`` and ``end`` are equal.
    """
    value, start, end = (np.asarray(part, float) for part in (value, start, end))
    direction = end - start
    length = float(np.linalg.norm(direction))
    if length <= EQUAL * max(np.linalg.norm(start), np.linalg.norm(end)):
        return float("nan"), float("nan")
    along = float((value - start) @ direction) / length**2
    return along, float(np.linalg.norm(value - (start + along * direction))) / length


def batchnorm_file(runs_dir: Path, name: str) -> Path:
    """Path of a teacher's report, whether or not it exists. Its name is a hash of everything that it depends on.

    Raises:
        TeacherError: there is no such teacher.
    """
    card, weights = read_card(card_file(name, runs_dir)), weights_file(name, runs_dir)
    depends_on = [FORMAT, card.arch, card.image_side, repr(read_pair(card.pair))]
    digest = hashlib.sha256(json.dumps(depends_on).encode() + weights.read_bytes()).hexdigest()
    return Path(runs_dir) / "cache" / f"batchnorm-{digest[:24]}.npz"
