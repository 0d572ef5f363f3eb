"""A user's images as a domain: ``folder:/absolute/path`` with one sub-folder for each class, named after it.

Folders are walked as torchvision's ImageFolder walks them: classes in the order of their names' code points, images at
any depth. A folder that holds ``train`` and ``test`` (or ``val``), each with the classes, is read as that split.
``readable:/absolute/path`` is the same without the images that cannot be read; they are found by `check_images`.

The size of an image is checked before a pixel is decoded. Transparent pixels are shown on white.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from threading import Lock

import numpy as np
from PIL import Image, ImageOps

from atesc_core.domains.arrays import SPLIT_SEED, TEST_IMAGES, TRAIN_IMAGES, ArraySplit, Images, Labelled, Labels
from atesc_core.domains.data_folder import cached_arrays, data_dir, digest, file_stamps, has_cached
from atesc_core.errors import DomainError
from atesc_core.files import atomic_write

PREFIX, READABLE = "folder:", "readable:"
# Folders, as in $PATH, whose images and those below may become domains; all of this machine if it is not set.
ALLOWED_VARIABLE = "ATESC_FOLDERS"
FORMAT = 1  # raise it with each change of what is read of a folder: what was read before is then read again
# Pillow knows more formats, and starts other programs for some of them.
FORMATS = ("PNG", "JPEG", "MPO", "BMP", "DIB", "GIF", "WEBP", "TIFF", "PPM", "JPEG2000", "TGA", "PCX", "ICO", "AVIF")
SPLIT_NAMES = {
    "train": {"train", "training"},
    "validation": {"val", "valid", "validation"},
    "test": {"test", "testing"},
}
CHECK_SIDE = 32  # pixels, at which images are read to check and to show them
MIN_CLASS_IMAGES = 5  # where the validation images, or those for testing too, are drawn from among them
TEST_SHARE = 5  # one image in five is for testing, up to TEST_IMAGES in all; as many are for validation
MAX_CLASSES = 1000
MAX_CLASS_IMAGES = 100_000
MAX_FILE_BYTES = 32 * 1024**2
MAX_PIXELS = 50_000_000
LARGE_PIXELS = 4_000_000  # larger images are decoded one at a time, so that many do not fill the memory
NAMED = 20  # bad files that an error message names; the others are in a file
BACKGROUND = (255, 255, 255)  # of transparent pixels

_large = Lock()


@dataclass(frozen=True)
class Folder:
    """The classes and files of a folder of images."""

    name: str
    path: Path
    classes: tuple[str, ...]  # in the order of ImageFolder
    files: tuple[tuple[Path, ...], ...]  # files of each class in that order; of a split, those of its training part
    held_out: dict[str, tuple[tuple[Path, ...], ...]] = field(default_factory=dict)  # the other parts of a split
    left_out: dict[str, int] = field(default_factory=dict)  # number of other files by suffix

    @property
    def images(self) -> int:
        """The number of all its images."""
        return sum(len(files) for part in (self.files, *self.held_out.values()) for files in part)

    @property
    def about(self) -> str:
        """What was recognised and what is left out, in a few words; empty if there is nothing to say."""
        texts = [f"split: {', '.join(['train', *self.held_out])}"] if self.held_out else []
        if self.left_out:
            texts.append("left out: " + ", ".join(f"{count:,} {name}" for name, count in self.left_out.items()))
        return "; ".join(texts)


def is_folder(name: str) -> bool:
    """Whether ``name`` is that of a folder of images, and not of another domain."""
    return name.startswith((PREFIX, READABLE))


def folder_name(path: Path | str, readable: bool = False) -> str:
    """The name of the domain in the folder ``path``: it does not depend on the working directory.

    Args:
        path: Path of the folder.
        readable: Whether images that cannot be read are left out.

    Raises:
        DomainError: ``path`` cannot be a path.
    """
    try:
        return (READABLE if readable else PREFIX) + str(Path(path).expanduser().resolve())
    except (OSError, RuntimeError, ValueError) as error:  # e.g. ~nobody, a NUL
        raise DomainError(f"{PREFIX}{path}: not a path of this machine ({error})") from error


def open_folder(name: str) -> Folder:
    """List the classes and image files of ``folder:/path`` or ``readable:/path``; reads no image.

    Raises:
        DomainError: the path is not absolute or not a folder; fewer than two classes; too many classes or images; too
            few images in a class; class names that cannot be shown; parts of a split with other classes; for
            ``readable:/path``: the images are not checked yet.
    """
    folder = _list(name)
    if name.startswith(READABLE):
        folder = _without(folder, _unreadable(folder))
    for part, by_class in {"train": folder.files, **folder.held_out}.items():
        divided = part == "train" and len(folder.held_out) < 2  # what has no folder of its own is drawn from train
        least = MIN_CLASS_IMAGES if divided else 1
        for label, class_files in zip(folder.classes, by_class, strict=True):
            if not least <= len(class_files) <= MAX_CLASS_IMAGES:
                raise DomainError(
                    f"{name}: class {label!r} has {len(class_files):,} images"
                    + (f" in the part {part}" if folder.held_out else "")
                    + f"; expected {least} to {MAX_CLASS_IMAGES:,}"
                    + (f" ({folder.about})" if folder.about else "")
                )
    return folder


def version(folder: Folder) -> str:
    """A text that changes when a file of the folder changes."""
    return digest(folder.classes, *(file_stamps(files) for files in _all_files(folder)))


def part_labels(folder: Folder) -> dict[str, Labels]:
    """The labels of the images of each part, train, validation and test, as `read_folder` draws them."""
    names = ("train", "validation", "test")
    return {
        name: np.array([label for _, label in part], np.int64) for name, part in zip(names, _draw(folder), strict=True)
    }


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
        DomainError: images cannot be used; the message names them.
    """
    return cached_arrays(*_cache_name(folder, image_side), lambda: _read(folder, image_side, on_image))


