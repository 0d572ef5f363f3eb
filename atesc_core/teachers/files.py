"""A user's file of weights, which is never executed. Its list of tensors is checked before weights are read."""

from __future__ import annotations

import json
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from atesc_core.errors import TeacherError

MAX_FILE_BYTES = 512 * 1024**2
SUFFIXES = {".safetensors": "safetensors", ".pt": "PyTorch", ".pth": "PyTorch"}


@dataclass(frozen=True)
class Listing:
    """The content of a file, as the file lists it."""

    name: str  # of the file, for messages
    shapes: dict[str, tuple[int, ...]]
    floating: dict[str, bool]  # tensor name -> whether it holds floating-point numbers
    class_names: tuple[str, ...] | None  # from ``class_names`` next to the ``state_dict``, or from safetensors' header
    image_side: int | None = None  # pixels, in the header of a student's file


def list_file(path: Path, name: str | None = None) -> Listing:
    """Names and shapes of the file's tensors; no weight is read or allocated.

    Args:
        path: Path of the file.
        name: Name of the file in messages; that on disk unless given.

    Raises:
        TeacherError: absent, empty, oversize, truncated, wrongly named or unreadable file, or pickled code.
    """
    name = name or path.name
    if _checked_suffix(path, name) == ".safetensors":
        return _list_safetensors(path, name)
    content = _load_restricted(path, name, "meta")
    state = _state_dict(name, content)
    return Listing(
        name,
        {key: tuple(value.shape) for key, value in state.items()},
        {key: value.is_floating_point() for key, value in state.items()},
        _as_class_names(content.get("class_names")),
    )


def read_tensors(path: Path, name: str | None = None) -> dict[str, Tensor]:
    """The weights, on the CPU. Arguments and errors as in `list_file`."""
    name = name or path.name
    if _checked_suffix(path, name) == ".safetensors":
        try:
            return load_file(path)
        except (SafetensorError, OSError, ValueError) as error:
            _raise_unreadable(name, error)
    return _state_dict(name, _load_restricted(path, name, "cpu"))


def check_size(name: str, size: int, where: str = "") -> None:
    """Raise an error for a file that is empty or too large.

    Args:
        name: Name of the file, for the message.
        size: Size in bytes.
        where: If it is not the size of the file: a text that says whose size it is, starting with a space.

    Raises:
        TeacherError: the file is empty, or larger than MAX_FILE_BYTES.
    """
    if size == 0:
        raise TeacherError(f"{name}: the file is empty; expected safetensors or a PyTorch state dict")
    if size > MAX_FILE_BYTES:
        file_size, limit = (f"{count / 1e6:,.0f} MB" for count in (size, MAX_FILE_BYTES))
        raise TeacherError(f"{name}: {file_size}{where}; expected at most {limit}")


def printable(key: str) -> str:
    """A name from a file in a form for messages: short, on one line and without markup."""
    return re.sub(r"[^\w.-]", "?", key if len(key) <= 80 else key[:77] + "...")


def _checked_suffix(path: Path, name: str) -> str:
    """The suffix of the file's name, after checks of the file's size and first bytes."""
    if not path.is_file():
        raise TeacherError(f"{name}: no such file")
    check_size(name, path.stat().st_size)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise TeacherError(f"{name}: expected a file ending in {', '.join(SUFFIXES)}")
    content = _content_kind(path)
    if content and content != SUFFIXES[suffix]:
        endings = [ending for ending, kind in SUFFIXES.items() if kind == content]
        raise TeacherError(
            f"{name}: named {suffix}, but its content is {content}; expected the name to end in {' or '.join(endings)}"
        )
    return suffix


def _content_kind(path: Path) -> str | None:
    """Format by the first bytes: safetensors (length and JSON header) or PyTorch (zip archive or pickle)."""
    with path.open("rb") as file:
        start = file.read(9)
    if start[8:] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size:
        return "safetensors"
    return "PyTorch" if start.startswith((b"PK\x03\x04", b"\x80")) else None


def _list_safetensors(path: Path, name: str) -> Listing:
    try:
        with safe_open(path, "pt") as file:
            slices = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118 - not a dict
            class_names, image_side = _parse_header(file.metadata() or {})
            return Listing(
                name,
                {key: tuple(part.get_shape()) for key, part in slices.items()},
                {key: part.get_dtype() in ("F64", "F32", "F16", "BF16") for key, part in slices.items()},
                class_names,
                image_side,
            )
    except (SafetensorError, OSError, ValueError) as error:
        _raise_unreadable(name, error)


def _parse_header(header: dict[str, str]) -> tuple[tuple[str, ...] | None, int | None]:
    """Class names and image side in a safetensors file's header; None for each that is missing or invalid."""
    try:
        names = json.loads(header.get("class_names", "null"))
    except (ValueError, RecursionError):
        names = None
    side = header.get("image_side", "")
    return _as_class_names(names), int(side) if re.fullmatch(r"[0-9]{1,3}", side) else None


def _as_class_names(value: Any) -> tuple[str, ...] | None:
    """``value``, from a file, as class names if it is a list of texts, else None."""
    is_list = isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value)
    return tuple(value) if is_list else None


def _raise_unreadable(name: str, error: Exception) -> NoReturn:
    raise TeacherError(f"{name}: not a readable safetensors file ({error})") from None


def _load_restricted(path: Path, name: str, device: str) -> dict[str, Any]:
    """PyTorch's own reader, restricted to tensors and plain containers; on the device ``meta`` it reads no weights."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:  # a small archive may unpack to a huge file
            check_size(name, sum(part.file_size for part in archive.infolist()), " when unpacked")
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # on hostile or damaged files torch raises many types of errors
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TeacherError(
            f"{name}: not a plain PyTorch state dict; it was not loaded, and nothing in it was run ({reason[:160]})"
        ) from None
    if not isinstance(content, dict):
        raise TeacherError(f"{name}: holds a {type(content).__name__}; expected a dict of names to tensors")
    return content


def _state_dict(name: str, content: dict[str, Any]) -> dict[str, Tensor]:
    """The state dict: the whole content, or the entry in which CMI and NAYER save it."""
    inner = content.get("state_dict")
    state: dict[str, Any] = inner if isinstance(inner, dict) else content
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, Tensor) or value.is_nested:
            raise TeacherError(
                f"{name}: {printable(str(key))} is a {type(value).__name__}; expected a dict of names "
                "to tensors, bare or under 'state_dict'"
            )
    return state
