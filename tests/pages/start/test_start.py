"""Start: the trap, the story live, this machine, the latest runs."""

from __future__ import annotations

import pandas as pd
import pytest

from pages.shared.data import story
from tests.support.labs import STORY, tiny_spec
from tests.support.pages import button, charts, page_text


def curve(metric: str, *points: tuple[float, float]) -> pd.DataFrame:
    """Epochs 1, 2, ... with (IAcc, OOD metric) each."""
    rows = enumerate(points, 1)
    return pd.DataFrame([{"epoch": epoch, "iacc": iacc, metric: other} for epoch, (iacc, other) in rows])


def test_an_empty_lab_says_what_to_do(open_page, store):
    app = open_page("start")
    assert not app.exception
    assert button(app, "Run the story live")
    assert "No runs yet" in page_text(app)
    assert "about" not in page_text(app).split("Three students")[1][:60]  # nobody knows yet how long it takes here
    assert not charts(app)


def test_the_button_queues_three_students_that_differ_in_one_thing_each(open_page, store):
    app = open_page("start")
    button(app, "Run the story live").click().run()
    assert not app.exception
    plain, atesc, control = reversed(store.list())
    assert plain.group == atesc.group == control.group == app.query_params["story"]
    assert {run.spec.preset for run in (plain, atesc, control)} == {"quick"}
    assert plain.spec.replaced({"escape.kind": "atesc"}) == atesc.spec
    assert plain.spec.replaced({"teacher": "mnistm-badnet_sq-sl"}) == control.spec
    assert sorted(charts(app)) == ["story-atesc", "story-control", "story-plain"]


def test_the_story_follows_the_chosen_setting(open_page, store):
    app = open_page("start")
    app.segmented_control(key="setting").set_value("open").run()
    button(app, "Run the story live").click().run()
    assert {run.spec.teacher for run in store.list()} == {"mnistm-fashion-ntl", "mnistm-fashion-sl"}


def test_stop_ends_all_that_is_left_of_the_story(open_page, store):
    app = open_page("start")
    button(app, "Run the story live").click().run()
    button(app, "Stop").click().run()
    assert {run.status for run in store.list()} == {"stopped"}
    app.run()  # what a fragment asks of a browser by st.rerun
    assert button(app, "Stop") is None


def test_the_last_story_is_there_to_see(open_page, finished_run):
    app = open_page("start")
    assert not app.exception
    shown = charts(app)
    assert sorted(shown) == ["story-atesc", "story-control", "story-plain"]
    own = [trace for trace in shown["story-plain"]["data"] if trace["name"] == "IAcc"]
    assert len(own[0]["x"]) == 2
    words = page_text(app)
    assert "The last story" in words
    assert "(epoch 2)" in words
    assert "of 32 images · epoch 2" in words


def test_a_link_to_a_story_shows_it(open_page, finished_run):
    app = open_page("start", story=STORY)
    assert "The last story" not in page_text(app)
    assert "story-plain" in charts(app)


def test_a_link_to_a_story_that_is_gone_says_so(open_page, store):
    app = open_page("start", story="story-gone")
    assert not app.exception
    assert "deleted" in page_text(app)
    assert button(app, "Run the story live")


# ── what the numbers say ────────────────────────────────────────────────────────────────────────────

TRAPPED = curve("asr", (50, 90), (70, 99.8))
CONTROL = curve("asr", (60, 1), (85, 0.4))


@pytest.mark.parametrize(
    ("curves", "over", "words"),
    [
        ({}, False, ["The first accuracies come after the first epoch."]),
        ({}, True, ["No student has been measured."]),
        ({"plain": TRAPPED}, False, ["after epoch 2: 70.0 % of ID images right, 99.8 % of triggered images", "Next:"]),
        ({"plain": TRAPPED}, True, ["after epoch 2"]),
        (
            {"plain": TRAPPED, "control": CONTROL},
            True,
            ["is in the trap: IAcc 70.0, ASR 99.8 %, from the SL teacher IAcc 85.0, ASR 0.4 % (epoch 2)"],
        ),
        ({"plain": CONTROL, "control": CONTROL}, True, ["is not in the trap"]),
        (
            {"plain": TRAPPED, "atesc": curve("asr", (50, 91), (69, 3))},
            True,
            ["ATEsc is out of it: ASR 99.8 → 3.0 %, for 1.0 points of IAcc (epoch 2)"],
        ),
        ({"plain": TRAPPED, "atesc": curve("asr", (50, 91), (72, 3))}, True, ["with 2.0 points more IAcc"]),
        ({"plain": TRAPPED, "atesc": curve("asr", (50, 91), (69, 70))}, True, ["ATEsc is on its way out"]),
        (
            {"plain": TRAPPED, "atesc": curve("asr", (50, 91))},
            False,
            ["ATEsc has not helped yet: ASR 90.0 → 91.0 %, at the same IAcc (epoch 1)"],
        ),
        ({"plain": TRAPPED, "atesc": curve("asr", (50, 91), (69, 97))}, True, ["ATEsc has not helped: "]),
        ({"plain": CONTROL, "atesc": TRAPPED}, True, ["ATEsc is worse off"]),
        # Close-set: higher OAcc is better, and how far out is judged by the SL teacher's student.
        (
            {"plain": curve("oacc", (77, 2)), "control": curve("oacc", (80, 92)), "atesc": curve("oacc", (70, 30))},
            True,
            [
                "is in the trap: IAcc 77.0, OAcc 2.0 %",
                "ATEsc is on its way out: OAcc 2.0 → 30.0 %, for 7.0 points of IAcc",
            ],
        ),
        (
            {"plain": curve("oacc", (77, 2)), "control": curve("oacc", (80, 92)), "atesc": curve("oacc", (70, 60))},
            True,
            ["trap", "ATEsc is out of it"],
        ),
    ],
)
def test_the_story_tells_what_was_measured(curves, over, words):
    sentences = " ".join(story.told(curves, over))
    for expected in words:
        assert expected in sentences
    assert ("Next:" in sentences) == (not over and "plain" in curves and "atesc" not in curves)


def test_a_run_of_another_version_is_counted_not_hidden_and_its_link_says_why(open_page, store):
    odd = store.create(tiny_spec())
    with store.database.write() as connection:
        connection.execute("""UPDATE runs SET spec = '{"teacher": "t", "new": 1}' WHERE id = ?""", (odd,))
    store.create(tiny_spec())
    assert f"Not listed: 1 made by another version, whose settings this one does not know ({odd})" in page_text(
        open_page("start")
    )
    app = open_page("distill", run=odd)
    assert not app.exception
    assert f"Run {odd} was made by another version." in app.error[0].value and "new: 1" in app.error[0].value
