"""The recall of each class, and which cell is the trap label's own."""

from __future__ import annotations

import math

import numpy as np
import pytest

from atesc_core.figures import RecallRow, confusion, recalls, theme
from atesc_core.figures.run_data import recall_row
from atesc_core.runs import ClassRecalls

ROWS = [RecallRow("A", [90.0, None, 12.6], 2), RecallRow("B", [0.0, 50.0, 100.0])]


@pytest.mark.parametrize("mode", ["light", "print"])
def test_a_cell_is_the_recall_and_the_trap_labels_is_outlined(mode):
    figure = recalls(ROWS, mode, classes=["x", "y", "z"])
    heatmap = figure.data[0]
    assert list(heatmap.x) == ["x", "y", "z"]
    assert list(heatmap.y) == ["A", "B"]
    assert [row[0] for row in heatmap.z] == [90, 0]
    assert math.isnan(heatmap.z[0][1])
    assert list(heatmap.text[0]) == ["90", "–", "13"]
    [outlined] = [shape for shape in figure.layout.shapes if shape.line.color == theme.style(mode).colour("ood")]
    assert (outlined.x0 + outlined.x1) / 2 == 2
    assert (outlined.y0 + outlined.y1) / 2 == 0


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("domain", ["id", "ood"])
def test_the_number_on_the_fullest_cell_can_be_read(mode, domain):
    """In the dark theme, Plotly wrote grey on the brightest blue."""
    for figure in (
        recalls(ROWS, mode, classes=["x", "y", "z"]),
        confusion(np.eye(3), mode, rows=list("xyz"), domain=domain),
    ):
        assert theme.contrast(figure.data[0].colorscale[-1][1], "#FFFFFF") >= theme.TEXT_CONTRAST


def test_many_classes_have_no_numbers():
    figure = recalls([RecallRow("A", [50.0] * 1000)], classes=[str(label) for label in range(1000)])
    assert figure.data[0].texttemplate is None


def test_a_row_is_the_mean_of_its_seeds():
    first, second = ClassRecalls(8, (90.0, None, 10.0), 0), ClassRecalls(8, (80.0, None, 30.0), 0)
    assert recall_row("A", [first, second]) == RecallRow("A", [85.0, None, 20.0], 0)
    assert recall_row("A", [first, ClassRecalls(8, (80.0, None, 30.0), 2)]).trap_label is None
    assert recall_row("A", [first, None]) is None
    assert recall_row("A", []) is None
    assert recall_row("A", [first], "A · ATEsc").name == "A · ATEsc"