def is_read(folder: Folder, image_side: int) -> bool:
    """Whether `read_folder` has read the folder's images, as the folder is now, at this size on this machine."""
    return has_cached(*_cache_name(folder, image_side))


def _cache_name(folder: Folder, image_side: int) -> tuple[str, str]:
    """Name and key of the arrays of `read_folder`. The user's path is hashed: it never becomes part of our paths."""
    return f"folder-{digest(folder.name, image_side)}", digest(FORMAT, version(folder))


def is_checked(name: str) -> bool:
    """Whether `prepare_folder` has read this folder on this machine, in its present or an earlier state.

    It looks for the result only, and opens no folder: a link may name any.
    """
    return is_folder(name) and any((data_dir() / "made").glob(f"folder-{digest(name, CHECK_SIDE)}-*.npz"))


def prepare_folder(name: str, on_image: Callable[[int, int], None] = lambda read, total: None) -> Folder:
    """Check a folder, and read its images once at CHECK_SIDE pixels. Of ``readable:/path``, every image is read first.

    Args:
        name: ``folder:/path`` or ``readable:/path``.
        on_image: As in `read_folder`.

    Raises:
        DomainError: as `open_folder` and `read_folder`.
    """
    if name.startswith(READABLE):
        check_images(name, on_image)
    folder = open_folder(name)
    read_folder(folder, CHECK_SIDE, on_image)
    return folder


def check_images(name: str, on_image: Callable[[int, int], None] = lambda read, total: None) -> dict[str, str]:
    """Read every image of a folder once. Those that cannot be read are what ``readable:/path`` leaves out from now on.

    Args:
        name: ``folder:/path`` or ``readable:/path``.
        on_image: As in `read_folder`.

    Returns:
        For each unreadable image its path in the folder, and what is wrong with it.

    Raises:
        DomainError: as `open_folder`, for a folder that cannot be listed.
    """
    folder = _list(name)
    files = [file for files in _all_files(folder) for file in files]
    unreadable = {}
    for file, result in zip(files, _decoded(folder, files, CHECK_SIDE, on_image), strict=True):
        if isinstance(result, str):
            unreadable[str(file.relative_to(folder.path))] = result
    with atomic_write(_unreadable_file(folder)) as output:
        output.write(json.dumps(unreadable).encode())
    return unreadable


def _check_allowed(name: str, path: Path) -> None:
    """Raises DomainError if ``$ATESC_FOLDERS`` is set and names no folder that holds this one."""
    listed = os.environ.get(ALLOWED_VARIABLE)
    if listed is None:
        return
    allowed = [Path(folder).expanduser().resolve() for folder in listed.split(os.pathsep) if folder]
    if not any(path.resolve().is_relative_to(folder) for folder in allowed):
        raise DomainError(
            f"{name}: is not among the folders that this lab may read. Whoever runs it adds folders with: atesc-lab "
            "--folders FOLDER"
        )


