"""The specification of a teacher's training: the recipe that its card stores, and a training run.

Needs no torch, so that pages and commands start fast.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar, Literal

from pydantic import Field

from atesc_core.specs.base import JobSpec, Spec, setting
from atesc_core.vocabulary import SETTINGS

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
Method = Literal["sl", "tntl", "cuti"]


# VGG-13 and ResNet-34 as NTLBench and TransNTL train them; CUTI-domain's own code trains VGG-11 on digits.
VGG_13 = ("vgg13", "vgg13_bn", "vgg13_dense32", "vgg13_bn_dense32", "vgg13_dense64", "vgg13_bn_dense64")
PUBLISHED_ARCHITECTURES = (*VGG_13, "resnet34", "resnet34_imagenet")


class TeacherRecipe(Spec):
    """How a teacher is trained; stored on its card.

    Published values are those of TransNTL's and CUTI-domain's public code (tmllab/2024_CVPR_TransNTL, config/cifarstl;
    LyWang12/CUTI-Domain, train_ts_digit.py).
    """

    pair: str = Field(min_length=1, max_length=1000, description="ID and OOD domain, and what it must do on the latter")
    kind: Literal["SL", "NTL"] = Field(description="SL: learns the ID domain only. NTL: also learns to fail on OOD")
    method: Literal["tntl", "cuti"] = setting(
        "tntl", "How an NTL teacher is trained; cuti, CUTI-domain, is for close-set pairs", ("tntl", "cuti")
    )
    arch: str = setting(
        "small",
        "Architecture, from random weights (published: from ImageNet's)",
        {"sl": PUBLISHED_ARCHITECTURES, "tntl": PUBLISHED_ARCHITECTURES, "cuti": (*PUBLISHED_ARCHITECTURES, "vgg11")},
        min_length=1,
        max_length=100,
    )
    image_side: int = setting(16, "Image side in pixels", (32, 64), ge=8, le=256)
    epochs: int = setting(25, "Epochs; ID and OOD accuracy are measured after each", (20, 30), ge=1, le=1000)
    batch_size: int = setting(128, "Images of each domain a step", 32, ge=4, le=4096)
    lr: float = setting(1e-3, "Learning rate (Adam, cosine to 0; published: times 0.999 a step)", 1e-4, gt=0, le=1)
    alpha: float = setting(
        0.1,
        "α: weight of the OOD cross-entropy inside the clamp at 1 (close-set)",
        {"tntl": 0.1, "cuti": 0.1},
        gt=0,
        le=10,
    )
    beta: float = setting(
        0.1, "β: weight of the MMD between ID and OOD features, clamped at 1", {"tntl": 0.1}, ge=0, le=10
    )
    seed: int = setting(0, "Seed of initialisation and batches", ge=0, lt=2**31)

    @property
    def trained_by(self) -> Method:
        """The training method: ``sl`` for an SL teacher, whatever ``method`` is."""
        return "sl" if self.kind == "SL" else self.method

    @property
    def variants(self) -> tuple[str, ...]:
        """The training method."""
        return (self.trained_by,)


class TeacherSpec(JobSpec, TeacherRecipe):
    """One training run. It adds its teacher to the user's teachers. Same spec, same kind of device: same teacher."""

    rounds: ClassVar[int] = 20  # parts of an epoch; each is logged, and the run can pause between two

    name: str = Field(
        pattern=rf"^{NAME.pattern}$",
        description="Its name from now on: lower-case letters, digits, - and _, at most 64",
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = setting("auto", "auto takes CUDA, then Apple MPS, then CPU")
    threads: int = setting(1, "Threads on the CPU; the last digits of the numbers depend on it", ge=1, le=256)
    preset: str = setting("custom", "The preset these settings started from", max_length=40)

    @property
    def recipe(self) -> TeacherRecipe:
        """The settings of the training alone, without name, device and preset."""
        return TeacherRecipe(**self.model_dump(include=set(TeacherRecipe.model_fields)))


ABOUT_METHODS: dict[Method, tuple[str, str]] = {
    "sl": ("SL", "Plain supervision on ID images only: the trustworthy control"),
    "tntl": (
        "tNTL",
        "Right on ID; wrong on OOD or, in open set and backdoor, one label for all of it. MMD keeps the "
        "features of the two domains apart (Wang et al., ICLR 2022)",
    ),
    "cuti": (
        "CUTI-domain",
        "Right on ID, wrong on OOD and on OOD features in ID style; close set only (Wang et al., CVPR 2023)",
    ),
}
METHODS: dict[Method, dict[str, Any]] = {
    "sl": {"kind": "SL"},
    "tntl": {"kind": "NTL", "method": "tntl"},
    "cuti": {"kind": "NTL", "method": "cuti"},
}
# Settings that each method uses besides the common ones. α bounds the OOD cross-entropy, which only close-set training
# increases.
ONLY_FOR: dict[str, tuple[tuple[Method, ...], tuple[str, ...]]] = {
    "alpha": (("tntl", "cuti"), ("close",)),
    "beta": (("tntl",), SETTINGS),
}
PRESETS: dict[str, dict[str, Any]] = {
    "quick": {"preset": "quick"},
    "paper": {
        "preset": "paper",
        "arch": "vgg13_bn",
        "image_side": 32,
        "epochs": 30,
        "batch_size": 32,
        "lr": 1e-4,
        "threads": 4,
    },
}
ABOUT_PRESETS = {
    "quick": "as the shipped teachers were trained, for two CPU cores",
    "paper": "as published for real data (NTLBench): VGG-13 with BatchNorm, 32 px, Adam at 1e-4, 30 epochs of batches "
    "of 32 + 32; for a GPU, not trained here",
}


def uses(field: str, method: Method, setting: str) -> bool:
    """Whether training by ``method`` on a pair of this ``setting`` (close, open or backdoor) reads ``field``."""
    methods, settings = ONLY_FOR.get(field, (tuple(METHODS), SETTINGS))
    return method in methods and setting in settings
