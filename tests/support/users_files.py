"""Users' files of weights, read in this process: for tests of what is read, not of the process that reads."""

from __future__ import annotations

import tempfile
from pathlib import Path

from atesc_core.models import Classifier
from atesc_core.teachers.conversion import convert
from atesc_core.teachers.files import Listing, list_file
from atesc_core.teachers.formats import Recognised, read_classifier, recognise


def list_users_file(path: Path) -> Listing:
    with tempfile.TemporaryDirectory() as folder:
        convert(path, Path(folder) / "w.safetensors", path.name)
        return list_file(Path(folder) / "w.safetensors", path.name)


def recognise_users_file(path: Path) -> Recognised:
    return recognise(list_users_file(path))


def read_users_file(path: Path, arch: str, normalisation: str | None = None) -> Classifier:
    with tempfile.TemporaryDirectory() as folder:
        converted = Path(folder) / "w.safetensors"
        convert(path, converted, path.name)
        listing = list_file(converted, path.name)
        return read_classifier(converted, arch, normalisation=normalisation, listing=listing)
