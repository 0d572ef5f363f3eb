"""Figures: each can be drawn for a run, says what it waits for, and leaves with where it came from."""

from __future__ import annotations

import threading

import pytest
import yaml

from atesc_core import figures
from atesc_core.errors import BrowserMissingError, DrawingStoppedError
from atesc_core.figures.export import sheet
from atesc_core.figures.export.recipe import PANEL_OPTIONS, Recipe
from atesc_core.jobs import JobService
from atesc_core.runs import DistillationRun
from atesc_core.specs.run import RunSpec
from atesc_core.teachers.report import Report, report_file
from pages.figures import print_preview
from pages.shared.ui.run_labels import method_name
from tests.support.labs import CONTROL, TEACHER, Lab
from tests.support.pages import button, page_text
from tests.support.waiting import until


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Recipe]:
    """What was asked of the browser, which is not started."""
    asked: list[Recipe] = []

    def draw(recipe, figures, stop):
        asked.append(recipe)
        return sheet.Sheet("drawn", "", 312, 200, "sans")

    monkeypatch.setattr(print_preview, "draw_recipe", draw)
    monkeypatch.setattr("atesc_core.jobs.service._service", JobService())
    return asked


def download(app, label: str):
    return next(button for button in app.get("download_button") if button.proto.label == label)


def test_without_runs_the_page_says_what_to_do(open_page, store):
    app = open_page("figures")
    assert not app.exception
    assert "No runs yet" in page_text(app)


@pytest.mark.parametrize("name", PANEL_OPTIONS)
def test_every_figure_of_a_finished_run_is_drawn(
    open_page, lab_with_runs: Lab, finished_run: DistillationRun, report: Report, drawn, held_job, name
):
    if name == "drift":  # the map's tests may have measured it in the lab that they share
        report_file(lab_with_runs.runs_dir, CONTROL, finished_run.spec.split).unlink(missing_ok=True)
    app = open_page("figures", run=finished_run.id)
    app.selectbox(key="figure").set_value(name).run()
    if name == "drift":
        assert "is drawn as soon as it is" in page_text(app), "the SL teacher of the runs beside it is not measured"
        next(toggle for toggle in app.toggle if "against" in toggle.key).set_value(False).run()
    if name in ("per_class", "confusion"):
        assert "is not measured on validation images yet" in page_text(app)
        assert "The student on validation images" in app.get("progress")[0].proto.text
        next(control for control in app.segmented_control if "network" in str(control.key)).set_value("teacher").run()
    assert not app.exception
    assert not app.error
    assert [panel.figure for panel in drawn[-1].panels] == [name]
    whose = " of the teacher" if name in ("per_class", "confusion") else ""
    assert f"{figures.title(name)}{whose}. {method_name(finished_run.spec)}, teacher" in page_text(app), "the caption"
    assert "3.25 in wide at ICML" in page_text(app)
    assert not download(app, "PDF").proto.disabled


@pytest.mark.parametrize("name", PANEL_OPTIONS)
def test_a_run_that_waits_has_figures_that_say_for_what(open_page, store, held_job, drawn, name):
    store.create(RunSpec(teacher=TEACHER))
    app = open_page("figures")
    app.selectbox(key="figure").set_value(name).run()
    assert not app.exception
    assert not app.error
    assert not drawn or name == "batchnorm"  # which is of the teacher alone


def test_without_a_browser_the_csv_still_works(open_page, finished_run: DistillationRun, monkeypatch):
    def missing(*arguments):
        raise BrowserMissingError("no Chromium was found. Install one with 'apt install chromium'.")

    monkeypatch.setattr(print_preview, "draw_recipe", missing)
    monkeypatch.setattr("atesc_core.jobs.service._service", JobService())
    app = open_page("figures", run=finished_run.id)
    assert not app.exception
    assert "apt install chromium" in app.error[0].value
    assert download(app, "PDF").proto.disabled
    assert not download(app, "CSV").proto.disabled
    monkeypatch.setattr(print_preview, "draw_recipe", lambda *arguments: sheet.Sheet("drawn", "", 312, 200, "sans"))
    button(app, "Try again").click().run()
    assert not app.error
    assert not download(app, "PDF").proto.disabled


