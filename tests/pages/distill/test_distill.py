"""Distil: the form says what a run is and costs, the panel shows a run as it stands."""

from __future__ import annotations

import functools
import shlex
from dataclasses import replace
from typing import get_args

import pytest
from typer.testing import CliRunner

from atesc_core import cli
from atesc_core.runs import DistillationRun
from atesc_core.specs.base import field_values
from atesc_core.specs.field_help import describe_field
from atesc_core.specs.presets import from_preset
from atesc_core.specs.run import ESCAPE_SETTINGS, EscapeKind, EscapeSpec, ScoreName
from atesc_core.teachers import list_teachers
from atesc_core.teachers.batchnorm import batchnorm_file
from atesc_core.teachers.zoo import load_teacher, save_teacher
from pages.distill import new_run_form
from pages.shared.data import cost
from pages.shared.data.teachers import forget_cards
from pages.shared.ui import elements
from pages.shared.ui.run_labels import method_name
from pages.shared.ui.run_labels import run_name as name
from tests.support.batchnorm import small_report
from tests.support.labs import CONTROL, TEACHER, logged_run, tiny_spec
from tests.support.pages import button, charts, go_to, page_text, set_status
from tests.support.reports import numbers

KINDS = ("number_input", "selectbox", "text_input", "toggle")


def field(app, path):
    """The widget of a setting in the advanced part of the form."""
    widgets = [widget for kind in KINDS for widget in app.get(kind)]
    return next(widget for widget in widgets if widget.key and widget.key.endswith(f": {path}"))


# ── the form ────────────────────────────────────────────────────────────────────────────────────────


def test_an_empty_lab_shows_the_form(open_page, store):
    app = open_page("distill")
    assert not app.exception
    assert "Time: not known before a first run here" in page_text(app)
    assert not button(app, "Start").disabled
    assert not charts(app)


@pytest.mark.parametrize(
    ("kind", "escape"), [("dfq", "none"), ("dfq", "twin"), ("dfq", "tadfkd"), ("cmi", "abd"), ("nayer", "atesc")]
)
def test_every_setting_has_a_widget_with_its_sentence_and_badge(open_page, store, kind, escape):
    spec = from_preset("quick", TEACHER, **{"synthesis.kind": kind, "escape.kind": escape})
    app = open_page("distill", spec=spec.to_token())
    paths = [path for path in field_values(spec.model_dump()) if path not in new_run_form.BASIC_FIELDS]
    others = {f"escape.{name}" for name in EscapeSpec.model_fields} - {
        f"escape.{name}" for name in ESCAPE_SETTINGS[escape]
    }
    shown = {widget.key.rpartition(": ")[2] for kind in KINDS for widget in app.get(kind) if widget.key}
    assert not others & shown
    assert ("Plain distillation has no settings of an escape." in page_text(app)) == (escape == "none")
    paths = [path for path in paths if path not in others]
    assert len(paths) > 15
    for path in paths:
        value = functools.reduce(getattr, path.split("."), spec)
        help_ = describe_field(path, spec)
        assert field(app, path).help == help_.text(value)
        assert elements.BADGES[help_.badge(value)] in field(app, path).label


def test_what_was_set_for_an_escape_stays_while_another_is_looked_at(open_page, store):
    app = open_page("distill")
    escape = next(control for control in app.segmented_control if str(control.key).startswith("escape, "))
    field(app, "escape.weight").set_value(0.7).run()
    for kind in ("ckd", "none", "atesc"):
        escape.set_value(kind).run()
    assert field(app, "escape.weight").value == 0.7
    button(app, "Start").click().run()
    assert store.distillations()[0].spec.escape.weight == 0.7


def test_a_chosen_teacher_stays_while_the_list_gets_longer(open_page, store):
    """The choice fell back to the first teacher, and Start took that one."""
    shipped = load_teacher(TEACHER)
    app = open_page("distill")
    other = next(name for name in app.selectbox[0].options if name != app.selectbox[0].value)
    app.selectbox[0].set_value(other).run()
    save_teacher(shipped.model, shipped.card.model_copy(update={"name": "mine"}), store.runs_dir / "teachers")
    forget_cards()
    app.run()
    assert "mine" in app.selectbox[0].options
    assert app.selectbox[0].value == other


def test_a_link_to_a_teacher_that_is_gone_says_so(open_page, store):
    """The form took another teacher, and said nothing."""
    assert "There is no teacher 'gone' here." in page_text(open_page("distill", teacher="gone"))
    assert "There is no teacher" not in page_text(open_page("distill", teacher=TEACHER))


