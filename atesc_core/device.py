"""Choice of the device on which a run computes, and facts on that device. All other code asks this module.

    python -m atesc_core.device

reports the device that ``auto`` means, as a job (``atesc_core.jobs``), for code that does not import PyTorch.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

import psutil
import torch

from atesc_core.jobs import report_result


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


def autocast(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """bfloat16 autocast on CUDA, nothing elsewhere (CPU runs stay float32 and bit-reproducible)."""
    if device.type == "cuda":
        return torch.autocast("cuda", dtype=torch.bfloat16)
    return contextlib.nullcontext()


def memory_format(device: torch.device) -> torch.memory_format:
    """Channels last, except on MPS: on the CPU a round of the quick preset then takes 0.7 of the time."""
    return torch.contiguous_format if device.type == "mps" else torch.channels_last


if __name__ == "__main__":
    device = describe(pick_device())
    report_result({"kind": device.kind, "summary": device.summary})
