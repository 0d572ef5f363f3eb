"""Lesson links: a page as it was left comes back from its query string, on any other visit."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from atesc_core.figures.export import sheet
from atesc_core.figures.export.recipe import Panel, PrintLayout, Recipe
from atesc_core.runs import DistillationRun
from atesc_core.specs.run import RunSpec
from atesc_core.specs.teacher import TeacherSpec
from atesc_core.study import STUDIES, rows
from atesc_core.teachers.report import Report
from pages.figures import print_preview
from pages.shared.state import url
from tests.support.labs import Lab
from tests.support.pages import button, charts, image_walls, page_text, widgets
from tests.support.study_rows import row, write


def held(app: AppTest) -> dict[str, object]:
    """Key -> value of every widget that has a name of its own."""
    found = [widget for widget in widgets(app) if widget.key]
    return {re.sub(r"^((slide|type) .*) \d+$", r"\1", widget.key): widget.value for widget in found}


@pytest.fixture
def again(open_page) -> Callable[[str, AppTest], AppTest]:
    """The page as another visitor sees it who was given the link; it must hold what the first one's holds."""

    def visit(name: str, app: AppTest) -> AppTest:
        assert not app.exception
        other = open_page(name, **app.query_params)
        assert not other.exception
        assert held(other) == held(app)
        assert " ".join(page_text(other).split()) == " ".join(page_text(app).split())
        return other

    return visit


def test_what_the_link_says_is_what_a_widget_starts_with():
    """Set in a run that was cut short, it never reached the browser, which then told the page of its own first option:
    a lesson link lost its settings where the page was drawn twice at once."""

    def script():
        import streamlit as st

        from pages.shared.state import url

        st.session_state.chosen = st.segmented_control(
            "Map", ["PCA", "UMAP"], required=True, **url.bind_choice("method", ["PCA", "UMAP"])
        )
        if st.session_state.setdefault("runs", 1) == 1:
            st.session_state.runs = 2
            st.rerun()

    app = AppTest.from_function(script)
    app.query_params["method"] = "UMAP"
    app.run()
    assert (app.session_state.runs, app.session_state.chosen) == (2, "UMAP")
    assert list(app.get("button_group")[0].proto.default) == [1]


def test_a_browser_that_has_not_heard_of_a_move_does_not_undo_it():
    """A timer's request that was on its way while another control moved a slider brought the slider's old place."""

    def script():
        import streamlit as st

        from pages.shared.state import url

        st.button("six", on_click=url.set_parameter, args=("eps", 6.0))
        st.slider("ε", 0.0, 8.0, **url.bind_widget("eps", url.read_number("eps", 4.0, 0.0, 8.0), initial="value"))

    app = AppTest.from_function(script).run()
    app.button[0].click().run()
    assert app.slider[0].value == 6.0
    app.slider[0].set_value(4.0).run()
    assert (app.query_params["eps"], app.slider[0].value) == ("6.0", 6.0)
    for place in (5.0, 4.0):  # a hand
        app.slider[0].set_value(place).run()
        assert (app.query_params["eps"], app.slider[0].value) == (f"{place}", place)


def test_a_browser_that_has_not_received_a_link_does_not_bring_back_what_was_cleared(monkeypatch):
    """A timer's request that was on its way while *Clear* was pressed brought the selection's link again."""

    def script():
        import streamlit as st

        from pages.shared.state import url

        url.restore_parameters()
        st.button("Clear", on_click=url.set_parameter, args=("picked", None))
        st.text(st.query_params.get("picked", "nothing"))

    app = AppTest.from_function(script)
    app.query_params["picked"] = "6-a"
    app.run().button[0].click().run()
    app.query_params["picked"] = "6-a"
    with monkeypatch.context() as fragment_run:
        fragment_run.setattr(url, "is_fragment_run", lambda: True)
        assert app.run().text[0].value == "nothing"
        assert "picked" not in app.query_params
    app.query_params["picked"] = "6-a"  # a run of the whole page: the user has gone back to this link
    assert app.run().text[0].value == "6-a"


def typed(app: AppTest, run: str, score: str):
    """The line as a number."""
    return next(own for own in app.number_input if own.key.startswith(f"type {run} {score}"))