def test_a_press_of_start_is_for_the_teacher_that_was_shown(open_page, store):
    shipped = load_teacher(TEACHER)
    save_teacher(shipped.model, shipped.card.model_copy(update={"name": "mine"}), store.runs_dir / "teachers")
    app = open_page("distill", teacher="mine")
    assert app.selectbox[0].value == "mine"
    store.delete_teacher("mine")
    forget_cards()
    button(app, "Start").click().run()
    assert not app.exception
    assert app.selectbox[0].value != "mine"
    assert not store.distillations()
    gone = "The teacher 'mine' has been deleted; choose another one."  # a second press would have begun another's run
    assert gone in page_text(app)
    app.selectbox[0].set_value("mnistm-mnist-ntl").run()
    assert gone not in page_text(app)


def test_a_badge_follows_the_value_while_it_is_edited(open_page, store):
    app = open_page("distill")
    for path, published, chosen in (("batch_size", 256, 96), ("synthesis.bn", 1.0, 2.5), ("escape.weight", 1.0, 0.3)):
        for value, badge in ((published, "· paper"), (chosen, "· this lab"), (published, "· paper")):
            field(app, path).set_value(value).run()
            assert badge in field(app, path).label
            assert (f"Published: {published:g}." in field(app, path).help) == (badge == "· this lab")
            assert field(app, path).value == value


def test_the_threshold_by_hand_has_the_badge_of_its_number(open_page, store):
    app = open_page("distill")
    for choice in ("auto", "by hand"):
        field(app, "split.threshold").set_value(choice).run()
        assert "· this lab" in field(app, "split.threshold").label


def test_what_was_set_is_what_starts(open_page, store):
    app = open_page("distill")
    field(app, "epochs").set_value(2).run()
    field(app, "split.threshold").set_value("by hand").run()
    by_hand = next(widget for widget in app.number_input if widget.key.endswith("by hand"))
    by_hand.set_value(3.5).run()
    shown = app.code[-1].value
    button(app, "Start").click().run()
    assert not app.exception
    (run,) = store.distillations()
    assert run.spec == from_preset("quick", run.spec.teacher, **{"epochs": 2, "split.threshold": 3.5})
    assert app.query_params["run"] == run.id
    assert run_by_command(store, shown).spec == run.spec


@pytest.mark.parametrize("kind", ["cmi", "nayer"])
def test_another_method_brings_its_presets_settings(open_page, store, kind):
    app = open_page("distill")
    next(widget for widget in app.get("button_group") if widget.label.startswith("Method")).set_value(kind).run()
    field(app, "synthesis.steps").set_value(7).run()
    shown = app.code[-1].value
    button(app, "Start").click().run()
    assert not app.exception
    (run,) = store.distillations()
    assert run.spec == from_preset("quick", run.spec.teacher, **{"synthesis.kind": kind, "synthesis.steps": 7})
    assert run_by_command(store, shown).spec == run.spec


@pytest.mark.parametrize("kind", get_args(EscapeKind))
def test_every_escape_starts_with_what_it_brings(open_page, store, kind):
    app = open_page("distill")
    escape = next(widget for widget in app.get("button_group") if widget.label.startswith("Escape"))
    escape.set_value(kind).run()
    field(app, "epochs").set_value(2).run()
    if kind == "tadfkd":
        assert (field(app, "split.score").value, field(app, "split.threshold").value) == ("gmm", "by hand")
        field(app, "split.threshold").set_value("auto").run()
    shown = app.code[-1].value
    button(app, "Start").click().run()
    assert not app.exception
    (run,) = store.distillations()
    changes = {"split.threshold": "auto"} if kind == "tadfkd" else {}
    assert run.spec == from_preset("quick", run.spec.teacher, **{"escape.kind": kind, "epochs": 2, **changes})
    assert run_by_command(store, shown).spec == run.spec


def test_every_score_is_offered_and_explained(open_page, store):
    choice = field(open_page("distill"), "split.score")
    assert choice.options == list(get_args(ScoreName))
    assert all(name in choice.help for name in choice.options)


def run_by_command(store, command: str) -> DistillationRun:
    """The run that the command line makes of the command; it is stopped before it starts."""
    _, *words = shlex.split(command)
    before = {run.id for run in store.distillations()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli.runs, "follow", lambda store, run: store.stop(run.id) or store.get(run.id))
        CliRunner().invoke(cli.app, [*words, "--runs-dir", str(store.runs_dir)])
    [made] = [run for run in store.distillations() if run.id not in before]
    return made


def test_a_wrong_value_is_explained_beside_the_form_and_cannot_start(open_page, store):
    app = open_page("distill")
    field(app, "epochs").set_value(0).run()
    assert "epochs: 0: Input should be greater than or equal to 1" in page_text(app)
    assert button(app, "Start").disabled
    field(app, "epochs").set_value(3).run()
    assert not button(app, "Start").disabled


