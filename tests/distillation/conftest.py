"""A shipped teacher, loaded once a module."""

from __future__ import annotations

import pytest

from atesc_core.robustness.trap import CHUNK, TrapEvidence
from atesc_core.teachers.zoo import load_teacher


@pytest.fixture(scope="module")
def teacher():
    return load_teacher("mnistm-badnet_sq-ntl")


@pytest.fixture
def a_trap_with_label_0(monkeypatch) -> TrapEvidence:
    """Twin synthesis finds a trap without an attack on noise images, and its directions from few of them."""
    monkeypatch.setattr("atesc_core.robustness.trap.NOISE_IMAGES", 2 * CHUNK)
    evidence = TrapEvidence(0, 16_384, 100, 90, ratio_at_least=5.0)
    monkeypatch.setattr("atesc_core.distillation.trap_label.find_trap", lambda *_: evidence)
    return evidence
