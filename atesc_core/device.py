"""Choice of the device on which a run computes, and facts on that device. All other code asks this module.

    python -m atesc_core.device

reports the device that ``auto`` means, as a job (``atesc_core.jobs``), for code that does not import PyTorch.
"""

from __future__ import annotations

import contextlib
import math
import os
import platform
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from atesc_core.jobs import report_result

GB_OF_A_RUN = 1.0  # memory that must be there for each slot of the CPU


@dataclass(frozen=True)
class DeviceInfo:
    """Facts on a device that the app shows. ``memory_gb`` is total memory in GB (10⁹ bytes)."""

    kind: str  # "cuda", "mps" or "cpu"
    name: str
    memory_gb: float
    cores: int

    @property
    def summary(self) -> str:
        """Name, cores of a CPU, and memory, for the user."""
        cores = f", {self.cores} cores" if self.kind == "cpu" else ""
        return f"{self.name}{cores}, {self.memory_gb:.0f} GB"


def pick_device(requested: str = "auto") -> torch.device:
    """The device for ``requested``: ``auto`` takes CUDA, then Apple MPS, then CPU.

    Raises:
        ValueError: ``requested`` is not one of auto, cuda, mps, cpu, or is not present on this machine.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if requested == "auto":
        return torch.device(next(kind for kind, available in present.items() if available))
    if requested not in present:
        raise ValueError(f"device: {requested!r} is not a device; expected auto, cuda, mps or cpu")
    if not present[requested]:
        raise ValueError(
            f"device: {requested!r} is not present on this machine; expected one of "
            f"{', '.join(kind for kind, available in present.items() if available)}"
        )
    return torch.device(requested)


def describe(device: torch.device) -> DeviceInfo:
    """Name, memory and cores of a device."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return DeviceInfo("cuda", properties.name, properties.total_memory / 1e9, cores)
    name = "Apple GPU" if device.type == "mps" else "CPU"
    return DeviceInfo(device.type, name, psutil.virtual_memory().total / 1e9, cores)


def slots(device: torch.device) -> list[str]:
    """Names of the slots of a kind of device: how many runs of one thread it computes at once.

    On the CPU one for each core that this process may use, as far as each has memory for a run; ``ATESC_CPU_SLOTS``
    sets their number. On CUDA ``ATESC_GPU_SLOTS`` (1) for each GPU, whose number comes first in their names.

    Raises ValueError if a variable is not a whole number from 1.
    """
    if device.type == "cuda":
        runs = slots_of_environment("ATESC_GPU_SLOTS") or 1
        return [f"cuda-{gpu}-{number}" for gpu in range(torch.cuda.device_count()) for number in range(runs)]
    if device.type == "mps":
        return ["mps-0"]
    facts = describe(device)
    cores, memory_gb = _limits_of_container()
    number = slots_of_environment("ATESC_CPU_SLOTS") or int(
        min(facts.cores, cores, facts.memory_gb / GB_OF_A_RUN, memory_gb / GB_OF_A_RUN)
    )
    return [f"cpu-{core}" for core in range(max(1, number))]


def _limits_of_container(folder: Path = Path("/sys/fs/cgroup")) -> tuple[float, float]:
    """Cores and GB of memory that Linux grants to this container; infinite where it sets no limit."""
    cores = memory_gb = math.inf
    with contextlib.suppress(OSError, ValueError):
        quota, period = (folder / "cpu.max").read_text().split()
        cores = int(quota) / int(period)  # ValueError: "max", no limit
    with contextlib.suppress(OSError, ValueError):
        memory_gb = int((folder / "memory.max").read_text()) / 1e9
    return cores, memory_gb


def slots_of_environment(name: str) -> int | None:
    """The number in this variable; None if it is not set. Raises ValueError if it is not a whole number from 1."""
    text = os.environ.get(name)
    if not text:
        return None
    if not (text.isdecimal() and 1 <= int(text) <= 1024):
        raise ValueError(f"{name}: {text!r}: expected a whole number from 1 to 1024")
    return int(text)


def processor(slot: str) -> str:
    """The processor of a slot: ``cpu``, ``mps``, or ``cuda-`` and the number of a GPU."""
    return slot.rpartition("-")[0]


def use_processor(name: str) -> None:
    """Compute on this processor of the device from now on: on CUDA, ``cuda`` then means this GPU."""
    kind, _, number = name.partition("-")
    if kind == "cuda":
        torch.cuda.set_device(int(number))


def use_threads(threads: int) -> None:
    """Let PyTorch compute with this many threads on the CPU, from now on, in this process.

    The sums of some operations depend on their number, so it is part of a run's settings and not of the machine.
    """
    torch.set_num_threads(threads)


def build(device: torch.device) -> dict[str, str]:
    """What a run's numbers depend on beside its settings: PyTorch, the processor's instructions, and the device."""
    return {
        "PyTorch": torch.__version__,
        "processor": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
        "device": describe(device).name,
    }


def autocast(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """bfloat16 autocast on CUDA, nothing elsewhere (CPU runs stay float32 and bit-reproducible)."""
    if device.type == "cuda":
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return contextlib.nullcontext()


def memory_format(device: torch.device) -> torch.memory_format:
    """Channels last, except on MPS: on the CPU a round of the quick preset then takes 0.7 of the time."""
    return torch.contiguous_format if device.type == "mps" else torch.channels_last


if __name__ == "__main__":
    device = pick_device()
    report_result({"kind": device.type, "summary": describe(device).summary, "slots": len(slots(device))})
