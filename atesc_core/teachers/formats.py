"""Recognise the architecture of a file by its keys and shapes, in this lab's names or in published names.

Published names, from the classifiers in the repositories:
- CMI and NAYER (zju-vipa/CMI and tmtuan1307/NAYER; ``registry.py``, ``train_scratch.py``): ``{'state_dict': ...}``.
  ResNet ``conv1``, ``layer1.0.shortcut.0``, ``linear``; WRN ``block1.layer.0.convShortcut``, ``fc``; VGG
  ``block0.0``, ``classifier``. Their ``vgg11`` is VGG-11 with BatchNorm, and convolutions have biases.
- NTLBench and TransNTL (tmllab/NTLBench, tmllab/2024_CVPR_TransNTL; ``models/ntl_vggnet.py``,
  ``utils/load_utils.py``): bare state dicts. VGG ``features.0``, ``classifier1.0``, ``.3``, ``.6``; ResNet is
  torchvision's: ``layer2.0.downsample.0``, ``fc``.
The prefix ``module.`` of DataParallel is removed.
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
from atesc_core.teachers.files import Listing, list_file, printable, read_tensors
from atesc_core.teachers.normalisation import read_normalisation

NORMALISATION_KEYS = {"mean", "std"}  # in this lab's files; published files do not store their normalisation


@dataclass(frozen=True)
class Format:
    """The names that a repository gives to the tensors of one family of architectures."""

    source: str
    marker: str  # a key that, with the head's weight, tells this format from the others
    head: str
    renamed: tuple[tuple[str, str], ...] = ()  # (part of a name in the repository, in this lab)

    def to_lab(self, key: str) -> str:
        """This lab's name for the tensor that the repository calls ``key``."""
        if self.source == LAB:
            return key
        if key.startswith(f"{self.head}."):
            return "head" + key.removeprefix(self.head)
        for published, lab in self.renamed:
            key = key.replace(published, lab)
        return f"backbone.{key}"

    def from_lab(self, key: str) -> str:
        """The repository's name for the tensor that this lab calls ``key``."""
        if self.source == LAB or key in NORMALISATION_KEYS:
            return key
        if key.startswith("head."):
            return self.head + key.removeprefix("head")
        key = key.removeprefix("backbone.")
        for published, lab in self.renamed:
            key = key.replace(lab, published)
        return key


LAB, CMI, NTL = "this lab", "CMI and NAYER", "NTLBench and TransNTL"
FORMATS = (
    Format(LAB, "head.weight", "head"),
    Format(CMI, "layer1.0.conv1.weight", "linear"),
    Format(CMI, "block1.layer.0.conv1.weight", "fc"),
    Format(CMI, "block0.0.weight", "classifier"),
    Format(NTL, "features.0.weight", "classifier1.6", (("classifier1.", "dense."),)),
    Format(NTL, "features.0.weight", "classifier.6", (("classifier.", "dense."),)),
    Format(NTL, "layer1.0.conv1.weight", "fc", (("downsample", "shortcut"),)),
)


@dataclass(frozen=True)
class Recognised:
    """The architecture of a file, and other facts that the file gives."""

    arch: str
    source: str  # the repository whose tensor names it uses
    num_classes: int
    says_normalisation: bool
    normalisation: str  # default if the file has none: a name of NORMALISATIONS
    class_names: tuple[str, ...] | None
    image_side: int | None = None


def recognise(listing: Listing) -> Recognised:
    """The architecture whose tensors a file holds, for the user to confirm.

    Raises:
        TeacherError: the file fits no architecture; the message names the nearest.
    """
    layout = _layout(listing, "a listed architecture")
    problems = {arch: _difference(layout, arch) for arch in ARCHITECTURES}
    fits = [arch for arch, problem in problems.items() if problem is None]
    if not fits:
        nearest = min(ARCHITECTURES, key=lambda arch: _differing_tensors(layout, arch))
        raise TeacherError(
            f"{listing.name}: its tensors are those of no listed architecture; the nearest: {problems[nearest]}"
        )
    return Recognised(
        fits[0],
        layout.format.source,
        layout.num_classes,
        layout.shapes.keys() >= NORMALISATION_KEYS,
        _usual_normalisation(layout.format.source, layout.num_classes),
        listing.class_names,
        listing.image_side,
    )


