"""Make a safetensors file of a user's file of weights, in a process of its own with bounds on memory and time.

    python -m atesc_core.teachers.conversion SOURCE TARGET NAME

Nothing in the file is executed. A damaged file can make PyTorch's reader crash or fill the memory: then only that
process ends, and `convert_file` says so.
"""

from __future__ import annotations

import argparse
import json
import os
import pickletools
import re
import resource
import signal
import subprocess
import sys
import zipfile
from argparse import Namespace
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import psutil
import torch
from numpy._core import multiarray
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from atesc_core.errors import TeacherError
from atesc_core.jobs import report_result
from atesc_core.jobs.messages import Result, parse
from atesc_core.paths import IMPORT_ROOT
from atesc_core.teachers.files import READ_FACTS, as_class_names, header, printable, save_tensors

SUFFIXES = {  # of a file's name -> what the file holds
    ".safetensors": "safetensors",
    ".pt": "PyTorch",
    ".pth": "PyTorch",
    ".pth.tar": "PyTorch",
    ".ckpt": "PyTorch",
    ".bin": "PyTorch",
}
MAX_FILE_BYTES = 512 * 1024**2
MAX_MEMORY_BYTES = 4 * MAX_FILE_BYTES  # that the reader may take beyond what PyTorch itself takes
MAX_CPU_S = 60
MAX_S = 120
MAX_TENSORS = 5000
MAX_NAME = 300  # characters of a tensor's name
NUMBERS = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.uint8)
# Entries of a checkpoint that hold the weights, in the order in which they are taken, where several are there.
ENTRIES = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights")
SAVED_WELL = "torch.save(model.state_dict(), 'weights.pth')"
# What training scripts store beside the weights. These types hold data, and building one runs no code of the file.
# NumPy before 2 wrote other names of its two functions.
DATA_TYPES = [
    Namespace,
    np.ndarray,
    np.dtype,
    *{type(np.dtype(kind)) for kind in "?bhilqBHILQefd"},
    *(
        entry
        for function in (multiarray.scalar, multiarray._reconstruct)
        for entry in (function, (function, f"numpy.core.multiarray.{function.__name__}"))
    ),
]


def suffix_of(name: str) -> str:
    """The suffix of a file's name in lower case, one of SUFFIXES, or '' for any other."""
    return next((suffix for suffix in sorted(SUFFIXES, key=len, reverse=True) if name.lower().endswith(suffix)), "")


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


