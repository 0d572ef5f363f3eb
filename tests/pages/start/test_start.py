"""Start: the trap, the story live, this machine, the latest runs."""

from __future__ import annotations

import pytest

from pages.shared.data.cost import seconds_together
from tests.support.labs import STORY, tiny_spec
from tests.support.pages import button, charts, page_text


def test_an_empty_lab_says_what_to_do(open_page, store):
    app = open_page("start")
    assert not app.exception
    assert button(app, "Run the story live")
    assert "No runs yet" in page_text(app)
    assert "about" not in page_text(app).split("Four students")[1][:60]  # nobody knows yet how long it takes here
    assert not charts(app)


def test_the_button_queues_four_students_that_differ_in_one_thing_each(open_page, store):
    app = open_page("start")
    button(app, "Run the story live").click().run()
    assert not app.exception
    students = plain, atesc, twin, control = list(reversed(store.distillations()))
    assert {run.group for run in students} == {app.query_params["story"]}
    assert {run.spec.preset for run in students} == {"quick"}
    assert plain.spec.replaced({"escape.kind": "atesc"}) == atesc.spec
    assert plain.spec.replaced({"escape.kind": "twin"}) == twin.spec
    assert plain.spec.replaced({"teacher": "mnistm-fashion-sl"}) == control.spec
    assert sorted(charts(app)) == ["story-atesc", "story-control", "story-plain", "story-twin"]


def test_the_story_follows_the_chosen_setting(open_page, store):
    app = open_page("start")
    app.segmented_control(key="setting").set_value("close").run()
    button(app, "Run the story live").click().run()
    assert {run.spec.teacher for run in store.distillations()} == {"mnistm-mnist-ntl", "mnistm-mnist-sl"}


def test_stop_ends_all_that_is_left_of_the_story(open_page, store):
    app = open_page("start")
    button(app, "Run the story live").click().run()
    button(app, "Stop").click().run()
    assert {run.status for run in store.distillations()} == {"stopped"}
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


def test_a_run_of_another_version_is_counted_not_hidden_and_its_link_says_why(open_page, store):
    odd = store.create(tiny_spec())
    with store.database.write() as connection:
        connection.execute("""UPDATE runs SET spec = '{"teacher": "t", "new": 1}' WHERE id = ?""", (odd,))
    store.create(tiny_spec())
    assert (
        f"Not listed: 1 made by another version, whose settings this one does not know, or damaged ({odd})"
        in page_text(open_page("start"))
    )
    app = open_page("distill", run=odd)
    assert not app.exception
    assert f"Run {odd} was made by another version, or is damaged." in app.error[0].value
    assert "new: 1" in app.error[0].value


@pytest.mark.parametrize(
    ("seconds", "slots", "expected"),
    [
        ([3.0, 3.0, 3.0], 1, 9.0),
        ([3.0, 3.0, 3.0], 2, 6.0),
        ([1.0, 1.0, 2.0, 2.0], 2, 3.0),
        ([5.0], 4, 5.0),
        ([], 2, 0.0),
    ],
)
def test_the_time_of_runs_side_by_side_is_that_of_the_last_one(seconds, slots, expected):
    assert seconds_together(seconds, slots) == expected