def read_classifier(
    path: Path,
    arch: str,
    num_classes: int | None = None,
    normalisation: str | None = None,
    listing: Listing | None = None,
) -> Classifier:
    """A file's weights in a classifier, frozen and in evaluation mode. Nothing in the file is executed.

    Args:
        path: Path of the file.
        arch: Name of the architecture.
        num_classes: Number of classes that the file must have; None accepts any.
        normalisation: For a file without normalisation: a name, or six numbers, see `read_normalisation`. None
            takes the usual one of the repository that the file comes from.
        listing: The result of `list_file` for this file, so that it is not listed again.

    Raises:
        TeacherError: unreadable, empty, oversize, truncated or wrongly named file; pickled code; unlisted
            architecture; missing, unlisted or mis-shaped tensors; weights that are not finite numbers.
    """
    if arch not in ARCHITECTURES:
        raise TeacherError(f"arch: {arch!r} is not known; expected one of {', '.join(ARCHITECTURES)}")
    layout = _layout(listing or list_file(path), arch)
    if num_classes not in (None, layout.num_classes):
        raise TeacherError(f"{layout.name}: {layout.num_classes} classes; expected {num_classes}")
    if problem := _difference(layout, arch):
        raise TeacherError(f"{layout.name}: {problem}")
    mean_std = _normalisation(layout, normalisation)
    tensors = read_tensors(path, layout.name)
    if tensors.keys() != layout.lab_keys.keys():  # another file is there now
        raise TeacherError(f"{layout.name}: it changed after it was listed; expected the same file")
    weights = {
        layout.lab_keys[key]: value.float() if value.is_floating_point() else value for key, value in tensors.items()
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
    lab_keys: dict[str, str]  # the file's key -> this lab's
    shapes: dict[str, tuple[int, ...]]  # by this lab's key
    floating: dict[str, bool]  # by this lab's key
    prefix: str  # of every key in the file
    num_classes: int

    def file_key(self, lab_key: str) -> str:
        return self.prefix + self.format.from_lab(lab_key)


def _layout(listing: Listing, expected: str) -> _Layout:
    """The listing in this lab's names; ``expected`` is for the error message if the format is unknown."""
    keys = listing.shapes.keys()
    prefix = "module." if keys and all(key.startswith("module.") for key in keys) else ""
    bare = {key: key.removeprefix(prefix) for key in keys}
    for form in FORMATS:
        if {form.marker, f"{form.head}.weight"} <= set(bare.values()):
            break
    else:
        raise TeacherError(
            f"{listing.name}: found {_first_three(keys) or 'no tensors'}; expected the keys of {expected}, "
            "as this lab saves them ('head.weight') or as CMI, NAYER, NTLBench or TransNTL publish them"
        )
    lab_keys = {key: form.to_lab(name) for key, name in bare.items()}
    if twice := [key for key, name in lab_keys.items() if list(lab_keys.values()).count(name) > 1]:
        raise TeacherError(f"{listing.name}: {_first_three(twice)} are the same tensor twice; expected one of them")
    shapes = {lab_keys[key]: shape for key, shape in listing.shapes.items()}
    head = shapes["head.weight"]
    if len(head) != 2 or head[0] not in CLASSES:
        raise TeacherError(
            f"{listing.name}: {prefix}{form.head}.weight has shape {head}; expected {CLASSES[0]} to "
            f"{CLASSES[-1]} classes × features"
        )
    floating = {lab_keys[key]: value for key, value in listing.floating.items()}
    return _Layout(listing.name, form, lab_keys, shapes, floating, prefix, head[0])


@cache
def _empty_state(arch: str, num_classes: int) -> dict[str, Tensor]:
    """Names and shapes of an architecture's tensors; nothing is allocated."""
    with torch.device("meta"):
        return ARCHITECTURES[arch](num_classes).state_dict()


def _missing(layout: _Layout, arch: str) -> set[str]:
    """Missing required tensors. Normalisation and BatchNorm's counts of batches are not required for evaluation."""
    missing = _empty_state(arch, layout.num_classes).keys() - layout.shapes.keys()
    missing = {key for key in missing if not key.endswith("num_batches_tracked")}
    return missing - NORMALISATION_KEYS if missing >= NORMALISATION_KEYS else missing


def _difference(layout: _Layout, arch: str) -> str | None:
    """The first reason why the file is not ``arch``, in the file's names; None if it fits."""
    expected = _empty_state(arch, layout.num_classes)
    if missing := _missing(layout, arch):
        return f"not {arch}: missing {_first_three(map(layout.file_key, missing))}"
    if unlisted := [key for key, lab_key in layout.lab_keys.items() if lab_key not in expected]:
        return f"not {arch}: unexpected {_first_three(unlisted)}"
    for file_key, key in layout.lab_keys.items():
        if layout.shapes[key] != tuple(expected[key].shape):
            return f"{file_key} has shape {layout.shapes[key]}; {arch} expects {tuple(expected[key].shape)}"
        if layout.floating[key] != expected[key].is_floating_point():
            return f"{file_key} holds the wrong kind of numbers; {arch} expects {expected[key].dtype}"
    return None


def _differing_tensors(layout: _Layout, arch: str) -> int:
    """Number of tensors that differ in name or shape."""
    expected = {key: tuple(value.shape) for key, value in _empty_state(arch, layout.num_classes).items()}
    return len(expected.items() ^ layout.shapes.items())


def _normalisation(layout: _Layout, text: str | None) -> dict[str, Tensor]:
    """``mean`` and ``std`` for a file without them; empty for a file that has them."""
    if layout.shapes.keys() >= NORMALISATION_KEYS:
        if text is not None:
            raise TeacherError(
                f"{layout.name}: the file says its own normalisation; expected none beside it, found {text!r}"
            )
        return {}
    values = read_normalisation(text or _usual_normalisation(layout.format.source, layout.num_classes))
    return {key: torch.tensor(value).view(1, 3, 1, 1) for key, value in zip(("mean", "std"), values, strict=True)}


def _usual_normalisation(source: str, num_classes: int) -> str:
    """The normalisation of the repository's main data sets."""
    if source == NTL:
        return "imagenet"
    if source == CMI:
        return {10: "cifar10", 100: "cifar100"}.get(num_classes, "half")
    return "half"


def _check_values(layout: _Layout, weights: dict[str, Tensor]) -> None:
    for key, tensor in weights.items():
        where = f"{layout.name}: {layout.file_key(key)}"
        if tensor.is_meta or tensor.shape != layout.shapes[key]:
            raise TeacherError(f"{where} is not what the file lists; expected {tuple(layout.shapes[key])} numbers")
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise TeacherError(f"{where} holds NaN or infinite values; expected finite weights")
        if key.endswith("running_var") and (tensor < 0).any() or key == "std" and (tensor <= 0).any():
            raise TeacherError(f"{where} holds {tensor.min():g}; expected positive numbers")


def _first_three(keys: Iterable[str]) -> str:
    """The first three of ``keys``, and the number of further keys."""
    order = sorted(keys)
    more = f" and {len(order) - 3} more" if len(order) > 3 else ""
    return ", ".join(map(printable, order[:3])) + more
