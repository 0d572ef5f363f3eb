"""Recognise the architecture of a file by its keys and shapes, in this lab's names or in published names.

Published names, from the classifiers in the repositories:
- CMI and NAYER (zju-vipa/CMI and tmtuan1307/NAYER; ``registry.py``, ``train_scratch.py``): ``{'state_dict': ...}``.
  ResNet ``conv1``, ``layer1.0.shortcut.0``, ``linear``; WRN ``block1.layer.0.convShortcut``, ``fc``; VGG
  ``block0.0``, ``classifier``. Their ``vgg11`` is VGG-11 with BatchNorm, and convolutions have biases.
- NTLBench and TransNTL (tmllab/NTLBench, tmllab/2024_CVPR_TransNTL; ``models/ntl_vggnet.py``,
  ``utils/load_utils.py``): bare state dicts. VGG ``features.0``, ``classifier1.0``, ``.3``, ``.6``; ResNet is
  torchvision's: ``layer2.0.downsample.0``, ``fc``.
A prefix of the network's names is removed: ``module.`` of DataParallel, ``_orig_mod.`` of torch.compile, ``model.`` of
Lightning. A layer that holds ``mean`` and ``std`` (or ``mu`` and ``sigma``) of R, G, B is the normalisation.

Names and shapes do not tell the stride and the pooling of a ResNet's stem. A file that fits several architectures is
read as the one that its user names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from atesc_core.errors import TeacherError
from atesc_core.models import ARCHITECTURES, CLASSES, Classifier, build
from atesc_core.teachers.files import Listing, list_file, printable, read_tensors
from atesc_core.teachers.normalisation import CMI, NTL, read_normalisation, usual_normalisation

NORMALISATION_KEYS = {"mean", "std"}  # in this lab's files; published files do not store their normalisation
NORMALISING_LAYERS = (("mean", "std"), ("mu", "sigma"))  # ends of two names, and of what they hold for R, G, B


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


LAB = "this lab"
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
    """The architectures that a file fits, and other facts that the file gives."""

    architectures: tuple[str, ...]  # at least one; several if names and shapes do not tell which
    source: str  # the repository whose tensor names it uses
    num_classes: int
    says_normalisation: bool
    class_names: tuple[str, ...] | None
    image_side: int | None = None

    @property
    def arch(self) -> str | None:
        """The architecture; None if the file fits several."""
        return self.architectures[0] if len(self.architectures) == 1 else None

    def normalisation(self, id_domain: str | None = None) -> str:
        """The usual normalisation, a name of NORMALISATIONS, for a file without one; see `usual_normalisation`."""
        return usual_normalisation(self.source, self.num_classes, id_domain)


def recognise(listing: Listing) -> Recognised:
    """The architectures whose tensors a file holds, for the user to confirm.

    Raises:
        TeacherError: the file fits no architecture; the message names the nearest.
    """
    layout = _layout(listing, "a listed architecture")
    problems = {arch: _difference(layout, arch) for arch in ARCHITECTURES}
    fits = tuple(arch for arch, problem in problems.items() if problem is None)
    if not fits:
        nearest = min(ARCHITECTURES, key=lambda arch: _distance(layout, arch))
        raise TeacherError(
            f"{listing.name}: its tensors are those of no listed architecture; the nearest: {problems[nearest]}"
        )
    if listing.arch in fits:
        fits = (listing.arch,)
    elif layout.format.source == CMI:  # everyone who uses these names has the stem that CMI has
        fits = tuple(arch for arch in fits if not ARCHITECTURES[arch].only_for_files)
    return Recognised(
        fits,
        layout.format.source,
        layout.num_classes,
        layout.shapes.keys() >= NORMALISATION_KEYS,
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
    """A file's weights in a classifier, frozen and in evaluation mode.

    Args:
        path: Path of a safetensors file, of this lab or made by `convert_file`.
        arch: Name of the architecture.
        num_classes: Number of classes that the file must have; None accepts any.
        normalisation: For a file without normalisation: a name, or six numbers, see `read_normalisation`. None
            takes the usual one, see `usual_normalisation`.
        listing: The result of `list_file` for this file, so that it is not listed again.

    Raises:
        TeacherError: unreadable file; unlisted architecture; missing, unlisted or mis-shaped tensors; weights that
            are not finite numbers.
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
    weights |= {key: weights[key].view(1, 3, 1, 1) for key in weights.keys() & NORMALISATION_KEYS}
    _check_values(layout, weights)
    model = build(arch, layout.num_classes)
    model.load_state_dict(model.state_dict() | mean_std | weights)
    return model.eval().requires_grad_(False)


