from __future__ import annotations

import pytest
import torch
from torch import nn

from atesc_core.models import ARCHITECTURES, build
from atesc_core.synthesis.batchnorm import BatchNormMatch

# Weights and biases of the published nets for 10 classes: torchvision's ResNets; the others added up by hand
# from the layers in their repositories.
PARAMETERS = {
    "small": 89_866,
    "vgg11": 9_225_610,
    "vgg11_bn": 9_231_114,
    "vgg13": 9_410_122,
    "vgg13_bn": 9_416_010,
    "vgg13_dense32": 9_604_682,
    "vgg13_dense64": 9_997_898,
    "resnet18": 11_173_962,
    "resnet34": 21_282_122,
    "resnet18_imagenet": 11_181_642,
    "resnet34_imagenet": 21_289_802,
    "wrn_16_2": 691_674,
    "wrn_40_2": 2_243_546,
}


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_architecture_takes_all_sides_and_has_features_and_a_linear_head(arch):
    model = build(arch, 7).eval()
    assert isinstance(model.head, nn.Linear)
    with torch.no_grad():
        for side in (16, 32, 64):
            x = torch.rand(2, 3, side, side)
            logits = model(x)
            assert logits.shape == (2, 7)
            assert torch.allclose(model.head(model.features(x)), logits)


@pytest.mark.parametrize("arch", PARAMETERS)
def test_the_size_is_the_published_one(arch):
    with torch.device("meta"):
        assert sum(values.numel() for values in ARCHITECTURES[arch](10).parameters()) == PARAMETERS[arch]


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_what_is_said_of_batchnorm_is_so(arch):
    model, architecture = build(arch, 3), ARCHITECTURES[arch]
    assert architecture.batch_norm == any(isinstance(layer, nn.BatchNorm2d) for layer in model.modules())
    assert architecture.batch_norm != ("R_BN is 0" in architecture.description)
    if not architecture.batch_norm:
        with torch.no_grad(), BatchNormMatch(model.eval()) as match:
            model(torch.rand(2, 3, 32, 32))
            assert match.loss().item() == 0.0


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_stage_puts_out_a_map(arch):
    model, shapes = build(arch, 3).eval(), []
    for name in model.stages:
        model.backbone.get_submodule(name).register_forward_hook(lambda _, __, out: shapes.append(out.shape))
    with torch.no_grad():
        model(torch.rand(2, 3, 32, 32))
    assert len(shapes) == len(model.stages) >= 4
    assert all(len(shape) == 4 for shape in shapes)


def test_vgg_pools_a_fourth_time_at_64_px_only():
    """CMI's rule: the last block sees a 4×4 map at either side."""
    model, sides = build("vgg11", 3).eval(), []
    model.backbone.block4.register_forward_hook(lambda _, __, out: sides.append(out.shape[-1]))
    with torch.no_grad():
        for side in (32, 64):
            model(torch.rand(1, 3, side, side))
    assert sides == [4, 4]


def test_vgg_without_batchnorm_starts_alive():
    """Its features keep the scale of the image, so that it can be trained at all."""
    with torch.no_grad():
        features = build("vgg13", 10).eval().features(torch.rand(4, 3, 32, 32))
    assert 0.01 < features.std() < 10


def test_building_leaves_the_global_randomness_alone():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    build("small", 10, seed=5)
    assert torch.equal(torch.rand(1), expected)


def test_same_seed_same_weights():
    a, b, c = (build("small", 10, seed).head.weight for seed in (1, 1, 2))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
