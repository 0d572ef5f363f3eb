"""The ROC figure, on scores known by hand."""

from __future__ import annotations

import numpy as np

from atesc_core.figures.roc import roc

SCORES = np.array([1.0, 2.0, 3.0, np.inf])
IS_OOD = np.array([False, False, True, True])


def trace(figure, images: str, group: str | None = None):
    return next(t for t in figure.data if t.meta["images"] == images and t.meta.get("group") == group)


def test_a_perfect_score_goes_through_the_corner_and_says_its_auroc():
    curve = trace(roc({"real": (SCORES, IS_OOD)}), "real")
    assert (0.0, 100.0) in zip(curve.x, curve.y, strict=True)
    assert "AUROC <b>1.000</b>" in curve.name
    assert "4 real validation images" in curve.hovertemplate


def test_the_threshold_is_a_dot_on_each_curve():
    figure = roc({"real": (SCORES, IS_OOD), "synthetic": (SCORES, ~IS_OOD)}, 1.5)
    for images, place in (("real", (50.0, 100.0)), ("synthetic", (100.0, 50.0))):
        dot = trace(figure, images, "threshold")
        assert (dot.x[0], dot.y[0]) == place
        curve = trace(figure, images)
        assert place in zip(curve.x, curve.y, strict=True)
    assert "precision 66.7 %" in trace(figure, "real", "threshold").hovertemplate


def test_suggestions_stand_on_the_curve_of_the_real_images():
    figure = roc({"real": (SCORES, IS_OOD), "synthetic": (SCORES, IS_OOD)}, suggestions={"otsu": 2.0})
    found = [t for t in figure.data if t.meta.get("group") == "otsu"]
    assert [(t.meta["images"], t.x[0], t.y[0]) for t in found] == [("real", 0.0, 100.0)]


def test_moving_the_threshold_moves_the_dot_only():
    first, second = (roc({"real": (SCORES, IS_OOD)}, threshold) for threshold in (1.0, 3.0))
    assert [t.uid for t in first.data] == [t.uid for t in second.data]
    assert list(first.data[0].y) == list(second.data[0].y)


def test_images_of_one_side_have_no_curve():
    figure = roc({"real": (SCORES, IS_OOD), "synthetic": (SCORES, np.ones(4, bool))}, 1.0)
    assert {t.meta["images"] for t in figure.data} == {"real"}
    text = roc({"synthetic": (SCORES, np.ones(4, bool))}).layout.annotations[0].text
    assert text.replace("<br>", " ") == "Needs ID and OOD images"
