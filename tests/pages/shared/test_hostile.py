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
from atesc_core.runs import RunStore
from tests.support.copies import copy_lab
from tests.support.held_job import HeldJob
from tests.support.hostile import VALUES
from tests.support.labs import Lab, logged_run
from tests.support.pages import PAGE_NAMES, page_text
from tests.support.reports import save_report

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


# ── damaged files ───────────────────────────────────────────────────────────────────────────


@pytest.fixture
def held_jobs(monkeypatch):
    """What a page would start in the background does not run."""
    for start in ("start", "start_thread"):
        monkeypatch.setattr(f"atesc_core.jobs.{start}", lambda key, *arguments, **options: HeldJob(key))
    monkeypatch.setattr("atesc_core.runs.launcher._start", lambda store, requested: None)


@pytest.fixture(scope="session")
def full_lab(lab_with_runs: Lab, tmp_path_factory) -> Path:
    """A lab that has a file of every kind, which nobody changes."""
    lab = copy_lab(lab_with_runs.runs_dir, tmp_path_factory.mktemp("full") / "lab")
    save_report(lab)
    return lab


def kinds(lab: Path) -> dict[str, Path]:
    """A file of each kind, by its path with run ids, epochs and hashes replaced."""
    found = {}
    for path in sorted(lab.rglob("*")):
        if path.is_file() and path.suffix != ".lock":
            name = re.sub(r"[0-9a-f]{12,}|(?<=^runs/)[a-z2-9]{8}|\b\d+(?=\.)", "#", str(path.relative_to(lab)))
            found.setdefault(name, path.relative_to(lab))
    return found


DAMAGES = {
    "emptied": lambda data: b"",
    "truncated": lambda data: data[: len(data) // 2],
    "random": lambda data: random.Random(0).randbytes(max(len(data), 64)),
    # an archive's directory, which is at its end, stays whole
    "middle": lambda data: data[: len(data) // 3] + bytes(len(data) // 3) + data[2 * (len(data) // 3) :],
}
VIEWS = [("start", ""), ("teachers", ""), ("teachers", "teacher"), ("distill", "run"), ("robustness", "run")]
VIEWS += [("embedding", "run"), ("compare", ""), ("figures", "run"), ("storage", "")]


def test_a_lab_has_files_of_every_kind(full_lab):
    assert {"runs.sqlite", "runs/#/spec.yaml", "runs/#/snapshots/#.npz", "runs/#/students/#.safetensors"} <= set(
        kinds(full_lab)
    )


@pytest.mark.parametrize("damage", DAMAGES)
def test_no_damaged_file_breaks_a_page(full_lab, lab_with_runs, tmp_path, open_page, held_jobs, monkeypatch, damage):
    """One file of one kind at a time. In the small size, a page for each, in turn."""
    for number, (kind, path) in enumerate(kinds(full_lab).items()):
        lab = copy_lab(full_lab, tmp_path / f"lab {number}")
        for extra in ("-wal", "-shm"):
            (lab / f"runs.sqlite{extra}").unlink(missing_ok=True)
        target = lab / path
        target.write_bytes(DAMAGES[damage](target.read_bytes()))
        monkeypatch.setenv("ATESC_RUNS_DIR", str(lab))
        run = path.parts[1] if path.parts[0] == "runs" else lab_with_runs.atesc
        chosen = VIEWS if LARGE else [VIEWS[number % len(VIEWS)], VIEWS[(number + 4) % len(VIEWS)]]
        for page, needs in chosen:
            query = {"run": {"run": run}, "teacher": {"teacher": "mnistm-badnet_sq-ntl"}, "": {}}[needs]
            app = open_page(page, **query)
            if kind == "runs.sqlite":  # a sentence of the handler (StoreError), which AppTest has not
                assert all("runs.sqlite" in error.message for error in app.exception), (kind, page)
            else:
                assert not app.exception, (kind, page, app.exception[0].stack_trace)


@pytest.mark.parametrize("page", ["distill", "robustness", "embedding", "figures"])
def test_a_snapshot_damaged_in_its_middle_is_left_out_and_named(
    full_lab, lab_with_runs, tmp_path, open_page, held_jobs, monkeypatch, page
):
    """Only an archive's end was looked at: each page of the run stopped at an error, again and again."""
    lab = copy_lab(full_lab, tmp_path / "lab")
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
