"""The agreement benchmark: counts by hand on a model whose distances are known, and a page with every row."""

from __future__ import annotations

import torch

from benchmarks import attack_agreement
from benchmarks.attack_agreement import agreement, page


def model(x: torch.Tensor) -> torch.Tensor:
    """The label changes where the mean of the image falls below 0.5; a third logit is never the best."""
    gap = x.flatten(1).mean(1) - 0.5
    return torch.stack([gap, -gap, torch.full_like(gap, -9.0)], 1)


def test_both_attacks_on_known_distances():
    x = torch.tensor([0.504, 0.52, 0.55, 0.6]).view(-1, 1, 1, 1).expand(-1, 3, 4, 4).contiguous()
    rows = agreement(model, x, (2.0, 8.0, 16.0), 8)
    assert [row["robust"] for row in rows] == [row["robust_strong"] for row in rows] == [75, 50, 25]
    assert all((row["agree"], row["only_strong"], row["only_split"]) == (100, 0, 0) for row in rows)
    assert all(row["cost"] > 0 for row in rows)


def test_a_disagreement_has_its_direction(monkeypatch):
    x = torch.full((3, 3, 4, 4), 0.6)
    monkeypatch.setattr(attack_agreement, "flips", lambda *args: torch.tensor([True, False, True]))
    (row,) = agreement(model, x, (2.0,), 8)
    assert (round(row["agree"]), row["only_strong"], row["only_split"]) == (33, 0, 2)
    monkeypatch.setattr(attack_agreement, "strong_flips", lambda *args, **more: torch.tensor([True, True, True]))
    (row,) = agreement(model, x, (2.0,), 8)
    assert (row["only_strong"], row["only_split"]) == (1, 0)


def test_the_page_has_every_row():
    rows = [
        {"teacher": name, "source": source, "epsilon": epsilon, "robust": 50.0, "robust_strong": 49.0, "agree": 99.0}
        | {"only_strong": 1, "only_split": 0, "cost": 7.5}
        for name in ("one", "two")
        for source in attack_agreement.SOURCES
        for epsilon in attack_agreement.EPSILONS
    ]
    text = page(rows, 8, 60.0)
    assert text.count("| `one` |") == text.count("| `two` |") == 16
    assert "| real OOD | 8 | 200 | 99.0 % | 2 | 0 | 7.5 |" in text
    assert "All: **99.0 %** of 3200 decisions agree" in text
