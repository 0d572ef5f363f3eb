"""Groups of runs, the order of the queue, and what users write about their runs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from atesc_core.errors import LimitError, ReadOnlyError, UnknownRunError
from atesc_core.runs import RunStore
from atesc_core.runs.group import RunGroup
from atesc_core.specs.sweep import sweep
from tests.support.pages import set_status


@pytest.fixture
def group(store, spec) -> str:
    """A group of three waiting runs, of seeds 1 to 3."""
    return store.create_group(sweep(spec, ["seed=1-3"]), "three seeds")


def statuses(store: RunStore, group: str) -> list[str]:
    return [run.status for run in store.group(group).runs]


def queue(store: RunStore) -> list[int]:
    """Seeds of the waiting runs, next first."""
    return [run.spec.seed for run in store.queue()]


# ── one group ───────────────────────────────────────────────────────────────────────────────────────


def test_a_group_is_queued_in_its_order(store, group):
    assert [run.spec.seed for run in store.group(group).runs] == queue(store) == [1, 2, 3]
    assert {run.group for run in store.distillations()} == {"three seeds"}
    assert store.create_group([run.spec for run in store.queue()]).startswith("sweep-")


def test_a_group_is_started_once(store, spec):
    started = []
    store.on_queued = started.append
    group = store.create_group(sweep(spec, ["seed=1-3"]))
    store.stop_group(group)
    store.resume_group(group)
    assert started == [store.runs_dir, store.runs_dir]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("three seeds", "group: 'three seeds' is another group's name; expected a new one"),
        ("<b>", "group: '<b>' has '<'"),
        ("a\nb", r"group: 'a\\nb' has '\\n'"),
        ("x" * 201, "group: 201 characters; expected at most 200"),
        ("  ", "group: its name is empty"),
    ],
)
def test_a_groups_name_is_checked(store, spec, group, name, says):
    with pytest.raises(ValueError, match=says):
        store.create_group([spec], name)
    assert len(store.all_runs()) == len(list((store.runs_dir / "runs").iterdir())) == 3


def test_all_runs_of_a_group_are_queued_or_none(store, spec, group, monkeypatch):
    monkeypatch.setenv("ATESC_MAX_QUEUED_RUNS", "5")
    with pytest.raises(LimitError, match="3 runs wait already, and 3 more would; at most 5 may"):
        store.create_group(sweep(spec, ["seed=1-3"]))
    assert len(store.all_runs()) == len(list((store.runs_dir / "runs").iterdir())) == 3
    store.create_group(sweep(spec, ["seed=1-2"]))
    with pytest.raises(ValueError, match="group: no runs"):
        store.create_group([])


def test_a_run_that_is_repeated_joins_the_group_unless_it_has_one(store, spec, group):
    alone, of_three = store.create(spec), store.group(group).runs[0]
    assert store.get(alone).group is None
    repeated = store.create_group(sweep(spec, ["seed=5"]), joined_by=alone)
    assert store.get(alone).group == repeated
    store.create_group(sweep(spec, ["seed=6"]), joined_by=of_three.id)
    assert store.get(of_three.id).group == group


def test_a_group_is_paused_stopped_and_resumed(store, group):
    set_status(store, store.group(group).runs[0].id, "done")
    for act, then in [
        (store.pause_group, ["done", "paused", "paused"]),
        (store.resume_group, ["done", "queued", "queued"]),
        (store.stop_group, ["done", "stopped", "stopped"]),
        (store.resume_group, ["done", "queued", "queued"]),
    ]:
        act(group)
        assert statuses(store, group) == then
    assert queue(store) == [2, 3]


def test_a_running_run_of_a_group_is_asked_to_stop(store, group):
    first = store.group(group).runs[0].id
    set_status(store, first, "running")
    store.stop_group(group)
    assert statuses(store, group) == ["running", "stopped", "stopped"]
    assert store.get(first).requested_state == "stop"


@pytest.mark.parametrize("ask", ["group", "pause_group", "stop_group", "resume_group"])
def test_an_unknown_group_is_named(store, group, ask):
    with pytest.raises(UnknownRunError, match="group: 'nobody' has no runs"):
        getattr(store, ask)("nobody")


def test_progress_and_time_left(store, group):
    """A waiting run takes as long as those of its kind; two at once take half."""
    waiting = store.group(group).runs
    assert (RunGroup("g", waiting).progress, RunGroup("g", waiting).eta_s) == (0, None)
    done = replace(waiting[0], status="done", started=100.0, finished=160.0, epoch=2, round=3)
    half = replace(waiting[1], status="running", started=160.0, eta_s=20.0, epoch=1, round=3)
    one = RunGroup("g", (done, half, waiting[2]))
    assert one.progress == 0.5
    assert one.counts == {"done": 1, "running": 1, "queued": 1}
    assert (one.active, one.ended) == (True, False)
    assert one.eta_s == 20 + 60
    assert RunGroup("g", (half, waiting[2])).eta_s == 20 + 40
    assert RunGroup("g", (done, half, replace(half, eta_s=30.0))).eta_s == 30
    other_kind = waiting[2].spec.replaced({"escape.kind": "none"})
    assert RunGroup("g", (done, replace(waiting[2], spec=other_kind))).eta_s == 60
    ended = RunGroup("g", (done, replace(half, status="stopped", eta_s=None)))
    assert (ended.eta_s, ended.active, ended.ended) == (0, False, True)
    assert not RunGroup("g", (replace(half, status="paused", eta_s=None),)).ended


# ── the queue ───────────────────────────────────────────────────────────────────────────────────────


def test_a_waiting_run_is_moved_to_the_front(store, group):
    one, two, three = (run.id for run in store.group(group).runs)
    store.move_first(three)
    assert queue(store) == [3, 1, 2]
    assert [store.get(run_id).queue_position for run_id in (three, one, two)] == [1, 2, 3]
    store.move_first(two)
    store.move_first(two)
    assert queue(store) == [2, 3, 1]


def test_runs_that_were_queued_at_the_same_moment_are_moved_too(store, group):
    with store.database.write() as connection:
        connection.execute("UPDATE runs SET queued = 1.8e9")
    store.move_first(store.group(group).runs[2].id)
    assert queue(store) == [3, 1, 2]


@pytest.mark.parametrize("status", ["running", "paused", "done"])
def test_only_a_waiting_run_is_moved(store, group, status):
    run_id = store.group(group).runs[2].id
    set_status(store, run_id, status)
    with pytest.raises(ValueError, match=f"run: {run_id} is {status}; expected a run that waits"):
        store.move_first(run_id)


# ── names, notes, tags ──────────────────────────────────────────────────────────────────────────────


def test_a_run_has_a_name_a_note_and_tags(store, spec):
    run_id = store.create(spec)
    run = store.get(run_id)
    assert (run.label, run.note, run.tags) == (None, None, ())
    store.rename(run_id, "  For Figure 3 ")
    store.annotate(run_id, "λ too large?\nSee < seed 4 >")
    store.set_tags(run_id, ["paper", " π ", "", "paper"])
    run = store.get(run_id)
    assert (run.label, run.note, run.tags) == ("For Figure 3", "λ too large?\nSee < seed 4 >", ("paper", "π"))
    for change in (store.rename, store.annotate):
        change(run_id, " ")
    store.set_tags(run_id, [])
    run = store.get(run_id)
    assert (run.label, run.note, run.tags) == (None, None, ())


@pytest.mark.parametrize(
    ("change", "value", "says"),
    [
        ("rename", "x" * 201, "name: 201 characters; expected at most 200"),
        ("rename", "a\nb", "name: "),
        ("rename", "<img>", "name: '<img>' has '<'"),
        ("rename", "\ud800", "name: "),
        ("annotate", "x" * 2001, "note: 2,001 characters; expected at most 2,000"),
        ("annotate", "a\0b", "note: "),
        ("set_tags", ["x" * 41], "tags: 41 characters; expected at most 40"),
        ("set_tags", ["a\tb"], "tags: "),
        ("set_tags", map(str, range(21)), "tags: 21; expected at most 20"),
    ],
)
def test_what_is_too_long_or_no_text_is_refused(store, spec, change, value, says):
    run_id = store.create(spec)
    with pytest.raises(ValueError, match=f"^{says}"):
        getattr(store, change)(run_id, value)


def test_damaged_tags_are_none(store, spec):
    run_id = store.create(spec)
    for damage in ("[", "7", '{"a": 1}'):
        with store.database.write() as connection:
            connection.execute("UPDATE runs SET tags = ?", (damage,))
        assert store.get(run_id).tags == ()


def test_runs_are_found_by_their_words(store, spec, group):
    run_id = store.create(spec, group="Story")
    store.rename(run_id, "Straße")
    store.annotate(run_id, "for the reviewer")
    store.set_tags(run_id, ["Paper"])
    for text in ("STRASSE", "review", "paper", run_id[:5], "story", "paper story", spec.teacher):
        assert run_id in [run.id for run in store.search(text)], text
    assert len(store.search("")) == len(store.search("tiny")) == 4
    assert [run.spec.seed for run in store.search("three")] == [3, 2, 1]
    assert store.search("paper three") == []


def test_those_who_may_look_change_nothing(store, group):
    viewer = RunStore(store.runs_dir, may_change=False)
    run = viewer.group(group).runs[0]
    for request in (
        lambda: viewer.create_group([run.spec]),
        lambda: viewer.stop_group(group),
        lambda: viewer.move_first(run.id),
        lambda: viewer.rename(run.id, "mine"),
        lambda: viewer.annotate(run.id, "mine"),
        lambda: viewer.set_tags(run.id, ["mine"]),
    ):
        with pytest.raises(ReadOnlyError):
            request()
    viewer.close()