@dataclass(frozen=True)
class _Layout:
    """A listing in this lab's names."""

    name: str
    format: Format
    prefix: str  # of the network's names in the file
    lab_keys: dict[str, str]  # the file's key -> this lab's
    shapes: dict[str, tuple[int, ...]]  # by this lab's key
    floating: dict[str, bool]  # by this lab's key
    num_classes: int

    def file_key(self, lab_key: str) -> str:
        """The file's name of a tensor; for a tensor that the file lacks, the name that the file would give it."""
        names = {name: key for key, name in self.lab_keys.items()}
        return names.get(lab_key) or self.prefix + self.format.from_lab(lab_key)


def _layout(listing: Listing, expected: str) -> _Layout:
    """The listing in this lab's names; ``expected`` is for the error message if the format is unknown."""
    form, prefix = _find_format(listing, expected)
    lab_keys = {
        key: form.to_lab(key.removeprefix(prefix)) if key.startswith(prefix) else key for key in listing.shapes
    } | _normalising_layer(listing)
    counts = Counter(lab_keys.values())
    if twice := [key for key, name in lab_keys.items() if counts[name] > 1]:
        raise TeacherError(f"{listing.name}: {_first_three(twice)} are the same tensor twice; expected one of them")
    shapes = {lab_keys[key]: shape for key, shape in listing.shapes.items()}
    shapes |= {key: (1, 3, 1, 1) for key in NORMALISATION_KEYS & shapes.keys() if prod(shapes[key]) == 3}
    head = shapes["head.weight"]
    if len(head) != 2 or head[0] not in CLASSES:
        raise TeacherError(
            f"{listing.name}: {printable(prefix + form.head)}.weight has shape {head}; expected {CLASSES[0]} to "
            f"{CLASSES[-1]} classes × features"
        )
    floating = {lab_keys[key]: value for key, value in listing.floating.items()}
    return _Layout(listing.name, form, prefix, lab_keys, shapes, floating, head[0])


def _find_format(listing: Listing, expected: str) -> tuple[Format, str]:
    """The format whose names the file uses, and the prefix of its network's names."""
    keys = listing.shapes.keys()
    for form in FORMATS:
        prefixes = {
            key.removesuffix(form.marker) for key in keys if key == form.marker or key.endswith("." + form.marker)
        }
        prefixes = {prefix for prefix in prefixes if f"{prefix}{form.head}.weight" in keys}
        if len(prefixes) > 1:
            raise TeacherError(
                f"{listing.name}: holds {len(prefixes)} networks, under {_first_three(prefixes)}; expected one"
            )
        if prefixes:
            return form, prefixes.pop()
    raise TeacherError(
        f"{listing.name}: found {_first_three(keys) or 'no tensors'}; expected the keys of {expected}, "
        "as this lab saves them ('head.weight') or as CMI, NAYER, NTLBench or TransNTL publish them"
    )


def _normalising_layer(listing: Listing) -> dict[str, str]:
    """The names of the two tensors of a layer that normalises images, each with this lab's name."""
    for ends in NORMALISING_LAYERS:
        for key in listing.shapes:
            layer, _, end = key.rpartition(".")
            other = f"{layer}.{ends[1]}" if layer else ends[1]
            if end == ends[0] and all(prod(listing.shapes.get(name, ())) == 3 for name in (key, other)):
                return {key: "mean", other: "std"}
    return {}


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


def _distance(layout: _Layout, arch: str) -> tuple[int, int]:
    """How far the file is from ``arch``: the number of names that differ, then the number of shapes."""
    expected = {key: tuple(value.shape) for key, value in _empty_state(arch, layout.num_classes).items()}
    common = expected.keys() & layout.shapes.keys()
    return len(expected.keys() ^ layout.shapes.keys()), sum(expected[key] != layout.shapes[key] for key in common)


def _normalisation(layout: _Layout, text: str | None) -> dict[str, Tensor]:
    """``mean`` and ``std`` for a file without them; empty for a file that has them."""
    if layout.shapes.keys() >= NORMALISATION_KEYS:
        if text is not None:
            raise TeacherError(
                f"{layout.name}: the file says its own normalisation; expected none beside it, found {text!r}"
            )
        return {}
    values = read_normalisation(text or usual_normalisation(layout.format.source, layout.num_classes))
    return {key: torch.tensor(value).view(1, 3, 1, 1) for key, value in zip(("mean", "std"), values, strict=True)}


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
