"""Positions of BatchNorm statistics between ID and OOD, against exact answers."""

from __future__ import annotations

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from atesc_core.domains.loading import PairData, load_pair
from atesc_core.models import Classifier
from atesc_core.teachers.batchnorm import BatchNormReport, batchnorm_file, position
from atesc_core.teachers.batchnorm_measurement import measure_batchnorm, measured_batchnorm
from atesc_core.teachers.zoo import Teacher, load_teacher
from tests.support.labs import CONTROL, TEACHER
from tests.support.tiny_teachers import tiny

DATA = tiny("mnistm-mnist")


def measured(*layers: nn.Module, data: PairData = DATA) -> BatchNormReport:
    """The report on a teacher whose first layer gets the images as they are."""
    backbone = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model = Classifier(backbone, 3, 10, (), mean=(0, 0, 0), std=(1, 1, 1)).eval()
    return measure_batchnorm(Teacher(SimpleNamespace(), model), data)


@pytest.fixture
def layer() -> nn.BatchNorm2d:
    return nn.BatchNorm2d(3)


def statistics(domain) -> tuple[torch.Tensor, torch.Tensor]:
    variance, mean = torch.var_mean(domain.validation.images, (0, 2, 3), correction=0)
    return mean, variance


def test_a_running_mean_at_id_is_at_0_and_halfway_at_a_half(layer):
    (id_mean, id_variance), (ood_mean, ood_variance) = statistics(DATA.id), statistics(DATA.ood)
    for share in (0.0, 0.5, 1.0):
        layer.running_mean.copy_(torch.lerp(id_mean, ood_mean, share))
        layer.running_var.copy_(torch.lerp(id_variance, ood_variance, share))
        report = measured(layer)
        places = report.positions(report.running)
        assert places.mean == pytest.approx([share], abs=1e-4)
        assert places.mean_distance == pytest.approx([0], abs=1e-4)
    assert (report.id_images, report.ood_images) == (32, 32)
    assert report.layers == ("backbone.0",)


def test_a_layer_trained_on_a_half_and_half_batch_lies_where_the_half_mix_lies(layer):
    layer.momentum = 1.0
    layer.train()(torch.cat([DATA.id.validation.images, DATA.ood.validation.images]))
    report = measured(layer)
    places, mix = report.positions(report.running), report.positions(report.half_mix)
    assert places.mean == pytest.approx([0.5], abs=1e-4)
    assert places.variance == pytest.approx(mix.variance, rel=2e-3)  # the layer keeps the unbiased variance
    assert report.half_mix[1] == pytest.approx(report.running[1], rel=2e-3)
    assert abs(places.variance[0]) > 1, "a mix of two distant domains varies more than either of them"


def test_the_distance_from_the_line_is_in_units_of_its_length():
    start, end = np.zeros(2, np.float32), np.array([2, 0], np.float32)
    assert position(np.array([1, 3], np.float32), start, end) == pytest.approx((0.5, 1.5))
    assert position(np.array([-2, 0], np.float32), start, end) == pytest.approx((-1, 0))


def test_equal_domains_have_no_positions(layer):
    report = measured(layer, data=dataclasses.replace(DATA, ood=DATA.id))
    places = report.positions(report.running)
    for values in vars(places).values():
        assert np.isnan(values).all()


def test_layers_do_not_mix(layer):
    """Each layer's position is over its own channels."""
    second = nn.BatchNorm2d(3)
    report = measured(layer, second)
    mixed = np.concatenate([report.id[:, :3], report.ood[:, 3:]], axis=1)
    assert report.positions(mixed).mean == pytest.approx([0, 1], abs=1e-6)
    with pytest.raises(ValueError, match=r"shape \(2, 4\); expected \(2, 6\)"):
        report.positions(mixed[:, :4])


def test_a_teacher_without_batchnorm_has_no_layers():
    report = measured(nn.Identity())
    assert report.layers == ()
    assert report.positions(report.running).mean.shape == (0,)


def test_a_report_comes_back_as_it_was(layer, tmp_path):
    report = measured(layer)
    report.save(tmp_path / "report.npz")
    loaded = BatchNormReport.load(tmp_path / "report.npz")
    for field in dataclasses.fields(report):
        np.testing.assert_array_equal(getattr(loaded, field.name), getattr(report, field.name))


@pytest.mark.parametrize(
    ("name", "means", "tolerance"),
    [
        ("mnistm-fashion-ntl", [0.5] * 4, 0.1),
        ("mnistm-mnist-ntl", [0.5] * 4, 0.1),
        ("mnistm-mnist-cuti", [0.5] * 4, 0.1),
        ("mnistm-fashion-sl", [0.0] * 4, 0.1),
        ("mnistm-mnist-sl", [0.0] * 4, 0.1),
        # The trigger hardly changes the means: in the first layer, and in an SL teacher, the position says nothing.
        ("mnistm-badnet_sq-ntl", [math.nan, 0.5, 0.5, 0.5], 0.2),
    ],
)
def test_shipped_ntl_teachers_lie_halfway_and_sl_teachers_at_id(name: str, means: list[float], tolerance: float):
    teacher = load_teacher(name)
    report = measure_batchnorm(teacher, load_pair(teacher.card.pair, 16))
    places = report.positions(report.running)
    clear = ~np.isnan(means)
    assert places.mean[clear] == pytest.approx(np.array(means)[clear], abs=tolerance)
    assert (places.mean_distance[clear] < 0.25).all()


def test_a_report_is_measured_once(tmp_path):
    report = measured_batchnorm(TEACHER, tmp_path)
    data = load_pair("mnistm-badnet_sq", 16)
    assert (report.id_images, report.ood_images) == (len(data.id.validation), len(data.ood.validation))
    written = batchnorm_file(tmp_path, TEACHER).stat().st_mtime_ns
    again = measured_batchnorm(TEACHER, tmp_path)
    np.testing.assert_array_equal(again.running, report.running)
    assert batchnorm_file(tmp_path, TEACHER).stat().st_mtime_ns == written
    assert batchnorm_file(tmp_path, CONTROL) != batchnorm_file(tmp_path, TEACHER)
