"""The commands: `recording make`, `story` and `show`."""

from __future__ import annotations

import pytest

from atesc_core import cli
from atesc_core.recording import load
from atesc_core.recording.story import STORY_ROLES, story_role
from atesc_core.runs.worker import work
from tests.support.commands import run_in_process
from tests.support.labs import SMALL, Lab


def test_a_run_is_recorded_and_shown(lab_with_runs: Lab, tmp_path):
    out = tmp_path / "one.atesc"
    run_in_process(
        "recording",
        "make",
        "--run",
        lab_with_runs.atesc,
        "--out",
        out,
        "--title",
        "One",
        "--images",
        "4",
        "--runs-dir",
        lab_with_runs.runs_dir,
    )
    recording = load(out)
    assert [run.run for run in recording.manifest.runs] == [lab_with_runs.atesc]
    assert recording.manifest.runs[0].snapshots[0].images == 4
    assert recording.manifest.border is None
    shown = run_in_process("recording", "show", out)
    assert shown.startswith("One: ")
    assert f"{lab_with_runs.atesc}  " in shown
    assert "2 epochs  IAcc " in shown
    assert recording.manifest.command == f"atesc recording make --run {lab_with_runs.atesc}"


@pytest.mark.usefixtures("few_calibration_images")
def test_the_shipped_story_is_made_by_a_command(tmp_path, monkeypatch):
    """Its four students are really run, here by a worker in this process."""

    def follow(store, run):
        work(store.runs_dir, "cpu")
        return store.get(run.id)

    monkeypatch.setattr(cli.runs, "follow", follow)
    out = tmp_path / "made here" / "story.atesc"
    small = [word for name, value in SMALL.items() for word in ("--set", f"{name}={value}")]
    run_in_process("recording", "story", "--setting", "open", "--out", out, *small, "--runs-dir", tmp_path / "lab")
    recording = load(out)
    assert {story_role(run.teacher.kind, run.spec.escape.kind) for run in recording.manifest.runs} == set(STORY_ROLES)
    assert {run.teacher.setting for run in recording.manifest.runs} == {"open"}
    assert recording.manifest.border
    assert recording.manifest.first
    assert "scenes: border, first, batchnorm" in run_in_process("recording", "show", out)
    assert out.stat().st_size < 1_000_000


def test_a_story_that_did_not_end_is_not_recorded(tmp_path, monkeypatch):
    monkeypatch.setattr(cli.runs, "follow", lambda store, run: store.stop(run.id) or store.get(run.id))
    with pytest.raises(ValueError, match="stopped; nothing was recorded"):
        run_in_process("recording", "story", "--out", tmp_path / "story.atesc", "--runs-dir", tmp_path / "lab")
    assert not (tmp_path / "story.atesc").exists()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["make", "--run", "zzzzzzzz", "--out", "x.atesc"], "zzzzzzzz"),
        (["make", "--run", "../../etc", "--out", "x.atesc"], "8 letters"),
        (["make", "--run", "zzzzzzzz", "--out", "no/such/x.atesc"], "'no/such' does not exist"),
        (["story", "--setting", "half-open", "--out", "x.atesc"], "'half-open': expected one of open"),
        (["show", "gone.atesc"], "gone.atesc: no such file"),
    ],
)
def test_what_is_typed_wrong_is_named(tmp_path, monkeypatch, words, named):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ATESC_RUNS_DIR", str(tmp_path))
    with pytest.raises((ValueError, RuntimeError), match=named):
        run_in_process("recording", *words)