def test_robustness(open_page, again, finished_run: DistillationRun, report: Report):
    run = finished_run.id
    app = open_page("robustness", run=run)
    assert set(app.query_params) == {"run"}  # nothing is said that is so anyway
    app.select_slider(key=f"robustness epoch {run} slider").set_value(1).run()
    app.segmented_control(key=f"score {run}").set_value("margin").run()
    typed(app, run, "margin").set_value(0.3).run()
    assert app.query_params["threshold.margin"] == "0.3"
    app.segmented_control(key=f"score {run}").set_value("min_eps").run()
    typed(app, run, "min_eps").set_value(6.5).run()
    assert {name: app.query_params.get(name) for name in ("epoch", "threshold", "threshold.margin", "score")} == {
        "epoch": "1",
        "threshold": "6.5",
        "threshold.margin": "0.3",
        "score": None,
    }
    other = again("robustness", app)
    assert charts(other)["scores"]["data"] == charts(app)["scores"]["data"]
    other.segmented_control(key=f"score {run}").set_value("margin").run()
    assert typed(other, run, "margin").value == 0.3


def test_an_image_under_another_attack(open_page, again, finished_run: DistillationRun, report: Report):
    app = open_page("robustness", run=finished_run.id, picked="2-eNoTbAAAAKQAkg", image="3")
    app.slider(key=f"budget {finished_run.id} 2 3").set_value(12.0).run()
    assert app.query_params["budget"] == "12.0"
    again("robustness", app)
    button(app, "Close").click().run()
    assert "budget" not in app.query_params


def test_distill_a_run(open_page, again, finished_run: DistillationRun):
    app = open_page("distill", run=finished_run.id, threshold="6.5")
    app.select_slider(key=f"epoch {finished_run.id} slider").set_value(1).run()
    other = again("distill", app)
    assert "of 32 images · epoch 1" in page_text(other)
    [sent] = [figure for name, figure in charts(other).items() if name.startswith("scores")]
    assert sent == next(figure for name, figure in charts(app).items() if name.startswith("scores"))
    button(other, "Back").click().run()
    assert "threshold" not in other.query_params


def test_distill_a_form_that_is_filled_in(open_page, store):
    app = open_page("distill")
    assert "spec" not in app.query_params  # nobody has asked for anything yet
    next(field for field in app.number_input if field.key.endswith(": rounds")).set_value(7).run()
    next(group for group in app.get("button_group") if group.label.startswith("Escape")).set_value("ckd").run()
    assert RunSpec.from_token(app.query_params["spec"]).rounds == 7
    next(field for field in app.number_input if field.key.endswith(": rounds")).set_value(9).run()
    other = open_page("distill", **app.query_params)
    assert other.code[0].value == app.code[0].value
    assert "--set rounds=9" in other.code[0].value
    assert "ckd" in other.code[0].value


def test_teachers_a_form_that_is_filled_in(open_page, store):
    app = open_page("teachers")
    next(field for field in app.number_input if field.key and field.key.endswith(": epochs")).set_value(3).run()
    spec = TeacherSpec.from_token(app.query_params["spec"])
    assert spec.epochs == 3
    other = open_page("teachers", **app.query_params)
    assert other.code[0].value == app.code[0].value
    button(other, "Open").click().run()
    assert "spec" not in other.query_params  # a teacher's page has no form


def test_embedding(open_page, again, finished_run: DistillationRun, report: Report):
    app = open_page(
        "embedding", run=finished_run.id, colour="class", ground="points", threshold="9.5", picked="2-eNoTbAAAAKQAkg"
    )
    assert {name: held(app)[name] for name in ("method", "colour", "ground")} == {
        "method": "PCA",
        "colour": "class",
        "ground": "points",
    }
    app.select_slider(key=f"embedding epoch {finished_run.id} slider").set_value(1).run()
    assert app.query_params["epoch"] == "1"
    other = again("embedding", app)
    assert charts(other)["map"]["data"] == charts(app)["map"]["data"]
    assert image_walls(other) == image_walls(app)


@pytest.fixture
def no_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        print_preview, "draw_recipe", lambda recipe, drawn, stop: sheet.Sheet("drawn", "", 312, 200, "sans")
    )


