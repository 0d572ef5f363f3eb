"""Where BatchNorm statistics lie between real ID and real OOD, as drawn."""

from __future__ import annotations

import numpy as np

from atesc_core.figures import TeacherLine, batchnorm, batchnorm_epochs, theme
from atesc_core.teachers.batchnorm import Positions
from tests.support.figure_samples import AT_ID, HALFWAY, LAYERS

NONE = Positions(*[np.full(3, np.nan)] * 4)


def texts(figure) -> list[str]:
    return [note.text.replace("<br>", " ") for note in figure.layout.annotations]


def test_each_teacher_has_a_line_in_its_colour_for_mean_and_variance():
    figure = batchnorm([TeacherLine("NTL", LAYERS, HALFWAY), TeacherLine("SL", LAYERS, AT_ID)])
    lines = {trace.name: trace for trace in figure.data}
    assert set(lines) == {f"{kind} teacher, {part}" for kind in ("NTL", "SL") for part in ("mean", "variance")}
    mean, variance = lines["NTL teacher, mean"], lines["NTL teacher, variance"]
    assert list(mean.x) == [1, 2, 3]
    assert list(mean.y) == HALFWAY.mean.tolist()
    assert list(variance.y) == HALFWAY.variance.tolist()
    assert mean.line.color == variance.line.color == theme.COLOURS["NTL"]
    assert mean.line.width > variance.line.width


def test_the_levels_of_id_of_half_and_half_and_of_ood_are_drawn():
    figure = batchnorm([TeacherLine("NTL", LAYERS, HALFWAY)])
    assert [shape.y0 for shape in figure.layout.shapes] == [0, 0.5, 1]
    ticks = dict(zip(figure.layout.yaxis.tickvals, figure.layout.yaxis.ticktext, strict=True))
    assert "real ID" in ticks[0.0]
    assert ticks[0.5] == "half and half"
    assert "real OOD" in ticks[1.0]


def test_a_dot_far_from_the_line_is_open():
    figure = batchnorm([TeacherLine("NTL", LAYERS, HALFWAY)])
    mean = next(trace for trace in figure.data if trace.name == "NTL teacher, mean")
    surface, colour = theme.STYLES["light"].surface, theme.COLOURS["NTL"]
    assert list(mean.marker.color) == [colour, colour, surface]


def test_a_teacher_without_batchnorm_and_equal_domains_say_so():
    empty = Positions(*[np.empty(0)] * 4)
    assert "no BatchNorm layer" in texts(batchnorm([TeacherLine("NTL", (), empty)]))[0]
    assert "no BatchNorm layer" in texts(batchnorm_epochs([1], [empty], ()))[0]
    assert "same statistics" in texts(batchnorm([TeacherLine("NTL", LAYERS, NONE)]))[0]
    assert "same statistics" in texts(batchnorm_epochs([1], [NONE], LAYERS))[0]
    assert "end of epoch 1" in texts(batchnorm_epochs([], [], LAYERS, target=HALFWAY))[-1]


def test_epochs_are_a_line_a_layer_and_the_first_middle_and_last_are_thick():
    names = tuple("abcdef")
    rows = [Positions(*[np.full(6, value)] * 4) for value in (0.1, 0.2)]
    figure = batchnorm_epochs([1, 2], rows, names, target=rows[1])
    layers = {trace.meta["layer"]: trace for trace in figure.data if trace.meta["layer"] in names}
    assert list(layers) == list(names)
    assert all(list(trace.y) == [0.1, 0.2] for trace in layers.values())
    widths = [trace.line.width for trace in layers.values()]
    assert [width == max(widths) for width in widths] == [True, False, False, True, False, True]
    assert layers["f"].line.color == theme.STYLES["light"].ink
    [target] = [trace for trace in figure.data if trace not in layers.values()]
    assert np.allclose(target.y, 0.2)
    assert len(texts(figure)) == 3


def test_a_layer_whose_dots_are_all_far_from_the_line_is_faint_and_does_not_scale_the_axis():
    rows = [Positions(np.array([9.0, 0.5, 0.2]), np.array([4.0, 0.1, 0.1]), *[np.zeros(3)] * 2) for _ in range(2)]
    figure = batchnorm_epochs([1, 2], rows, LAYERS)
    assert [trace.opacity < 1 for trace in figure.data] == [True, False, False]
    assert figure.layout.yaxis.range[1] < 2
    assert [text for text in texts(figure) if "9.00" in text] == []


def test_what_r_bn_asks_for_is_in_the_teachers_colour():
    figure = batchnorm_epochs([1], [AT_ID], LAYERS, teacher="SL", target=AT_ID)
    target = next(trace for trace in figure.data if trace.name == "R<sub>BN</sub> asks for")
    assert target.line.color == theme.COLOURS["SL"]
    assert np.allclose(target.y, np.median(AT_ID.mean[:2]))


def test_the_marked_epoch_is_a_line():
    figure = batchnorm_epochs([1, 2], [HALFWAY, HALFWAY], LAYERS, epoch=2)
    assert [shape.x0 for shape in figure.layout.shapes if shape.x0 == shape.x1] == [2]
