"""Try it, on the page Robustness: when it can be done, what it will be, how it grows, and what comes after."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs

import pytest
from streamlit.testing.v1 import AppTest

from atesc_core.runs import RunStore, trials
from atesc_core.runs.log import RunLog
from atesc_core.runs.worker import work
from atesc_core.specs.run import RunSpec
from pages.shared.data.device import Machine
from pages.shared.ui import formats
from tests.support.copies import copy_lab
from tests.support.labs import Lab, tiny_spec
from tests.support.pages import APP, button, charts, follow_link, page_text, set_status, threshold_slider
from tests.support.reports import numbers

LINE = 3.0


@pytest.fixture
def lab(lab_with_runs: Lab, tmp_path: Path, held_job, monkeypatch) -> Lab:
    """A copy of the lab with runs; nothing that is queued in it starts by itself."""
    copy_lab(lab_with_runs.runs_dir, tmp_path / "lab", "cache")
    monkeypatch.setenv("ATESC_RUNS_DIR", str(tmp_path / "lab"))
    monkeypatch.setattr("atesc_core.runs.launcher._start", lambda store, requested: None)
    store = RunStore(tmp_path / "lab")
    here = Machine("cpu", store.get(lab_with_runs.atesc).device)
    for module in ("robustness.trial_form", "shared.data.cost"):
        monkeypatch.setattr(f"pages.{module}.machine", lambda: here)
    return Lab(store.runs_dir, store, lab_with_runs.plain, lab_with_runs.atesc, lab_with_runs.control)


def offered(app: AppTest) -> tuple[bool, str]:
    """Of the button Try it: whether it can be pressed, and its tooltip."""
    found = button(app, "Try it")
    return not found.disabled, found.help


def text(app: AppTest) -> str:
    return " ".join(page_text(app).split())


def set_up(open_page, run: str) -> AppTest:
    """The page with the line moved and the button pressed."""
    app = open_page("robustness", run=run)
    threshold_slider(app).set_value(LINE).run()
    button(app, "Try it").click().run()
    assert not app.exception
    return app


def started(open_page, lab: Lab) -> tuple[AppTest, trials.Trial]:
    app = set_up(open_page, lab.atesc)
    button(app, "Start").click().run()
    assert not app.exception
    return app, trials.find(lab.store, app.query_params["try"])


# ── before ──────────────────────────────────────────────────────────────────────────────────────────


def test_until_the_line_is_moved_there_is_nothing_to_try(open_page, lab: Lab):
    app = open_page("robustness", run=lab.atesc)
    old = lab.store.threshold(lab.atesc)
    assert offered(app) == (False, f"Move the threshold first: {old:.2f} is the one that the run has")
    threshold_slider(app).set_value(LINE).run()
    assert offered(app) == (True, f"Two short runs from one checkpoint, the threshold {old:.2f} and this one")


def test_a_threshold_off_the_scale_is_doubted_before_it_is_tried(open_page, lab: Lab):
    """Only the spec's own threshold was looked at."""
    app = open_page("robustness", run=lab.atesc, threshold="99")
    button(app, "Try it").click().run()
    assert not app.exception
    assert "threshold: 99 is off the scale of min_eps, 0 to 32" in " ".join(each.value for each in app.warning)
    threshold_slider(app).set_value(LINE).run()
    assert "off the scale" not in text(app)


@pytest.mark.parametrize("page", ["distill", "robustness"])
def test_a_threshold_off_the_scale_is_doubted_before_it_is_applied(open_page, lab: Lab, page):
    set_status(lab.store, lab.atesc, "queued")
    app = open_page(page, run=lab.atesc, threshold="99")
    assert not app.exception
    assert "threshold: 99 is off the scale of min_eps, 0 to 32" in " ".join(each.value for each in app.warning)
    app = open_page(page, run=lab.atesc, threshold="9")
    assert not any("off the scale" in each.value for each in app.warning)


def test_why_a_run_cannot_be_tried_is_said(open_page, lab: Lab):
    app = open_page("robustness", run=lab.plain)
    threshold_slider(app).set_value(LINE).run()
    assert offered(app) == (False, "This run splits nothing: it has no threshold")
    app = open_page("robustness", run=lab.atesc)
    app.segmented_control(key=f"score {lab.atesc}").set_value("energy").run()
    assert offered(app) == (False, "This run splits by min ε")


