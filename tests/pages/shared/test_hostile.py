"""No link and no damaged file breaks a page: 200 values in every parameter, and every kind of file of a lab.

`make test` tries a part. All of it: ATESC_TEST_SIZE=large pytest tests/pages/shared/test_hostile.py
"""

from __future__ import annotations

import os
import random
import re
from pathlib import Path

import pytest

from atesc_core.figures.export.recipe import Panel, Recipe
from atesc_core.recording import Recording
from atesc_core.runs import RunStore
from pages.shared.ui.uncaught_errors import LOG_NAME
from tests.support.copies import copy_lab
from tests.support.full_lab import KINDS, FullLab, make_full_lab
from tests.support.held_job import HeldJob
from tests.support.hostile import VALUES
from tests.support.labs import Lab, logged_run
from tests.support.pages import PAGE_NAMES, page_text

LARGE = os.environ.get("ATESC_TEST_SIZE") == "large"
ROOT = Path(__file__).parents[3]
# Names of a link's parameters, wherever the pages write one; and those that are put together.
NAMED = re.compile(
    r"""(?:query_params(?:\.get|\.pop|\.setdefault)?[\[(]|read_number\(|read_choice\(|set_parameter\(|Form\(|"""
    r"""bind_(?:widget|choice)\(\s*|bind_to_link\()"([a-z._ ]+)\""""
)
BOUND = re.compile(r"""key="([a-z ]+)",\s*bind="query-params\"""")
OTHERS = {
    "threshold",
    "threshold.margin",
    "threshold.min_eps",
    "only.teacher",
    "only.seed",
    "only.synthesis.kind",
    "show",
}


def parameters() -> list[str]:
    sources = "".join(path.read_text() for path in (ROOT / "pages").rglob("*.py"))
    return sorted({*NAMED.findall(sources), *BOUND.findall(sources), *OTHERS})


def test_the_list_is_of_200_values_and_finds_the_parameters():
    assert len(set(VALUES)) >= 200
    assert {"run", "spec", "picked", "epoch", "step", "id", "ood", "runs", "recipe", "pair"} <= set(parameters())


@pytest.mark.parametrize("part", range(len(VALUES) if LARGE else 4))
@pytest.mark.parametrize("page", PAGE_NAMES)
def test_no_link_breaks_a_page(open_page, finished_run, report, held_jobs, page, part):
    """Each value stands in each parameter in some part; with a run that exists, as without one a page shows little."""
    names = parameters()
    order = random.Random(page).sample(VALUES, len(VALUES))
    query = {name: order[(part + place) % len(order)] for place, name in enumerate(names)}
    if part % 2:
        query["run"] = finished_run.id
    app = open_page(page, **query)
    assert not app.exception, query
    for kind in (app.markdown, app.caption, app.error, app.warning, app.info):
        for element in kind:
            assert "![x](https" not in element.value, query
            assert "[log in again](https" not in element.value, query


@pytest.mark.parametrize("page", PAGE_NAMES)
def test_parameters_without_a_value_are_none(open_page, finished_run, report, held_jobs, page):
    """`?show=` set Streamlit's control to None, and Compare stopped."""
    query = dict.fromkeys((name for name in parameters() if name != "run"), "")
    app = open_page(page, run=finished_run.id, **query)
    assert not app.exception


# ── damaged files ───────────────────────────────────────────────────────────────────────────


@pytest.fixture
def held_jobs(monkeypatch):
    """What a page would start in the background does not run."""
    for start in ("start", "start_thread"):
        monkeypatch.setattr(f"atesc_core.jobs.{start}", lambda key, *arguments, **options: HeldJob(key))
    monkeypatch.setattr("atesc_core.runs.launcher._start", lambda store, requested: None)


@pytest.fixture(scope="session")
def full_lab(lab_with_runs: Lab, story_scenes: Recording, tmp_path_factory) -> FullLab:
    """A lab that has a file of every kind, which nobody changes."""
    return make_full_lab(lab_with_runs, story_scenes, tmp_path_factory.mktemp("full") / "lab")


def kinds(lab: Path) -> dict[str, Path]:
    """A file of each kind, by its path with run ids, epochs and hashes replaced."""
    found = {}
    for path in sorted(lab.rglob("*")):
        if path.is_file() and path.suffix != ".lock" and not path.name.endswith(("-wal", "-shm")):
            name = str(path.relative_to(lab))
            name = re.sub(r"[0-9a-f]{12,}|(?<=^runs/)[a-z2-9]{8}|(?<=scenes-)[a-z2-9]{8}|\b\d+(?=\.)", "#", name)
            found.setdefault(name, path.relative_to(lab))
    return found


