"""Training a teacher from the page: the form says what it is and costs, the panel shows a training as it stands."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from atesc_core import cli
from atesc_core.domains.domain import image_set
from atesc_core.runs import RunStore, TrainingRun
from atesc_core.runs.worker import work
from atesc_core.specs.field_help import describe_field
from atesc_core.teachers.recipes import from_preset
from pages.shared.ui import elements
from pages.teachers import training_form
from pages.teachers.training_form import FIELD_LABELS, estimate
from tests.support.labs import tiny_spec
from tests.support.pages import charts, page_link, page_text

SPEC = from_preset("quick", "mine", "close digits mnist", "tntl", image_side=8, epochs=2, batch_size=128, device="cpu")


def button(app, label):
    return next((button for button in app.button if button.label == label), None)


def field(app, name):
    """The widget of a setting in the form; None where the form does not ask for it."""
    widgets = [*app.number_input, *app.selectbox]
    return next((widget for widget in widgets if widget.key and widget.key.endswith(f": {name}")), None)


def choose(app, label, value):
    next(group for group in app.get("button_group") if group.label.startswith(label)).set_value(value).run()


@dataclass(frozen=True)
class Trained:
    store: RunStore
    run: TrainingRun


@pytest.fixture(scope="session")
def trained_lab(tmp_path_factory) -> Trained:
    """A lab in which a small teacher was trained by the real worker. Shared: look, but do not change it."""
    store = RunStore(tmp_path_factory.mktemp("trained"))
    run_id = store.create(SPEC)
    work(store.runs_dir, "cpu")
    return Trained(store, store.get(run_id))


@pytest.fixture
def trained(trained_lab: Trained, monkeypatch) -> Trained:
    monkeypatch.setenv("ATESC_RUNS_DIR", str(trained_lab.store.runs_dir))
    return trained_lab


# ── the form ────────────────────────────────────────────────────────────────────────────────────────


def test_every_setting_has_a_widget_with_its_sentence_and_badge(open_page, store):
    app = open_page("teachers")
    assert not app.exception
    spec = from_preset("quick", "t", "mnistm-mnist", "tntl")
    for name in FIELD_LABELS:
        help_, value = describe_field(name, spec), getattr(spec, name)
        assert field(app, name).help == help_.text(value)
        assert elements.BADGES[help_.badge(value)] in field(app, name).label
    assert not button(app, "Train").disabled


def test_a_badge_follows_the_value_while_it_is_edited(open_page, store):
    app = open_page("teachers")
    for name, published, chosen in (("epochs", 30, 15), ("lr", 1e-4, 1e-3), ("arch", "vgg13_bn", "small")):
        for value, badge in ((published, "· paper"), (chosen, "· this lab"), (published, "· paper")):
            field(app, name).set_value(value).run()
            assert badge in field(app, name).label
            assert ("Published: " in field(app, name).help) == (badge == "· this lab")
            assert field(app, name).value == value


def test_what_was_set_is_what_is_queued_and_the_command_queues_the_same(open_page, store):
    app = open_page("teachers")
    field(app, "epochs").set_value(3).run()
    field(app, "arch").set_value("wrn_16_2").run()
    shown = app.code[-1].value
    button(app, "Train").click().run()
    assert not app.exception
    [run] = store.trainings()
    assert run.spec == from_preset("quick", "mnistm-mnist-tntl", "mnistm-mnist", "tntl", epochs=3, arch="wrn_16_2")
    assert app.query_params["run"] == run.id
    assert app.title[0].value == "mnistm-mnist-tntl"
    store.stop(run.id)
    _, *words = shlex.split(shown)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli.runs, "follow", lambda store, run: store.stop(run.id) or store.get(run.id))
        CliRunner().invoke(cli.app, [*words, "--runs-dir", str(store.runs_dir)])
    assert [other.spec for other in store.trainings()] == [run.spec] * 2


def test_a_method_asks_only_for_what_it_reads(open_page, store):
    app = open_page("teachers")
    for method, asked in (("sl", set()), ("cuti", {"alpha"}), ("tntl", {"alpha", "beta"})):
        choose(app, "Method", method)
        assert {name for name in ("alpha", "beta") if field(app, name)} == asked
    app.selectbox(key="pair to train on").set_value("mnistm-fashion").run()
    methods = next(group for group in app.get("button_group") if group.label.startswith("Method"))
    assert list(methods.options) == ["SL", "tNTL"]
    assert field(app, "beta")
    assert not field(app, "alpha")


def test_the_papers_preset_is_offered_as_not_trained_here(open_page, store):
    app = open_page("teachers")
    choose(app, "Preset", "paper")
    assert "not trained here" in page_text(app)
    assert (field(app, "arch").value, field(app, "lr").value, field(app, "epochs").value) == ("vgg13_bn", 1e-4, 30)
    assert "--preset paper" in app.code[-1].value


def test_a_pair_that_is_not_downloaded_names_its_domain_and_what_to_do(open_page, store, monkeypatch, tmp_path):
    monkeypatch.setenv("ATESC_DATA_DIR", str(tmp_path / "none"))
    app = open_page("teachers")
    app.selectbox(key="pair to train on").set_value("svhn-mnistm").run()
    assert not app.exception
    assert "svhn: not in" in app.error[0].value
    assert "atesc domains get svhn" in app.error[0].value
    assert button(app, "Train").disabled


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("epochs", 0, "epochs: 0: Input should be greater than or equal to 1"),
        ("image_side", 4, "image_side: 4: Input should be greater than or equal to 8"),
    ],
)
def test_a_wrong_value_is_explained_and_cannot_start(open_page, store, name, value, words):
    app = open_page("teachers")
    field(app, name).set_value(value).run()
    assert words in app.error[0].value
    assert button(app, "Train").disabled


@pytest.mark.parametrize("name", ["mnistm-mnist-sl", "Mine", "../mine"])
def test_a_name_that_cannot_be_is_refused(open_page, store, name):
    app = open_page("teachers")
    next(widget for widget in app.text_input if widget.label == "Name").set_value(name).run()
    assert f"name: '{name}'" in app.error[0].value
    assert button(app, "Train").disabled


def test_the_offered_name_is_free(open_page, store):
    store.create(from_preset("quick", "mnistm-mnist-tntl", "mnistm-mnist", "tntl"))
    app = open_page("teachers")
    assert next(widget for widget in app.text_input if widget.label == "Name").value == "mnistm-mnist-tntl-2"


def test_a_link_brings_all_its_settings(open_page, store):
    app = open_page("teachers", spec=SPEC.to_token())
    assert not app.exception
    button(app, "Train").click().run()
    assert store.trainings()[0].spec == SPEC


def test_a_damaged_link_says_so_and_shows_the_preset(open_page, store):
    app = open_page("teachers", spec="not-a-spec")
    assert not app.exception
    assert "This link's settings cannot be read" in page_text(app)
    assert not button(app, "Train").disabled


def test_the_cost_is_measured_on_earlier_trainings(trained, monkeypatch):
    monkeypatch.setattr(
        training_form, "machine", lambda: type("Here", (), {"kind": "cpu", "summary": trained.run.device})
    )
    assert 0 < estimate(SPEC, 1000) < estimate(SPEC, 2000)
    assert estimate(SPEC.replaced({"seed": 5, "epochs": 9}), 1000) == estimate(SPEC, 1000)
    for other in ({"arch": "vgg13"}, {"image_side": 32}, {"batch_size": 64}, {"kind": "SL"}, {"device": "cuda"}):
        assert estimate(SPEC.replaced(other), 1000) is None


# ── a training ──────────────────────────────────────────────────────────────────────────────────────


def test_a_finished_training_shows_its_curves_and_offers_its_teacher(open_page, trained):
    run = trained.run
    assert run.status == "done", run.error
    app = open_page("teachers", run=run.id)
    assert not app.exception
    drawn = charts(app)
    assert set(drawn) == {f"accuracy-{run.id}", f"losses-{run.id}"}
    epochs = trained.store.epochs(run.id)
    measured = {
        trace["meta"]["metric"]: trace
        for trace in drawn[f"accuracy-{run.id}"]["data"]
        if (trace.get("meta") or {}).get("metric")
    }
    assert set(measured) == {"IAcc", "OAcc"}
    terms = [trace["meta"]["term"] for trace in drawn[f"losses-{run.id}"]["data"]]
    assert terms == ["t/total", "t/id", "t/ood", "t/separation"]
    words = page_text(app)
    assert f"{epochs['iacc'].iloc[-1]:.1f} %" in " ".join(words.split())
    assert "epoch 2/2" in words
    assert "atesc teachers train mine" in app.code[-1].value
    assert page_link(app, "Distil this teacher").query_string == "teacher=mine"


def test_a_finished_teacher_is_on_the_shelf_and_can_be_distilled(open_page, trained):
    app = open_page("teachers")
    assert "mine" in page_text(app)
    assert not app.exception
    app = open_page("distill", teacher="mine")
    assert app.selectbox[0].value == "mine"


def test_a_training_in_line_can_be_paused_resumed_and_stopped(open_page, store):
    run_id = store.create(SPEC)
    app = open_page("teachers", run=run_id)
    assert "next in line" in page_text(app)
    for press, status in (("Pause", "paused"), ("Resume", "queued"), ("Stop", "stopped"), ("Resume", "queued")):
        button(app, press).click().run()
        assert store.get(run_id).status == status
        assert status in page_text(app)
    button(app, "All teachers").click().run()
    assert app.title[0].value == "Teachers"


def test_again_changed_opens_the_form_with_the_trainings_settings(open_page, trained):
    app = open_page("teachers", run=trained.run.id)
    button(app, "Again, changed").click().run()
    assert "run" not in app.query_params
    assert (field(app, "image_side").value, field(app, "epochs").value) == (8, 2)
    assert next(widget for widget in app.text_input if widget.label == "Name").value == "mine-2"


def test_an_unknown_training_in_the_url_is_said(open_page, store):
    app = open_page("teachers", run="zzzzzzzz")
    assert not app.exception
    assert "There is no training 'zzzzzzzz' here" in page_text(app)


# ── among the other runs ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "page", [path.parent.name for path in sorted((Path(__file__).parents[3] / "pages").glob("*/page.py"))]
)
def test_no_page_breaks_on_a_lab_with_trainings_only(open_page, trained, page):
    assert not open_page(page).exception


@pytest.mark.parametrize("page", ["distill", "robustness", "embedding", "figures"])
def test_a_page_of_students_says_where_a_training_is_shown(open_page, store, page):
    store.create(tiny_spec())
    app = open_page(page, run=store.create(SPEC))
    assert not app.exception
    assert "This run trains a teacher." in page_text(app)


def test_the_start_page_lists_trainings_among_the_runs(open_page, trained):
    app = open_page("start")
    assert "Training, tNTL" in page_text(app)
    assert not app.exception


def test_a_link_with_large_images_reads_none(open_page, store, monkeypatch):
    """Opening it took the server from 78 MB to 6.8 GB, with no click."""
    read = []

    def spy(images, labels, image_side):
        read.append(image_side)
        return image_set(images, labels, image_side)

    monkeypatch.setattr("atesc_core.domains.loading.image_set", spy)
    app = open_page("teachers", spec=SPEC.replaced({"image_side": 128}).to_token())
    assert not app.exception
    assert field(app, "image_side").value == 128
    assert button(app, "Train").disabled is False
    assert " images in 2 epochs" in " ".join(page_text(app).split())  # it says its cost
    assert 128 not in read
