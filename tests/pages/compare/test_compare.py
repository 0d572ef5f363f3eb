"""Compare: which runs, which mean, and what is said about both."""

from __future__ import annotations

import json
import re
from html import unescape

import pytest

from atesc_core.runs import RunStore
from atesc_core.runs.log import RunLog
from pages.compare import comparison_view
from pages.compare.comparison_view import letters
from tests.support.labs import CONTROL, TEACHER, logged_run, tiny_spec
from tests.support.pages import charts, page_text
from tests.support.reports import numbers

OPEN_SET = "mnistm-fashion-ntl"


@pytest.fixture
def two_seeds(store: RunStore) -> list[str]:
    return [logged_run(store, (50, 90), (60, 10), seed=0), logged_run(store, (54, 94), (64, 30), seed=1)]


def table_of(app) -> list[list[str]]:
    """The results as they stand on the page, the heading first."""
    markup = next(element.proto.body for element in app.get("html") if "<table" in element.proto.body)
    return [
        [unescape(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)]
        for row in re.findall(r"<tr>(.*?)</tr>", markup)
    ]


def lines(app) -> dict[str, list[float]]:
    """name and axis -> y of the lines of the figure."""
    return {
        f"{trace['name']} {trace['yaxis']}": numbers(trace["y"]).tolist()
        for trace in charts(app)["compare"]["data"]
        if trace.get("meta", {}).get("quantity")
    }


def button(app, label: str):
    return next(button for button in app.get("download_button") if button.proto.label == label)


# ── which runs ──────────────────────────────────────────────────────────────────────────────────────


def test_an_empty_lab_says_what_to_do(open_page, store):
    app = open_page("compare")
    assert not app.exception
    assert "No runs yet" in page_text(app)
    assert "Distil two students" in page_text(app)
    assert not charts(app)


def test_a_run_that_waits_is_nothing_to_compare_yet(open_page, store):
    store.create(tiny_spec())
    app = open_page("compare")
    assert not app.exception
    assert "Nothing measured yet" in page_text(app)


@pytest.mark.parametrize(("found", "without_trap"), [(None, True), (4.0, False)])
def test_a_run_whose_labels_were_tried_has_a_trap_only_if_one_was_found(store, found, without_trap):
    """The notes on the labels counted as a trap, and a plain student could be called over-forgetting."""
    log = RunLog(store, store.get(logged_run(store, (50, 90), escape="twin")))
    for value, text in ((None, "label 8 is tried"), (None, "label 4 is tried"), (found, "decided")):
        log.note("trap", value, text)
    assert comparison_view._logged(str(store.runs_dir), log.run.id, None)[2] == without_trap


def test_the_list_names_the_epoch_of_its_accuracy(open_page, store):
    """It named the epoch in progress, and an accuracy that was not measured was "None"."""
    run_id = logged_run(store, (50, 90), (60, 10), status="stopped")
    RunLog(store, store.get(run_id)).write_round(3, 1, 64, {"g/bn": 0.1}, None, None)
    store.create(tiny_spec())
    app = open_page("compare")
    rows = app.dataframe[0].value
    assert list(rows["Measured"]) == ["–", f"epoch 2 of {store.get(run_id).epochs}"]
    assert rows["IAcc"].iloc[1] == 60
    assert app.dataframe[0].proto.placeholder == "–"


def test_the_link_names_the_runs(open_page, store, two_seeds):
    plain = logged_run(store, (70, 99), (71, 100), escape="none")
    assert [row[1] for row in table_of(open_page("compare"))[1:]] == ["ATEsc", "plain"]
    app = open_page("compare", runs=f"{two_seeds[0]},{plain}")
    assert not app.exception
    assert [row[1:3] for row in table_of(app)[1:]] == [["ATEsc", "1"], ["plain", "1"]]
    assert app.query_params["runs"] == f"{two_seeds[0]},{plain}"


def test_a_link_to_runs_that_are_gone_says_so(open_page, store, two_seeds):
    app = open_page("compare", runs="abcdefgh")
    assert not app.exception
    assert "Not here: 1 of the 1 runs that the link names" in page_text(app)
    assert charts(app)


