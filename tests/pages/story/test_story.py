"""Story: five steps from a recording or from live runs, and any other recording."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from atesc_core.recording import Recording, load, record, save
from atesc_core.recording.file import to_bytes
from atesc_core.recording.writer import scenes_file
from atesc_core.runs import RunStore
from atesc_core.runs.worker import work
from atesc_core.specs.run import EscapeKind
from atesc_core.teachers import list_teachers
from pages.shared.data import recordings
from pages.shared.ui.glossary import TERMS, annotated
from pages.story import player
from pages.story.context import StoryContext
from pages.story.steps import STEPS
from tests.support.copies import copy_lab
from tests.support.held_job import HeldJob
from tests.support.labs import STORY, Lab, tiny_spec
from tests.support.pages import button, charts, page_link, page_text
from tests.support.recordings import by_hand
from tests.support.reports import numbers

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def shipped_file(recorded: Recording, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("recordings") / "story.atesc"
    save(recorded, file)
    return file


@pytest.fixture
def shipped(shipped_file: Path, store: RunStore, monkeypatch: pytest.MonkeyPatch) -> Recording:
    """A lab without runs, which ships the recording of the tests' story."""
    monkeypatch.setattr(recordings, "SHIPPED", shipped_file)
    return load(shipped_file)


@pytest.fixture
def none_shipped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(recordings, "SHIPPED", tmp_path / "none.atesc")


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The wall clock of the player; write to it to let time pass."""
    wall = [1000.0]
    monkeypatch.setattr(player, "wall_clock", lambda: wall[0])
    return wall


def points(app, key: str) -> int:
    """Epochs that a student's own IAcc line has."""
    [chart] = [figure for name, figure in charts(app).items() if name.startswith(key)]
    return sum(
        len(numbers(trace["x"]))
        for trace in chart["data"]
        if trace.get("meta", {}).get("metric") == "IAcc" and trace.get("opacity", 1) == 1
    )


# ── with and without ────────────────────────────────────────────────────────────────────────────────


def test_without_a_recording_the_page_says_what_makes_one(open_page, store, none_shipped):
    app = open_page("story")
    assert not app.exception
    assert "No recorded story" in page_text(app)
    assert [code.value for code in app.code] == ["atesc recording story"]
    assert not charts(app)


@pytest.mark.parametrize("step", STEPS)
def test_each_step_says_one_sentence_and_explains_its_terms(open_page, shipped, step):
    app = open_page("story", step=str(step))
    assert not app.exception
    [sentence] = [element.proto.body for element in app.get("html") if "1.45rem" in element.proto.body]
    assert sentence.count("data-help=") >= 2
    assert STEPS[step].title in [option.content for option in app.get("button_group")[0].proto.options][step - 1]


def test_a_step_out_of_range_is_the_nearest(open_page, shipped):
    assert "breaks" in page_text(open_page("story", step="0"))
    assert "cost in" in page_text(open_page("story", step="99"))
    assert "breaks" in page_text(open_page("story", step="nan"))


def test_every_term_of_every_sentence_is_defined():
    for setting in ("close", "open", "backdoor"):
        recording = by_hand()
        run = recording.manifest.runs[0]
        run = run.model_copy(update={"teacher": run.teacher.model_copy(update={"setting": setting})})
        for step in STEPS.values():
            annotated(step.sentence(StoryContext(recording, {"plain": run}, None, False)))
    with pytest.raises(KeyError):
        annotated("[[nothing]]")
    assert annotated('<b> [[ID|"x"]]').startswith("&lt;b&gt; <span")
    assert all(text.endswith(".") for text in TERMS.values())


def test_the_arrows_turn_the_steps(open_page, shipped):
    app = open_page("story")
    app.button(key="next step").click().run()
    assert app.query_params["step"] == "2"
    assert "student S" in page_text(app)
    app.button(key="previous step").click().run()
    assert "breaks" in page_text(app)


def test_the_projector_leaves_the_step_and_what_there_is_to_touch(open_page, shipped):
    assert open_page("story", step="3").get("button_group")
    app = open_page("story", step="3", projector="1")
    assert not app.exception
    assert not app.get("button_group")  # neither the row of steps nor the speeds
    assert not app.get("file_uploader")
    assert button(app, "Play")


# ── the steps ───────────────────────────────────────────────────────────────────────────────────────


