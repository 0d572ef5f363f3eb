"""The benchmark for a GPU, in a small size on the CPU: every row and sentence is there, and compiling is tried."""

from __future__ import annotations

import re
import subprocess

from benchmarks.gpu import report

SMALL = {
    "rounds": 4,
    "student_steps": 1,
    "batch_size": 16,
    "synthesis.width": 8,
    "synthesis.steps": 1,
    "split.threshold": 4.0,
}


def test_every_synthesizer_the_compiler_and_both_precisions_are_measured():
    lines = report("quick", "cpu", 1, 32, "eager", **SMALL)
    rows = [line for line in lines if line.endswith("| nan | yes |")]
    assert [row.split(" | ")[0].strip("| ") for row in rows] == ["DFQ", "DFQ", "CMI", "CMI", "NAYER", "NAYER"]
    text = "\n".join(lines)
    assert re.search(r"Compiled networks: \d+\.\d\d of the time of a round; compiling takes \d+ s\.", text)
    shares = [float(share) for share in re.findall(r"([\d.]+) % of 32 synthetic images as in float32", text)]
    assert len(shares) == 2
    assert min(shares) >= 50, "two precisions agree on more than a half of the images"


def test_the_script_for_a_gpu_is_one_that_a_shell_can_read():
    assert subprocess.run(["sh", "-n", "benchmarks/gpu.sh"], check=False).returncode == 0
