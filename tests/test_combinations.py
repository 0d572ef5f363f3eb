"""Every teacher that ships, with every synthesizer and every form of escape, from the command line for a few steps."""

from __future__ import annotations

import pytest

from atesc_core import cli
from atesc_core.runs import RunStore
from atesc_core.runs.worker import work
from atesc_core.spec import SYNTHESES
from atesc_core.teachers import list_teachers
from tests.test_cli import here

POOLED = {"synthesis.width": 8, "synthesis.steps": 2, "synthesis.pool": 40}
SMALL = {
    "dfq": {"synthesis.width": 8, "synthesis.steps": 1},
    "cmi": {**POOLED, "synthesis.bank": 40, "synthesis.negatives": 8, "synthesis.latent": 8, "synthesis.head": 8},
    "nayer": {**POOLED, "synthesis.noise": 8, "synthesis.warmup_epochs": 1},
}
FEW = {"device": "cpu", "epochs": 2, "rounds": 1, "student_steps": 2, "batch_size": 16, "snapshot_images": 8,
       "split.steps": 1, "escape.warmup_epochs": 1}


@pytest.mark.parametrize("escape", ["none", "ckd", "atesc"])
@pytest.mark.parametrize("synthesizer", SYNTHESES)
@pytest.mark.parametrize("card", list_teachers(), ids=lambda card: card.name)
def test_every_combination_runs(tmp_path, monkeypatch, card, synthesizer, escape):
    monkeypatch.setattr(cli.runs, "follow", lambda store, run_id: work(tmp_path, "cpu") or store.get(run_id))
    settings = [word for name, value in (FEW | SMALL[synthesizer]).items() for word in ("--set", f"{name}={value}")]
    here("distill", "--teacher", card.name, "--synthesizer", synthesizer, "--escape", escape, *settings,
         "--runs-dir", tmp_path)
    store = RunStore(tmp_path)
    [run] = store.list()
    assert run.status == "done", run.error
    assert {"iacc", {"close": "oacc", "open": "olacc", "backdoor": "asr"}[card.setting]} == set(run.metrics)
    steps = store.steps(run.id)
    assert steps.filter(regex="^[gs]/").map(abs).max(axis=None) < float("inf")
    assert steps["threshold"].notna().tolist() == ([False, False] if escape == "none" else [False, True])
    store.close()
