"""Teachers: the shelf, a teacher opened, and a file of the user's."""

from __future__ import annotations

import dataclasses
import pickle
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from safetensors.torch import save

from atesc_core import jobs
from atesc_core.domains import PAIRS, folder_name
from atesc_core.domains.folder import prepare_folder
from atesc_core.figures import format_position
from atesc_core.models import build
from atesc_core.runs.students.files import student_bytes
from atesc_core.teachers import find_card, list_teachers
from atesc_core.teachers.batchnorm import BatchNormReport, batchnorm_file
from atesc_core.teachers.report import Report
from atesc_core.teachers.staging import StagedTeacher
from atesc_core.teachers.zoo import load_teacher, save_teacher
from pages.teachers import upload_form
from tests.support.batchnorm import small_report
from tests.support.labs import CONTROL, TEACHER
from tests.support.pages import button, charts, page_text
from tests.support.published_weights import wrn
from tests.support.reports import numbers
from tests.support.tiny_runs import TINY, save_tiny_teacher

# ── the shelf ───────────────────────────────────────────────────────────────────────────────────────

pytestmark = pytest.mark.usefixtures("weights_read_here")


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """A check of an uploaded file has ended when the page is drawn, however busy the machine is."""
    monkeypatch.setattr(upload_form, "WAIT_S", 120)


def test_every_teacher_has_a_card_with_its_numbers(open_page, store):
    app = open_page("teachers")
    assert not app.exception
    text = " ".join(page_text(app).split())
    for card in list_teachers():
        assert card.name in text
        for value in card.metrics.values():
            assert f"{value:.1f} %" in text
        for images in card.test_images.values():
            assert f"of {images:,} test images".replace(",", " ") in text


@pytest.mark.parametrize("change", ["gone", "one image more"])
def test_a_teacher_whose_folder_has_changed_is_listed_without_its_images(
    open_page, store, data_folder, tmp_path, held_job, monkeypatch, change
):
    """The list of teachers stopped at an error where the folder was gone, and read a changed one by itself."""
    for label in ("red", "green"):
        (tmp_path / "pictures" / label).mkdir(parents=True)
        for i in range(5):
            Image.new("RGB", (20, 20)).save(tmp_path / "pictures" / label / f"{i}.png")
    name = folder_name(tmp_path / "pictures")
    model = build("small", 10)
    card = find_card(TEACHER).model_copy(
        update={"name": "mine", "pair": f"open mnistm {name} 0", "image_side": 8, "arch": "small"}
    )
    save_teacher(model, card, store.runs_dir / "teachers")
    prepare_folder(name)
    if change == "gone":
        (tmp_path / "pictures").rename(tmp_path / "elsewhere")
    else:
        Image.new("RGB", (20, 20)).save(tmp_path / "pictures" / "red" / "new.png")
    monkeypatch.setattr("atesc_core.domains.folder._read", lambda *_: pytest.fail("read because a page was opened"))
    app = open_page("teachers")
    assert not app.exception
    why = "no such folder" if change == "gone" else "has changed since it was checked"
    assert f"No images of open mnistm {name} 0: {name}: {why}" in page_text(app)
    app.button(key="open mine").click().run()
    assert not app.exception
    assert app.title[0].value == "mine"


def test_a_card_opens_its_teacher(open_page, store, held_job):
    app = open_page("teachers")
    app.button(key=f"open {TEACHER}").click().run()
    assert app.title[0].value == TEACHER
    assert app.query_params["teacher"] == TEACHER
    button(app, "All teachers").click().run()
    assert app.title[0].value == "Teachers"


def test_a_teacher_of_ones_own_is_deleted_once_no_run_uses_it(open_page, store, held_job):
    """Nothing that was loaded or trained here could be deleted."""
    save_tiny_teacher(store.runs_dir)
    run_id = store.create(TINY)
    app = open_page("teachers", teacher="tiny")
    assert "1 run uses this teacher. Delete it first, on Storage." in page_text(app)
    assert app.button(key="delete tiny").disabled
    store.delete(run_id)
    app.run()
    store.create(TINY)  # while the page is open
    app.button(key="delete tiny").click().run()
    assert "teacher: 'tiny' has 1 run: " in page_text(app)
    assert app.title[0].value == "tiny"
    store.delete(store.distillations()[0].id)
    app.run().button(key="delete tiny").click().run()
    assert app.title[0].value == "Teachers"
    assert "teacher" not in app.query_params
    assert "open tiny" not in {button.key for button in app.button}
    assert find_card("tiny", store.runs_dir) is None


