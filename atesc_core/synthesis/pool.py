"""The bounded pool of images from which CMI and NAYER draw, on the run's device.

The published code writes images as PNG files and builds a DataLoader at every call. Here they stay on the device, with
8 bits per channel as in a PNG, and each is scored once. The student gets them unchanged; the published code shifts and
mirrors them first, which would change their scores [this lab].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from atesc_core.specs.run import CMISpec, NAYERSpec
from atesc_core.synthesis.base import Synthesizer

SCORED_AT_ONCE = 256  # images


class Ring:
    """A ring buffer of rows of one shape: beyond ``capacity``, the newest replace the oldest."""

    def __init__(self, capacity: int, device: torch.device):
        self.capacity, self.device = capacity, device
        self.added = 0  # number of rows ever added
        self.rows: Tensor | None = None  # (capacity, ...); None until the shape is known

    def __len__(self) -> int:
        return min(self.added, self.capacity)

    def add(self, rows: Tensor) -> None:
        """Adds rows, (B, ...); if there are more than ``capacity``, only the last ones."""
        if self.rows is None:
            self.rows = torch.empty(self.capacity, *rows.shape[1:], dtype=rows.dtype, device=self.device)
        self.added += len(rows)
        rows = rows[-self.capacity :]
        self.rows[self.newest(len(rows))] = rows.detach()

    def filled_rows(self) -> Tensor:
        """The rows, (capacity, ...), for the indices of ``draw`` and ``newest``. Raises ValueError if empty."""
        if self.rows is None:
            raise ValueError("rows: the ring is empty; add rows first")
        return self.rows

    def newest(self, count: int) -> Tensor:
        """Indices of the ``count`` newest rows, (count,) int64; the newest is last."""
        return torch.arange(self.added - count, self.added, device=self.device) % self.capacity

    def draw(self, count: int, random: torch.Generator) -> Tensor:
        """Indices of ``count`` random rows, (count,) int64: no row twice before every row was drawn once.

        Raises:
            ValueError: the ring is empty.
        """
        if not len(self):
            raise ValueError("draw: the ring is empty; add rows first")
        passes = [
            torch.randperm(len(self), generator=random, device=self.device) for _ in range(-(-count // len(self)))
        ]
        return torch.cat(passes)[:count] if passes else torch.empty(0, dtype=torch.int64, device=self.device)

    def state_dict(self) -> dict[str, Any]:
        """Copies of the filled rows only, so that a nearly empty ring makes a small checkpoint."""
        return {"added": self.added, "rows": None if self.rows is None else self.rows[: len(self)].clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the state that ``state_dict`` returned."""
        self.added, self.rows = 0, None
        if state["rows"] is not None:
            Ring.add(self, state["rows"].to(self.device))
        self.added = state["added"]


class ImagePool(Ring):
    """Images for the student in 256 levels, each scored at most once."""

    def __init__(self, capacity: int, device: torch.device):
        super().__init__(capacity, device)
        self.scores = torch.full((capacity,), torch.nan, device=device)
        self.scored = 0  # number of images that were ever scored

    def add(self, images: Tensor) -> None:
        """Adds images, (B, 3, H, W) in [0, 1]."""
        super().add((images * 255).round().to(torch.uint8))

    def images(self, indices: Tensor) -> Tensor:
        """The images at these indices, (B,) int64: (B, 3, H, W) in [0, 1]."""
        return self.filled_rows()[indices].float() / 255

    def score(self, score: Callable[[Tensor], Tensor]) -> None:
        """Scores the images that were added since the last call. ``score``: (B, 3, H, W) in [0, 1] -> (B,)."""
        new = self.newest(min(self.added - self.scored, len(self)))
        for part in torch.split(new, SCORED_AT_ONCE) if len(new) else ():
            self.scores[part] = score(self.images(part))
        self.scored = self.added

    def state_dict(self) -> dict[str, Any]:
        """The filled rows, and their scores."""
        return super().state_dict() | {"scored": self.scored, "scores": self.scores[: len(self)].clone()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the state that ``state_dict`` returned."""
        super().load_state_dict(state)
        self.scored = state["scored"]
        self.scores[: len(self)] = state["scores"].to(self.device)


class BestBatch:
    """The batch with the lowest loss so far. Losses are compared on the device, without copying values to the CPU."""

    def __init__(self) -> None:
        self.loss: Tensor | None = None
        self.batch: tuple[Tensor, ...] = ()

    def compare(self, loss: Tensor, *batch: Tensor) -> None:
        """Stores the batch if its scalar ``loss`` is the lowest so far."""
        loss, batch = loss.detach(), tuple(part.detach() for part in batch)
        if self.loss is None:
            self.loss, self.batch = loss, batch
            return
        better = loss < self.loss
        self.loss = torch.where(better, loss, self.loss)
        self.batch = tuple(torch.where(better, new, old) for new, old in zip(batch, self.batch, strict=True))


class PooledSynthesizer(Synthesizer):
    """A synthesizer that adds its best batches to a pool, from which the student's images are drawn."""

    def _build(self) -> None:
        assert isinstance(self.spec.synthesis, CMISpec | NAYERSpec)
        self.pool = ImagePool(self.spec.synthesis.pool, self.device)

    @property
    def has_images(self) -> bool:
        """Whether the pool has images; it is empty before the first round."""
        return len(self.pool) > 0

    def draw(self, count: int, score: Callable[[Tensor], Tensor] | None = None) -> tuple[Tensor, Tensor | None]:
        """Random images of the pool, and with ``score`` their scores, (count,); new images are scored first."""
        if score is not None:
            self.pool.score(score)
        indices = self.pool.draw(count, self.random)
        return self.pool.images(indices), None if score is None else self.pool.scores[indices]

    def sample(self, count: int) -> Tensor:
        """``count`` random images of the pool, (count, 3, H, W) in [0, 1]."""
        return self.draw(count)[0]

    def state_dict(self) -> dict[str, Any]:
        """The pool."""
        return super().state_dict() | {"pool": self.pool.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores the state that ``state_dict`` returned."""
        super().load_state_dict(state)
        self.pool.load_state_dict(state["pool"])