def convert_file(source: Path, target: Path, name: str | None = None) -> None:
    """Write the weights in a user's file to ``target``, a safetensors file for `list_file`. Takes some seconds.

    Args:
        source: Path of the user's file.
        target: Path of the new file.
        name: The user's name of the file, for messages; that on disk unless given.

    Raises:
        TeacherError: absent, empty, oversize, truncated, wrongly named or unreadable file; Python objects beside the
            weights; a file that makes its reader crash, or take too much memory or time.
    """
    name = name or source.name
    _check_kind(source, name)
    command = [sys.executable, "-m", __name__, str(source.resolve()), str(target.resolve()), name]
    try:
        done = subprocess.run(
            command,
            cwd=IMPORT_ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=MAX_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TeacherError(f"{name}: reading it took more than {MAX_S} s, and was stopped") from None
    answers = [message.value for line in done.stdout.splitlines() if isinstance(message := parse(line), Result)]
    if answers and isinstance(answers[-1], str) and answers[-1]:
        raise TeacherError(answers[-1])
    if done.returncode or not answers:
        raise TeacherError(
            f"{name}: damaged, or not written by PyTorch: its reader {_end(done.returncode)}; expected a file as "
            f"{SAVED_WELL} writes it"
        )


def convert(source: Path, target: Path, name: str) -> None:
    """As `convert_file`, but in this process: a hostile file may make it crash, or raise MemoryError."""
    with _naming_lack_of_memory():
        if _check_kind(source, name) == "safetensors":
            state, facts = _read_safetensors(source, name)
        else:
            state, facts = _read_pytorch(source, name)
        _check_tensors(name, state)
        # Copies, as two names may share one storage.
        save_tensors({key: value.clone() for key, value in state.items()}, target, facts)


@contextmanager
def _naming_lack_of_memory() -> Iterator[None]:
    """Where PyTorch lacks memory, it raises a RuntimeError as for much else: here it becomes a MemoryError."""
    try:
        yield
    except RuntimeError as error:
        if "can't allocate memory" in str(error):
            raise MemoryError from None
        raise


def main() -> None:
    """Convert the file that the command line names, and report why it cannot be converted, or ''."""
    parser = argparse.ArgumentParser()
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("name")
    arguments = parser.parse_args()
    bound_this_process()
    try:
        convert(arguments.source, arguments.target, arguments.name)
    except TeacherError as error:
        report_result(str(error))
    except MemoryError:
        report_result(f"{arguments.name}: {_too_large()}")
    else:
        report_result("")


def bound_this_process() -> None:
    """Set the bounds on the memory and the time of this process; it writes no core dump."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_S, MAX_CPU_S))
    memory = psutil.Process().memory_info().vms + MAX_MEMORY_BYTES  # the libraries are mapped already
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def _end(status: int) -> str:
    if status == -signal.SIGXCPU or status == -signal.SIGKILL:
        return f"was stopped after {MAX_CPU_S} s of computing"
    if status < 0:
        return f"crashed ({signal.Signals(-status).name})"
    return "ended without an answer"


def _too_large() -> str:
    return f"it takes more than {MAX_MEMORY_BYTES / 1e6:,.0f} MB of memory to read"


def _check_kind(path: Path, name: str) -> str:
    """What the file holds by its name, one of the values of SUFFIXES, after checks of its size and first bytes."""
    if not path.is_file():
        raise TeacherError(f"{name}: no such file")
    check_size(name, path.stat().st_size)
    suffix = suffix_of(path.name)
    if not suffix:
        raise TeacherError(f"{name}: expected a file ending in {', '.join(SUFFIXES)}")
    content = _content_kind(path)
    if content and content != SUFFIXES[suffix]:
        endings = [ending for ending, kind in SUFFIXES.items() if kind == content]
        raise TeacherError(
            f"{name}: named {suffix}, but its content is {content}; expected the name to end in {' or '.join(endings)}"
        )
    return SUFFIXES[suffix]


def _content_kind(path: Path) -> str | None:
    """Format by the first bytes: safetensors (length and JSON header) or PyTorch (zip archive or pickle)."""
    with path.open("rb") as file:
        start = file.read(9)
    if start[8:] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size:
        return "safetensors"
    return "PyTorch" if start.startswith((b"PK\x03\x04", b"\x80")) else None


def _read_safetensors(path: Path, name: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a safetensors file, and its header."""
    try:
        with safe_open(path, "pt") as file:
            facts = {key: value for key, value in (file.metadata() or {}).items() if key in READ_FACTS}
        return load_file(path), facts
    except (SafetensorError, OSError, ValueError, KeyError, AttributeError, TypeError, RuntimeError) as error:
        raise TeacherError(f"{name}: not a readable safetensors file ({_first_line(error)})") from None


def _read_pytorch(path: Path, name: str) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The weights in a PyTorch file, and the facts that it holds beside them."""
    content = _load_restricted(path, name)
    if not isinstance(content, dict):
        _raise_no_weights(name, f"holds a {type(content).__name__}")
    entries = {"": content} | {key: part for key, part in content.items() if isinstance(part, dict)}
    weights = {key: part for key, part in entries.items() if isinstance(key, str) and _is_state_dict(part)}
    if not weights:
        wrong = content.get("state_dict", content)
        _raise_no_weights(name, _found(wrong if isinstance(wrong, dict) and wrong else content))
    entry = next((key for key in ("", *ENTRIES) if key in weights), next(iter(weights)))
    names = as_class_names(content.get("class_names") or content.get("classes"))
    facts = header(names)
    if entry:
        facts |= {"entry": printable(entry)}
        facts |= {"other_entries": json.dumps([printable(key) for key in weights if key != entry])}
    return weights[entry], facts


def _load_restricted(path: Path, name: str) -> Any:
    """PyTorch's own reader, restricted to tensors, plain containers and DATA_TYPES."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:  # a small archive may unpack to a huge file
                parts = archive.infolist()
            check_size(name, sum(part.file_size for part in parts), " when unpacked")
            _check_count(name, len(parts))
        with safe_globals(DATA_TYPES), _naming_lack_of_memory():
            return torch.load(path, map_location="cpu", weights_only=True)
    except (TeacherError, MemoryError):
        raise
    except Exception as error:  # on hostile or damaged files zipfile and torch raise many types of errors
        if objects := _python_objects(path, error):
            raise TeacherError(
                f"{name}: holds Python objects ({_first_three(objects)}), as of a whole model or of a training script. "
                f"To read them is to run code, and nothing in it was run; expected the weights alone, as {SAVED_WELL} "
                "writes them"
            ) from None
        raise TeacherError(
            f"{name}: not a plain PyTorch state dict, or damaged ({_first_line(error)}). Nothing in it was run; "
            f"expected a file as {SAVED_WELL} writes it"
        ) from None


def _python_objects(path: Path, error: Exception) -> list[str]:
    """Names of the Python classes and functions in the file that are not read."""
    try:
        return get_unsafe_globals_in_checkpoint(path)
    except Exception:  # noqa: BLE001 - a file of an older format, or a damaged one
        return re.findall(r"GLOBAL ([\w.]+)", str(error)) or _pickled_names(path)


def _pickled_names(path: Path) -> list[str]:
    """Names of classes and functions in a bare pickle, without those that PyTorch reads; up to where it is damaged."""
    names, texts = [], [""]
    with path.open("rb") as file, suppress(Exception):
        for operation, value, _ in pickletools.genops(file):
            if operation.name == "GLOBAL":
                names.append(str(value).replace(" ", "."))
            elif operation.name == "STACK_GLOBAL":
                names.append(".".join(texts[-2:]))
            elif isinstance(value, str):
                texts.append(value)
    return [name for name in names if not name.startswith(("torch.", "collections.OrderedDict"))]


def _is_state_dict(part: Any) -> bool:
    return (
        isinstance(part, dict)
        and bool(part)
        and all(isinstance(key, str) and isinstance(value, Tensor) for key, value in part.items())
    )


def _found(content: dict[Any, Any]) -> str:
    """What is wrong with a dict that should hold tensors only."""
    if not content:
        return "holds an empty dict"
    key, value = next((key, value) for key, value in content.items() if not isinstance(value, Tensor) or key == "")
    return f"{printable(str(key))} is a {type(value).__name__}"


def _raise_no_weights(name: str, found: str) -> NoReturn:
    raise TeacherError(
        f"{name}: {found}; expected a dict of names to tensors, as {SAVED_WELL} writes it, bare or under a name such "
        "as 'state_dict'"
    )


def _check_tensors(name: str, state: dict[str, Tensor]) -> None:
    _check_count(name, len(state))
    for key, tensor in state.items():
        if not 1 <= len(key) <= MAX_NAME or key == "__metadata__":
            raise TeacherError(
                f"{name}: {printable(key)} cannot be a tensor's name; expected 1 to {MAX_NAME} characters"
            )
        if tensor.layout is not torch.strided or tensor.is_nested or tensor.is_quantized or tensor.is_meta:
            raise TeacherError(f"{name}: {printable(key)} is sparse, quantised or empty; expected a dense tensor")
        if tensor.dtype not in NUMBERS:
            raise TeacherError(f"{name}: {printable(key)} holds {tensor.dtype}; expected one of {_names(NUMBERS)}")
    # One stored number can stand for any number of elements, so this is not the size of the file.
    check_size(name, sum(part.numel() * part.element_size() for part in state.values()), " of weights")


def _check_count(name: str, count: int) -> None:
    if count > MAX_TENSORS:
        raise TeacherError(f"{name}: {count:,} tensors; expected at most {MAX_TENSORS:,}")


def _names(kinds: Iterable[torch.dtype]) -> str:
    return ", ".join(str(kind).removeprefix("torch.") for kind in kinds)


def _first_three(names: Iterable[str]) -> str:
    # Layers of PyTorch last: they say least about what was stored.
    order = sorted({printable(name) for name in names}, key=lambda name: (name.startswith("torch.nn."), name))
    return ", ".join(order[:3]) + (f" and {len(order) - 3} more" if len(order) > 3 else "")


def _first_line(error: Exception) -> str:
    """The first line of an error's message, without terminal codes, cut after a word."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip() or type(error).__name__
    text = text.partition("WeightsUnpickler error:")[2].strip() or text  # before it is advice for programmers
    line = re.sub(r"[^\x20-\x7e]", "?", text.splitlines()[0])
    return line if len(line) <= 160 else line[:160].rpartition(" ")[0] + " …"


if __name__ == "__main__":
    main()
