"""What a run says of itself makes it again."""

from __future__ import annotations

import shlex
import shutil

import pandas as pd
import pytest

from atesc_core import cli
from atesc_core.runs.worker import run_events, work
from atesc_core.specs.command import run_command
from atesc_core.specs.run import RunSpec
from atesc_core.training.events import RoundDone
from tests.support.commands import run_in_process
from tests.support.tiny_runs import TINY, save_tiny_teacher


@pytest.mark.usefixtures("few_calibration_images")
@pytest.mark.parametrize(("rule", "by"), [(4.0, "command"), ("share", "YAML")])
def test_a_run_whose_threshold_was_moved_by_hand_is_made_again(store, monkeypatch, rule, by):
    """Its command, its YAML and the origin of its figures showed the threshold of the beginning."""
    save_tiny_teacher(store.runs_dir)
    spec = TINY.replaced({"epochs": 3, "split.threshold": rule})
    moves = {(1, 2): 3.5, (2, 1): 2.5, (3, 1): float("inf")}

    def moved(run, *arguments):
        for event in run_events(run, *arguments):
            yield event
            if isinstance(event, RoundDone) and run.id == first and (event.epoch, event.round) in moves:
                store.set_threshold(first, moves[event.epoch, event.round])

    first = store.create(spec)
    work(store.runs_dir, "cpu", moved)
    again_spec = store.reproducing_spec(store.get_distillation(first))
    assert again_spec.thresholds_by_hand == {(2, 1): 3.5, (2, 3): 2.5, (3, 3): float("inf")}
    assert "--at 2.1:threshold=3.5 --at 2.3:threshold=2.5 --at 3.3:threshold=inf" in run_command(again_spec)

    if by == "command":
        monkeypatch.setattr(cli.runs, "follow", lambda store, run: work(store.runs_dir, "cpu") or store.refresh(run))
        run_in_process(*shlex.split(run_command(again_spec))[1:], "--runs-dir", store.runs_dir)
        again = store.distillations()[0].id
    else:
        again = store.create(RunSpec.from_yaml(again_spec.to_yaml()))
    plain = store.create(spec)
    work(store.runs_dir, "cpu", run_events)
    runs = (first, again, plain)
    rounds, epochs = ({run: read(run).drop(columns="time") for run in runs} for read in (store.rounds, store.epochs))
    pd.testing.assert_frame_equal(rounds[again], rounds[first], check_exact=True)
    pd.testing.assert_frame_equal(epochs[again], epochs[first], check_exact=True)
    assert not rounds[plain].equals(rounds[first]), "the moves made a difference"
    made = store.reproducing_spec(store.get_distillation(again))
    assert (
        made.model_copy(update={"preset": again_spec.preset}) == again_spec
    )  # a command begins with the nearest preset
    assert store.reproducing_spec(store.get_distillation(plain)) == spec


def test_a_worker_whose_folder_was_deleted_ends(store):
    """It went on computing for nothing."""
    save_tiny_teacher(store.runs_dir)
    seen = []

    def deleting(run, *arguments):
        for event in run_events(run, *arguments):
            yield event
            seen.append(event)
            if isinstance(event, RoundDone):
                shutil.rmtree(store.runs_dir)

    store.create(TINY.replaced({"epochs": 50}))
    work(store.runs_dir, "cpu", deleting)
    assert len(seen) < 5
    assert not store.runs_dir.exists()
