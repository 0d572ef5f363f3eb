"""What this machine can do, asked of PyTorch in a process of its own: pages import no torch."""

import json
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import streamlit as st

from atesc_core.paths import IMPORT_ROOT

QUESTION = """
import json
from atesc_core.device import describe, pick_device
device = describe(pick_device())
print(json.dumps({"kind": device.kind, "summary": device.summary}))
"""


@dataclass(frozen=True)
class Machine:
    kind: str  # "cuda", "mps" or "cpu"
    summary: str  # in words: name, cores, memory


def machine() -> Machine | None:
    """The device that runs go to; None in the first seconds, while PyTorch starts to answer."""
    answer = _asked()
    return answer.result() if answer.done() else None


@st.cache_resource(show_spinner=False)
def _asked() -> Future[Machine]:
    return ThreadPoolExecutor(1, thread_name_prefix="machine").submit(_ask)


def _ask() -> Machine:
    asked = subprocess.run(
        [sys.executable, "-c", QUESTION], cwd=IMPORT_ROOT, capture_output=True, text=True, check=False
    )
    if asked.returncode:
        return Machine("cpu", "PyTorch does not start here: " + asked.stderr.strip().splitlines()[-1])
    return Machine(**json.loads(asked.stdout))
