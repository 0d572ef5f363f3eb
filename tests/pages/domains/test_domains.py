"""Domains: what is here, getting more, a folder of the user's own, and pairs."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from PIL import Image

from atesc_core.domains import DOMAINS, OFFLINE, PAIRS, PAPER, data_dir, fetch_domain, find_pair, folder_name
from atesc_core.jobs import Job
from pages.shared.data.preparation import preparation
from tests.support.held_job import HeldJob
from tests.support.pages import follow_link, page_text
from tests.support.published_domains import publish

pytestmark = pytest.mark.usefixtures("data_folder", "store")


def widget(app, label):
    widgets = [*app.button, *app.selectbox, *app.text_input, *app.get("button_group")]
    return next((widget for widget in widgets if widget.label == label), None)


def ended(name: str) -> Job:
    job = preparation(name)
    job.wait(300)  # on a machine that is busy with runs
    return job


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for label, colour in (("red", (255, 0, 0)), ("green", (0, 255, 0))):
        (tmp_path / "pictures" / label).mkdir(parents=True)
        for i in range(6):
            Image.new("RGB", (20, 20), colour).save(tmp_path / "pictures" / label / f"{i}.png")
    return tmp_path / "pictures"


@pytest.fixture
def no_network(monkeypatch):
    """Whoever asks for the world is refused by this machine."""
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)


# ── what is here, and what can be ───────────────────────────────────────────────────────────────────


def test_with_nothing_downloaded_the_offline_domains_are_shown_and_the_rest_offered(open_page):
    app = open_page("domains")
    assert not app.exception
    assert not app.error
    text = page_text(app)
    for name, source in DOMAINS.items():
        assert source.about in text
        assert (app.button(key=f"download {name}") is not None) if source.needs else name in text
    assert text.count(" offline ") == len(OFFLINE)
    assert "2\u202f640 MB" in text
    assert str(data_dir()) in text


def test_what_was_downloaded_is_a_card_with_its_images(open_page, published):
    publish(published, "svhn")
    list(fetch_domain("svhn"))
    app = open_page("domains")
    assert not app.exception
    assert not app.error
    assert "download svhn" not in {button.key for button in app.button}
    assert "downloaded" in page_text(app)
    assert "svhn" in widget(app, "ID domain").options


def test_a_download_shows_how_far_it_is_and_can_be_stopped(open_page, monkeypatch):
    job = HeldJob("svhn", share=0.25, message="train_32x32.mat, 60 of 182 MB", eta_s=90.0)
    monkeypatch.setattr("atesc_core.jobs.find", lambda key: job if "svhn" in key else None)
    app = open_page("domains")
    [bar] = app.get("progress")
    assert (bar.proto.value, bar.proto.text) == (
        25,
        "Downloading svhn: train_32x32.mat, 60 of 182 MB · 1 min 30 s left",
    )
    assert "download svhn" not in {button.key for button in app.button}
    app.button(key="stop svhn").click().run()
    app.run()
    assert "Downloading svhn was cancelled. Nothing half-downloaded was kept." in page_text(app)
    assert app.button(key="again svhn").label == "Start again"


def test_without_a_network_it_says_so_and_points_to_what_needs_none(open_page, no_network):
    app = open_page("domains")
    app.button(key="download usps").click().run()
    assert not app.exception
    assert ended("usps").state == "failed"
    app.run()
    [error] = app.error
    assert error.value.startswith("**Downloading usps failed.**")
    assert "Domains that need no download: mnist, mnistm, digits, syn, fashion" in error.value
    assert "Nothing half-downloaded was kept" in error.value
    assert DOMAINS["usps"].status == "downloadable"
    assert [file.name for file in data_dir().glob("*usps*")] == [".usps.lock"]


def test_a_damaged_domain_does_not_take_the_page_with_it(open_page, published):
    publish(published, "svhn")
    list(fetch_domain("svhn"))
    (data_dir() / "test_32x32.mat").write_bytes(b"MATLAB 5.0")
    app = open_page("domains")
    assert not app.exception
    [error] = app.error
    assert "remove them and get them again" in error.value
    assert "mnistm" in widget(app, "ID domain").options


# ── a folder of the user's own ──────────────────────────────────────────────────────────────────────


def check(app, folder):
    app.text_input(key="folder").set_value(str(folder)).run()
    return app.button(key="check folder").click().run()


def test_a_good_folder_becomes_a_domain_of_either_side(open_page, pictures):
    name = folder_name(pictures)
    app = check(open_page("domains"), pictures)
    assert ended(name).state == "done"
    app.run()
    assert not app.exception
    assert f"fits {name} 12 images 2 classes" in " ".join(page_text(app).split())
    assert name in widget(app, "OOD domain").options
    widget(app, "Setting").set_value("open").run()
    widget(app, "OOD domain").set_value(name).run()
    assert find_pair(app.code[0].value).ood == name
    widget(app, "ID domain").set_value(name).run()
    widget(app, "Setting").set_value("backdoor").run()
    assert widget(app, "OOD goes to class").options == ["green", "red"]
    assert find_pair(app.code[0].value).id == name


def test_a_pair_with_a_checked_folder_outlives_a_reload(open_page, pictures):
    """A new session knew no folder, and fell back to MNIST without a word."""
    name = folder_name(pictures)
    assert name not in widget(open_page("domains", id="mnistm", ood=name), "OOD domain").options  # not checked yet
    check(open_page("domains"), pictures)
    assert ended(name).state == "done"
    app = open_page("domains", setting="open", id="mnistm", ood=name)
    assert not app.exception
    assert widget(app, "OOD domain").value == name


def test_an_open_set_pair_of_the_same_classes_is_doubted(open_page):
    app = open_page("domains", setting="open", id="mnistm", ood="mnist")
    assert "both domains have the same classes" in app.warning[0].value
    assert not open_page("domains", setting="open", id="mnistm", ood="fashion").warning
    assert not open_page("domains", setting="close", id="mnistm", ood="mnist").warning


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("/nowhere/at/all", "folder:/nowhere/at/all: no such folder"),
        ("~nobody-of-that-name/x", "not a path of this machine"),
        ("{pictures}/red", "no sub-folders; expected one a"),
    ],
)
def test_a_folder_that_cannot_be_a_domain_says_why(open_page, pictures, folder, words):
    app = check(open_page("domains"), folder.format(pictures=pictures))
    assert not app.exception
    assert words in app.error[0].value
    assert not app.get("progress")


def test_a_bad_image_is_named(open_page, pictures):
    (pictures / "red" / "3.png").write_bytes(b"\x89PNG\r\n\x1a\nnonsense")
    app = check(open_page("domains"), pictures)
    assert ended(folder_name(pictures)).state == "failed"
    app.run()
    assert "1 of 12 images cannot be used: red/3.png: not a readable image" in app.error[0].value
    assert folder_name(pictures) not in widget(app, "ID domain").options


def test_a_folder_that_changed_since_says_so_on_its_card(open_page, pictures):
    app = check(open_page("domains"), pictures)
    ended(folder_name(pictures))
    app.run()
    pictures.rename(pictures.with_name("elsewhere"))
    app.run()
    assert not app.exception
    assert "This folder has changed" in app.error[0].value


def test_a_folder_that_changed_since_is_not_read_before_it_is_checked_again(open_page, pictures, monkeypatch):
    """Whoever opened a link to it, the page itself read all its images."""
    name = folder_name(pictures)
    check(open_page("domains"), pictures)
    assert ended(name).state == "done"
    Image.new("RGB", (20, 20)).save(pictures / "red" / "new.png")
    with monkeypatch.context() as patch:
        patch.setattr("atesc_core.domains.folder._read", lambda *_: pytest.fail("read because of a link"))
        app = open_page("domains", setting="open", id="mnistm", ood=name)
        assert not app.exception
        card, pair = app.error
        for error in (card, pair):
            assert "has changed since it was checked" in error.value
        assert pair.value.startswith("**This pair cannot be shown.**")
    app.button(key=f"check {name}").click().run()
    assert ended(name).state == "done"
    app.run()
    assert not app.error
    assert f"fits {name} 13 images 2 classes" in " ".join(page_text(app).split())


def test_unreadable_images_are_left_out_at_a_press(open_page, pictures):
    (pictures / "red" / "3.png").write_bytes(b"nonsense")
    app = check(open_page("domains"), pictures)
    ended(folder_name(pictures))
    app.run()
    widget(app, "Leave them out").click().run()
    readable = folder_name(pictures, readable=True)
    assert ended(readable).state == "done"
    app.run()
    assert not app.exception
    assert not app.error
    assert app.text_input(key="folder").value == readable
    assert f"fits {readable} 11 images 2 classes left out: 1 unreadable images" in " ".join(page_text(app).split())
    assert readable in widget(app, "ID domain").options


# ── pairs ───────────────────────────────────────────────────────────────────────────────────────────


def test_named_pairs_say_what_each_lacks(open_page):
    table = open_page("domains").dataframe[0].value.set_index("pair")
    assert list(table.index) == list(PAIRS)
    assert set(table.index[table["from"] == "paper"]) == set(PAPER)
    assert set(table.index[table["to download"] == "nothing"]) == {name for name in PAIRS if PAIRS[name].offline}
    assert table.loc["svhn-cifar10", "to download"] == "svhn (246 MB), cifar10 (170 MB)"
    assert table.loc["mnistm-sig", "OOD"] == "mnistm + sig"


def test_a_papers_pair_that_is_not_here_says_what_to_download(open_page):
    app = open_page("domains", named="cifar10-stl10")
    assert not app.exception
    assert "cifar10 (170 MB), stl10 (2\u202f640 MB)" in app.error[0].value
    assert not app.code


@pytest.mark.parametrize(
    ("setting", "name"),
    [("close", "close mnistm mnist"), ("open", "open mnistm mnist 0"), ("backdoor", "backdoor mnistm badnet_sq 0")],
)
def test_a_pair_of_ones_own_has_the_name_that_finds_it_again(open_page, setting, name):
    app = open_page("domains")
    widget(app, "Setting").set_value(setting).run()
    assert not app.exception
    assert app.code[0].value == name
    assert find_pair(name).setting == setting
    words = shlex.split(app.code[1].value)
    assert words[words.index("--pair") + 1] == name
    follow_link(app, "Load a teacher of this pair")
    assert app.title[0].value == "Teachers"
    assert app.query_params["pair"] == name


def test_domains_that_make_no_pair_say_why(open_page):
    app = open_page("domains")
    widget(app, "OOD domain").set_value("fashion").run()
    assert "close-set needs the same classes in both domains" in app.error[0].value
    assert not app.code
