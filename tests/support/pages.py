"""Reading and clicking elements of a page that AppTest runs."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs

from streamlit.proto.PageLink_pb2 import PageLink
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Widget
from streamlit.util import calc_hash

from atesc_core.runs import DistillationRun
from pages.shared.state.selection import Selection

APP = Path(__file__).parents[2] / "pages" / "main.py"
PAGE_NAMES = (
    "start",
    "story",
    "domains",
    "teachers",
    "distill",
    "robustness",
    "embedding",
    "compare",
    "figures",
    "results",
    "storage",
)
WIDGETS = ("slider", "select_slider", "selectbox", "number_input", "toggle", "text_input", "button_group")


def go_to(app: AppTest, page: str) -> None:
    """Choose the page that the next run of ``app`` shows.

    Before its first run, AppTest would derive a page's address from its file name, but every page's file is page.py.
    """
    app._page_hash = calc_hash(page)


def page_link(app: AppTest, label: str) -> PageLink:
    """The link to another page with this label."""
    return next(link.proto for link in app.get("page_link") if link.proto.label == label)


def follow_link(app: AppTest, label: str) -> AppTest:
    """Open the page of the link with this label."""
    link = page_link(app, label)
    app.query_params.clear()
    for name, values in parse_qs(link.query_string).items():
        app.query_params[name] = values
    go_to(app, link.page or "start")
    return app.run()


def page_text(app: AppTest) -> str:
    """All text of the page outside widgets and charts, without HTML tags."""
    texts = [element.proto.body for element in app.get("html")]
    for kind in ("markdown", "caption", "warning", "info", "error"):
        texts += [element.value for element in app.get(kind)]
    return " ".join(unescape(re.sub(r"<style>.*?</style>|<[^>]+>", " ", text, flags=re.DOTALL)) for text in texts)


def charts(app: AppTest) -> dict[str, dict]:
    """Key of each chart on the page -> its figure, as JSON."""
    component_data = [json.loads(element.proto.json) for element in app.get("bidi_component") if element.proto.json]
    return {data["key"]: json.loads(data["figure"]) for data in component_data if data and "figure" in data}


def image_walls(app: AppTest) -> dict[str, list[dict]]:
    """Key of each clickable gallery on the page -> its images."""
    component_data = [json.loads(element.proto.json) for element in app.get("bidi_component") if element.proto.json]
    return {data["key"]: data["cells"] for data in component_data if isinstance(data, dict) and "cells" in data}


def widgets(app: AppTest) -> list[Widget]:
    """All widgets of the page that hold a value."""
    return [widget for kind in WIDGETS for widget in app.get(kind)]


def button(app, label):
    return next((button for button in app.button if button.label == label), None)


def set_status(store, run_id: str, status: str, error: str | None = None) -> None:
    """Set a run's status, as a worker would do."""
    with store.database.write() as connection:
        connection.execute("UPDATE runs SET status = ?, error = ? WHERE id = ?", (status, error, run_id))


def threshold_slider(app):
    return next(slider for slider in app.slider if slider.key.startswith("slide"))


def selection_link(run: DistillationRun, *indices: int, epoch: int = 2, image: int | None = None) -> dict[str, str]:
    """The link's parameters for a run with these images selected."""
    query = {"run": run.id, "picked": Selection(epoch, indices).to_token()}
    return query if image is None else query | {"image": str(image)}


def tick_runs(app, *rows):
    """Returns Storage, rerun with these rows of its table ticked."""
    table = "storage table" + app.dataframe[0].proto.id.rpartition("storage table")[2]
    app.session_state[table] = {"selection": {"rows": list(rows), "columns": [], "cells": []}}
    return app.run()


def primary_buttons(app):
    """Returns the labels of the page's primary buttons, without that of the closed "Repeat with seeds"."""
    return [each.label for each in app.button if each.proto.type == "primary" and "start repeat" not in each.proto.id]