def test_weights_that_are_left_of_a_deleted_teacher_are_said(open_page, store, held_job):
    """The page went on showing a teacher that was gone."""
    save_tiny_teacher(store.runs_dir)
    app = open_page("teachers", teacher="tiny")
    weights = store.runs_dir / "teachers" / "tiny.safetensors"
    weights.unlink()
    weights.mkdir()  # cannot be removed as a file
    app.button(key="delete tiny").click().run()
    assert "teacher: 'tiny' is deleted, but its weights" in page_text(app)
    assert app.title[0].value == "Teachers"
    assert "open tiny" not in {button.key for button in app.button}


def test_a_shipped_teacher_has_no_button_that_deletes_it(open_page, store, held_job):
    app = open_page("teachers", teacher=TEACHER)
    assert f"delete {TEACHER}" not in {button.key for button in app.button}


def test_a_link_to_a_teacher_that_is_gone_says_so(open_page, store):
    app = open_page("teachers", teacher="../../secret")
    assert "There is no teacher" in page_text(app)
    assert app.title[0].value == "Teachers"


def test_without_any_teacher_the_page_says_what_to_do(open_page, store, monkeypatch, tmp_path):
    monkeypatch.setattr("atesc_core.teachers.cards.SHIPPED", tmp_path)
    app = open_page("teachers")
    assert not app.exception
    assert "No teachers yet Load a file of your own, or train one, above." in " ".join(page_text(app).split())


# ── opened ──────────────────────────────────────────────────────────────────────────────────────────


def test_an_opened_teacher_shows_what_was_measured(open_page, finished_run, report: Report):
    app = open_page("teachers", teacher=TEACHER)
    assert not app.exception
    drawn = charts(app)
    assert set(drawn) == {
        "robust share",
        f"batchnorm {TEACHER}",
        f"class {TEACHER}",
        f"confusion id {TEACHER}",
        f"confusion ood {TEACHER}",
    }
    shares = {trace["name"]: numbers(trace["y"]) for trace in drawn["robust share"]["data"]}
    assert shares["ID validation"] == pytest.approx(report.id.robust_share)
    text = page_text(app)
    assert f"{report.auroc('min_eps'):.3f}" in text
    assert "40 ID, 40 OOD validation images" in text
    assert not app.get("progress")


def test_labels_are_shown_while_attacks_run(open_page, store, held_job, report: Report, monkeypatch):
    none = np.empty(0, np.float32)
    sides = {name: dataclasses.replace(getattr(report, name), robust_share=none, scores={}) for name in ("id", "ood")}
    monkeypatch.setattr(
        "pages.teachers.teacher_view.teacher_report", lambda name, split: dataclasses.replace(report, **sides)
    )
    app = open_page("teachers", teacher=TEACHER)
    assert not app.exception
    assert f"confusion id {TEACHER}" in charts(app)
    assert "robust share" not in charts(app)
    assert "12 s left" in app.get("progress")[0].proto.text


def test_measuring_can_be_stopped_and_begun_again(open_page, store, held_job):
    app = open_page("teachers", teacher=TEACHER)
    assert "Scores of ID validation images" in app.get("progress")[0].proto.text
    button(app, "Cancel").click().run()
    app.run()
    assert "was cancelled" in page_text(app)
    assert button(app, "Start again")


def test_a_measurement_that_failed_says_why(open_page, store, held_job):
    held_job.state, held_job.error = "failed", "MemoryError: too large"
    app = open_page("teachers", teacher=TEACHER)
    assert "MemoryError: too large" in app.error[0].value


# ── BatchNorm ───────────────────────────────────────────────────────────────────────────────────────