def _list(name: str) -> Folder:
    path = Path(name.removeprefix(READABLE).removeprefix(PREFIX))
    if path.parts[:1] == ("~",):
        path = path.expanduser()
    if not path.is_absolute():
        raise DomainError(f"{name}: expected an absolute path, as in {PREFIX}/home/me/pictures")
    _check_allowed(name, path)
    if not path.is_dir():
        raise DomainError(f"{name}: no such folder")
    left_out: Counter[str] = Counter()
    try:
        top = _folders(path, left_out)
        parts = _split_parts(top)
        if not parts:
            classes = sorted(top)
            _check_classes(name, classes)
            files = tuple(_images(top[label], left_out) for label in classes)
            return Folder(name, path, tuple(classes), files, left_out=_counted(left_out))
        left_out["other folders"] += len(top) - len(parts)
        found = {part: _folders(folder, left_out) for part, folder in parts.items()}
        classes = sorted(found["train"])
        for part, folders in found.items():
            if sorted(folders) != classes or not classes:
                raise DomainError(
                    f"{name}: {parts[part].name} is a part of a split, with {_summary(sorted(folders))}; expected the "
                    f"classes of {parts['train'].name}, a sub-folder each: {_summary(classes)}"
                )
        _check_classes(name, classes)
        listed = {
            part: tuple(_images(folders[label], left_out) for label in classes) for part, folders in found.items()
        }
    except OSError as error:
        raise DomainError(f"{name}: cannot be listed ({error})") from error
    train = listed.pop("train")
    return Folder(name, path, tuple(classes), train, listed, _counted(left_out))


def _folders(path: Path, left_out: Counter[str]) -> dict[str, Path]:
    """The sub-folders by name, without hidden ones; other files are counted in ``left_out``."""
    entries = [entry for entry in os.scandir(path) if not entry.name.startswith(".")]
    left_out.update(_suffix(entry.name) for entry in entries if not entry.is_dir())
    return {entry.name: Path(entry.path) for entry in entries if entry.is_dir()}


def _split_parts(folders: dict[str, Path]) -> dict[str, Path]:
    """The parts of a split, if the folders are those of one; a folder with only train and val has no other test."""
    parts = {
        part: path
        for part, names in SPLIT_NAMES.items()
        for name, path in sorted(folders.items())
        if name.casefold() in names
    }
    if "train" not in parts or len(parts) == 1:
        return {}
    if "test" not in parts:
        parts["test"] = parts.pop("validation")
    return parts


def _check_classes(name: str, classes: list[str]) -> None:
    if not 2 <= len(classes) <= MAX_CLASSES:
        raise DomainError(
            f"{name}: {len(classes) or 'no'} sub-folder{'s' * (len(classes) != 1)}; expected one "
            f"a class, 2 to {MAX_CLASSES:,}"
        )
    for label in classes:
        if not label.isprintable() or set("<>") & set(label):
            raise DomainError(f"{name}: class folder {label!r}: expected a name that can be shown, without < and >")


