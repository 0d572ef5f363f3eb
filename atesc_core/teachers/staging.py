"""A user's file of weights that becomes a teacher in three steps: listed, checked, added."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from atesc_core.errors import TeacherError
from atesc_core.models import ARCHITECTURES, Classifier
from atesc_core.specs.teacher import NAME
from atesc_core.teachers.cards import TeacherCard, list_teachers
from atesc_core.teachers.files import SUFFIXES, Listing, check_size, list_file
from atesc_core.teachers.formats import Recognised, read_classifier, recognise
from atesc_core.teachers.zoo import measured_card, save_teacher


def stage_upload(filename: str, content: bytes | memoryview) -> StagedTeacher:
    """Write an uploaded file to the disk and list it; it is deleted with the returned object.

    Args:
        filename: The user's name of the file. It is only displayed: the lab chooses the name on disk.
        content: The bytes of the file.

    Raises:
        TeacherError: the file is too large; it is not written.
    """
    if content:  # an empty file is reported by its check, like other errors of a listed file
        check_size(filename, len(content))
    folder = tempfile.TemporaryDirectory(prefix="atesc-teacher-")
    suffix = f".{filename.rpartition('.')[2].lower()}"
    path = Path(folder.name) / f"upload{suffix if suffix in SUFFIXES else '.safetensors'}"
    path.write_bytes(content)
    return StagedTeacher(path, filename, folder)


class StagedTeacher:
    """A user's file of weights, of which only the names and shapes of its tensors have been read.

    Attributes:
        recognised: The architecture and origin of the file; None if it fits no architecture or cannot be read.
        problem: Why it is not recognised.
    """

    def __init__(
        self, path: Path, filename: str | None = None, folder: tempfile.TemporaryDirectory[str] | None = None
    ) -> None:
        """List the file at ``path``, called ``filename`` in messages; ``folder`` is deleted with this object."""
        self.path, self.filename, self._folder = Path(path), filename or Path(path).name, folder
        self.recognised: Recognised | None = None
        self.problem: TeacherError | None = None
        self._listing: Listing | None = None
        try:
            self._listing = list_file(self.path, self.filename)
            self.recognised = recognise(self._listing)
        except TeacherError as error:
            self.problem = error

    def read(self, arch: str | None = None, normalisation: str | None = None) -> Classifier:
        """The weights in a classifier, frozen and in evaluation mode. Shapes are checked before weights are read.

        Args:
            arch: Name of the architecture; the recognised one unless named.
            normalisation: As in `read_classifier`.

        Raises:
            TeacherError: as `read_classifier`.
        """
        arch = arch or (self.recognised.arch if self.recognised else None)
        if self._listing is None or arch is None:
            raise self.problem or TeacherError(f"{self.filename}: not recognised")
        return read_classifier(self.path, arch, normalisation=normalisation, listing=self._listing)

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

        Args:
            kind: Plainly supervised, or non-transferable.
            pair: The pair that it was trained on.
            arch: Name of the architecture; the recognised one unless named.
            image_side: In pixels; that in the file, else that of the architecture, unless given.
            normalisation: As in `read_classifier`.
            class_names: One for each output. None takes the names in the file, if it has any; otherwise, and for (),
                the names of the pair are taken.

        Raises:
            TeacherError: as `read_classifier`, or the teacher does not fit the pair.
            DomainError: the pair is not known, or its images are not downloaded.
        """
        model = self.read(arch, normalisation)
        recognised = self.recognised
        arch = arch or (recognised.arch if recognised else "")
        image_side = image_side or (recognised.image_side if recognised else None) or ARCHITECTURES[arch].image_side
        if class_names is None:
            class_names = recognised.class_names if recognised else None
        return CheckedTeacher(
            model, measured_card(model, "unnamed", arch, kind, pair, image_side, class_names=class_names)
        )


@dataclass(frozen=True)
class CheckedTeacher:
    """A teacher that was read from a user's file and measured. It only needs a name."""

    model: Classifier = field(repr=False)
    card: TeacherCard  # with its accuracies, under the name "unnamed"

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
    if name in {card.name for card in list_teachers(runs_dir)}:
        raise TeacherError(f"name: {name!r} is taken; expected a new name")
