"""Fewer images for what takes an attack on each, in tests that are not about their number."""

from __future__ import annotations

import pytest

from atesc_core.robustness.trap import CHUNK, TrapEvidence


@pytest.fixture
def few_calibration_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """An automatic threshold is found in few scores."""
    monkeypatch.setattr("atesc_core.distillation.state.CALIBRATION_IMAGES", 64)


@pytest.fixture
def a_trap_with_label_0(monkeypatch: pytest.MonkeyPatch) -> TrapEvidence:
    """Twin synthesis finds a trap without an attack on noise images, and its directions from few of them."""
    monkeypatch.setattr("atesc_core.robustness.trap.NOISE_IMAGES", 2 * CHUNK)
    evidence = TrapEvidence(0, 16_384, 100, 90, ratio_at_least=5.0)
    monkeypatch.setattr("atesc_core.distillation.trap_label.find_trap", lambda *_: evidence)
    return evidence
