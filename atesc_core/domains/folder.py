"""A user's images as a domain: ``folder:/absolute/path`` with one sub-folder for each class, named after it.

The files are 8-bit images of a few common formats. Their size is checked before a pixel is decoded.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from atesc_core.domains.arrays import SPLIT_SEED, TEST_IMAGES, TRAIN_IMAGES, ArraySplit, Images, Labelled
from atesc_core.domains.data_folder import cached_arrays, digest, file_stamps
from atesc_core.errors import DomainError

PREFIX = "folder:"
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
FORMATS = (
    "PNG",
    "JPEG",
    "BMP",
    "GIF",
    "WEBP",
)  # Pillow knows many more formats, and starts other programs for some of them
MIN_CLASS_IMAGES = 5
TEST_SHARE = 5  # one image in five is for testing, up to TEST_IMAGES in all; as many are for validation
MAX_CLASSES = 1000
MAX_CLASS_IMAGES = 100_000
MAX_FILE_BYTES = 32 * 1024**2
MAX_PIXELS = 50_000_000
NAMED = 5  # bad files that an error message names


@dataclass(frozen=True)
class Folder:
    """The classes and files of a folder of images."""

    path: Path
    classes: tuple[str, ...]  # in alphabetical order, ignoring case
    files: tuple[tuple[Path, ...], ...]  # files of each class, sorted by name


def folder_name(path: Path | str) -> str:
    """The name of the domain in the folder ``path``: it does not depend on the working directory.

    Raises:
        DomainError: ``path`` cannot be a path.
    """
    try:
        return PREFIX + str(Path(path).expanduser().resolve())
    except (OSError, RuntimeError, ValueError) as error:  # e.g. ~nobody, a NUL
        raise DomainError(f"{PREFIX}{path}: not a path of this machine ({error})") from error


def open_folder(name: str) -> Folder:
    """List the classes and image files of ``folder:/path``; reads no image.

    Raises:
        DomainError: the path is not absolute or not a folder; fewer than two classes; too many classes or images; too
            few images in a class; class names that cannot be shown.
    """
    path = Path(name.removeprefix(PREFIX))
    if path.parts[:1] == ("~",):
        path = path.expanduser()
    if not path.is_absolute():
        raise DomainError(f"{name}: expected an absolute path, as in {PREFIX}/home/me/pictures")
    if not path.is_dir():
        raise DomainError(f"{name}: no such folder")
    try:
        classes = sorted(
            (entry.name for entry in os.scandir(path) if entry.is_dir() and not entry.name.startswith(".")),
            key=lambda label: label.casefold(),
        )
        _check_classes(name, classes)
        files = tuple(_images(path / label) for label in classes)
    except OSError as error:
        raise DomainError(f"{name}: cannot be listed ({error})") from error
    for label, class_files in zip(classes, files, strict=True):
        if not MIN_CLASS_IMAGES <= len(class_files) <= MAX_CLASS_IMAGES:
            raise DomainError(
                f"{name}: class {label!r} has {len(class_files):,} images ({', '.join(SUFFIXES)}); "
                f"expected {MIN_CLASS_IMAGES} to {MAX_CLASS_IMAGES:,}"
            )
    return Folder(path, tuple(classes), files)


def _check_classes(name: str, classes: list[str]) -> None:
    if not 2 <= len(classes) <= MAX_CLASSES:
        raise DomainError(
            f"{name}: {len(classes) or 'no'} sub-folder{'s' * (len(classes) != 1)}; expected one "
            f"a class, 2 to {MAX_CLASSES:,}"
        )
    for label in classes:
        if not label.isprintable():
            raise DomainError(f"{name}: class folder {label!r}: expected a name that can be shown")


def _images(folder: Path) -> tuple[Path, ...]:
    return tuple(
        sorted(
            Path(entry.path)
            for entry in os.scandir(folder)
            if entry.is_file() and Path(entry.name).suffix.lower() in SUFFIXES and not entry.name.startswith(".")
        )
    )


def version(folder: Folder) -> str:
    """A text that changes when a file of the folder changes."""
    return digest(folder.classes, *(file_stamps(files) for files in folder.files))


def read_folder(
    folder: Folder, image_side: int, on_image: Callable[[int, int], None] = lambda read, total: None
) -> ArraySplit:
    """Up to 8 000 + 1 000 + 1 000 images of the folder, drawn with a fixed seed, cut to their middle square and scaled.

    Each class has the same number of images if there are enough.

    Args:
        folder: As `open_folder` listed it.
        image_side: In pixels.
        on_image: Called after each image with the number of read images and their total; not for cached images.

    Raises:
        DomainError: images cannot be used; the message names some of them.
    """
    key = digest(Path(__file__).read_bytes(), version(folder))
    # The user's path is hashed: it never becomes part of a path of this lab.
    return cached_arrays(
        f"folder-{digest(str(folder.path), image_side)}", key, lambda: _read(folder, image_side, on_image)
    )


def _read(folder: Folder, image_side: int, on_image: Callable[[int, int], None]) -> ArraySplit:
    parts = _draw(folder)
    drawn = [image for part in parts for image in part]
    files = [file for file, _ in drawn]
    results: list[Images | str] = []
    with ThreadPoolExecutor() as pool:
        pending = [pool.submit(_image, file, image_side) for file in files]
        try:
            for future in pending:
                results.append(future.result())
                on_image(len(results), len(files))
        finally:  # also after an error or a stop, so that no more images are read
            for future in pending:
                future.cancel()
    bad = [result for result in results if isinstance(result, str)]
    if bad:
        more = f" and {len(bad) - NAMED:,} more" if len(bad) > NAMED else ""
        raise DomainError(
            f"{PREFIX}{folder.path}: {len(bad):,} of {len(results):,} images cannot be used: "
            f"{'; '.join(bad[:NAMED])}{more}"
        )
    images = np.stack([result for result in results if not isinstance(result, str)])
    everything = Labelled(images, np.array([label for _, label in drawn], np.int64))
    ends = np.cumsum([len(part) for part in parts])
    return ArraySplit(*(everything.at(slice(end - len(part), end)) for part, end in zip(parts, ends, strict=True)))


def _draw(folder: Folder) -> list[list[tuple[Path, int]]]:
    """(file, label) of the training, of the validation and of the test images, each in random order."""
    rng = np.random.default_rng(SPLIT_SEED)
    classes = len(folder.classes)
    train, validation, test = [], [], []
    for label, files in enumerate(folder.files):
        order = [(files[at], label) for at in rng.permutation(len(files))]
        held_out = min(len(order) // TEST_SHARE, TEST_IMAGES // classes)
        test += order[:held_out]
        validation += order[held_out : 2 * held_out]
        train += order[2 * held_out : 2 * held_out + TRAIN_IMAGES // classes]
    return [[part[index] for index in rng.permutation(len(part))] for part in (train, validation, test)]


def _image(file: Path, side: int) -> Images | str:
    """(side, side, 3) uint8, or a text that says what is wrong with the file."""
    where = f"{file.parent.name}/{file.name}"
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            return f"{where}: more than {MAX_FILE_BYTES // 1024**2} MB"
        with Image.open(file, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                return f"{where}: {image.width} × {image.height} pixels, more than {MAX_PIXELS // 10**6} million"
            if image.mode[0] in "IF":
                return f"{where}: {image.mode} pixels, not 8-bit"
            image.draft("RGB", (2 * side, 2 * side))  # decodes a large JPEG at a smaller size
            upright = ImageOps.exif_transpose(image).convert("RGB")
            return np.asarray(ImageOps.fit(upright, (side, side), Image.Resampling.BILINEAR))
    except Exception as error:  # on damaged files the decoders raise many types of errors
        return f"{where}: not a readable image ({type(error).__name__})"
