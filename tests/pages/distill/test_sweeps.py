"""Many runs from one form, a run again with other seeds, and a group's card."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from atesc_core.runs import RunStore
from atesc_core.runs.group import RunGroup
from atesc_core.specs.presets import from_preset
from atesc_core.specs.sweep import sweep
from pages.shared.data import cost
from tests.support.labs import logged_run, tiny_spec
from tests.support.pages import button, page_link, page_text, set_status

FIELDS = {"vary": "seed=1-3;nothing=4;;"}


@pytest.fixture
def group(store: RunStore) -> RunGroup:
    """Three waiting runs."""
    return store.group(store.create_group(sweep(tiny_spec(), ["seed=1-3"]), "three seeds"))


def vary(app, **values: str):
    """Choose the fields to vary, and type their values."""
    chooser = next(widget for widget in app.multiselect if widget.key == "vary")
    app = chooser.set_value([name.replace("__", ".") for name in values]).run()
    for name, text in values.items():
        key = f"vary.{name.replace('__', '.')}"
        app = next(widget for widget in app.text_input if widget.key == key).set_value(text).run()
    return app


# ── the form ────────────────────────────────────────────────────────────────────────────────────────


def test_the_form_starts_every_combination_as_one_group(open_page, store):
    app = vary(open_page("distill"), escape__weight="0.1,1", seed="5-7")
    assert "6 runs" in page_text(app)
    command = app.code[-1].value
    assert "--vary escape.weight=0.1,1 --vary seed=5-7" in command
    next(widget for widget in app.text_input if widget.key == "group name").set_value("weights").run()
    app = button(app, "Start 6 runs").click().run()
    assert not app.exception
    runs = store.group("weights").runs
    assert [(run.spec.escape.weight, run.spec.seed) for run in runs] == [(w, s) for w in (0.1, 1) for s in (5, 6, 7)]
    assert runs[0].spec == from_preset("quick", runs[0].teacher, **{"escape.weight": 0.1, "seed": 5})
    assert app.query_params["run"] == runs[0].id
    assert not [name for name in app.query_params if name.startswith("vary")]


def test_the_fields_are_proposed_with_values(open_page, store):
    app = next(widget for widget in open_page("distill").multiselect if widget.key == "vary")
    app = app.set_value(["seed", "synthesis.kind", "epochs"]).run()
    proposed = {widget.key: widget.value for widget in app.text_input if widget.key.startswith("vary.")}
    assert proposed == {"vary.seed": "0-2", "vary.synthesis.kind": "dfq,cmi,nayer", "vary.epochs": "8"}
    assert button(app, "Start 9 runs")


def test_a_link_brings_what_is_varied(open_page, store):
    app = open_page("distill", **FIELDS)
    assert button(app, "Start 3 runs")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ("0-999999999", "expected at most 500"),
        ("", "a value is missing"),
        ("![x](http://x.example/x.png)", "expected a number, a word, true or false"),
    ],
)
def test_a_wrong_value_is_explained_and_cannot_start(open_page, store, values, says):
    app = vary(open_page("distill"), seed=values)
    assert not app.exception
    assert says in page_text(app)
    assert button(app, "Start").disabled
    assert not [error.value for error in app.error if "![" in error.value]


def test_a_name_that_is_taken_is_said_and_nothing_starts(open_page, store, group):
    app = open_page("distill", **FIELDS)
    next(widget for widget in app.text_input if widget.key == "group name").set_value("three seeds").run()
    app = button(app, "Start 3 runs").click().run()
    assert not app.exception
    assert "another group's name" in page_text(app)
    assert len(store.all_runs()) == 3


def test_the_time_of_many_runs_is_that_of_as_many_at_once_as_have_slots(lab_with_runs, monkeypatch):
    """It was their sum, twice as long as on two cores."""
    monkeypatch.setenv("ATESC_RUNS_DIR", str(lab_with_runs.runs_dir))
    monkeypatch.setattr(cost, "machine", lambda: None)
    assert cost.all_seconds([tiny_spec()]) is None
    monkeypatch.setattr(cost, "_estimated_seconds", lambda spec, runs: float(spec.epochs))
    specs = sweep(tiny_spec(), ["epochs=2,3", "seed=1-2"])
    assert cost.all_seconds(specs) == 10
    for kind, slots, threads, expected in (("cpu", 2, 1, 5), ("cpu", 2, 4, 10), ("cpu", 8, 4, 5), ("cuda", 2, 4, 5)):
        monkeypatch.setattr(cost, "machine", lambda kind=kind, slots=slots: SimpleNamespace(kind=kind, slots=slots))
        assert cost.all_seconds([spec.replaced({"threads": threads}) for spec in specs]) == expected
    assert cost.all_seconds([]) == 0


# ── a run again ─────────────────────────────────────────────────────────────────────────────────────


def test_a_run_is_repeated_with_other_seeds_and_joins_their_group(open_page, store):
    run_id = logged_run(store, (50, 90), seed=3)
    app = open_page("distill", run=run_id)
    seeds = next(widget for widget in app.text_input if widget.key == f"seeds {run_id}")
    assert seeds.value == "4-7"
    app = seeds.set_value("10,12-13").run()
    assert "3 runs" in page_text(app)
    app = button(app, "Start 3 runs").click().run()
    assert not app.exception
    group = store.group(store.get(run_id).group)
    assert [run.spec.seed for run in group.runs] == [3, 10, 12, 13]
    assert len({run.spec.model_copy(update={"seed": 0}) for run in group.runs}) == 1
    assert "group of 4 runs" in page_text(app)


def test_wrong_seeds_are_explained(open_page, store):
    run_id = store.create(tiny_spec())
    app = open_page("distill", run=run_id)
    app = next(widget for widget in app.text_input if widget.key == f"seeds {run_id}").set_value("9-1").run()
    assert "expected a range that ends after it starts" in page_text(app)
    assert not button(app, "Start 4 runs")


# ── a group ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_groups_card_says_how_far_it_is_and_changes_all_its_runs(open_page, store, group):
    app = open_page("distill", run=group.runs[0].id)
    assert "three seeds group of 3 runs" in " ".join(page_text(app).split())
    assert "3 queued" in page_text(app)
    for press, status in (("Pause all", "paused"), ("Resume all", "queued"), ("Stop all", "stopped")):
        app = button(app, press).click().run()
        assert not app.exception
        assert f"3 {status}" in page_text(app)
        assert {run.status for run in store.group("three seeds").runs} == {status}
    assert not button(app, "Stop all")
    assert page_link(app, "Open in Compare").query_string == "only.group=three+seeds&colour=setting"


def test_a_single_run_has_no_groups_card(open_page, store):
    app = open_page("distill", run=store.create(tiny_spec(), group="alone"))
    assert not button(app, "Stop all")


def test_a_waiting_run_moves_to_the_front(open_page, store, group):
    first, _, last = (run.id for run in group.runs)
    assert not button(open_page("distill", run=first), "Move to the front")
    app = button(open_page("distill", run=last), "Move to the front").click().run()
    assert not app.exception
    assert store.queue()[0].id == last
    assert not button(app, "Move to the front")


def test_a_run_that_has_just_begun_stays_where_it_is(open_page, store, group):
    app = open_page("distill", run=group.runs[2].id)
    set_status(store, group.runs[2].id, "running")
    app = button(app, "Move to the front").click().run()
    assert not app.exception


# ── names, notes, tags ──────────────────────────────────────────────────────────────────────────────


def test_a_run_gets_a_name_a_note_and_tags(open_page, store):
    run_id = logged_run(store, (50, 90))
    app = open_page("distill", run=run_id)
    for key, value in (("name", "![x](y)"), ("note", "two\n[lines](z)")):
        kinds = [*app.text_input, *app.text_area]
        app = next(widget for widget in kinds if widget.key == f"{key} {run_id}").set_value(value).run()
    button(app, "Save").click().run()
    run = store.get(run_id)
    assert (run.label, run.note, run.tags) == ("![x](y)", "two\n[lines](z)", ())
    store.set_tags(run_id, ["paper"])
    app = open_page("distill", run=run_id)
    assert not app.exception
    assert "![x](y)" in page_text(app)
    assert "paper" in page_text(app)
    assert "two\n[lines](z)" in page_text(app)


def test_a_name_with_a_bracket_is_refused_in_a_sentence(open_page, store):
    run_id = logged_run(store, (50, 90))
    app = open_page("distill", run=run_id)
    app = next(widget for widget in app.text_input if widget.key == f"name {run_id}").set_value("<b>").run()
    app = button(app, "Save").click().run()
    assert [error.value.replace("\\", "") for error in app.error] == [
        "name: '<b>' has '<'; expected letters, digits and signs."
    ]
    assert store.get(run_id).label is None


@pytest.mark.parametrize("page", ["distill", "robustness", "compare", "storage"])
def test_runs_are_found_by_their_words(open_page, store, page):
    runs = [logged_run(store, (50, 90), seed=seed) for seed in range(9)]
    store.annotate(runs[4], "for the reviewer")
    app = open_page(page, find="REVIEWER")
    assert not app.exception
    assert next(widget for widget in app.text_input if widget.key == "find").value == "REVIEWER"
    if page in ("compare", "storage"):
        assert len(app.dataframe[0].value) == 1
    else:
        picker = next(widget for widget in app.selectbox if widget.key == "run_picker")
        assert any(runs[4] in option for option in picker.options)
        assert len(picker.options) == (1 if page == "distill" else 2)  # and the one that is shown


def test_few_runs_need_no_search(open_page, store):
    logged_run(store, (50, 90))
    assert not [widget for widget in open_page("distill").text_input if widget.key == "find"]
