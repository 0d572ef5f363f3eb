"""A user's file of weights on its way to becoming a teacher: listed once, checked once, then added."""

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
    """Write an uploaded file to the disk and list it; it is deleted together with the result.

    Args:
        filename: As the user calls the file. It is only shown: the name on disk is this lab's.
        content: The bytes of the file.

    Raises:
        TeacherError: the file is too large; it is not written.
    """
    if content:  # that a file is empty is said by its check, as all that is wrong with a listed file
        check_size(filename, len(content))
    folder = tempfile.TemporaryDirectory(prefix="atesc-teacher-")
    suffix = f".{filename.rpartition('.')[2].lower()}"
    path = Path(folder.name) / f"upload{suffix if suffix in SUFFIXES else '.safetensors'}"
    path.write_bytes(content)
    return StagedTeacher(path, filename, folder)


class StagedTeacher:
    """A user's file of weights, of which only the names and shapes of its tensors have been read.

    Attributes:
        recognised: What the file is; None where it fits no architecture, or cannot be read.
        problem: Why it is not recognised.
    """

    def __init__(
        self, path: Path, filename: str | None = None, folder: tempfile.TemporaryDirectory[str] | None = None
    ) -> None:
        """List the file at ``path``, called ``filename`` in messages; ``folder`` is kept for as long as this lives."""
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
        """The weights in a classifier, frozen and in evaluation mode. Shapes are compared before a weight is read.

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
            image_side: In pixels; what the file says, else what the architecture was made for, unless named.
            normalisation: As in `read_classifier`.
            class_names: One for each output; None takes those in the file, else, as () does, those of the pair.

        Raises:
            TeacherError: as `read_classifier`, or the teacher does not fit the pair.
            DomainError: the pair is not known, or its images are not there.
        """
        model = self.read(arch, normalisation)
        found = self.recognised
        arch = arch or (found.arch if found else "")
        image_side = image_side or (found.image_side if found else None) or ARCHITECTURES[arch].image_side
        if class_names is None:
            class_names = found.class_names if found else None
        return CheckedTeacher(
            model, measured_card(model, "unnamed", arch, kind, pair, image_side, class_names=class_names)
        )


@dataclass(frozen=True)
class CheckedTeacher:
    """A teacher that was read from a user's file and measured; all that is missing is its name."""

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
    """Refuse a name that a new teacher cannot have.

    Raises:
        TeacherError: the name has other letters than it may, or another teacher has it.
    """
    if not NAME.fullmatch(name):
        raise TeacherError(f"name: {name!r}: expected lower-case letters, digits, '-' and '_', at most 64")
    if name in {card.name for card in list_teachers(runs_dir)}:
        raise TeacherError(f"name: {name!r} is taken; expected a new name")
