"""Which architecture a file's keys and shapes are, in this lab's names or in the published ones.

Published names, as read in the repositories' own classifiers:
- CMI and NAYER (zju-vipa/CMI and tmtuan1307/NAYER; ``registry.py``, ``train_scratch.py``): ``{'state_dict': ...}``.
  ResNet ``conv1``, ``layer1.0.shortcut.0``, ``linear``; WRN ``block1.layer.0.convShortcut``, ``fc``; VGG
  ``block0.0``, ``classifier``. Their ``vgg11`` is VGG-11 with BatchNorm, and convolutions have biases.
- NTLBench and TransNTL (tmllab/NTLBench, tmllab/2024_CVPR_TransNTL; ``models/ntl_vggnet.py``,
  ``utils/load_utils.py``): bare state dicts. VGG ``features.0``, ``classifier1.0``, ``.3``, ``.6``; ResNet is
  torchvision's: ``layer2.0.downsample.0``, ``fc``.
``module.``, which DataParallel puts before every name, is taken off.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from atesc_core.errors import TeacherError
from atesc_core.models import ARCHITECTURES, CLASSES, Classifier, build
from atesc_core.teachers.files import Listing, list_file, read_tensors, shown
from atesc_core.teachers.normalisation import read_normalisation

STATED = {"mean", "std"}  # this lab's files say their normalisation; published ones do not


@dataclass(frozen=True)
class Format:
    """Names of one repository. ``marker`` and the head's weight tell it from the others."""

    source: str
    marker: str
    head: str
    renamed: tuple[tuple[str, str], ...] = ()  # (their part of a name, ours)

    def ours(self, key: str) -> str:
        if self.source == OURS:
            return key
        if key.startswith(f"{self.head}."):
            return "head" + key.removeprefix(self.head)
        for theirs, ours in self.renamed:
            key = key.replace(theirs, ours)
        return f"backbone.{key}"

    def theirs(self, key: str) -> str:
        if self.source == OURS or key in STATED:
            return key
        if key.startswith("head."):
            return self.head + key.removeprefix("head")
        key = key.removeprefix("backbone.")
        for theirs, ours in self.renamed:
            key = key.replace(ours, theirs)
        return key


OURS, CMI, NTL = "this lab", "CMI and NAYER", "NTLBench and TransNTL"
FORMATS = (
    Format(OURS, "head.weight", "head"),
    Format(CMI, "layer1.0.conv1.weight", "linear"),
    Format(CMI, "block1.layer.0.conv1.weight", "fc"),
    Format(CMI, "block0.0.weight", "classifier"),
    Format(NTL, "features.0.weight", "classifier1.6", (("classifier1.", "dense."),)),
    Format(NTL, "features.0.weight", "classifier.6", (("classifier.", "dense."),)),
    Format(NTL, "layer1.0.conv1.weight", "fc", (("downsample", "shortcut"),)),
)


@dataclass(frozen=True)
class Recognised:
    """What a file is, as far as it says so itself."""

    arch: str
    source: str
    num_classes: int
    says_normalisation: bool
    normalisation: str  # what to take where the file says none: a name of NORMALISATIONS
    class_names: tuple[str, ...] | None
    image_side: int | None = None


def recognise(path: Path) -> Recognised:
    """The architecture whose tensors the file holds, to be confirmed by the user; no weight is read.

    Raises TeacherError where the file cannot be read, or fits no architecture: the nearest is named.
    """
    listing = list_file(Path(path))
    layout = _layout(listing, "a listed architecture")
    problems = {arch: _difference(layout, arch) for arch in ARCHITECTURES}
    fits = [arch for arch, problem in problems.items() if problem is None]
    if not fits:
        nearest = min(ARCHITECTURES, key=lambda arch: _distance(layout, arch))
        raise TeacherError(
            f"{listing.name}: its tensors are those of no listed architecture; the nearest: {problems[nearest]}"
        )
    return Recognised(
        fits[0],
        layout.format.source,
        layout.num_classes,
        layout.shapes.keys() >= STATED,
        _usual(layout.format.source, layout.num_classes),
        listing.class_names,
        listing.image_side,
    )


def check_file(path: Path, arch: str, num_classes: int | None = None, normalisation: str | None = None) -> Classifier:
    """The file's weights in a classifier of ``arch``, frozen and in evaluation mode; nothing in it is executed.

    ``num_classes`` None reads it off the file's head. ``normalisation`` (a name, or six numbers) is for a file
    that does not say its own; None takes what is usual where the file comes from (`Recognised.normalisation`).
    Raises TeacherError: unreadable, empty, oversize, truncated or wrongly named file, pickled code, unlisted
    architecture, missing, unlisted or mis-shaped tensors, weights that are not finite numbers.
    """
    if arch not in ARCHITECTURES:
        raise TeacherError(f"arch: {arch!r} is not known; expected one of {', '.join(ARCHITECTURES)}")
    path = Path(path)
    layout = _layout(list_file(path), arch)
    if num_classes not in (None, layout.num_classes):
        raise TeacherError(f"{path.name}: {layout.num_classes} classes; expected {num_classes}")
    if problem := _difference(layout, arch):
        raise TeacherError(f"{path.name}: {problem}")
    mean_std = _normalisation(layout, path.name, normalisation)
    weights = {
        layout.ours[key]: value.float() if value.is_floating_point() else value
        for key, value in read_tensors(path).items()
    }
    _check_values(layout, weights)
    model = build(arch, layout.num_classes)
    model.load_state_dict(model.state_dict() | mean_std | weights)
    return model.eval().requires_grad_(False)


