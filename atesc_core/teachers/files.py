"""The lab's own files of weights: safetensors, with facts about the network in the header.

A user's file is never read here: `atesc_core.teachers.conversion` makes such a file of it first.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from atesc_core.errors import TeacherError
from atesc_core.files import atomic_write

CHECKSUM = "sha256"
LAB = "atesc_lab"  # the only name in the header of a file of the lab: JSON of all facts, so that equal files are equal
READ_FACTS = (LAB, "class_names", "image_side", "arch")  # names in a header that are read; others' files have the last
FLOATING = ("F64", "F32", "F16", "BF16")  # safetensors' names of the kinds of numbers that weights can have


@dataclass(frozen=True)
class Listing:
    """The content of a file, as the file lists it."""

    name: str  # of the file, for messages
    shapes: dict[str, tuple[int, ...]]
    floating: dict[str, bool]  # tensor name -> whether it holds floating-point numbers
    class_names: tuple[str, ...] | None = None  # in the order of the outputs
    image_side: int | None = None  # pixels
    arch: str | None = None
    pair: str | None = None  # the pair of the run that it is a student of
    entry: str = ""  # the entry of a checkpoint that holds the tensors; empty if they are the whole file
    other_entries: tuple[str, ...] = ()  # entries of the checkpoint that hold weights too

    @property
    def entry_notice(self) -> str:
        """Which entry of a checkpoint is read and which are not; empty if the tensors are the whole file."""
        not_read = f"; not read: {', '.join(self.other_entries)}" if self.other_entries else ""
        return self.entry and f"the file's entry {self.entry!r}{not_read}"


def list_file(path: Path, name: str | None = None) -> Listing:
    """Names and shapes of the tensors in a safetensors file, and its header; no weight is read.

    Args:
        path: Path of the file.
        name: Name of the file in messages; that on disk unless given.

    Raises:
        TeacherError: there is no such file, or it is no safetensors file.
    """
    name = name or path.name
    try:
        with safe_open(path, "pt") as file:
            slices = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118 - not a dict
            return Listing(
                name,
                {key: tuple(part.get_shape()) for key, part in slices.items()},
                {key: part.get_dtype() in FLOATING for key, part in slices.items()},
                **_listed_facts(_facts(file.metadata())),
            )
    except (SafetensorError, OSError, ValueError) as error:
        _raise_unreadable(name, error)


def read_tensors(path: Path, name: str | None = None) -> dict[str, Tensor]:
    """The weights in a safetensors file, on the CPU. Arguments and errors as in `list_file`.

    Raises:
        TeacherError: also if the file has a checksum, as those of `save_tensors`, and its weights are others.
    """
    name = name or path.name
    try:
        tensors = load_file(path)
        with safe_open(path, "pt") as file:
            checksum = _facts(file.metadata()).get(CHECKSUM)
    except (SafetensorError, OSError, ValueError) as error:
        _raise_unreadable(name, error)
    if checksum is not None and checksum != _checksum(tensors):
        raise TeacherError(
            f"{name}: damaged: its weights are not those that were written; expected {CHECKSUM} {checksum}"
        )
    return tensors


def save_tensors(tensors: Mapping[str, Tensor], path: Path, facts: Mapping[str, str]) -> None:
    """Write a safetensors file atomically, with ``facts`` and a checksum of the weights in its header."""
    written = {key: value.detach().cpu().contiguous() for key, value in tensors.items()}
    with atomic_write(path) as file:
        all_facts = _facts(facts) | {CHECKSUM: _checksum(written)}
        file.write(save(written, {LAB: json.dumps(all_facts, sort_keys=True)}))


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of the names, kinds, shapes and bytes of all tensors."""
    digest = hashlib.sha256()
    for key in sorted(tensors):
        values = tensors[key].contiguous()
        digest.update(repr((key, str(values.dtype), tuple(values.shape))).encode())
        digest.update(values.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def header(
    class_names: tuple[str, ...] | None = None, image_side: int | None = None, arch: str | None = None
) -> dict[str, str]:
    """Facts about a network for the header of its file, which `list_file` reads; unknown ones are left out."""
    facts = {"class_names": json.dumps(class_names) if class_names else None, "image_side": image_side, "arch": arch}
    return {key: str(value) for key, value in facts.items() if value is not None}


def as_class_names(value: Any) -> tuple[str, ...] | None:
    """``value``, from a file, as class names if it is a list of texts, else None."""
    is_list = isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value)
    return tuple(value) if is_list and value else None


def printable(key: str) -> str:
    """A name from a file in a form for messages: short, on one line and without markup."""
    return re.sub(r"[^\w.-]", "?", key if len(key) <= 80 else key[:77] + "...")


def _facts(header: Mapping[str, str] | None) -> dict[str, str]:
    """The facts in a header: those under LAB, else those under their own names."""
    header = header or {}
    own = _from_json(header.get(LAB))
    facts = own if isinstance(own, dict) else {key: value for key, value in header.items() if key != LAB}
    return {str(key): value for key, value in facts.items() if isinstance(value, str)}


def _listed_facts(facts: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a `Listing` in a header; a field that is missing or invalid is left out."""
    side = facts.get("image_side", "")
    return {
        "class_names": as_class_names(_from_json(facts.get("class_names"))),
        "image_side": int(side) if re.fullmatch(r"[0-9]{1,3}", side) else None,
        "arch": facts.get("arch"),
        "pair": facts.get("pair"),
        "entry": facts.get("entry", ""),
        "other_entries": as_class_names(_from_json(facts.get("other_entries"))) or (),
    }


def _from_json(text: str | None) -> Any:
    try:
        return json.loads(text or "null")
    except (ValueError, RecursionError):
        return None


def _raise_unreadable(name: str, error: Exception) -> NoReturn:
    raise TeacherError(f"{name}: not a readable safetensors file ({error})") from None