def test_the_blend_shows_what_was_recorded_there(open_page, shipped):
    app = open_page("story", blend="70", pair="2")
    probs = shipped.arrays["border/probs"]
    place = [round(100 * share) for share in shipped.manifest.border.shares].index(70)
    ntl, sl = (100 * probs[at, 2, place].max() for at in (0, 1))
    words = " ".join(page_text(app).split())
    assert f"NTL teacher {probs[0, 2, place].argmax()}" in words
    assert f"{ntl:.1f} % sure" in words
    assert f"{sl:.1f} % sure" in words
    lines = {trace["meta"]["teacher"]: trace for trace in charts(app)["border"]["data"]}
    assert set(lines) == {"NTL", "SL"}
    app.select_slider[0].set_value(100).run()
    assert app.query_params["blend"] == "100"
    assert f"{100 * probs[0, 2, -1].max():.1f} % sure" in page_text(app)


def test_turns_are_taken_one_after_the_other(open_page, shipped):
    app = open_page("story", step="2")
    first = shipped.manifest.first
    assert f"{first.agreement:.1f}" in page_text(app)
    assert button(app, "Student's turn").disabled
    assert button(app, "Back").disabled
    button(app, "Generator's turn").click().run()
    assert app.query_params["n"] == "1"
    assert "Round 1: the generator's losses" in page_text(app)
    assert f"{first.steps[0].agreement:.1f} %" in " ".join(page_text(app).split())
    assert button(app, "Generator's turn").disabled
    button(app, "Student's turn").click().run()
    assert f"{first.steps[1].losses['s/fragile']:.3f}" in page_text(app)
    button(app, "Start over").click().run()
    assert "n" not in app.query_params


def test_after_the_last_turn_nobody_is_next(open_page, shipped):
    app = open_page("story", step="2", n="999")
    assert button(app, "Student's turn").disabled
    assert button(app, "Generator's turn").disabled


def test_the_replay_goes_by_the_recorded_stamps(open_page, shipped, now):
    run = shipped.manifest.runs[0]
    app = open_page("story", step="3", speed="1")
    key = f"replay {run.run}"
    assert [name for name in charts(app) if name.startswith("replay")] == [
        key,
        f"replay {shipped.manifest.runs[2].run}",
    ]
    assert "Press Play." in page_text(app)
    button(app, "Play").click().run()
    now[0] += run.epochs[0].seconds - 0.01
    app.run()
    assert "Press Play." not in page_text(app)
    assert points(app, key) == 0
    now[0] += 0.02
    app.run()
    assert points(app, key) == 1
    now[0] += run.epochs[1].seconds - run.epochs[0].seconds
    app.run()
    assert points(app, key) == 2
    now[0] += max(other.epochs[1].seconds for other in shipped.manifest.runs)  # each on its own clock
    app.run()
    assert "(epoch 2)" in page_text(app) or "after epoch 2" in page_text(app)


def test_the_trap_has_its_reason(open_page, shipped):
    app = open_page("story", step="3")
    lines = {trace["name"]: numbers(trace["y"]) for trace in charts(app)["story batchnorm"]["data"]}
    for teacher in shipped.manifest.batchnorm.teachers:
        assert lines[f"{teacher.kind} teacher, mean"] == pytest.approx(teacher.mean)
    assert "half ID and half OOD" in " ".join(page_text(app).split())
    assert "200 ID and 200 OOD validation images" in page_text(app)
    assert "story batchnorm" not in charts(open_page("story", step="5"))


def test_a_recording_without_the_reason_plays_all_the_same(open_page, shipped, tmp_path, monkeypatch):
    without = Recording(shipped.manifest.model_copy(update={"batchnorm": None}), shipped.arrays)
    save(without, tmp_path / "without.atesc")
    monkeypatch.setattr(recordings, "SHIPPED", tmp_path / "without.atesc")
    app = open_page("story", step="3")
    assert not app.exception
    assert len(charts(app)) == 2
    assert "Why the generator" not in page_text(app)


def test_a_faster_replay_comes_sooner_and_pause_holds_it(open_page, shipped, now):
    run = shipped.manifest.runs[0]
    app = open_page("story", step="3", speed="16")
    button(app, "Play").click().run()
    now[0] += (run.epochs[0].seconds + 0.01) / 16
    app.run()
    assert points(app, f"replay {run.run}") == 1
    button(app, "Pause").click().run()
    at = float(app.query_params["t"])
    assert at == pytest.approx(run.epochs[0].seconds, abs=0.1)
    now[0] += 1000
    app.run()
    assert points(app, f"replay {run.run}") == 1
    assert button(app, "Play")


def test_a_link_into_the_middle_shows_the_middle(open_page, shipped):
    runs = shipped.manifest.runs
    at = round(max(run.epochs[0].seconds for run in runs) + 0.1, 1)  # each student on its own clock
    app = open_page("story", step="5", t=f"{at}")
    plain, control = (run for run in runs if run.spec.escape.kind == "none")
    there = len(plain.epochs_until(at))
    assert points(app, f"replay {plain.run}") == there
    assert f"(epoch {min(there, len(control.epochs_until(at)))})" in page_text(app)