@dataclass(frozen=True)
class _Layout:
    """A listing in this lab's names."""

    name: str
    format: Format
    ours: dict[str, str]  # the file's key -> ours
    shapes: dict[str, tuple[int, ...]]  # by our key
    floating: dict[str, bool]  # by our key
    prefix: str  # of every key in the file
    num_classes: int

    def theirs(self, key: str) -> str:
        return self.prefix + self.format.theirs(key)


def _layout(listing: Listing, expected: str) -> _Layout:
    keys = listing.shapes.keys()
    prefix = "module." if keys and all(key.startswith("module.") for key in keys) else ""
    bare = {key: key.removeprefix(prefix) for key in keys}
    for form in FORMATS:
        if {form.marker, f"{form.head}.weight"} <= set(bare.values()):
            break
    else:
        raise TeacherError(
            f"{listing.name}: found {_some(keys) or 'no tensors'}; expected the keys of {expected}, "
            "as this lab saves them ('head.weight') or as CMI, NAYER, NTLBench or TransNTL publish them"
        )
    ours = {key: form.ours(name) for key, name in bare.items()}
    if twice := [key for key, name in ours.items() if list(ours.values()).count(name) > 1]:
        raise TeacherError(f"{listing.name}: {_some(twice)} are the same tensor twice; expected one of them")
    shapes = {ours[key]: shape for key, shape in listing.shapes.items()}
    head = shapes["head.weight"]
    if len(head) != 2 or head[0] not in CLASSES:
        raise TeacherError(
            f"{listing.name}: {prefix}{form.head}.weight has shape {head}; expected {CLASSES[0]} to "
            f"{CLASSES[-1]} classes × features"
        )
    return _Layout(
        listing.name, form, ours, shapes, {ours[key]: value for key, value in listing.floating.items()}, prefix, head[0]
    )


@cache
def _expected(arch: str, num_classes: int) -> dict[str, Tensor]:
    """Names and shapes of an architecture; nothing is allocated."""
    with torch.device("meta"):
        return ARCHITECTURES[arch](num_classes).state_dict()


def _missing(layout: _Layout, arch: str) -> set[str]:
    """A file need not say its normalisation, nor how many batches BatchNorm saw: evaluation does not use it."""
    missing = _expected(arch, layout.num_classes).keys() - layout.shapes.keys()
    missing = {key for key in missing if not key.endswith("num_batches_tracked")}
    return missing - STATED if missing >= STATED else missing


def _difference(layout: _Layout, arch: str) -> str | None:
    """What keeps the file from being ``arch``, in the file's own names; None where it fits."""
    expected = _expected(arch, layout.num_classes)
    if missing := _missing(layout, arch):
        return f"not {arch}: missing {_some(map(layout.theirs, missing))}"
    if unlisted := [key for key, ours in layout.ours.items() if ours not in expected]:
        return f"not {arch}: unexpected {_some(unlisted)}"
    for theirs, key in layout.ours.items():
        if layout.shapes[key] != tuple(expected[key].shape):
            return f"{theirs} has shape {layout.shapes[key]}; {arch} expects {tuple(expected[key].shape)}"
        if layout.floating[key] != expected[key].is_floating_point():
            return f"{theirs} holds the wrong kind of numbers; {arch} expects {expected[key].dtype}"
    return None


def _distance(layout: _Layout, arch: str) -> int:
    """How many tensors differ."""
    expected = {key: tuple(value.shape) for key, value in _expected(arch, layout.num_classes).items()}
    return len(expected.items() ^ layout.shapes.items())


def _normalisation(layout: _Layout, name: str, text: str | None) -> dict[str, Tensor]:
    """``mean`` and ``std`` for a file that has none; empty for one that has."""
    if layout.shapes.keys() >= STATED:
        if text is not None:
            raise TeacherError(f"{name}: the file says its own normalisation; expected none beside it, found {text!r}")
        return {}
    values = read_normalisation(text or _usual(layout.format.source, layout.num_classes))
    return {key: torch.tensor(value).view(1, 3, 1, 1) for key, value in zip(("mean", "std"), values, strict=True)}


def _usual(source: str, num_classes: int) -> str:
    """The normalisation of that repository's main data sets."""
    if source == NTL:
        return "imagenet"
    if source == CMI:
        return {10: "cifar10", 100: "cifar100"}.get(num_classes, "half")
    return "half"


def _check_values(layout: _Layout, weights: dict[str, Tensor]) -> None:
    for key, tensor in weights.items():
        where = f"{layout.name}: {layout.theirs(key)}"
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise TeacherError(f"{where} holds NaN or infinite values; expected finite weights")
        if key.endswith("running_var") and (tensor < 0).any() or key == "std" and (tensor <= 0).any():
            raise TeacherError(f"{where} holds {tensor.min():g}; expected positive numbers")


def _some(keys: Iterable[str]) -> str:
    """The first three of ``keys``."""
    order = sorted(keys)
    more = f" and {len(order) - 3} more" if len(order) > 3 else ""
    return ", ".join(map(shown, order[:3])) + more