def test_running_statistics_are_shown_between_id_and_ood_beside_the_twins(open_page, store, held_job):
    app = open_page("teachers", teacher=TEACHER)
    assert not app.exception
    lines = {trace["name"]: numbers(trace["y"]) for trace in charts(app)[f"batchnorm {TEACHER}"]["data"]}
    for kind, name in (("NTL", TEACHER), ("SL", CONTROL)):
        report = small_report(name)
        places = report.positions(report.running)
        assert lines[f"{kind} teacher, mean"] == pytest.approx(places.mean)
        assert lines[f"{kind} teacher, variance"] == pytest.approx(places.variance)
        assert format_position(places.mean[-1]) in page_text(app)
    assert "200 ID and 200 OOD validation images" in page_text(app)


def test_a_twin_that_is_not_measured_yet_is_measured_while_the_teacher_is_shown(open_page, store, held_job):
    batchnorm_file(store.runs_dir, CONTROL).unlink()
    app = open_page("teachers", teacher=TEACHER)
    assert not app.exception
    assert {trace["meta"]["teacher"] for trace in charts(app)[f"batchnorm {TEACHER}"]["data"]} == {"NTL"}
    texts = [bar.proto.text for bar in app.get("progress")]
    assert any(text.startswith(f"BatchNorm layers of {CONTROL} on real images") for text in texts)


def test_a_teacher_without_batchnorm_says_so(open_page, store, held_job):
    none = np.empty((2, 0), np.float32)
    BatchNormReport((), (), none, none, none, 200, 200).save(batchnorm_file(store.runs_dir, TEACHER))
    app = open_page("teachers", teacher=TEACHER)
    assert not app.exception
    assert f"batchnorm {TEACHER}" not in charts(app)
    assert "This teacher has no BatchNorm layer" in page_text(app)


# ── a file of the user's ────────────────────────────────────────────────────────────────────────────


class Bomb:
    def __reduce__(self):
        return Path.touch, (Path("/tmp/atesc-bomb-went-off"),)


def weights(arch: str = "small") -> bytes:
    return save({key: value.contiguous() for key, value in build(arch, 10).state_dict().items()})


def upload(app, name: str, content: bytes):
    return app.file_uploader(key="weights").set_value((name, content, "application/octet-stream")).run()


BAD = {
    "empty": ("empty.pt", b"", "the file is empty"),
    "pickle": ("bomb.pt", pickle.dumps(Bomb()), "nothing in it was run"),
    "noise": ("noise.safetensors", b"\x00" * 64, "not a readable safetensors file"),
    "other": ("other.safetensors", save({"a": torch.zeros(2)}), "expected the keys of small"),
}


@pytest.mark.parametrize("which", BAD)
def test_a_bad_file_gets_a_clear_error_and_is_not_added(open_page, store, which):
    name, content, words = BAD[which]
    app = upload(open_page("teachers"), name, content)
    assert button(app, "Add").disabled
    button(app, "Check").click().run()
    assert words in app.error[0].value
    assert name in app.error[0].value
    assert button(app, "Add").disabled
    assert not list((store.runs_dir / "teachers").glob("*"))
    assert not Path("/tmp/atesc-bomb-went-off").exists()


def test_a_good_file_is_recognised_checked_and_added(open_page, store, held_job):
    app = upload(open_page("teachers"), "../../My teacher.safetensors", weights())
    assert app.selectbox[0].value == "small"
    assert button(app, "Add").disabled
    button(app, "Check").click().run()
    assert not app.exception
    assert "10 classes" in page_text(app)
    assert "hardly better than chance" in page_text(app)  # nobody trained it
    name = next(widget for widget in app.text_input if widget.label == "Name")
    name.set_value("My teacher").run()
    button(app, "Add").click().run()
    assert "name: 'My teacher': expected lower-case letters" in app.error[0].value
    assert "cannot be a teacher" not in app.error[0].value, "the file can"
    name.set_value("my-teacher").run()
    button(app, "Add").click().run()
    assert app.query_params["teacher"] == "my-teacher"
    assert {path.name for path in (store.runs_dir / "teachers").iterdir()} == {
        "my-teacher.json",
        "my-teacher.safetensors",
    }


@pytest.fixture
def held(monkeypatch) -> threading.Event:
    """Checks of uploaded files go on once this is set, and no page waits for them."""
    held, check = threading.Event(), StagedTeacher.check

    def check_later(self, *values, **named):
        assert held.wait(60)
        return check(self, *values, **named)

    monkeypatch.setattr(StagedTeacher, "check", check_later)
    monkeypatch.setattr(upload_form, "WAIT_S", 0)
    return held