def test_at_the_end_play_begins_anew():
    replay = player.Player(end=10.0, start=10.0, speed=4)
    assert not replay.playing
    replay.play()
    assert replay.playing
    assert replay.start == 0.0


def test_a_seek_goes_on_playing_and_never_leaves_the_recording(now):
    replay = player.Player(end=10.0, start=0.0, speed=1)
    replay.play()
    now[0] += 2
    replay.seek(5.0)
    assert replay.playing
    assert replay.position == 5.0
    now[0] += 2
    assert replay.position == 7.0
    replay.seek(99.0)
    assert replay.position == 10.0
    assert not replay.playing


def test_the_line_moves_groups_by_recorded_scores(open_page, shipped):
    run = shipped.manifest.runs[1]
    values = shipped.pictures(run, 1).min_eps  # its one plain epoch is what the split first sees
    line = round(float(np.median(values[np.isfinite(values)])), 1)
    app = open_page("story", step="4", threshold=str(line))
    fragile = values <= line
    words = " ".join(page_text(app).split())
    assert f"Fragile {100 * fragile.mean():.1f} % {fragile.sum()} of 32 synthetic · epoch 1" in words
    target = shipped.pictures(run, 1).teacher_class[~fragile] == 0
    assert f"of them with the trap label, 0 {100 * target.mean():.1f} % of {(~fragile).sum()} robust images" in words
    app.slider[0].set_value(0.0).run()
    assert app.query_params["threshold"] == "0.0"
    assert not app.exception


# ── files of visitors ───────────────────────────────────────────────────────────────────────────────


def give(app, content: bytes):
    return app.get("file_uploader")[0].upload("anything.atesc", content).run()


def test_a_given_file_is_kept_under_a_name_of_its_own_and_shown(open_page, shipped, store):
    app = give(open_page("story"), to_bytes(by_hand()))
    assert not app.exception
    name = app.query_params["recording"]
    assert [file.stem for file in (store.runs_dir / "recordings").iterdir()] == [name]
    again = open_page("story", recording=name)
    assert "By hand" in [title.value for title in again.title]


def test_a_recording_that_is_no_story_is_replayed_all_the_same(open_page, store, none_shipped, tmp_path):
    recording = by_hand()
    run = recording.manifest.runs[0]
    control = run.model_copy(update={"teacher": run.teacher.model_copy(update={"kind": "SL"})})
    alone = Recording(recording.manifest.model_copy(update={"runs": (control,)}), recording.arrays)
    app = give(open_page("story"), to_bytes(alone))
    assert not app.exception
    assert list(charts(app)) == ["replay abcdefgh"]
    assert button(app, "Play")


def test_a_bad_file_is_refused_and_nothing_is_kept(open_page, shipped, store):
    app = give(open_page("story"), b"PK nonsense")
    assert not app.exception
    assert "cannot be played" in app.error[0].value
    assert "damaged" in app.error[0].value
    assert not (store.runs_dir / "recordings").exists()
    assert "recording" not in app.query_params


@pytest.mark.parametrize("name", ["0123456789abcdef", "../../etc/passwd", ""])
def test_a_link_to_a_recording_that_is_not_here_says_so(open_page, shipped, name):
    app = open_page("story", recording=name or "x")
    assert not app.exception
    assert "not here" in page_text(app)


def test_only_the_newest_files_are_kept(store, monkeypatch):
    monkeypatch.setattr(recordings, "MAX_UPLOADS", 2)
    for number in range(4):
        name = recordings.store_upload(bytes([number]))
        os.utime(recordings.upload_path(name), (number, number))
    stored = sorted(file.read_bytes() for file in (store.runs_dir / "recordings").iterdir())
    assert stored == [b"\x02", b"\x03"]


# ── live ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def live_story_lab(lab_with_runs: Lab, story_scenes: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A copy of the lab with runs, which the app now shows, its scenes computed."""
    runs_dir = tmp_path / "lab"
    copy_lab(lab_with_runs.runs_dir, runs_dir)
    monkeypatch.setenv("ATESC_RUNS_DIR", str(runs_dir))
    save(story_scenes, scenes_file(runs_dir, lab_with_runs.plain))
    return Lab(runs_dir, RunStore(runs_dir), lab_with_runs.plain, lab_with_runs.atesc, lab_with_runs.control)


@pytest.mark.parametrize("step", STEPS)
def test_a_story_of_this_lab_plays_without_a_recording(open_page, live_story_lab, none_shipped, step):
    app = open_page("story", story=STORY, step=str(step))
    assert not app.exception
    assert "Not in this recording" not in page_text(app)
    assert bool(charts(app)) == (step != 2)


