"""A user's file of weights that becomes a teacher in three steps: read, checked, added."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch

from atesc_core.domains import find_pair
from atesc_core.domains.catalogue import domain_classes
from atesc_core.errors import TeacherError
from atesc_core.models import ARCHITECTURES, Classifier
from atesc_core.specs.teacher import NAME
from atesc_core.teachers.cards import TeacherCard, card_warnings, existing_card
from atesc_core.teachers.conversion import check_size, convert_file, suffix_of
from atesc_core.teachers.files import Listing, list_file
from atesc_core.teachers.formats import Recognised, read_classifier, recognise
from atesc_core.teachers.zoo import measured_card, save_teacher


def stage_upload(filename: str, content: bytes | memoryview) -> StagedTeacher:
    """Write an uploaded file to the disk and read it; the copy on disk is deleted at once.

    Args:
        filename: The user's name of the file. It is only displayed: the lab chooses the name on disk.
        content: The bytes of the file.

    Raises:
        TeacherError: the file is too large; it is not written.
    """
    if content:  # an empty file is reported when it is read, like other errors of a file
        check_size(filename, len(content))
    with tempfile.TemporaryDirectory(prefix="atesc-upload-") as folder:
        path = Path(folder) / f"upload{suffix_of(filename) or '.safetensors'}"
        path.write_bytes(content)
        return StagedTeacher(path, filename)


class StagedTeacher:
    """A user's file of weights, read by a process of its own into a file of the lab, of which the tensors are listed.

    The lab's file is deleted with this object.

    Attributes:
        filename: The user's name of the file.
        listing: The tensors in the file; None if it cannot be read.
        recognised: The architectures that fit and the origin of the file; None if none fits or it cannot be read.
        problem: Why it is not recognised.
    """

    def __init__(self, path: Path, filename: str | None = None) -> None:
        """Read the file at ``path``, called ``filename`` in messages. Takes some seconds."""
        self.filename = filename or Path(path).name
        self.listing: Listing | None = None
        self.recognised: Recognised | None = None
        self.problem: TeacherError | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="atesc-teacher-")
        self._weights = Path(self._folder.name) / "weights.safetensors"
        try:
            convert_file(Path(path), self._weights, self.filename)
            self.listing = list_file(self._weights, self.filename)
            self.recognised = recognise(self.listing)
        except TeacherError as error:
            self.problem = error

    def read(self, arch: str | None = None, normalisation: str | None = None) -> Classifier:
        """The weights in a classifier, frozen and in evaluation mode. Shapes are checked before weights are read.

        Args:
            arch: Name of the architecture; the recognised one unless named.
            normalisation: As in `read_classifier`.

        Raises:
            TeacherError: as `read_classifier`, or the file fits several architectures and none is named.
        """
        if self.listing is None or (self.recognised is None and arch is None):
            raise self.problem or TeacherError(f"{self.filename}: not recognised")
        if self.recognised is not None:
            arch = arch or self.recognised.arch
        if arch is None:
            raise TeacherError(f"{self.filename}: {several_fit(self.recognised)}")
        return read_classifier(self._weights, arch, normalisation=normalisation, listing=self.listing)

    def check(
        self,
        kind: Literal["SL", "NTL"],
        pair: str,
        arch: str | None = None,
        image_side: int | None = None,
        normalisation: str | None = None,
        class_names: tuple[str, ...] | None = None,
    ) -> CheckedTeacher:
        """Read the weights and measure the teacher on the test images of its pair.

        Where its class names are those of the pair's ID domain in another order, its outputs are put into the order of
        the domain.

        Args:
            kind: Plainly supervised, or non-transferable.
            pair: The pair that it was trained on.
            arch: Name of the architecture; the recognised one unless named.
            image_side: In pixels; that in the file, else that of the architecture, unless given.
            normalisation: As in `read_classifier`; the usual one for the pair unless given.
            class_names: One for each output. None takes the names in the file, if it has any; otherwise, and for (),
                the names of the pair are taken.

        Raises:
            TeacherError: as `read`, or the teacher does not fit the pair. If the file fits several architectures and
                none is named, the message gives the accuracy of each.
            DomainError: the pair is not known, or its images are not downloaded.
        """
        if arch is None and self.recognised is not None and self.recognised.arch is None:
            each = self.check_each(kind, pair, image_side, normalisation, class_names)
            accuracies = ", ".join(f"{name}: IAcc {checked.card.metrics['iacc']:g} %" for name, checked in each)
            raise TeacherError(f"{self.filename}: {several_fit(self.recognised)} Measured on {pair}: {accuracies}")
        id_domain = find_pair(pair).id
        if self.recognised is not None and not self.recognised.says_normalisation:
            normalisation = normalisation or self.recognised.normalisation(id_domain)
        model = self.read(arch, normalisation)
        arch = arch or (self.recognised.arch if self.recognised else None) or ""
        side = image_side or (self.listing.image_side if self.listing else None) or ARCHITECTURES[arch].image_side
        if class_names is None:
            class_names = self.listing.class_names if self.listing else None
        reordered = class_names is not None and put_in_order(model, class_names, domain_classes(id_domain))
        if reordered:
            class_names = domain_classes(id_domain)
        card = measured_card(model, "unnamed", arch, kind, pair, side, class_names=class_names)
        return CheckedTeacher(model, card, reordered)

    def check_each(
        self,
        kind: Literal["SL", "NTL"],
        pair: str,
        image_side: int | None = None,
        normalisation: str | None = None,
        class_names: tuple[str, ...] | None = None,
    ) -> Iterator[tuple[str, CheckedTeacher]]:
        """Each architecture that the file fits, with the result of `check` as it. Arguments and errors as there."""
        if self.recognised is None:
            raise self.problem or TeacherError(f"{self.filename}: not recognised")
        for arch in self.recognised.architectures:
            yield arch, self.check(kind, pair, arch, image_side, normalisation, class_names)


def several_fit(recognised: Recognised | None) -> str:
    """A sentence that says which architectures a file fits, and asks for one of them."""
    names = ", ".join(recognised.architectures) if recognised else ""
    return (
        f"its names and shapes fit several architectures, which compute differently: {names}; name one of them "
        "(Architecture, --arch)."
    )


def put_in_order(model: Classifier, names: tuple[str, ...], classes: tuple[str, ...]) -> bool:
    """Put the outputs of ``model``, called ``names``, into the order of ``classes``; whether that changed them.

    Does nothing where ``names`` are not those of ``classes`` in another order. Case does not matter.
    """
    position = {name.casefold(): index for index, name in enumerate(names)}
    expected = [name.casefold() for name in classes]
    if len(position) != len(names) or len(names) != model.num_classes or position.keys() != set(expected):
        return False
    order = [position[name] for name in expected]
    if order == sorted(order):
        return False
    with torch.no_grad():
        model.head.weight.copy_(model.head.weight[order].clone())
        model.head.bias.copy_(model.head.bias[order].clone())
    return True


@dataclass(frozen=True)
class CheckedTeacher:
    """A teacher that was read from a user's file and measured. It only needs a name."""

    model: Classifier = field(repr=False)
    card: TeacherCard  # with its accuracies, under the name "unnamed"
    reordered: bool = False  # whether its outputs were put into the order of the domain's classes

    @property
    def warnings(self) -> list[str]:
        """Sentences on what in its pair and accuracies contradicts the kind and classes that were named."""
        return card_warnings(self.card)

    def add(self, name: str, runs_dir: Path) -> TeacherCard:
        """Save the teacher under ``runs_dir`` as ``name``; returns its card.

        Raises:
            TeacherError: as `require_new_name`.
        """
        require_new_name(name, runs_dir)
        card = self.card.model_copy(update={"name": name})
        save_teacher(self.model, card, Path(runs_dir) / "teachers")
        return card


def require_new_name(name: str, runs_dir: Path) -> None:
    """Raise an error for a name that a new teacher cannot have.

    Raises:
        TeacherError: the name has characters that are not allowed, or another teacher has it.
    """
    if not NAME.fullmatch(name):
        raise TeacherError(f"name: {name!r}: expected lower-case letters, digits, '-' and '_', at most 64")
    if existing_card(name, runs_dir):  # one that cannot be read, too: it may yet be repaired
        raise TeacherError(f"name: {name!r} is taken; expected a new name")
