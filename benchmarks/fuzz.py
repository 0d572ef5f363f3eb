"""Read thousands of damaged files and texts, and count what is not a clear refusal (docs/reliability.md).

    python -m benchmarks.fuzz [--count 10000] [--kind weights]

Each is a good one with a few mutations: flipped bits, cut, zeroed, doubled or exchanged parts. It is read in a forked
process with the bounds of `atesc_core.teachers.conversion`, so that a crash is counted and nothing else ends.
"""

from __future__ import annotations

import io
import os
import pickle
import random
import signal
import tempfile
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from safetensors.torch import save as safetensors_bytes

from atesc_core.errors import RecordingError, SpecError, TeacherError
from atesc_core.figures.export.recipe import Recipe
from atesc_core.models import build
from atesc_core.paths import ASSETS
from atesc_core.recording.file import load
from atesc_core.specs.run import RunSpec
from atesc_core.teachers.conversion import bound_this_process, convert

READ, REFUSED, CRASHED, TIMED_OUT, UNCLEAR = "read", "refused", "crashed", "timed out", "unclear"
SECONDS = 60.0  # within which there must be an answer
TIME_SIGNALS = {signal.SIGALRM, signal.SIGXCPU, signal.SIGKILL}  # the last: of a process at its limit of computing
EXIT = {0: READ, 3: REFUSED}
CLEAR = (TeacherError, RecordingError, SpecError, MemoryError)  # the commands and the pages say these in a sentence


@dataclass(frozen=True)
class Kind:
    """Something that comes from outside, and how it is read."""

    samples: dict[str, bytes]  # by the name of a file: good ones
    read: Callable[[Path], object]
    own_process: bool = False  # whether it is read by a process of its own, whose crash is a sentence to the user


def kinds() -> dict[str, Kind]:
    """What is read from outside, by name."""
    state = build("small", 4).state_dict()
    spec = RunSpec(teacher="mnistm-fashion-ntl", seed=3)
    recipe = Recipe.from_yaml("panels: [{figure: accuracy, run: abcd2345}, {figure: recalls, run: abcd2345}]")
    return {
        "weights": Kind(
            {
                "zip.pth": _torch_bytes(state),
                "old.pth": _torch_bytes(state, _use_new_zipfile_serialization=False),
                "own.safetensors": safetensors_bytes(state),
            },
            lambda path: convert(path, path.with_name("converted"), path.name),
            own_process=True,
        ),
        "recording": Kind({"story.atesc": min(ASSETS.rglob("*.atesc"), key=_size).read_bytes()}, load),
        "link": Kind({"token": spec.to_token().encode()}, lambda path: RunSpec.from_token(_text(path))),
        "spec": Kind({"spec.yaml": spec.to_yaml().encode()}, lambda path: RunSpec.from_yaml(_text(path))),
        "recipe": Kind({"figure.recipe.yaml": recipe.to_yaml().encode()}, lambda path: Recipe.from_yaml(_text(path))),
    }


def mutated(content: bytes, rng: random.Random) -> bytes:
    """A copy with one to four mutations, half of them near the end, where an archive keeps its directory."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        size = len(data)
        if size < 2:
            break
        start = rng.randrange(size) if rng.random() < 0.5 else rng.randrange(max(0, size - 4096), size)
        end = min(size, start + rng.choice((1, 2, 4, 8, 64, 1024)))
        match rng.randrange(7):
            case 0 | 1:
                data[start] ^= 1 << rng.randrange(8)
            case 2:
                data[start:end] = bytes(end - start)
            case 3:
                data[start:end] = rng.randbytes(end - start)
            case 4:
                data[start:start] = data[start:end]
            case 5:
                del data[start:end]
            case 6:
                del data[start:]
    return bytes(data)


def big_endian(content: bytes) -> bytes:
    """The archive of a PyTorch file that says that its numbers are big-endian."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(changed, "w") as target:
        for name in source.namelist():
            target.writestr(name, b"big" if name.endswith("byteorder") else source.read(name))
    return changed.getvalue()


def outcome(kind: Kind, name: str, content: bytes, folder: Path) -> tuple[str, str]:
    """READ, REFUSED, CRASHED, TIMED_OUT or UNCLEAR for one file, and what there is to say on the last three."""
    path, report = folder / name, folder / "report"
    path.write_bytes(content)
    report.write_text("")
    child = os.fork()
    if child == 0:
        _read(kind, path, report)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if -status in TIME_SIGNALS:
        return TIMED_OUT, f"no answer within {SECONDS:g} s"
    if status < 0:
        return CRASHED, signal.Signals(-status).name
    return EXIT.get(status, UNCLEAR), report.read_text()


def fuzz(kind: Kind, count: int, seed: int = 0) -> tuple[Counter[str], list[str]]:
    """Outcomes of ``count`` mutated files, and the reports of those that are not clear."""
    rng, outcomes, reports = random.Random(seed), Counter[str](), []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            name = list(kind.samples)[number % len(kind.samples)]
            content = kind.samples[name]
            if name == "zip.pth" and number % 9 == 0:
                content = big_endian(content)
            found, report = outcome(kind, name, mutated(content, rng), Path(folder))
            outcomes[found] += 1
            if found in (TIMED_OUT, UNCLEAR) or (found == CRASHED and not kind.own_process):
                reports.append(f"{name}, number {number}: {report}")
    return outcomes, reports


def main(
    count: Annotated[int, typer.Option(help="Mutated files of each kind.")] = 10_000,
    kind: Annotated[list[str] | None, typer.Option(help="Only this kind; may be repeated.")] = None,
    seed: int = 0,
) -> None:
    """Print the outcomes of each kind as a row of a table; ends with status 1 if any is not clear."""
    torch.set_num_threads(1)
    every = kinds()
    wrong = []
    print(
        "| what | files | read | refused in a sentence | reader crashed, said in a sentence | no answer in time "
        + "| unclear |\n"
        + "|---" * 7
        + "|"
    )
    for name in kind or every:
        outcomes, reports = fuzz(every[name], count, seed)
        late = outcomes[TIMED_OUT]
        counts = [count, outcomes[READ], outcomes[REFUSED], outcomes[CRASHED], late, len(reports) - late]
        print(f"| {name} | {' | '.join(f'{number:,}' for number in counts)} |", flush=True)
        wrong += reports
    for report in wrong[:10]:
        print(report)
    raise typer.Exit(bool(wrong))


def _read(kind: Kind, path: Path, report: Path) -> None:
    """Read the file in this forked process, and end it with the outcome as its status."""
    status = 0
    try:
        bound_this_process()
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        kind.read(path)
    except CLEAR:
        status = 3
    except BaseException:  # noqa: BLE001 - whatever it is, it is counted
        report.write_text(traceback.format_exc()[-2000:])
        status = 4
    finally:
        os._exit(status)


def _torch_bytes(state: dict[str, torch.Tensor], **options: bool) -> bytes:
    content = io.BytesIO()
    torch.save(state, content, pickle_module=pickle, **options)
    return content.getvalue()


def _text(path: Path) -> str:
    return path.read_bytes().decode(errors="replace")


def _size(path: Path) -> int:
    return path.stat().st_size


if __name__ == "__main__":
    typer.run(main)
