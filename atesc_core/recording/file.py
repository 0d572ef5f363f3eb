"""The file of a recording: a zip archive of one JSON manifest and raw arrays. It is data, never code.

Nothing is unpacked to disk. The manifest is validated first; the name, type and shape of every array follow from it,
and the archive must hold exactly these, each of exactly that size.
"""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from atesc_core.errors import RecordingError, SpecError
from atesc_core.files import atomic_write
from atesc_core.recording.manifest import Manifest, Recording, expected_arrays
from atesc_core.specs.base import parse
from atesc_core.specs.text import parse_json

Array = NDArray[Any]  # its dtype follows from the manifest

MAX_FILE_BYTES = 32 * 1024**2
MAX_UNPACKED_BYTES = 128 * 1024**2
MAX_MANIFEST_BYTES = 8 * 1024**2
MANIFEST = "recording.json"
SUFFIX = ".atesc"
READ_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError, NotImplementedError)


def save(recording: Recording, path: Path) -> None:
    """Write the file atomically. The same recording gives the same bytes. Raises RecordingError if it is too big."""
    packed = to_bytes(recording)
    with atomic_write(Path(path)) as file:
        file.write(packed)


def to_bytes(recording: Recording) -> bytes:
    """The content of the file. Raises RecordingError if it is too big to be loaded again."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        _add(archive, MANIFEST, recording.manifest.model_dump_json(exclude_none=True).encode())
        for name, (kind, shape) in expected_arrays(recording.manifest).items():
            _add(archive, name, np.ascontiguousarray(recording.arrays[name], kind).reshape(shape).tobytes())
        _check_unpacked(archive.infolist())
    _check_size("file", content.tell(), MAX_FILE_BYTES)
    return content.getvalue()


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    info = zipfile.ZipInfo(name)  # dated 1980, so that the same recording gives the same bytes
    info.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(info, content)


def load(source: Path | BinaryIO) -> Recording:
    """Read and check a recording. Raises RecordingError if the file is missing, damaged or not a recording."""
    if isinstance(source, Path):
        if not source.is_file():
            raise RecordingError(f"{source.name}: no such file")
        with source.open("rb") as file:
            return load(file)
    _check_size("file", source.seek(0, io.SEEK_END), MAX_FILE_BYTES)
    source.seek(0)
    try:
        with zipfile.ZipFile(source) as archive:
            return _read(archive)
    except (RecordingError, SpecError):
        raise
    except READ_ERRORS as error:
        raise RecordingError(
            f"file: damaged or not a recording ({error}); expected a file of `atesc recording make`"
        ) from None


def _read(archive: zipfile.ZipFile) -> Recording:
    members = archive.infolist()
    _check_unpacked(members)
    by_name = {info.filename: info for info in members}
    if len(by_name) < len(members):
        raise RecordingError("file: holds one name twice; expected each once")
    if MANIFEST not in by_name:
        raise RecordingError(f"file: a zip archive without {MANIFEST}; expected a recording")
    _check_size(MANIFEST, by_name[MANIFEST].file_size, MAX_MANIFEST_BYTES)
    manifest = _parsed_manifest(_content(archive, by_name[MANIFEST]))
    expected = expected_arrays(manifest)
    for name in by_name:
        if name not in expected and name != MANIFEST:
            raise RecordingError(f"{name[:80]!r}: no part of this recording")
    arrays = {name: _array(archive, by_name, name, kind, shape) for name, (kind, shape) in expected.items()}
    _check_values(manifest, arrays)
    return Recording(manifest, arrays)


def _parsed_manifest(text: bytes) -> Manifest:
    try:
        values = parse_json(text, MANIFEST, MAX_MANIFEST_BYTES)
    except SpecError as error:
        raise RecordingError(str(error)) from None
    _check_version(values)
    try:
        return parse(Manifest, values, stored=True)
    except SpecError as error:
        first, *more = str(error).splitlines()
        raise RecordingError(f"{MANIFEST}: {first}" + (f" (and {len(more)} more)" if more else "")) from None


def _check_version(values: Any) -> None:
    newest = Manifest.model_fields["version"].default
    version = values.get("version") if isinstance(values, dict) else None
    if isinstance(version, int) and version > newest:
        raise RecordingError(f"version: {version}: expected at most {newest}; made by a newer lab, update this one")


def _array(
    archive: zipfile.ZipFile, by_name: dict[str, zipfile.ZipInfo], name: str, kind: str, shape: tuple[int, ...]
) -> Array:
    if name not in by_name:
        raise RecordingError(f"{name}: missing; the manifest promises it")
    size = math.prod(shape) * np.dtype(kind).itemsize
    if by_name[name].file_size != size:
        raise RecordingError(f"{name}: {by_name[name].file_size} bytes; expected {size} for {shape}")
    array = np.frombuffer(_content(archive, by_name[name]), kind).reshape(shape)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """Unpack a member up to its declared size; ``archive.read`` would unpack everything first and cut it afterwards."""
    with archive.open(info) as file:
        return file.read(info.file_size)


def _check_unpacked(members: list[zipfile.ZipInfo]) -> None:
    """Check declared sizes. A member larger than declared is cut off there when read, and fails its checksum."""
    _check_size("file when unpacked", sum(info.file_size for info in members), MAX_UNPACKED_BYTES)
    for info in members:
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise RecordingError(f"{info.filename[:80]!r}: packed in another way than stored or deflated")


def _check_size(name: str, size: int, limit: int) -> None:
    if size > limit:
        raise RecordingError(f"{name}: {size / 1e6:,.1f} MB; expected at most {limit / 1e6:,.1f} MB")


def _check_values(manifest: Manifest, arrays: dict[str, Array]) -> None:
    """Check that classes exist, probabilities are in range and scores are finite; only min ε may be ∞."""
    classes = {f"runs/{number}": len(run.teacher.class_names) for number, run in enumerate(manifest.runs)}
    classes |= {name: len(part.class_names) for name in ("border", "first") if (part := getattr(manifest, name))}
    for name, values in arrays.items():
        field = name.rpartition("/")[2]
        if field.endswith("_class"):
            count = classes["/".join(name.split("/")[:2])] if name.startswith("runs/") else classes["first"]
            _check(values < count, name, f"a class below {count}")
        elif field in ("teacher_confidence", "probs"):
            _check((values >= 0) & (values <= 1.001), name, "probabilities, 0 to 1")
        elif field == "min_eps":
            _check(values >= 0, name, "scores of at least 0")
        elif field != "images":
            _check(np.isfinite(values), name, "finite scores")
    if (border := manifest.border) and any(pair.label >= len(border.class_names) for pair in border.pairs):
        raise RecordingError(f"border: a label outside its {len(border.class_names)} classes")
    for run in manifest.runs:
        if run.teacher.target is not None and run.teacher.target >= len(run.teacher.class_names):
            raise RecordingError(f"target: {run.teacher.target}: expected a class below {len(run.teacher.class_names)}")


def _check(good: NDArray[np.bool_], name: str, expected: str) -> None:
    if not good.all():
        raise RecordingError(f"{name}: {int((~good).sum())} values are wrong; expected {expected}")
