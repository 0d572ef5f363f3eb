"""How far students go along with the teacher: the selection in front, all images behind."""

from __future__ import annotations

import pandas as pd

from atesc_core.figures import theme
from atesc_core.figures.agreement import agreement

CHOSEN = pd.DataFrame({"epoch": [1, 3], "agreement": [25.0, 75.0], "confidence": [20.0, 60.0]})
EVERY = pd.DataFrame({"epoch": [1, 3], "agreement": [50.0, 55.0], "confidence": [40.0, 45.0]})


def drawn(**changes):
    return agreement(CHOSEN, EVERY, images=(8, 128), epoch=3, epochs=6, **changes)


def test_the_selection_stands_before_all_images():
    lines = {(line.meta["images"], line.meta["series"]): line for line in drawn().data}
    assert list(lines) == [
        ("all", "agreement"),
        ("all", "confidence"),
        ("chosen", "agreement"),
        ("chosen", "confidence"),
    ]
    for (who, series), line in lines.items():
        points = CHOSEN if who == "chosen" else EVERY
        assert (list(line.x), list(line.y)) == ([1, 3], list(points[series]))
        assert (line.opacity < 1) == (who == "all")
        assert line.name.startswith("8 selected" if who == "chosen" else "128 in all")


def test_the_axis_is_the_runs_and_the_images_epoch_is_marked():
    figure = drawn()
    assert figure.layout.xaxis.range[1] > 6
    assert [mark.x0 for mark in figure.layout.shapes] == [3]
    assert figure.layout.yaxis.title.text == "Agreement (%)"


def test_text_is_of_one_size_and_redraws_keep_the_zoom():
    for mode in theme.MODES:
        figure = drawn(mode=mode)
        assert not any(note.font.size for note in figure.layout.annotations)
        assert figure.layout.uirevision == theme.UIREVISION
        assert [line.uid for line in figure.data] == [line.uid for line in drawn(mode=mode).data]
