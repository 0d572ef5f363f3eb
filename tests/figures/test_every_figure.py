"""What holds for all figures alike."""

import pickle

import numpy as np
import pandas as pd
import pytest

from atesc_core.figures import FIGURES, theme, title
from tests.support import figure_samples
from tests.support.figure_samples import DRAW

EACH = pytest.mark.parametrize("name", FIGURES)
MODE = pytest.mark.parametrize("mode", theme.MODES)


def test_every_figure_has_a_sample_and_a_title():
    assert set(DRAW) == set(FIGURES)
    assert title("accuracy") == "Student accuracy by epoch"
    assert all(title(name) and not title(name).endswith(".") for name in FIGURES)


@EACH
@MODE
def test_zoom_survives_a_redraw(name, mode):
    assert DRAW[name](mode).layout.uirevision == theme.UIREVISION


@EACH
def test_traces_keep_their_identity_and_order(name):
    first, second = DRAW[name]("light"), DRAW[name]("light")
    uids = [trace.uid for trace in first.data]
    assert all(uids)
    assert len(set(uids)) == len(uids)
    assert uids == [trace.uid for trace in second.data]


@EACH
@MODE
def test_text_is_of_one_size(name, mode):
    """Export sets one font size in points, so nothing may carry a size of its own."""
    figure = DRAW[name](mode)
    sizes = [note.font.size for note in figure.layout.annotations]
    sizes += [trace.textfont.size for trace in figure.data if trace.type in ("scatter", "scattergl", "bar")]
    assert not any(sizes)


@EACH
def test_inputs_are_left_as_they_were(name):
    held = {key: value for key, value in vars(figure_samples).items() if isinstance(value, np.ndarray | pd.DataFrame)}
    before = pickle.dumps(held)
    DRAW[name]("light")
    assert pickle.dumps(held) == before


@EACH
def test_it_becomes_json(name):
    assert DRAW[name]("dark").to_json()


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in FIGURES
        if name not in ("contact_sheet", "per_class", "confusion", "losses_generator", "losses_teacher", "class_sides")
    ],
)
def test_axes_are_titled(name):
    figure = DRAW[name]("light")
    assert figure.layout.xaxis.title.text
    assert figure.layout.yaxis.title.text


@pytest.mark.parametrize(
    ("name", "unit"),
    [("accuracy", "(%)"), ("losses_student", "(nats)"), ("fragile_share", "(%)"), ("robust_share", "(%)")],
)
def test_y_axes_carry_their_unit(name, unit):
    assert unit in DRAW[name]("light").layout.yaxis.title.text


@pytest.mark.parametrize("name", ["accuracy", "fragile_share", "robust_share"])
def test_per_cent_axes_go_from_0_to_100(name):
    axis = DRAW[name]("light").layout.yaxis
    assert list(axis.tickvals) == [0, 20, 40, 60, 80, 100]
    assert axis.range[0] <= 0
    assert axis.range[1] >= 100