def test_figures(open_page, again, finished_run: DistillationRun, lab_with_runs: Lab, report: Report, no_browser):
    recipe = Recipe(
        across=1,
        layout=PrintLayout(venue="ieee", columns=2, font="serif", font_pt=9.5, height_in=4.0, dpi=600),
        panels=(
            Panel(figure="scores", run=finished_run.id, epoch=1, score="kl", threshold=0.5, label="KL"),
            Panel(figure="accuracy", run=lab_with_runs.plain),
            Panel(figure="embedding", run=finished_run.id, colour="score", ground="points"),
        ),
    )
    app = open_page("figures", run=finished_run.id, recipe=recipe.to_token())
    again("figures", app)
    app.text_input(key="label b").set_value("plain").run()
    told = Recipe.from_token(app.query_params["recipe"])
    assert told.layout == recipe.layout
    assert told.across == 1
    assert [(panel.figure, panel.run, panel.label) for panel in told.panels] == [
        ("scores", finished_run.id, "KL"),
        ("accuracy", lab_with_runs.plain, "plain"),
        ("embedding", finished_run.id, ""),
    ]
    assert told.panels[0] == recipe.panels[0].model_copy(update={"real": told.panels[0].real})
    assert (told.panels[2].colour, told.panels[2].ground) == ("score", "points")
    again("figures", app)


def test_a_pair_of_ones_own(open_page, again):
    app = open_page("domains")
    app.segmented_control(key="setting of a pair").set_value("backdoor").run()
    app.selectbox(key="trigger of a pair").set_value("sig").run()
    app.selectbox(key="target in mnistm").set_value(3).run()
    assert app.query_params == {"setting": "backdoor", "trigger": "sig", "target": "3"}
    again("domains", app)


def test_start_and_results(open_page, store, tmp_path, monkeypatch):
    file = write(tmp_path / "rows.jsonl", [row(STUDIES["offline"].plan(1)[0], 60, 20)])
    monkeypatch.setattr(rows, "ROWS", file)
    assert held(open_page("start", setting="open"))["setting"] == "open"
    results = held(open_page("results", synthesizer="CMI", teacher="SL"))
    assert (results["synthesizer"], results["teacher"]) == ("cmi", "SL")


def test_another_runs_line_and_epoch_stay_behind(open_page, finished_run: DistillationRun, lab_with_runs: Lab):
    app = open_page("distill", run=finished_run.id, threshold="6.5", epoch="1")
    assert app.query_params["threshold"] == "6.5"
    app.selectbox(key="run_picker").set_value(lab_with_runs.plain).run()
    assert set(app.query_params) == {"run"}
    app.selectbox(key="run_picker").set_value(finished_run.id).run()
    assert app.query_params["threshold"] == "6.5"  # the visit remembers it, and so the link says it again


DAMAGED = {
    "robustness": {
        "score": "fame",
        "epoch": "last",
        "threshold": "nan",
        "picked": "2-!",
        "image": "x",
        "budget": "1e999",
    },
    "distill": {"epoch": "-1", "threshold": "steep"},
    "embedding": {"method": "tSNE", "colour": "<b>", "ground": "", "epoch": "2.5", "threshold": "inf"},
    "figures": {"recipe": "eJwDAAAAAAE", "figure": "pie"},
    "compare": {"runs": "zzzzzzzz,%%", "show": "luck", "smoothing": "much", "one": "?", "only.seed": "x"},
    "domains": {"setting": "half-open", "id": "moon", "ood": "sun", "target": "99", "named": "x"},
    "teachers": {"teacher": "nobody", "spec": "damaged", "run": "zzzzzzzz"},
    "results": {"study": "mine", "synthesizer": "gan", "setting": "x", "teacher": "y"},
    "start": {"setting": "x"},
    "story": {"step": "ten", "t": "nan", "speed": "-3", "pair": "1e9", "blend": "x", "n": "x", "threshold": "x"},
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_link_is_no_traceback(
    open_page, finished_run: DistillationRun, report: Report, no_browser, name: str
):
    run = {"run": finished_run.id} if name in ("robustness", "distill", "embedding", "figures") else {}
    app = open_page(name, **run, projector="1", **DAMAGED[name])
    assert not app.exception
