"""Statistics of BatchNorm inputs, against a network whose statistics are known."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from atesc_core.models import build
from atesc_core.models.batchnorm import BatchNormInputs


class RegisteredBackwards(nn.Module):
    """Two BatchNorm layers whose modules are registered in the other order than images pass them."""

    def __init__(self) -> None:
        super().__init__()
        self.second, self.first = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
        self.first.running_mean.fill_(1)
        self.second.running_mean.fill_(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))


def test_layers_are_in_the_order_of_the_forward_pass():
    model = RegisteredBackwards().eval()
    x = torch.rand(8, 3, 4, 4)
    with BatchNormInputs(model) as inputs:
        model(x)
    assert inputs.layers == ("first", "second")
    assert inputs.channels == (3, 3)
    assert inputs.running().tolist() == [[1, 1, 1, 2, 2, 2], [1] * 6]
    mean, variance = inputs.statistics()
    variance_x, mean_x = torch.var_mean(x, (0, 2, 3), correction=0)
    torch.testing.assert_close(mean[:3], mean_x)
    torch.testing.assert_close(variance[:3], variance_x)


def test_batches_add_up_to_all_images():
    model = build("small", 10).eval()
    x = torch.rand(30, 3, 16, 16)
    with torch.no_grad(), BatchNormInputs(model) as at_once:
        model(x)
    with torch.no_grad(), BatchNormInputs(model) as in_parts:
        for part in torch.split(x, 7):
            model(part)
    assert at_once.channels == (32, 48, 64, 64)
    torch.testing.assert_close(at_once.statistics(), in_parts.statistics(), rtol=1e-4, atol=1e-6)
    assert not model.backbone[1]._forward_pre_hooks, "the hooks are removed"


def test_a_network_without_batchnorm_has_no_channels():
    model = build("vgg11", 10).eval()
    with torch.no_grad(), BatchNormInputs(model) as inputs:
        model(torch.rand(2, 3, 32, 32))
    assert inputs.layers == ()
    assert inputs.statistics().shape == inputs.running().shape == (2, 0)
