"""Losses, groups, teacher and embedding: data in, data drawn."""

import base64
import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from atesc_core.figures import (
    class_sides,
    confusion,
    contact_sheet,
    embedding,
    fragile_share,
    losses_generator,
    losses_student,
    per_class,
    robust_share,
    theme,
)
from atesc_core.figures.losses import label_rows
from tests.support.figure_samples import (
    CLASSES,
    CONFUSION,
    FRAGILE,
    IMAGES,
    LABELS,
    REFERENCE,
    ROBUST,
    STEPS,
    SYNTHETIC,
)


def named(figure, text):
    return next(trace for trace in figure.data if trace.name and text in trace.name)


def said(figure):
    return " | ".join(note.text for note in figure.layout.annotations)


# ── losses ────────────────────────────────────────────────────────────────────


def test_each_generator_term_has_a_panel_of_its_own():
    figure = losses_generator(STEPS)
    assert [trace.name for trace in figure.data] == ["bn", "onehot"]
    assert [trace.yaxis for trace in figure.data] == ["y", "y2"]
    tops, bottoms = (figure.layout[axis].domain for axis in ("yaxis", "yaxis2"))
    assert tops[0] > bottoms[1]
    assert "R<sub>BN</sub>" in said(figure)
    assert "(nats)" in said(figure)


def test_rounds_are_placed_within_their_epoch():
    assert list(losses_generator(STEPS).data[0].x) == [0.5, 1.0, 1.5, 2.0]


def test_an_unknown_term_is_drawn_under_its_own_name():
    assert "prior" in said(losses_generator(STEPS.rename(columns={"g/bn": "g/prior"})))


def test_student_losses_have_their_groups_colours():
    figure = losses_student(STEPS)
    assert named(figure, "learn").line.color == theme.style("light").outline("fragile")
    assert named(figure, "forget").line.color == theme.style("light").outline("robust")
    assert list(named(figure, "total").y) == [1.0, 0.8, 1.0, 0.7]


def test_a_plain_run_has_no_robust_loss():
    figure = losses_student(STEPS.assign(**{"s/robust": np.nan}))
    assert [trace.name for trace in figure.data] == ["learn", "total"]


def test_fragile_share_is_per_cent_by_round_and_by_epoch():
    figure = fragile_share(STEPS)
    assert list(named(figure, "round").y) == [60.0, 70.0]
    assert list(named(figure, "round").x) == [1.5, 2.0]
    assert list(named(figure, "epoch").y) == pytest.approx([65, 65])
    assert list(named(figure, "epoch").x) == [1.0, 2.0]


@pytest.mark.parametrize("draw", [losses_generator, losses_student, fragile_share])
def test_before_the_first_round_it_says_what_it_waits_for(draw):
    assert said(draw(STEPS.head(0)))
    assert said(draw(pd.DataFrame(columns=["epoch", "round", "fragile_share"])))


# ── groups ────────────────────────────────────────────────────────────────────


def test_each_side_adds_up_to_100():
    figure = class_sides(LABELS, FRAGILE, class_names=["0", "1", "2"])
    fragile, robust = named(figure, "fragile"), named(figure, "robust")
    assert list(fragile.x) == pytest.approx([-100 / 3] * 3)
    assert fragile.name == "3 fragile"
    assert list(robust.x) == pytest.approx([200 / 3, 0, 100 / 3])
    assert -fragile.x.sum() == robust.x.sum() == pytest.approx(100)


def test_ticks_read_positive_on_both_sides():
    axis = class_sides(LABELS, FRAGILE, class_names=["0", "1", "2"]).layout.xaxis
    assert [abs(tick) for tick in axis.tickvals] == [float(text) for text in axis.ticktext]


@pytest.mark.parametrize("fragile", [np.ones(6, bool), np.zeros(6, bool)])
def test_an_empty_group_has_no_bars_and_no_error(fragile):
    figure = class_sides(LABELS, fragile, class_names=["0", "1", "2"])
    assert sorted(abs(trace.x.sum()) for trace in figure.data) == pytest.approx([0, 100])