def test_a_run_that_warms_up_has_no_threshold_yet(open_page, lab: Lab):
    run = lab.store.create(tiny_spec().replaced({"epochs": 4, "escape.warmup_epochs": 2}))
    log = RunLog(lab.store, lab.store.get(run))
    log.write_epoch(1, 256, {"iacc": 50.0, "asr": 90.0})
    log.write_snapshot(lab.store.snapshot(lab.atesc, 1))
    app = open_page("robustness", run=run)
    threshold_slider(app).set_value(LINE).run()
    assert offered(app) == (False, "The split begins after epoch 2: until then there is no threshold to compare with")


def test_what_it_will_be_and_cost_is_said_before(open_page, lab: Lab):
    app = set_up(open_page, lab.atesc)
    old = lab.store.threshold(lab.atesc)
    assert f"{old:.2f} → {LINE:.2f}" in text(app)
    assert "Both go on from the end of epoch 1, where the split begins." in text(app)
    assert "Old: the run's own epoch 2, the same numbers. Only the new threshold is computed." in text(app)
    took = lab.store.epochs(lab.atesc)["time"].diff().iloc[1]
    assert f"About {formats.duration(took)} here" in text(app), "as long as the run's own epoch took"
    assert f"try {lab.atesc} --threshold 3 --epochs 1 --after 1" in app.code[0].value
    assert lab.store.queue() == []


def test_where_the_runs_own_epochs_will_not_do_it_says_why(open_page, lab: Lab):
    with lab.store.database.write() as connection:
        connection.execute("UPDATE runs SET device = 'a far one' WHERE id = ?", (lab.atesc,))
    app = set_up(open_page, lab.atesc)
    assert "Both are computed: the run was made on another device, a far one." in text(app)
    button(app, "Start").click().run()
    assert [run.label.rpartition(", ")[2] for run in lab.store.queue()] == ["old", "new"]


# ── while it grows ──────────────────────────────────────────────────────────────────────────────────


def test_a_start_queues_the_missing_arm_and_the_link_keeps_it(open_page, lab: Lab):
    app, pair = started(open_page, lab)
    assert [run.id for run in lab.store.queue()] == [pair.new.id]
    assert (pair.old_is_parent, pair.fork.threshold, pair.fork.epoch) == (True, LINE, 1)
    assert button(app, "Start") is None, "the form is closed"
    again = open_page("robustness", run=lab.atesc, **{"try": pair.new.id})
    for one in (app, again):
        assert f"Try: {pair.fork.old_threshold:.2f} → 3.00" in text(one)
        assert "New 3.00 queued 0 of 1 epoch after the split · next in line" in text(one)
        assert "The first difference comes at the end of epoch 2." in text(one)
        assert "the run's own epoch 2" in text(one)
        past = next(trace for trace in charts(one)["try"]["data"] if trace.get("meta", {}).get("metric") == "IAcc")
        assert numbers(past["y"]).tolist() == lab.store.epochs(lab.atesc)["iacc"][:1].tolist()


def test_it_can_be_stopped_resumed_closed_and_opened_again(open_page, lab: Lab):
    app, pair = started(open_page, lab)
    app.button(key="try stop").click().run()
    assert lab.store.get(pair.new.id).status == "stopped"
    app.button(key="try resume").click().run()
    assert lab.store.get(pair.new.id).status == "queued"
    app.button(key="try close").click().run()
    assert not app.exception
    assert "try" not in app.query_params
    app.button(key=f"try again {pair.new.id}").click().run()
    assert pair.new.id in app.query_params["try"]
    assert "Try: " in text(app)


def test_a_checkpoint_that_went_meanwhile_is_a_message(open_page, lab: Lab):
    app = set_up(open_page, lab.atesc)
    lab.store.fork_point_file(lab.atesc, 1).unlink()
    button(app, "Start").click().run()
    assert not app.exception
    assert "The try could not be started." in text(app)
    assert "after: 1: expected 0" in text(app)
    assert lab.store.queue() == []


@pytest.mark.parametrize("named", ["zzzzzzzz", "../../etc/passwd", "plain"])
def test_a_link_to_a_try_that_is_not_there_says_so(open_page, lab: Lab, named: str):
    app = open_page("robustness", run=lab.atesc, **{"try": lab.plain if named == "plain" else named})
    assert not app.exception
    assert "There is no try" in text(app)
    assert "try" not in app.query_params