DAMAGES = {
    "emptied": lambda data: b"",
    "truncated": lambda data: data[: len(data) // 2],
    "random": lambda data: random.Random(0).randbytes(max(len(data), 64)),
    # an archive's directory, which is at its end, stays whole
    "middle": lambda data: data[: len(data) // 3] + bytes(len(data) // 3) + data[2 * (len(data) // 3) :],
}


def test_a_lab_has_files_of_every_kind(full_lab):
    """A new kind of file needs a place in KINDS, with a view that reads it, and a line in docs/storage.md."""
    assert kinds(full_lab.runs_dir).keys() == KINDS.keys()
    assert set(KINDS.values()) <= full_lab.views.keys()
    assert {page for page, _ in full_lab.views.values()} == set(PAGE_NAMES)


def test_every_view_of_a_whole_lab_is_whole(full_lab, open_page, held_jobs, monkeypatch):
    """Otherwise the tests of damaged files would pass on pages that read nothing."""
    monkeypatch.setenv("ATESC_RUNS_DIR", str(full_lab.runs_dir))
    for name, (page, query) in full_lab.views.items():
        app = open_page(page, **query)
        assert not app.exception, name
        assert name == "failed run" or not app.error, (name, [error.value for error in app.error])


@pytest.mark.usefixtures("as_served")
@pytest.mark.parametrize("damage", DAMAGES)
def test_no_damaged_file_breaks_a_page(full_lab, tmp_path, open_page, held_jobs, monkeypatch, damage):
    """One file of one kind at a time. In the small size, the page that reads it; else each."""
    for number, (kind, path) in enumerate(kinds(full_lab.runs_dir).items()):
        lab = copy_lab(full_lab.runs_dir, tmp_path / f"lab {number}")
        target = lab / path
        target.write_bytes(DAMAGES[damage](target.read_bytes()))
        monkeypatch.setenv("ATESC_RUNS_DIR", str(lab))
        for view in full_lab.views if LARGE else [KINDS[kind]]:
            page, query = full_lab.views[view]
            app = open_page(page, **query)
            assert not app.exception, (kind, view)
            errors = " ".join(error.value for error in app.error)
            assert "This page stopped at an error" not in errors, (kind, view, (lab / LOG_NAME).read_text())
            assert kind != "runs.sqlite" or "runs.sqlite: is damaged" in errors, errors


@pytest.mark.parametrize("page", ["distill", "robustness", "embedding", "figures"])
def test_a_snapshot_damaged_in_its_middle_is_left_out_and_named(
    full_lab, lab_with_runs, tmp_path, open_page, held_jobs, monkeypatch, page
):
    """Only an archive's end was looked at: each page of the run stopped at an error, again and again."""
    lab = copy_lab(full_lab.runs_dir, tmp_path / "lab")
    path = lab / "runs" / lab_with_runs.atesc / "snapshots" / "00002.npz"
    path.write_bytes(DAMAGES["middle"](path.read_bytes()))
    monkeypatch.setenv("ATESC_RUNS_DIR", str(lab))
    recipe = Recipe(panels=(Panel(figure="scores", run=lab_with_runs.atesc, epoch=2),))
    linked = {"run": lab_with_runs.atesc} | ({"recipe": recipe.to_token()} if page == "figures" else {})
    app = open_page(page, **linked)
    assert not app.exception
    assert not app.error
    [notice] = app.warning
    assert notice.value.startswith("**A file of synthetic images is damaged.**")
    assert "00002.npz. Its epoch is left out" in notice.value
    assert RunStore(lab).snapshot_epochs(lab_with_runs.atesc) == [1]
    assert not any("epoch 2" in " ".join(map(str, slider.options)) for slider in app.get("select_slider"))
    again = open_page(page, **linked, epoch="2")
    assert not again.exception
    assert len(again.warning) == 1


def test_a_garbled_row_of_the_database_is_left_out_and_named(store, open_page, held_jobs):
    """Text that is no JSON in one row of the database stopped every page at a JSONDecodeError."""
    run, other = logged_run(store, (80.0, 10.0), (82.0, 8.0)), logged_run(store, (70.0, 20.0))
    with store.database.write() as connection:
        connection.execute("UPDATE epochs SET metrics = '{' WHERE (run, epoch) = (?, 1)", (run,))
        connection.execute("UPDATE runs SET spec = '{' WHERE id = ?", (other,))
    app = open_page("distill", run=run)
    assert not app.exception
    assert "Left out: epoch 1. Put a copy of runs.sqlite in its place" in app.warning[0].value
    app = open_page("distill", run=other)
    assert not app.exception
    assert f"Run {other} was made by another version, or is damaged" in app.error[0].value
    app = open_page("start")
    assert not app.exception
    assert f"or damaged ({other})" in page_text(app)
