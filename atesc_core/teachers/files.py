"""A user's file of weights: data, never code. What it lists is looked at before any of its weights is read."""

from __future__ import annotations

import json
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from atesc_core.errors import TeacherError

MAX_FILE_BYTES = 512 * 1024**2
SUFFIXES = {".safetensors": "safetensors", ".pt": "PyTorch", ".pth": "PyTorch"}


def shown(key: str) -> str:
    """A name out of a file, fit for a message: short, and neither markup nor a line of its own."""
    return re.sub(r"[^\w.-]", "?", key if len(key) <= 80 else key[:77] + "...")


@dataclass(frozen=True)
class Listing:
    """What a file says it holds."""

    name: str
    shapes: dict[str, tuple[int, ...]]
    floating: dict[str, bool]  # whether a tensor holds floating-point numbers
    class_names: tuple[str, ...] | None  # of a ``class_names`` beside the ``state_dict``, or in safetensors' header
    image_side: int | None = None  # px, in the header of a student's file


def list_file(path: Path) -> Listing:
    """Names and shapes, without reading or allocating weights.

    Raises TeacherError: absent, empty, oversize, truncated, wrongly named or unreadable file, pickled code.
    """
    if _suffix(path) == ".safetensors":
        return _list_safetensors(path)
    content = _unpickled(path, "meta")
    state = _state(path, content)
    return Listing(
        path.name,
        {key: tuple(value.shape) for key, value in state.items()},
        {key: value.is_floating_point() for key, value in state.items()},
        _names(content.get("class_names")),
    )


def _names(stated: Any) -> tuple[str, ...] | None:
    """Class names, where it is a list of such."""
    listed = isinstance(stated, (list, tuple)) and all(isinstance(name, str) for name in stated)
    return tuple(stated) if listed else None


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The weights themselves, on the CPU. Raises TeacherError."""
    if _suffix(path) == ".safetensors":
        try:
            return load_file(path)
        except (SafetensorError, OSError, ValueError) as error:
            raise _unreadable(path, error) from None
    return _state(path, _unpickled(path, "cpu"))


def _suffix(path: Path) -> str:
    """The file's kind, once its size, its name and its first bytes have been seen to agree."""
    if not path.is_file():
        raise TeacherError(f"{path.name}: no such file")
    _check_size(path, path.stat().st_size)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise TeacherError(f"{path.name}: expected a file ending in {', '.join(SUFFIXES)}")
    found = _content_kind(path)
    if found and found != SUFFIXES[suffix]:
        right = [end for end, kind in SUFFIXES.items() if kind == found]
        raise TeacherError(
            f"{path.name}: named {suffix}, but its content is {found}; expected the name to end in {' or '.join(right)}"
        )
    return suffix


def _check_size(path: Path, size: int, inside: str = "") -> None:
    if size == 0:
        raise TeacherError(f"{path.name}: the file is empty; expected safetensors or a PyTorch state dict")
    if size > MAX_FILE_BYTES:
        found, most = (f"{size / 1e6:,.0f} MB" for size in (size, MAX_FILE_BYTES))
        raise TeacherError(f"{path.name}: {found}{inside}; expected at most {most}")


def _content_kind(path: Path) -> str | None:
    """By the first bytes: a JSON header after its length is safetensors', an archive or a pickle is PyTorch's."""
    with path.open("rb") as file:
        start = file.read(9)
    if start[8:] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size:
        return "safetensors"
    return "PyTorch" if start.startswith((b"PK\x03\x04", b"\x80")) else None


def _list_safetensors(path: Path) -> Listing:
    try:
        with safe_open(path, "pt") as file:
            slices = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118 - not a dict
            return Listing(
                path.name,
                {key: tuple(part.get_shape()) for key, part in slices.items()},
                {key: part.get_dtype() in ("F64", "F32", "F16", "BF16") for key, part in slices.items()},
                **_header(file.metadata() or {}),
            )
    except (SafetensorError, OSError, ValueError) as error:
        raise _unreadable(path, error) from None


def _header(said: dict[str, str]) -> dict[str, Any]:
    """What a safetensors file's header says of classes and images; what is not of this lab's form is as if unsaid."""
    try:
        names = json.loads(said.get("class_names", "null"))
    except (ValueError, RecursionError):
        names = None
    side = said.get("image_side", "")
    return {"class_names": _names(names), "image_side": int(side) if re.fullmatch(r"[0-9]{1,3}", side) else None}


def _unreadable(path: Path, error: Exception) -> TeacherError:
    return TeacherError(f"{path.name}: not a readable safetensors file ({error})")


def _unpickled(path: Path, device: str) -> dict[str, Any]:
    """PyTorch's own reader, restricted to tensors and plain containers; on ``meta`` no weight is read."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:  # a small file may unpack to a huge one
            _check_size(path, sum(part.file_size for part in archive.infolist()), " when unpacked")
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # torch raises many types on hostile or damaged files; all mean the same here
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TeacherError(
            f"{path.name}: not a plain PyTorch state dict; it was not loaded, and nothing in it "
            f"was run ({reason[:160]})"
        ) from None
    if not isinstance(content, dict):
        raise TeacherError(f"{path.name}: holds a {type(content).__name__}; expected a dict of names to tensors")
    return content


def _state(path: Path, content: dict[str, Any]) -> dict[str, Tensor]:
    """The state dict, bare or under the key that CMI and NAYER save it under."""
    inner = content.get("state_dict")
    state = inner if isinstance(inner, dict) else content
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, Tensor) or value.is_nested:
            raise TeacherError(
                f"{path.name}: {shown(str(key))} is a {type(value).__name__}; expected a dict of names "
                "to tensors, bare or under 'state_dict'"
            )
    return state