def test_a_field_in_which_runs_differ_filters_them_from_the_link_too(open_page, store, two_seeds):
    logged_run(store, (70, 99), (71, 100), escape="none", **{"escape.weight": 0.9})
    app = open_page("compare", **{"only.escape.kind": "none"})
    assert not app.exception
    assert [row[1] for row in table_of(app)[1:]] == ["plain"]
    app = open_page("compare")
    keys = {widget.key for widget in app.multiselect}
    assert {"only.escape.kind", "only.escape.weight", "only.seed"} <= keys
    assert "only.lr" not in keys  # all alike
    next(each for each in app.multiselect if each.key == "only.escape.weight").set_value(["0.3"]).run()
    assert [row[1:3] for row in table_of(app)[1:]] == [["ATEsc", "2"]]


def test_filters_that_nothing_passes_say_what_to_do(open_page, store, two_seeds):
    app = open_page("compare", **{"only.seed": "0"})
    logged_run(store, (1, 1), escape="none", status="failed", seed=7)
    app = open_page("compare", **{"only.seed": "0", "only.status": "failed"})
    assert not app.exception
    assert "No run passes these filters" in page_text(app)


def test_specs_have_letters_without_end():
    assert letters(28)[:2] + letters(28)[-3:] == ["A", "B", "Z", "A2", "B2"]


# ── numbers ─────────────────────────────────────────────────────────────────────────────────────────


def test_two_seeds_are_a_mean_with_a_band(open_page, store, two_seeds):
    app = open_page("compare")
    assert not app.exception
    assert lines(app) == {"A · ATEsc y": [52, 62], "A · ATEsc y2": [92, 20]}
    assert table_of(app) == [
        ["", "Spec", "Seeds", "Epoch", "IAcc ↑ (%)", "ASR ↓ (%)"],
        ["A", "ATEsc", "2", "2", "62.0 ± 2.8", "20.0 ± 14.1"],
    ]
    legend = [trace["name"] for trace in charts(app)["compare"]["data"] if trace.get("showlegend") is not False]
    assert legend == ["A · ATEsc (mean, ± sd, 2 seeds)"]
    assert "one seed" not in page_text(app)


def test_one_seed_is_said_to_be_one(open_page, store, two_seeds):
    app = open_page("compare", runs=two_seeds[0])
    assert "A: one seed" in page_text(app)
    assert table_of(app)[1][-2:] == ["60.0", "10.0"]


def test_settings_are_never_averaged_together(open_page, store, two_seeds):
    logged_run(store, (40, 70), (42, 80), metric="olacc", teacher=OPEN_SET)
    app = open_page("compare")
    assert not app.exception
    assert table_of(app)[0][-3:] == ["IAcc ↑ (%)", "OLAcc ↓ (%)", "ASR ↓ (%)"]
    assert [row[-3:] for row in table_of(app)[1:]] == [["62.0 ± 2.8", "–", "20.0 ± 14.1"], ["42.0", "80.0", "–"]]
    assert lines(app)[f"B · {OPEN_SET} y2"] == [70, 80]
    assert lines(app)[f"A · {TEACHER} y3"] == [92, 20]
    assert "Several settings (backdoor, open-set)" in page_text(app)


def test_a_run_that_still_goes_is_shown_to_the_last_common_epoch(open_page, store, two_seeds):
    logged_run(store, (40, 100), seed=2, status="paused")
    app = open_page("compare")
    assert not app.exception
    assert lines(app)["A · ATEsc y"] == [48]
    assert "A: Still going: shown to epoch 1 of 2, the last that all 3 seeds have." in page_text(app)
    assert table_of(app)[1][2:4] == ["3", "1 of 2"]


def test_a_run_that_waits_is_counted_and_holds_nothing(open_page, store, two_seeds):
    logged_run(store, seed=2, status="queued")
    app = open_page("compare")
    assert not app.exception
    assert lines(app)["A · ATEsc y"] == [52, 62]
    assert "1 of these runs has no epoch yet." in page_text(app)