def test_a_height_without_room_for_its_panels_is_no_traceback(open_page, finished_run: DistillationRun):
    app = open_page("figures", run=finished_run.id)
    app.segmented_control(key="panels").set_value(4).run()
    app.number_input(key="height").set_value(0.5).run()
    until(lambda: app.run().error)  # the real drawings of the page before may still be under way
    assert not app.exception
    assert "for 2 rows of panels" in app.error[0].value
    assert not download(app, "CSV").proto.disabled


def test_a_figure_that_takes_long_can_be_stopped_and_drawn_later(open_page, finished_run: DistillationRun, monkeypatch):
    """A large map took seconds in which nothing on the page could be pressed."""
    may_end = threading.Event()

    def slow(recipe, figures, stop):
        while not may_end.is_set():
            if stop.wait(0.01):
                raise DrawingStoppedError("figure: its drawing was stopped")
        return sheet.Sheet("drawn", "", 312, 200, "sans")

    monkeypatch.setattr(print_preview, "draw_recipe", slow)
    monkeypatch.setattr("atesc_core.figures.export.drawing.close_browser", lambda at_once: None)
    monkeypatch.setattr("atesc_core.jobs.service._service", JobService())
    app = open_page("figures", run=finished_run.id)
    assert app.get("progress")[0].proto.text.startswith(f"{print_preview.JOB_TITLE}: in the browser · ")
    assert download(app, "PDF").proto.disabled
    assert not download(app, "CSV").proto.disabled
    button(app, "Cancel").click().run()
    assert f"{print_preview.JOB_TITLE} was cancelled" in page_text(app)
    may_end.set()
    button(app, "Start again").click().run()
    assert "3.25 in wide at ICML" in page_text(app)
    assert not download(app, "PDF").proto.disabled


def test_the_origin_says_how_to_make_it_again(
    open_page, finished_run: DistillationRun, lab_with_runs: Lab, drawn, monkeypatch
):
    told = []
    monkeypatch.setattr("atesc_core.figures.export.files.origin_yaml", lambda origin: told.append(origin) or "")
    app = open_page("figures", run=finished_run.id)
    origin = yaml.safe_load(yaml.safe_dump(told[-1]))
    assert RunSpec.model_validate(origin["spec"]) == finished_run.spec
    assert app.code[0].value == origin["figure_command"]
    assert app.code[1].value == origin["command"]
    assert origin["run"] == finished_run.id
    assert origin["versions"]["torch"]


def test_a_wider_venue_is_shown_at_its_width(open_page, finished_run: DistillationRun, drawn):
    app = open_page("figures", run=finished_run.id)
    app.segmented_control(key="venue").set_value("cvpr").run()
    app.segmented_control(key="columns").set_value(2).run()
    assert "6.875 in wide at CVPR" in page_text(app)


def test_the_files_are_those_of_the_preview_that_is_shown(open_page, finished_run: DistillationRun, drawn, monkeypatch):
    """A press between the new preview and its buttons gave the figure as it was before."""
    order: list[str] = []
    for name in ("html", "download_button"):
        original = getattr(print_preview.st, name)

        def record(first, *arguments, original=original, **options):
            order.append("preview" if "atesc-paper" in first else first)
            return original(first, *arguments, **options)

        monkeypatch.setattr(print_preview.st, name, record)
    open_page("figures", run=finished_run.id)
    assert order.index("preview") > max(order.index(label) for label in ("PDF", "SVG", "PNG", "CSV", "All, zipped"))


def test_a_drawing_that_ends_while_its_buttons_are_drawn_is_shown(
    open_page, finished_run: DistillationRun, drawn, monkeypatch
):
    """The page had looked before; then nothing was to be watched, and the preview never came."""
    end = threading.Event()
    monkeypatch.setattr(print_preview, "WAIT_S", 0.0)
    draw, download_all = print_preview.draw_recipe, print_preview._downloads

    def slow(recipe, figures, stop):
        assert end.wait(30)
        return draw(recipe, figures, stop)

    def downloads(recipe, figures, result):
        download_all(recipe, figures, result)
        if result is None:
            end.set()
            until(lambda: print_preview._drawing(recipe, figures).state == "done")

    monkeypatch.setattr(print_preview, "draw_recipe", slow)
    monkeypatch.setattr(print_preview, "_downloads", downloads)
    app = open_page("figures", run=finished_run.id)
    assert "in wide at" in page_text(app)
    assert not download(app, "PDF").proto.disabled
