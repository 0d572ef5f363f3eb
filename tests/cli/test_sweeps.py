"""``sweep``, ``repeat``, and the commands of ``runs`` for a whole group."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import pytest

from atesc_core import cli
from atesc_core.runs import RunStore
from tests.support.commands import command, run_in_process, run_process
from tests.support.tiny_runs import save_tiny_teacher
from tests.support.waiting import until

SMALL = ["epochs=2", "rounds=2", "student_steps=1", "batch_size=16", "snapshot_images=16", "device=cpu"]
SWEEP = ["sweep", "tiny", *(word for setting in SMALL for word in ("--set", setting))]


@pytest.fixture
def runs_dir(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    save_tiny_teacher(tmp_path)
    return tmp_path


@pytest.fixture
def no_worker(monkeypatch) -> None:
    """Queued runs do not start."""
    monkeypatch.setattr("atesc_core.runs.launcher._start", lambda store, requested: None)


def refused(monkeypatch, capsys, *arguments: object) -> str:
    """The message of a command that ends with exit status 2."""
    monkeypatch.setattr(sys, "argv", ["atesc", *map(str, arguments)])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert exit_.value.code == 2
    return capsys.readouterr().err


def test_a_sweep_runs_every_combination_and_a_run_of_it_is_repeated(runs_dir):
    where = ("--runs-dir", runs_dir)
    out = run_process(*SWEEP, "--vary", "escape.kind=none,ckd", "--vary", "seed=3-4", "--name", "two by two", *where)
    assert out.splitlines()[0] == "two by two"
    assert "CKD" in out
    assert "±" in out
    store = RunStore(runs_dir)
    runs = store.group("two by two").runs
    assert [(run.spec.escape.kind, run.spec.seed, run.status, run.spec.epochs) for run in runs] == [
        ("none", 3, "done", 2),
        ("none", 4, "done", 2),
        ("ckd", 3, "done", 2),
        ("ckd", 4, "done", 2),
    ]
    result = json.loads(run_in_process("repeat", runs[0].id, "--seeds", "7", "--json", *where))
    [again] = store.group(result["group"]).runs
    assert again.spec == runs[0].spec.model_copy(update={"seed": 7})
    assert result["runs"] == [{"run_id": again.id, "seed": 7, "status": "done"} | again.metrics]


def test_ctrl_c_stops_the_group_and_resume_goes_on(runs_dir):
    process = command(*SWEEP, "--set", "epochs=1000", "--vary", "seed=1-3", "--name", "g", "--runs-dir", runs_dir)
    store = RunStore(runs_dir)
    until(lambda: any(run.epoch >= 2 for run in store.distillations()))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "`atesc runs resume --group g` goes on" in err
    assert {run.status for run in store.group("g").runs} == {"stopped"}


def test_a_group_is_queued_stopped_paused_and_resumed(runs_dir, no_worker):
    where = ("--runs-dir", runs_dir)
    group = run_in_process(*SWEEP, "--vary", "seed=1-3", "--no-wait", *where).strip()
    store = RunStore(runs_dir)
    first, _, last = (run.id for run in store.group(group).runs)
    for action, statuses in [("stop", "stopped"), ("resume", "queued"), ("pause", "paused"), ("resume", "queued")]:
        run_in_process("runs", action, "--group", group, *where)
        assert {run.status for run in store.group(group).runs} == {statuses}
    run_in_process("runs", "stop", first, *where)
    assert [run.status for run in store.group(group).runs] == ["stopped", "queued", "queued"]
    run_in_process("runs", "first", last, *where)
    assert store.queue()[0].id == last
    repeated = run_in_process("repeat", first, "--seeds", "5,7-8", "--no-wait", *where).strip()
    assert [run.spec.seed for run in store.group(repeated).runs] == [5, 7, 8]


def test_a_run_is_described_and_found(runs_dir, no_worker):
    where = ("--runs-dir", runs_dir)
    group = run_in_process(*SWEEP, "--vary", "seed=1-2", "--no-wait", *where).strip()
    run_id = RunStore(runs_dir).group(group).runs[1].id
    run_in_process("runs", "describe", run_id, "--name", "Mine", "--note", "odd", "--tags", "paper, x", *where)
    shown = run_in_process("runs", "show", run_id, *where)
    assert f"name: Mine\ngroup: {group}\ntags: paper, x\nnote: odd\n" in shown
    for text, found in [("paper mine", [run_id]), ("nothing", [])]:
        assert [
            run["id"] for run in json.loads(run_in_process("runs", "list", "--json", "--search", text, *where))
        ] == (found)
    run_in_process("runs", "describe", run_id, "--name", "", *where)
    run = RunStore(runs_dir).get(run_id)
    assert (run.label, run.note, run.tags) == (None, "odd", ("paper", "x"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((*SWEEP, "--vary", "seed=0-999999999"), "seed: '0-999999999': 1,000,000,000 values; expected at most 500"),
        ((*SWEEP, "--vary", "teacher=tiny,nobody"), "teacher: 'nobody'"),
        (("runs", "stop"), "runs: expected ids of runs, or --group NAME"),
        (("runs", "stop", "--group", "g"), "group: 'g' has no runs"),
        (("repeat", "abcdefgh", "--seeds", "1"), "run: 'abcdefgh' is not in"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_queued(runs_dir, no_worker, monkeypatch, capsys, arguments, says):
    assert f"error: {says}" in refused(monkeypatch, capsys, *arguments, "--runs-dir", runs_dir)
    assert RunStore(runs_dir).all_runs() == []
