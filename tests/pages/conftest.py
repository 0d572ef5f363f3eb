"""Labs for page tests: an empty one, and one with a run that the real worker really did."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from streamlit.proto.PageLink_pb2 import PageLink
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from atesc_core.runs import Run, RunStore
from atesc_core.runs.worker import work
from atesc_core.specs.presets import from_preset
from atesc_core.specs.run import RunSpec

APP = Path(__file__).parents[2] / "app.py"
TEACHER, CONTROL = "mnistm-badnet_sq-ntl", "mnistm-badnet_sq-sl"
STORY = "story-tests"
TINY = {
    "device": "cpu",
    "epochs": 2,
    "rounds": 4,
    "student_steps": 2,
    "batch_size": 32,
    "snapshot_images": 32,
    "synthesis.steps": 1,
    "synthesis.width": 8,
    "split.steps": 2,
    "escape.warmup_epochs": 1,
}


@dataclass(frozen=True)
class Lab:
    """A runs folder in which a small story is done: a plain and an ATEsc student of one NTL teacher, and a plain
    one of the SL teacher."""

    runs_dir: Path
    store: RunStore
    plain: str  # run ids
    atesc: str
    control: str


def tiny_spec(escape: str = "atesc", teacher: str = TEACHER) -> RunSpec:
    """A whole run of a second or two."""
    return from_preset("quick", teacher, **TINY, **{"escape.kind": escape})


@pytest.fixture(scope="session")
def lab_with_runs(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Shared by all tests: look, but do not change it."""
    runs_dir = tmp_path_factory.mktemp("lab")
    store = RunStore(runs_dir)
    specs = tiny_spec("none"), tiny_spec("atesc"), tiny_spec("none", CONTROL)
    runs = [store.create(spec, group=STORY) for spec in specs]
    work(runs_dir, "cpu")
    return Lab(runs_dir, store, *runs)


@pytest.fixture
def finished_run(lab_with_runs: Lab, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The ATEsc run of `lab_with_runs`, in the lab that the app now shows."""
    monkeypatch.setenv("ATESC_RUNS_DIR", str(lab_with_runs.runs_dir))
    return lab_with_runs.store.get(lab_with_runs.atesc)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    """An empty lab of the test's own, which the app now shows; nothing that is queued in it starts."""
    monkeypatch.setenv("ATESC_RUNS_DIR", str(tmp_path / "lab"))
    monkeypatch.setattr("atesc_core.runs.launcher._start", lambda store, requested: None)
    return RunStore(tmp_path / "lab")


def go_to(app: AppTest, page: str) -> None:
    """The page that the next run of ``app`` shows. Until its first run AppTest takes the name of a page's file for its
    path in the address, and the file of every page is named page.py."""
    app._page_hash = calc_hash(page)


@pytest.fixture
def open_page() -> Callable[..., AppTest]:
    """`open_page("distill", run=ID)`: that page of the app, as a visitor's first look at it."""

    def open_(name: str, **query: str) -> AppTest:
        app = AppTest.from_file(str(APP), default_timeout=120)
        go_to(app, name)
        for key, value in query.items():
            app.query_params[key] = value
        return app.run()

    return open_


def way(app: AppTest, label: str) -> PageLink:
    """The link of that name to another page."""
    return next(link.proto for link in app.get("page_link") if link.proto.label == label)


def follow(app: AppTest, label: str) -> AppTest:
    """A press of it."""
    to = way(app, label)
    app.query_params.clear()
    for name, values in parse_qs(to.query_string).items():
        app.query_params[name] = values
    go_to(app, to.page or "start")
    return app.run()


def said(app: AppTest) -> str:
    """All text of the page outside widgets and charts, without its tags."""
    texts = [element.proto.body for element in app.get("html")]
    for kind in ("markdown", "caption", "warning", "info", "error"):
        texts += [element.value for element in app.get(kind)]
    return " ".join(unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", text, flags=re.DOTALL)) for text in texts)


def charts(app: AppTest) -> dict[str, dict]:
    """key -> the figure of each chart on the page, as JSON."""
    sent = [json.loads(element.proto.json) for element in app.get("bidi_component") if element.proto.json]
    return {data["key"]: json.loads(data["figure"]) for data in sent if data and "figure" in data}


def walls(app: AppTest) -> dict[str, list[dict]]:
    """key -> the pictures of each wall whose images can be pressed."""
    sent = [json.loads(element.proto.json) for element in app.get("bidi_component") if element.proto.json]
    return {data["key"]: data["cells"] for data in sent if isinstance(data, dict) and "cells" in data}