def _images(folder: Path, left_out: Counter[str]) -> tuple[Path, ...]:
    """The images below the folder, sorted as ImageFolder sorts them; other files are counted in ``left_out``."""
    files: list[Path] = []
    seen: set[tuple[int, int]] = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        stat = Path(root).stat()
        if (stat.st_dev, stat.st_ino) in seen:  # a link back to a folder above
            folders.clear()
            continue
        seen.add((stat.st_dev, stat.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(name for name in names if not name.startswith(".")):
            if _suffix(name) in suffixes():
                files.append(Path(root, name))
            else:
                left_out[_suffix(name)] += 1
        if len(files) > MAX_CLASS_IMAGES:
            break
    return tuple(sorted(files, key=lambda file: (str(file.parent), file.name)))


@cache
def suffixes() -> frozenset[str]:
    """The suffixes of the images that are read, in lower case."""
    return frozenset(suffix for suffix, form in Image.registered_extensions().items() if form in _formats())


@cache
def _formats() -> tuple[str, ...]:
    """Those of FORMATS that this Pillow was built with."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _suffix(name: str) -> str:
    return Path(name).suffix.lower() or "files without a suffix"


def _counted(left_out: Counter[str]) -> dict[str, int]:
    return {name: count for name, count in left_out.most_common() if count}


def _summary(names: list[str]) -> str:
    return f"{len(names)} ({', '.join(names[:4])}{', …' if len(names) > 4 else ''})" if names else "no sub-folders"


def _all_files(folder: Folder) -> Iterator[tuple[Path, ...]]:
    for part in (folder.files, *folder.held_out.values()):
        yield from part


def _without(folder: Folder, unreadable: dict[str, str]) -> Folder:
    bad = {folder.path / path for path in unreadable}

    def readable(part: tuple[tuple[Path, ...], ...]) -> tuple[tuple[Path, ...], ...]:
        return tuple(tuple(file for file in files if file not in bad) for files in part)

    left_out = folder.left_out | ({"unreadable images": len(bad)} if bad else {})
    held_out = {name: readable(part) for name, part in folder.held_out.items()}
    return replace(folder, files=readable(folder.files), held_out=held_out, left_out=left_out)


def _unreadable_file(folder: Folder) -> Path:
    """Where `check_images` writes its result; another file after a change in the folder."""
    made = data_dir() / "made"
    made.mkdir(parents=True, exist_ok=True)
    return made / f"unreadable-{digest(FORMAT, str(folder.path), version(folder))}.json"


def _unreadable(folder: Folder) -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads(_unreadable_file(folder).read_text())
    except (OSError, ValueError):
        raise DomainError(
            f"{folder.name}: its images have not been checked, or have changed since; check it on the page Domains, or "
            f"by `atesc domains get '{folder.name}'`"
        ) from None
    return found


def _read(folder: Folder, image_side: int, on_image: Callable[[int, int], None]) -> ArraySplit:
    parts = _draw(folder)
    drawn = [image for part in parts for image in part]
    results = list(_decoded(folder, [file for file, _ in drawn], image_side, on_image))
    if bad := [result for result in results if isinstance(result, str)]:
        raise DomainError(
            f"{folder.name}: {len(bad):,} of {len(results):,} images cannot be used: {'; '.join(bad[:NAMED])}"
            f"{_others(folder, bad)}. Mend or remove them, or leave them out: {READABLE}{folder.path}"
        )
    images = np.stack([result for result in results if not isinstance(result, str)])
    everything = Labelled(images, np.array([label for _, label in drawn], np.int64))
    ends = np.cumsum([len(part) for part in parts])
    return ArraySplit(*(everything.at(slice(end - len(part), end)) for part, end in zip(parts, ends, strict=True)))


def _others(folder: Folder, bad: list[str]) -> str:
    """A text on the bad images that a message does not name: their number, and the file that lists all."""
    if len(bad) <= NAMED:
        return ""
    path = data_dir() / "made" / f"unreadable-{digest(folder.name)}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(bad) + "\n")
    return f" and {len(bad) - NAMED:,} more; all are listed in {path}"


def _decoded(
    folder: Folder, files: list[Path], image_side: int, on_image: Callable[[int, int], None]
) -> Iterator[Images | str]:
    """Each file's image, or what is wrong with it, in order."""
    with ThreadPoolExecutor() as pool:
        pending = [pool.submit(_image, file, str(file.relative_to(folder.path)), image_side) for file in files]
        try:
            for number, future in enumerate(pending, 1):
                yield future.result()
                on_image(number, len(files))
        finally:  # also after an error or a stop, so that no more images are read
            for future in pending:
                future.cancel()


def _draw(folder: Folder) -> list[list[tuple[Path, int]]]:
    """(file, label) of the training, of the validation and of the test images, each in random order."""
    rng = np.random.default_rng(SPLIT_SEED)
    most, classes = TEST_IMAGES // len(folder.classes), range(len(folder.classes))

    def shuffled(files: tuple[Path, ...], label: int) -> list[tuple[Path, int]]:
        return [(files[at], label) for at in rng.permutation(len(files))]

    train, validation, test = [], [], []
    for label in classes:
        order = shuffled(folder.files[label], label)
        share = min(len(order) // TEST_SHARE, most)
        if "test" in folder.held_out:
            test += shuffled(folder.held_out["test"][label], label)[:most]
        else:
            test += order[:share]
            order = order[share:]
        if "validation" in folder.held_out:
            validation += shuffled(folder.held_out["validation"][label], label)[:most]
        else:
            validation += order[:share]
            order = order[share:]
        train += order[: TRAIN_IMAGES // len(folder.classes)]
    return [[part[index] for index in rng.permutation(len(part))] for part in (train, validation, test)]


def _image(file: Path, name: str, side: int) -> Images | str:
    """(side, side, 3) uint8, or a text that says what is wrong with the file, which it calls ``name``."""
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            return f"{name}: more than {MAX_FILE_BYTES // 1024**2} MB"
        with Image.open(file, formats=_formats()) as image:
            pixels = image.width * image.height
            if pixels > MAX_PIXELS:
                return f"{name}: {image.width} × {image.height} pixels, more than {MAX_PIXELS // 10**6} million"
            if image.mode[0] in "IF" and not image.mode.startswith("I;16"):
                return f"{name}: {image.mode} pixels; expected 8 or 16 bits a channel"
            image.draft("RGB", (2 * side, 2 * side))  # decodes a large JPEG at a smaller size
            with _large if image.width * image.height > LARGE_PIXELS else nullcontext():
                return np.asarray(ImageOps.fit(_upright_rgb(image), (side, side), Image.Resampling.BILINEAR))
    except Exception as error:  # on damaged files the decoders raise many types of errors
        return f"{name}: not a readable image ({type(error).__name__})"


def _upright_rgb(image: Image.Image) -> Image.Image:
    """The image as its camera meant it, its transparent pixels on BACKGROUND."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    upright = ImageOps.exif_transpose(image)
    if not upright.has_transparency_data:
        return upright.convert("RGB")
    coloured = upright.convert("RGBA")
    background = Image.new("RGBA", coloured.size, BACKGROUND)
    return Image.alpha_composite(background, coloured).convert("RGB")