def test_a_link_brings_its_teacher(open_page, store):
    app = open_page("distill", teacher="mnistm-fashion-sl")
    assert app.selectbox[0].value == "mnistm-fashion-sl"


def test_a_teacher_without_batchnorm_is_said_before_the_run(open_page, store):
    card = next(card for card in list_teachers() if card.name == TEACHER)
    (store.runs_dir / "teachers").mkdir()
    (store.runs_dir / "teachers" / "plain.json").write_text(
        card.model_copy(update={"name": "plain", "arch": "vgg13"}).model_dump_json()
    )
    app = open_page("distill", teacher="plain")
    assert "The teacher has no BatchNorm layer: DFQ's R_BN term has nothing to match" in page_text(app)
    next(widget for widget in app.get("button_group") if widget.label.startswith("Method")).set_value("cmi").run()
    assert "CMI's R_BN term" in page_text(app)
    app.selectbox[0].set_value(TEACHER).run()
    assert "R_BN term" not in page_text(app)


def test_a_link_brings_all_its_settings(open_page, store):
    spec = tiny_spec("ckd", CONTROL)
    app = open_page("distill", spec=spec.to_token())
    button(app, "Start").click().run()
    assert store.distillations()[0].spec == spec


def test_a_browser_that_has_not_heard_of_the_forms_link_takes_nothing_back(open_page, store):
    """A value typed while the page answered the one before it was lost: the browser's older link was read as one that
    somebody had opened."""
    app = open_page("distill")
    field(app, "epochs").set_value(2).run()
    first = dict(app.query_params)
    field(app, "rounds").set_value(3).run()
    for stale in ({}, first):
        app.query_params.clear()
        for parameter, value in stale.items():
            app.query_params[parameter] = value
        app.run()
        assert (field(app, "epochs").value, field(app, "rounds").value) == (2, 3)
    button(app, "Start").click().run()
    [run] = store.distillations()
    assert (run.spec.epochs, run.spec.rounds) == (2, 3)
    app.query_params["spec"] = run.spec.to_token()  # that the form itself has told: now it is a link
    del app.query_params["run"]
    app.run()
    assert (field(app, "epochs").value, field(app, "rounds").value) == (2, 3)


def test_a_damaged_link_says_so_and_shows_the_preset(open_page, store):
    app = open_page("distill", spec="not-a-spec")
    assert not app.exception
    assert "This link's settings cannot be read" in page_text(app)
    assert not button(app, "Start").disabled


def test_a_link_with_an_unknown_architecture_says_which_there_are(open_page, store):
    spec = from_preset("quick", TEACHER).replaced({"student": "zz"})
    app = open_page("distill", spec=spec.to_token())
    assert not app.exception
    assert "student: 'zz': expected one of small" in page_text(app)


def test_the_cost_is_measured_on_earlier_runs(lab_with_runs):
    runs = lab_with_runs.store.distillations()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATESC_RUNS_DIR", str(lab_with_runs.runs_dir))
        sides = {TEACHER: 16, CONTROL: 16}

        def ask(spec, device=runs[0].device, side=16):
            return cost.run_seconds(spec, device, side, sides, runs)

        short, long = ask(tiny_spec()), ask(tiny_spec().replaced({"epochs": 4}))
        assert 0 < short < long
        assert ask(tiny_spec(), device="another device") is None
        assert ask(tiny_spec(), side=32) is None
        assert ask(tiny_spec().replaced({"split.steps": 20})) is None  # no run attacked that long yet
        assert ask(tiny_spec().replaced({"batch_size": 64})) is None


# ── a run ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_finished_run_shows_everything_of_itself(open_page, finished_run):
    app = open_page("distill", run=finished_run.id)
    assert not app.exception
    shown = charts(app)
    own = {key.removesuffix(f"-{finished_run.id}"): figure["data"] for key, figure in shown.items()}
    assert sorted(own) == ["accuracy", "batchnorm", "generator", "scores", "share", "student"]
    measured = [trace for trace in own["accuracy"] if (trace.get("meta") or {}).get("metric")]
    assert {trace["meta"]["teacher"] for trace in measured} == {"NTL", "SL"}  # the other two of its story, behind
    words = page_text(app)
    assert "epoch 2/2" in words
    assert "ID test · 1\u202f000 images · epoch 2" in words
    assert "Worst class ?" in words
    assert "class 0 · ID test · epoch 2" in words  # the trap label's own class
    assert "to plain" in words
    assert "of 32 images · epoch 2" in words
    assert "from the synthetic images alone" in words  # the threshold, in its history
    downloads = [element.proto.label for element in app.get("download_button")]
    assert downloads == ["Download recording", "Download student"]