def test_a_threshold_moved_by_hand_is_another_line(open_page, store, two_seeds):
    steered = logged_run(store, (1, 1), (2, 2), seed=2)
    RunLog(store, store.get(steered)).write_threshold(2, 1, 4.0, "hand")
    app = open_page("compare")
    assert [row[1:3] for row in table_of(app)[1:]] == [["ATEsc", "2"], ["threshold moved by hand", "1"]]


# ── ways to show it ─────────────────────────────────────────────────────────────────────────────────


def test_smoothing_moves_the_curves_and_not_the_table(open_page, store, two_seeds):
    app = open_page("compare", smoothing="0.5")
    assert not app.exception
    drawn = [
        numbers(trace["y"]).tolist()
        for trace in charts(app)["compare"]["data"]
        if trace.get("meta", {}).get("quantity") == "iacc"
    ]
    assert drawn[0] == [52, 62]
    assert drawn[1] == pytest.approx([52, (52 * 0.5 + 62) / 1.5])
    assert table_of(app)[1][-2] == "62.0 ± 2.8"


def test_losses_are_means_of_their_epoch_on_either_axis(open_page, store, two_seeds):
    app = open_page("compare", show="Student loss", log="true")
    assert not app.exception
    assert lines(app) == {"A · ATEsc y": [1.5, 1.5]}
    assert charts(app)["compare"]["layout"]["yaxis"]["type"] == "log"
    app = open_page("compare", show="Generator loss", log="true")
    assert not app.exception
    assert "2 points are not above 0" in page_text(app)


def test_the_band_is_chosen_in_the_link(open_page, store, two_seeds):
    app = open_page("compare", band="min–max")
    band = next(trace for trace in charts(app)["compare"]["data"] if trace["name"] == "A · ATEsc min–max")
    assert list(band["y"]) == [54, 64, 60, 50]


# ── what is taken home ──────────────────────────────────────────────────────────────────────────────


def test_the_table_leaves_as_latex_and_csv(open_page, store, two_seeds):
    app = open_page("compare")
    tex = app.code[0].value
    assert "ATEsc & 2 & 2 & 62.0 $\\pm$ 2.8 & 20.0 $\\pm$ 14.1 \\\\" in tex
    assert f"% ATEsc: runs {' '.join(two_seeds)}" in tex
    for label in ("LaTeX", "CSV"):
        made = button(app, label).proto
        assert not made.disabled
        assert made.deferred_file_id, "a file of the last redraw is gone with the next: one press gave nothing"


def test_a_difference_has_what_differs_with_its_sentence_and_what_is_published(open_page, store, two_seeds):
    logged_run(store, (70, 99), (71, 100), **{"escape.weight": 0.9})
    app = open_page("compare")
    assert not app.exception
    words = " ".join(page_text(app).split())
    assert "escape.weight 0.3 0.9 λ, the weight of forgetting." in words
    assert "the same λ forgets less 1" in words  # what is published
    assert "Learning rate" not in page_text(app)


def test_names_from_users_stay_text(open_page, store, two_seeds):
    logged_run(store, (1, 1), (2, 2), teacher="<img src=x onerror=alert(1)>")
    app = open_page("compare")
    assert not app.exception
    assert not any("<img src=x" in element.proto.body for element in app.get("html"))


# ── what an escape costs ────────────────────────────────────────────────────────────────────────────


def test_an_outcome_without_a_control_says_so(open_page, store):
    """The same student was free, or over-forgetting, by what else was ticked; the table that left said neither."""
    ten = (30.0,) * 8
    atesc = logged_run(store, (50, 3), recalls=(40.0, 50.0, *ten))
    control = logged_run(store, (85, 2), escape="none", teacher=CONTROL, recalls=(90.0, 60.0, *ten))
    for ticked, expected in (((atesc,), "free, no control"), ((atesc, control), "over-forgetting")):
        heads, row, *_ = table_of(open_page("compare", runs=",".join(ticked)))
        assert row[heads.index("Trap")] == expected


