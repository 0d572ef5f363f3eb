"""A device without values in place of CUDA: an operation on tensors of two devices fails as it would on a GPU.

PyTorch's meta device computes shapes and devices alone, with gradients. (Its FakeTensorMode needs a CUDA driver as soon
as a tensor that is said to be on CUDA has a gradient, so it cannot stand for a GPU here.)
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from unittest import mock

import torch

from atesc_core import device

META = torch.device("meta")
RANDOM = ("rand", "randn", "randint", "randperm")


class OtherGenerator(torch.Generator):
    """A random generator that says that it is on the other device."""

    device = META

    def __new__(cls, _: object = None) -> OtherGenerator:
        return super().__new__(cls)


def _without_generator(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    return lambda *arguments, generator=None, **named: function(*arguments, **named)


@contextlib.contextmanager
def other_device(*modules: object) -> Iterator[None]:
    """Within it, ``cuda`` is the device without values, and random numbers need no generator.

    ``modules``: those that have imported ``pick_device``.
    """
    with contextlib.ExitStack() as stack:
        for owner, name, value in (
            *((module, "pick_device", lambda _: META) for module in (device, *modules)),
            (torch, "Generator", OtherGenerator),
            (torch.Tensor, "is_cuda", property(lambda tensor: tensor.device.type == "meta")),
            *((torch, name, _without_generator(getattr(torch, name))) for name in RANDOM),
            (torch.Tensor, "normal_", lambda tensor, *_, **__: tensor),
            (torch.Tensor, "uniform_", lambda tensor, *_, **__: tensor),
        ):
            stack.enter_context(mock.patch.object(owner, name, value))
        yield