def test_an_earlier_epoch_can_be_looked_at(open_page, finished_run):
    app = open_page("distill", run=finished_run.id)
    app.select_slider(key=f"epoch {finished_run.id} slider").set_value(1).run()
    assert "of 32 images · epoch 1" in page_text(app)


def test_again_changed_opens_the_form_with_the_runs_settings(open_page, finished_run):
    app = open_page("distill", run=finished_run.id)
    button(app, "Again, changed").click().run()
    assert "run" not in app.query_params
    assert field(app, "rounds").value == finished_run.spec.rounds
    button(app, "Start")


@pytest.mark.parametrize("other_runs", [True, False])
def test_a_waiting_turn_says_what_it_waits_for(open_page, store, monkeypatch, other_runs):
    """It said that another run had the device while its own process was starting."""
    if other_runs:
        logged_run(store, (50, 50), status="running")
    waiting = store.create(tiny_spec())
    store.slow_motion(waiting, 1.0)
    text = page_text(open_page("distill", run=waiting))
    assert ("Next in line: another run has the device." in text) == other_runs
    assert ("Next in line: its process is starting." in text) != other_runs


def test_a_run_in_line_can_be_paused_resumed_and_stopped(open_page, store):
    run_id = store.create(tiny_spec())
    app = open_page("distill", run=run_id)
    assert "next in line" in page_text(app)
    for press, status in (("Pause", "paused"), ("Resume", "queued"), ("Stop", "stopped"), ("Resume", "queued")):
        button(app, press).click().run()
        assert store.get(run_id).status == status
        assert status in page_text(app)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("interrupted", "Its process ended before the run did"),
        ("failed", "the device is on fire"),
        ("stopped", "Stopped in epoch 0 of 2"),
    ],
)
def test_a_run_that_did_not_end_well_says_what_was_kept_and_offers_to_go_on(open_page, store, status, words):
    run_id = store.create(tiny_spec())
    set_status(store, run_id, status, error="the device is on fire")
    app = open_page("distill", run=run_id)
    assert not app.exception
    assert words in page_text(app)
    assert "Kept: its settings. Resume begins anew." in page_text(app)
    assert button(app, "Resume")


def test_images_are_shown_between_id_and_ood_layer_by_layer(open_page, finished_run, lab_with_runs):
    app = open_page("distill", run=finished_run.id)
    assert not app.exception
    report = small_report(finished_run.spec.teacher)
    traces = {trace["meta"]["layer"]: trace for trace in charts(app)[f"batchnorm-{finished_run.id}"]["data"]}
    assert set(report.layers) < set(traces)
    for index, layer in enumerate(report.layers):
        places = [
            report.positions(lab_with_runs.store.snapshot(finished_run.id, epoch).batchnorm).mean[index]
            for epoch in (1, 2)
        ]
        assert numbers(traces[layer]["y"]) == pytest.approx(places), layer
    assert "over 32 synthetic images an epoch" in page_text(app)
    assert "200 ID and 200 OOD validation images" in page_text(app)


def test_a_teacher_that_is_not_measured_yet_is_measured_while_the_run_is_shown(open_page, store, held_job):
    run_id = logged_run(store, (50.0, 90.0))
    batchnorm_file(store.runs_dir, TEACHER).unlink()
    app = open_page("distill", run=run_id)
    assert not app.exception
    assert app.get("progress")[0].proto.text.startswith(f"BatchNorm layers of {TEACHER} on real images")
    button(app, "Cancel").click().run()
    assert "was cancelled" in page_text(app)


def test_the_url_says_which_run_and_the_visit_remembers_it(open_page, finished_run):
    app = open_page("distill", run=finished_run.id)
    go_to(app, "distill")
    app.run()  # by the menu, which brings no run
    assert app.query_params["run"] == finished_run.id
    button(app, "New run").click().run()
    assert "run" not in app.query_params
    assert button(app, "Start")


def test_an_unknown_run_in_the_url_is_said_and_the_form_shown(open_page, store):
    app = open_page("distill", run="zzzzzzzz")
    assert not app.exception
    assert "There is no run 'zzzzzzzz' here" in page_text(app)
    assert button(app, "Start")


def test_the_method_in_words():
    assert method_name(tiny_spec("atesc")) == "DFQ + ATEsc"
    assert method_name(tiny_spec("none")) == "DFQ, plain"


def test_a_runs_name_never_changes(finished_run, monkeypatch):
    before = name(finished_run)
    monkeypatch.setattr("time.time", lambda: finished_run.created + 86_400)
    assert name(replace(finished_run, status="queued", queue_position=1, metrics={})) == before