def test_its_scenes_are_made_in_a_process_of_their_own(open_page, live_story_lab, none_shipped, monkeypatch):
    scenes_file(live_story_lab.runs_dir, live_story_lab.plain).unlink()
    asked = []

    job = HeldJob(share=0.3, message="The first steps of the distillation", eta_s=12.0)
    monkeypatch.setattr("atesc_core.jobs.find", lambda key: job if asked else None)
    monkeypatch.setattr("atesc_core.jobs.start", lambda *arguments: asked.append(arguments) or job)
    app = open_page("story", story=STORY, step="2")
    assert not app.exception
    assert asked[0][1:] == (
        "atesc_core.recording.scenes",
        live_story_lab.plain,
        "mnistm-badnet_sq-sl",
        "--runs-dir",
        str(live_story_lab.runs_dir),
    )
    button(app, "Cancel").click().run()
    app.run()
    assert "Computing this step was cancelled" in page_text(app)
    assert button(app, "Start again")
    assert len(asked) == 1


def test_a_story_that_goes_on_is_not_scrubbed(open_page, store, none_shipped, lab_with_runs):
    from atesc_core.recording.story import queue_story, story_specs

    runs = queue_story(store, story_specs({"NTL": "mnistm-badnet_sq-ntl", "SL": "mnistm-badnet_sq-sl"}))
    app = open_page("story", story=store.get(runs["plain"]).group, step="3")
    assert not app.exception
    assert button(app, "Play") is None
    assert len([name for name in charts(app) if name.startswith("replay")]) == 2
    assert "story batchnorm" in charts(app)


def test_a_deleted_story_says_so(open_page, store, none_shipped):
    app = open_page("story", story="story-gone")
    assert not app.exception
    assert "deleted" in page_text(app)


def test_start_plays_the_story_where_there_is_one(open_page, shipped):
    app = open_page("start")
    assert not page_link(app, "Play the story").disabled
    assert button(app, "Run the story live")


def test_start_says_what_makes_the_recording_where_there_is_none(open_page, store, none_shipped):
    play = page_link(open_page("start"), "Play the story")
    assert play.disabled
    assert "recording story" in play.help


# ── nothing is computed ─────────────────────────────────────────────────────────────────────────────

REPLAY = """
import sys
sys.modules["torch"] = None  # as on a machine that has none: any import of it raises
from atesc_core import runs
from atesc_core import jobs
from atesc_core.runs import launcher
from pages.shared.data import device
device.machine()  # before jobs are refused
def refuse(*words, **more): raise AssertionError(f"computing: {words}")
launcher._start = jobs.start = jobs.start_thread = refuse
from pages.shared.data import recordings
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash
recordings.SHIPPED = __import__("pathlib").Path(sys.argv[1])
for step in "12345":
    app = AppTest.from_file(sys.argv[2], default_timeout=120)
    app._page_hash = calc_hash("story")
    app.query_params.update(step=step, t="1")
    app.run()
    assert not app.exception, app.exception
    play = [button for button in app.button if button.label == "Play"]
    if play:
        assert not play[0].click().run().exception
assert not [name for name, module in sys.modules.items() if name.partition(".")[0] == "torch" and module]
"""


def test_a_replay_starts_no_worker_and_needs_no_torch(shipped_file: Path, tmp_path: Path):
    environment = os.environ | {"ATESC_RUNS_DIR": str(tmp_path / "lab"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", REPLAY, shipped_file, ROOT / "pages" / "main.py"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_scenes_only_are_no_recording_to_play(open_page, store, none_shipped, story_scenes):
    app = give(open_page("story"), to_bytes(story_scenes))
    assert not app.exception
    assert "no run" in app.error[0].value


@pytest.mark.usefixtures("a_trap_with_label_0", "few_calibration_images")
@pytest.mark.parametrize("escape", get_args(EscapeKind))
def test_a_run_of_every_escape_is_replayed(open_page, store, lab_with_runs, tmp_path, story_scenes, escape):
    """The replay of a TA-DFKD run ended in an AttributeError."""
    lab = RunStore(copy_lab(lab_with_runs.runs_dir, tmp_path / "copy"))
    run_id = lab.create(tiny_spec(escape))
    work(lab.runs_dir, "cpu")
    assert lab.get(run_id).status == "done"
    cards = {card.name: card for card in list_teachers(lab.runs_dir)}
    recording = record(lab, [run_id, lab_with_runs.control], cards, "Any escape", "a command", story_scenes)
    name = recordings.store_upload(to_bytes(recording))
    for step in "12345":
        app = open_page("story", recording=name, step=step, t="99")
        assert not app.exception, (step, app.exception)
        assert not app.error, step