def test_the_contact_sheet_holds_the_very_pixels_framed_by_group():
    figure = contact_sheet(IMAGES, fragile=FRAGILE, columns=3)
    source = figure.layout.images[0].source
    sheet = np.array(Image.open(io.BytesIO(base64.b64decode(source.split(",")[1]))))
    side = sheet.shape[1] // 3
    middle = sheet[side // 2 - 32 : side // 2 + 32 : 4, side // 2 - 32 : side // 2 + 32 : 4, :3]
    assert (middle == IMAGES[0].transpose(1, 2, 0)).all()
    frame = sheet[side // 2, side // 2 - 33, :3]
    assert bytes(frame) == bytes.fromhex(theme.COLOURS["robust"][1:])


# ── teacher ───────────────────────────────────────────────────────────────────


def test_robust_share_draws_id_and_ood_and_says_the_auroc():
    figure = robust_share(ROBUST, auroc=0.9683, images={"id": 1000, "ood": 900})
    assert named(figure, "ID").line.color == theme.COLOURS["id"]
    assert list(named(figure, "OOD").y) == list(ROBUST["ood"])
    assert "0.968" in figure.layout.legend.title.text
    assert "1\u202f000 images" in named(figure, "ID").hovertemplate
    assert "(1/255)" in figure.layout.xaxis.title.text


def test_per_class_says_the_mean_over_images():
    figure = per_class(CLASSES, metric="olacc")
    assert "ID <b>93.0 %</b>" in said(figure)
    assert "OOD <b>98.0 %</b>" in said(figure)
    assert figure.layout.xaxis2.title.text == "OLAcc (%)"
    assert list(figure.data[1].y) == ["Coat", "Bag"]


def test_confusion_is_by_row():
    heat = confusion(CONFUSION, rows=["0", "1"]).data[0]
    assert np.allclose(heat.z, [[90, 10], [2, 98]])
    assert (heat.customdata == CONFUSION).all()


def test_confusion_of_a_class_without_images_is_zero():
    assert not np.isnan(confusion([[0, 0], [1, 3]], rows=["0", "1"]).data[0].z).any()


# ── embedding ─────────────────────────────────────────────────────────────────


def test_screens_use_gl_and_print_uses_vectors():
    kinds = {
        mode: {trace.type for trace in embedding(REFERENCE, SYNTHETIC, mode).data if trace.customdata is not None}
        for mode in theme.MODES
    }
    assert kinds == {"light": {"scattergl"}, "dark": {"scattergl"}, "print": {"scatter"}}


@pytest.mark.parametrize("colour", ["group", "score", "class", "domain"])
def test_every_synthetic_point_carries_its_id_first(colour):
    figure = embedding(REFERENCE, SYNTHETIC, colour=colour)
    ids = [row[0] for trace in figure.data if trace.customdata is not None for row in trace.customdata]
    assert sorted(ids) == list(SYNTHETIC["id"])


def test_reference_points_can_be_selected_too():
    figure = embedding(REFERENCE, None, ground="points")
    assert [row[0] for trace in figure.data for row in trace.customdata] == list(REFERENCE["id"])


def test_groups_have_their_colours():
    figure = embedding(REFERENCE, SYNTHETIC)
    assert named(figure, "fragile").marker.color == theme.COLOURS["fragile"]
    assert len(named(figure, "robust").x) == (~FRAGILE).sum()


def test_the_threshold_is_the_middle_of_the_score_colours():
    marker = named(embedding(REFERENCE, SYNTHETIC, colour="score", threshold=3.0), "synthetic").marker
    assert list(np.sign(marker.color)) == [-1, -1, 0, 1, 1, 1]
    assert marker.color[-1] == 1
    assert marker.cmin == -marker.cmax
    assert marker.colorbar.ticktext == ("1", "3", "9")


def test_the_map_stays_still_from_epoch_to_epoch():
    every = pd.concat([SYNTHETIC, SYNTHETIC.assign(x=SYNTHETIC["x"] + 20)])
    figures = [embedding(REFERENCE, part, within=every) for part in (SYNTHETIC, SYNTHETIC.head(3))]
    assert len({tuple(figure.layout.xaxis.range) for figure in figures}) == 1
    assert figures[0].layout.xaxis.range[1] > every["x"].max()
    assert [t.uid for t in figures[0].data] == [t.uid for t in figures[1].data]


def test_pca_is_called_pca():
    assert embedding(REFERENCE, method="PCA").layout.xaxis.title.text.startswith("PCA 1")


def test_without_a_reference_it_says_so():
    assert "empty" in said(embedding(REFERENCE.head(0), SYNTHETIC))


@pytest.mark.parametrize(
    ("at", "rows"),
    [([1.0, 2.0, 3.0], [0, 1, 2]), ([1.0, 4.0, 7.0], [0, 0, 0]), ([1.0, 2.0, 4.0, 4.5], [0, 1, 0, 2]), ([], [])],
)
def test_labels_of_thresholds_an_epoch_apart_are_in_rows(at, rows):
    """They were printed over one another, in the app and in the PDF."""
    assert label_rows(at, 3.0) == rows