def test_a_check_is_a_job_that_shows_its_progress_and_can_be_cancelled(open_page, store, held):
    """It blocked the page, and all other visitors' checks, without a word on how long."""
    app = upload(open_page("teachers"), "mine.safetensors", weights())
    button(app, "Check").click().run()
    button(app, "Check").click().run()  # the same one: it is not started twice
    assert app.get("progress")[0].proto.text.startswith("Reading the file and measuring it on its pair: as small · ")
    other = upload(open_page("teachers"), "other.safetensors", weights())
    button(other, "Check").click().run()
    assert other.get("progress")[0].proto.text.endswith("waiting, place 1 in the queue")
    button(app, "Cancel").click().run()
    assert "Reading the file and measuring it on its pair was cancelled. Nothing was kept." in page_text(app)
    held.set()
    assert other.session_state[upload_form.CHECK].job.wait(60)  # it begins when the cancelled one has ended
    assert button(app.run(), "Add").disabled
    button(app, "Start again").click().run()
    for page in (app, other):
        assert all(job.wait(60) for job in jobs.active() if job.key.startswith("check"))
        assert not button(page.run(), "Add").disabled


def test_a_check_that_nobody_waits_for_is_stopped(open_page, store, held):
    """With the answers changed and changed back, the result went to a check that the page no longer showed."""
    app = upload(open_page("teachers"), "mine.safetensors", weights())
    started = []
    for side in (16, 24, 16):
        app.number_input[0].set_value(side).run()
        button(app, "Check").click().run()
        started.append(app.session_state[upload_form.CHECK].job)
    assert [job.state for job in started] == ["stopped", "stopped", "queued"]
    held.set()
    assert started[-1].wait(60)
    assert not button(app.run(), "Add").disabled
    assert "10 classes" in page_text(app)
    assert all(job._function is None for job in started)  # the files are not kept with the jobs

    held.clear()
    button(app, "Check").click().run()
    last = app.session_state[upload_form.CHECK].job
    app.file_uploader(key="weights").set_value([]).run()
    assert last.state == "stopped"
    held.set()


def test_a_students_file_says_all_that_a_teachers_form_asks(open_page, finished_run, lab_with_runs):
    content = student_bytes(lab_with_runs.store, finished_run.id, 2)
    app = upload(open_page("teachers"), "student.safetensors", content)
    assert not app.exception
    widgets = {widget.label: widget.value for widget in [*app.selectbox, *app.text_input, *app.number_input]}
    assert (widgets["Architecture"], widgets["Image side (px)"]) == ("small", 16)
    assert widgets["Class names"] == ", ".join("0123456789")
    pair = next(box for box in app.selectbox if box.label == "Pair")  # the first one listed was chosen in silence
    assert pair.value == "mnistm-badnet_sq"
    assert "Normalisation" not in widgets


def test_a_published_file_is_recognised_and_asked_for_what_it_does_not_say(open_page, store, held_job):
    app = upload(open_page("teachers"), "cifar10_wrn16_2.safetensors", save(wrn(10, blocks=2)))
    assert not app.exception
    assert "Recognised: wrn_16_2, by the names of CMI and NAYER." in page_text(app)
    widgets = {widget.label: widget for widget in [*app.selectbox, *app.text_input, *app.number_input]}
    assert widgets["Architecture"].value == "wrn_16_2"
    assert widgets["Image side (px)"].value == 32
    assert widgets["Normalisation"].value == "half"  # CIFAR-10's is usual there, but not for digits
    widgets["Normalisation"].set_value("by hand")
    widgets["Class names"].set_value(", ".join("abcdefghij"))
    widgets["Image side (px)"].set_value(16).run()
    by_hand = next(widget for widget in app.text_input if widget.label.startswith("Mean"))
    by_hand.set_value("0.1,0.2").run()
    button(app, "Check").click().run()
    assert "six numbers" in app.error[0].value
    next(widget for widget in app.text_input if widget.label.startswith("Mean")).set_value("0.1,0.2,0.3,1,2,3").run()
    button(app, "Check").click().run()
    assert not app.exception
    assert not app.error
    button(app, "Add").click().run()
    [card] = [card for card in list_teachers(store.runs_dir) if card.name == "cifar10_wrn16_2"]
    assert (card.arch, card.image_side, card.class_names) == ("wrn_16_2", 16, tuple("abcdefghij"))
    mean = load_teacher("cifar10_wrn16_2", store.runs_dir).model.mean
    assert mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])