def test_the_recall_of_each_class_is_in_the_table_and_drawn_for_each_spec(open_page, store):
    ten = (30.0,) * 8
    for seed, trap_recall in enumerate((0.0, 10.0)):
        logged_run(store, (50, 3), seed=seed, recalls=(trap_recall, 50.0, *ten))
    logged_run(store, (70, 99), escape="none", recalls=(80.0, 60.0, *ten))
    logged_run(store, (85, 2), escape="none", teacher=CONTROL, recalls=(90.0, 60.0, *ten))
    app = open_page("compare")
    assert not app.exception
    heads, atesc, plain, control = table_of(app)
    worst, trap = heads.index("Worst class (%)"), heads.index("Trap label's class (%)")
    assert (atesc[worst], atesc[trap]) == ("5.0 ± 7.1", "5.0 ± 7.1")
    assert (plain[worst], plain[trap]) == ("30.0", "80.0")
    assert [row[heads.index("Trap")] for row in (atesc, plain, control)] == [
        "over-forgetting in 2 of 2",
        "trapped",
        "control",
    ]
    figure = charts(app)["recalls 0"]
    assert figure["data"][0]["y"] == ["A", "B", "C"]
    assert [row[:2] for row in figure["data"][0]["text"]] == [["5", "50"], ["80", "60"], ["90", "60"]]
    assert len(figure["layout"]["shapes"]) == 3  # the trap label's cell of each


def test_runs_without_recalls_say_so(open_page, two_seeds):
    assert "Not measured yet." in page_text(open_page("compare"))


def test_runs_of_different_builds_are_said_to_be(open_page, store, two_seeds):
    builds = ({"PyTorch": "2.14.1", "processor": f"x86_64 {isa}", "device": "CPU"} for isa in ("AVX2", "AVX512"))
    with store.database.write() as connection:
        for run_id, build in zip(two_seeds[:2], builds, strict=True):
            connection.execute("UPDATE runs SET build = ? WHERE id = ?", (json.dumps(build), run_id))
    app = open_page("compare", runs=",".join(two_seeds[:2]))
    assert "PyTorch 2.14.1, x86_64 AVX2 (1 of 2 runs); PyTorch 2.14.1, x86_64 AVX512 (1 of 2 runs)" in page_text(app)


# ── a group ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_group_is_opened_with_its_card_and_a_colour_for_each_setting(open_page, store, two_seeds):
    """More settings than are compared without a group; the students of each are counted by their outcome."""
    ten = (50.0,) * 10
    grouped = [
        logged_run(store, (60, ood), seed=seed, recalls=ten, **{"escape.weight": weight})
        for weight in (0.1, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
        for seed, ood in enumerate((90, 2, 4))
    ]
    with store.database.write() as connection:
        marks = ",".join("?" * len(grouped))
        connection.execute(f"UPDATE runs SET run_group = 'weights' WHERE id IN ({marks})", grouped)
    app = open_page("compare", **{"only.group": "weights", "colour": "setting"})
    assert not app.exception
    assert "weights group of 27 runs" in " ".join(page_text(app).split())
    heads, *rows = table_of(app)
    assert [row[heads.index("Seeds")] for row in rows] == ["3"] * 9
    assert {row[heads.index("Trap")] for row in rows} == {"trapped in 1 of 3, free in 2 of 3, no control"}
    drawn = [trace for trace in charts(app)["compare"]["data"] if trace.get("meta", {}).get("quantity") == "iacc"]
    assert len({trace["line"]["color"] for trace in drawn}) == 9
    assert not any(label.startswith("Stop") for label in [each.label for each in app.button])


def test_a_group_without_a_measured_run_has_its_card(open_page, store):
    store.create_group([tiny_spec(), tiny_spec("none")], "new")
    app = open_page("compare", **{"only.group": "new"})
    assert not app.exception
    assert "2 queued" in page_text(app)
    assert "Nothing measured yet" in page_text(app)


def test_a_link_to_a_group_that_is_gone_shows_the_other_runs(open_page, store, two_seeds):
    app = open_page("compare", **{"only.group": "gone"})
    assert not app.exception
    assert "group of" not in page_text(app)
