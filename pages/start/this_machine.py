"""The machine's device and its queue, in one line."""

from __future__ import annotations

from pages.shared.data.cost import active_run_count
from pages.shared.data.device import machine
from pages.shared.ui import elements
from pages.shared.ui.run_labels import slots_text

GPU_NOTES = {  # kind of device -> note
    "cpu": "No GPU found. With one, the app uses it, and the full preset becomes practical.",
    "mps": "The full preset is made for a CUDA GPU.",
    "cuda": "The full preset runs here too.",
}


def show_machine() -> bool:
    """Draw the device, a note on GPUs, and the queue; return whether they may change soon."""
    device, count = machine(), active_run_count()
    slots = elements.muted(slots_text(device)) if device else ""
    queue = f"{count} running or in line" if count else "empty"
    elements.row(
        elements.bold("This machine"),
        device.summary if device else elements.muted("Asking PyTorch …"),
        slots,
        elements.muted(GPU_NOTES[device.kind]) if device else "",
        elements.Html(f'<span class="atesc-line"><b>Queue</b>{queue}</span>'),  # in one line
    )
    return device is None or count > 0


def is_busy() -> bool:
    """Whether the device is not known yet or a run is active."""
    return machine() is None or active_run_count() > 0