# ── after ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def done(open_page, lab: Lab) -> trials.Trial:
    _, pair = started(open_page, lab)
    work(lab.runs_dir, "cpu")
    return trials.find(lab.store, pair.new.id)


def test_the_difference_is_that_of_the_two_runs(open_page, lab: Lab, done: trials.Trial):
    app = open_page("robustness", run=lab.atesc, **{"try": done.new.id})
    assert not app.exception
    old, new = (lab.store.epochs(run).set_index("epoch").loc[2] for run in (lab.atesc, done.new.id))
    for metric, name, higher in (("iacc", "IAcc", True), ("asr", "ASR", False)):
        points = round(new[metric] - old[metric], 1)
        sign = "±0.0" if not points else f"{points:+.1f}".replace("-", "−")
        word = "the same" if not points else "better" if (points > 0) == higher else "worse"
        side = "ID" if higher else "OOD"
        assert f"{name}, new − old {sign} points {word} {side} test · " in text(app)
        assert "images · epoch 2" in text(app)
    assert "New 3.00 done 1 of 1 epoch after the split" in text(app)
    assert "what one seed shows may be chance" in text(app)
    drawn = {
        (trace["meta"]["run"], trace["meta"]["metric"]): numbers(trace["y"]).tolist()
        for trace in charts(app)["try"]["data"]
        if "run" in trace.get("meta", {})
    }
    joint = lab.store.epochs(lab.atesc)["asr"].iloc[0]
    assert drawn["new threshold 3", "ASR"] == [joint, new["asr"]], "it goes on from the joint past"


def test_the_new_threshold_goes_to_the_next_run(open_page, lab: Lab, done: trials.Trial):
    app = open_page("robustness", run=lab.atesc, **{"try": done.new.id})
    follow_link(app, "New run with 3.00")
    assert not app.exception
    assert RunSpec.from_token(app.query_params["spec"]) == lab.store.get(lab.atesc).spec.replaced(
        {"split.threshold": LINE}
    )


def test_compare_shows_both_where_the_link_names_them(open_page, lab: Lab, done: trials.Trial):
    app = open_page("robustness", run=lab.atesc, **{"try": done.new.id})
    (way,) = [link.proto for link in app.get("page_link") if link.proto.label == "Compare" and link.proto.query_string]
    assert parse_qs(way.query_string) == {"runs": [f"{lab.atesc},{done.new.id}"]}
    app = open_page("compare", runs=f"{lab.atesc},{done.new.id}")
    assert not app.exception
    named = {trace["name"] for trace in charts(app)["compare"]["data"] if trace.get("meta", {}).get("quantity")}
    assert any("threshold 3 from epoch 2" in name for name in named)
    assert len(named) == 2
    assert "A try: it parted from a run of these settings after epoch 1, and ended with 2." in text(app)
    assert done.new.id not in list(open_page("compare").dataframe[0].value["Run"]), "else it lists no try"


def test_other_lists_leave_it_out_and_the_sidebar_leads_to_it(open_page, lab: Lab):
    _, pair = started(open_page, lab)
    app = open_page("distill", run=lab.atesc)
    assert pair.new.id not in " ".join(app.selectbox(key="run_picker").options)
    start = AppTest.from_file(str(APP), default_timeout=120).run()
    (way,) = [link.proto for link in start.sidebar.get("page_link") if link.proto.label == pair.new.label]
    assert not any("try" in link.proto.label for link in start.main.get("page_link"))
    assert way.page == "robustness"
    assert parse_qs(way.query_string) == {"run": [lab.atesc], "try": [pair.new.id]}


def test_an_arm_by_itself_says_what_it_is(open_page, lab: Lab, done: trials.Trial):
    app = open_page("distill", run=done.new.id)
    assert not app.exception
    assert f"{done.new.label}: parted from run {lab.atesc} after epoch 1" in text(app)
    assert any(f"try {lab.atesc} --threshold 3 --epochs 1 --after 1" in code.value for code in app.code)
    app = open_page("robustness", run=done.new.id)
    threshold_slider(app).set_value(3.0).run()
    assert offered(app) == (False, f"This run is itself a try: try another threshold on run {lab.atesc}")


def test_a_deleted_parent_leaves_what_was_computed(open_page, lab: Lab, done: trials.Trial):
    lab.store.delete(lab.atesc)
    app = open_page("distill", run=done.new.id)
    assert not app.exception
    assert "IAcc" in text(app)
