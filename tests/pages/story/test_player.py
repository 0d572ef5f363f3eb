"""The player of a recording, without a browser."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from pages.story.player import SPEEDS


def draw():
    from pages.story import player

    player.controls(player.visitor_player("a recording", 100.0))


@pytest.mark.parametrize("sent", [None, SPEEDS[-1]])
def test_a_speed_that_a_browser_does_not_send_leaves_the_players(sent):
    """On a page that was still loading the choice came as None: the page stopped at a TypeError."""
    app = AppTest.from_function(draw).run()
    before = app.session_state["player"][1].speed
    app.segmented_control(key="speed").set_value(sent).run()
    assert not app.exception
    assert app.session_state["player"][1].speed == (sent or before)
    assert app.segmented_control(key="speed").value == (sent or before)
    app.button(key="play").click().run()
    assert not app.exception
