"""The benchmark of the split, on what has exact answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from typer.testing import CliRunner

from atesc_core.specs.presets import from_preset
from atesc_core.specs.run import RunSpec
from benchmarks import split_cost
from tests.support.short_runs import SMALLEST_SYNTHESIS
from tests.support.study_rows import STUDY_SETTINGS


@dataclass(eq=False)
class Timed:
    """A run whose rounds take so many seconds."""

    spec: RunSpec
    round: float


def test_attacks_agree_where_the_model_is_linear():
    """Logits 0 and Σx − 6: of 12 pixels at 0.5 + d each the smallest ε that flips is d, so ε = 8/255 flips half."""

    def teacher(x):
        return torch.stack([torch.zeros(len(x)), x.flatten(1).sum(1) - 6], 1)

    distances = torch.tensor([2.0, 4, 6, 10, 12, 14]) / 255
    x = 0.5 + distances[:, None, None, None].expand(-1, 3, 2, 2)
    row = split_cost.agreement(SimpleNamespace(teacher=teacher, spec=SimpleNamespace(batch_size=4)), x, 8.0, 4)
    assert row["epsilon"] == 8.0
    assert (row["robust"], row["flips"], row["pgd4"], row["pgd20"]) == (50, 100, 100, 100)
    assert row["flips_time"] > 0


def test_the_cost_of_a_run_adds_up(monkeypatch):
    """Rounds of 1 s and 2 s, a first split of 5 s, a threshold of 4 s: (4·1 + 4·2)·20 + 4 + 3 s against 8·20 s."""
    spec = from_preset("quick", "any", **{"escape.warmup_epochs": 4})
    plain, atesc = Timed(spec, 1.0), Timed(spec, 2.0)
    monkeypatch.setattr(split_cost, "one_round", lambda run, epoch, round_: (epoch, round_))
    monkeypatch.setattr(split_cost, "timed", lambda work: (None, 5.0 if work()[1] == 1 else work.args[0].round))
    found = split_cost.cost(plain, atesc, 3, 4.0)
    assert (found["plain_round_s"], found["atesc_round_s"], found["once_s"]) == (1, 2, 7)
    assert (found["epoch_ratio"], found["run_ratio"]) == (2, 247 / 160)


def test_the_command_writes_its_table_into_the_page(tmp_path, monkeypatch):
    monkeypatch.setattr(split_cost, "TEACHERS", ("mnistm-mnist-ntl",))
    monkeypatch.setattr(split_cost, "IMAGES", 24)
    monkeypatch.setattr(
        split_cost,
        "quick",
        lambda teacher, synthesizer, escape: from_preset(
            "quick",
            teacher,
            **STUDY_SETTINGS | SMALLEST_SYNTHESIS[synthesizer] | {"synthesis.kind": synthesizer, "escape.kind": escape},
        ),
    )
    app = split_cost.typer.Typer()
    app.command()(split_cost.main)
    result = CliRunner().invoke(app, ["--json", "--rows", str(tmp_path / "rows.jsonl")], catch_exceptions=False)
    found = json.loads(result.stdout.splitlines()[-1])
    [row] = found["teachers"]
    assert [budget["epsilon"] for budget in row["budgets"]] == [2.0, 4.0]
    assert all(0 <= budget[name] <= 100 for budget in row["budgets"] for name in ("flips", "pgd4", "pgd20"))
    assert [cost["synthesizer"] for cost in row["costs"]] == ["dfq", "cmi", "nayer"]
    for cost in row["costs"]:
        expected = cost["atesc_round_s"] / cost["plain_round_s"]
        assert found["epoch_ratios"][cost["synthesizer"]] == pytest.approx(expected)
    assert found["epoch_ratio"] == found["epoch_ratios"]["dfq"]
    table = (tmp_path / "split_cost.md").read_text()
    assert "| `mnistm-mnist-ntl` | 24 | 2 | " in table
    assert table.strip() in (tmp_path / "results.md").read_text()