def test_a_file_that_fits_several_architectures_is_measured_as_each(open_page, store, held_job):
    """A kept max-pooling is not in names or shapes: the file was loaded without it, and nothing said so."""
    torch.manual_seed(0)
    model = torchvision.models.resnet18(num_classes=10)
    model.conv1 = torch.nn.Conv2d(3, 64, 3, 1, 1, bias=False)
    app = upload(open_page("teachers"), "resnet.safetensors", save(model.state_dict()))
    arch = next(box for box in app.selectbox if box.label == "Architecture")
    assert arch.value is None
    assert arch.options == ["resnet18", "resnet18_k3s1_pool", "resnet18_k3s2", "resnet18_k3s2_pool"]
    next(box for box in app.number_input if box.label == "Image side (px)").set_value(8).run()
    button(app, "Check").click().run()
    assert not app.exception
    assert not app.error
    table = app.dataframe[0].value
    assert set(table["Architecture"]) == set(arch.options)
    assert table["IAcc, %"].is_monotonic_decreasing
    assert button(app, "Add").disabled
    next(box for box in app.selectbox if box.label == "Architecture").set_value("resnet18_k3s1_pool").run()
    next(box for box in app.number_input if box.label == "Image side (px)").set_value(8).run()
    button(app, "Check").click().run()
    button(app, "Add").click().run()
    [card] = [card for card in list_teachers(store.runs_dir) if card.name == "resnet"]
    assert card.arch == "resnet18_k3s1_pool"


def test_a_file_of_this_lab_is_not_asked_for_its_normalisation(open_page, store):
    app = upload(open_page("teachers"), "mine.safetensors", weights())
    assert "Normalisation" not in {widget.label for widget in app.selectbox}


def test_pairs_that_are_not_here_are_named_but_not_offered(open_page, store, data_folder):
    app = upload(open_page("teachers"), "mine.safetensors", weights())
    pair = next(box for box in app.selectbox if box.label == "Pair")
    assert pair.options == [name for name in PAIRS if PAIRS[name].offline]
    assert "Not offered until downloaded: svhn-mnistm: svhn (246 MB); cifar10-stl10: " in page_text(app)


def test_a_link_brings_a_pair_of_ones_own(open_page, store, held_job):
    app = upload(open_page("teachers", pair="open digits mnist 3"), "mine.safetensors", weights())
    assert next(box for box in app.selectbox if box.label == "Pair").value == "open digits mnist 3"
    button(app, "Check").click().run()
    assert not app.error
    button(app, "Add").click().run()
    assert next(card for card in list_teachers(store.runs_dir) if card.name == "mine").pair == "open digits mnist 3"


def test_a_link_with_no_pair_is_refused_by_the_check(open_page, store):
    app = upload(open_page("teachers", pair="close mnist nowhere"), "mine.safetensors", weights())
    button(app, "Check").click().run()
    assert "'nowhere' is not known" in app.error[0].value
    assert button(app, "Add").disabled


def test_without_batchnorm_the_form_says_what_that_means(open_page, store):
    app = upload(open_page("teachers"), "mine.safetensors", weights("vgg11"))
    assert app.selectbox[0].value == "vgg11"
    assert "R_BN is 0 whatever its weight" in page_text(app)


def test_an_unknown_file_says_which_architecture_is_the_nearest(open_page, store):
    state = wrn(10, blocks=2) | {"surprise": torch.zeros(1)}
    app = upload(open_page("teachers"), "odd.safetensors", save(state))
    assert (
        "Not recognised. odd.safetensors: its tensors are those of no listed architecture; the nearest: not "
        "wrn_16_2: unexpected surprise." in page_text(app)
    )


def test_what_was_checked_must_be_checked_again_when_the_questions_change(open_page, store):
    app = upload(open_page("teachers"), "mine.safetensors", weights())
    button(app, "Check").click().run()
    assert not button(app, "Add").disabled
    app.number_input[0].set_value(24).run()
    assert button(app, "Add").disabled
