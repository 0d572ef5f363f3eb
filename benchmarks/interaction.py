"""Time that the server takes to update every chart of the page Robustness after a change of the threshold.

    python -m benchmarks.interaction [--images 20000] [--moves 100] [--json]

A real server shows a run with that many synthetic images. A client speaks to it as the browser does: it moves the
threshold's slider and waits until every change of the page has arrived. The time includes the work of the page's
fragment, the figures and their transfer. Last line: p50, p95, the slowest, and the server's CPU time for each move,
which does not depend on other work on the machine.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import numpy as np
import psutil
import typer
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from atesc_core.domains import find_pair
from atesc_core.robustness.oracle import Oracle
from atesc_core.robustness.scores import SCORES
from atesc_core.runs import RunStore, Snapshot
from atesc_core.runs.log import RunLog
from atesc_core.specs.run import RunSpec
from atesc_core.teachers.report import EPSILONS, DomainReport, Report, report_file

ROOT = Path(__file__).parents[1]
TEACHER, SIDE, CLASSES, FEATURES = "mnistm-badnet_sq-ntl", 16, 10, 64
REAL = 250  # real test images of each domain, as many as the app measures
WARM_UP = 5
TIMEOUT_S = 180
FINISHED = (
    ForwardMsg.FINISHED_SUCCESSFULLY,
    ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY,
)  # without interrupted reruns

app = typer.Typer(add_completion=False)


@app.command()
def main(
    images: Annotated[int, typer.Option(min=2, help="synthetic images of the epoch")] = 20_000,
    moves: Annotated[int, typer.Option(min=2, help="how often the threshold is moved")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="the last line is one JSON object")] = False,
) -> None:
    """Measure how long a move of the threshold on the page Robustness takes, and print the result."""
    with tempfile.TemporaryDirectory() as folder:
        run_id = make_run(Path(folder), images)
        with (
            served(Path(folder)) as (port, server),
            connect(
                f"ws://127.0.0.1:{port}/_stcore/stream",
                subprotocols=[Subprotocol("streamlit")],
                max_size=None,
                ping_interval=None,
                compression=None,
            ) as socket,
        ):
            visitor = Visitor(socket, run_id)
            thresholds = np.random.default_rng(1).uniform(0.5, 16, WARM_UP + moves).round(1)
            for threshold in thresholds[:WARM_UP]:
                visitor.move(threshold)
            visitor.bytes, cpu_start = 0, cpu_ms(server)
            times = np.array([visitor.move(threshold) for threshold in thresholds[WARM_UP:]])
            sent, cpu = visitor.bytes / moves, (cpu_ms(server) - cpu_start) / moves
    p50, p95 = np.percentile(times, [50, 95])
    result = {
        "p95_ms": round(p95, 1),
        "p50_ms": round(p50, 1),
        "slowest_ms": round(times.max(), 1),
        "cpu_ms": round(cpu, 1),
        "moves": moves,
        "images": images,
        "kilobytes_a_move": round(sent / 1000),
    }
    if as_json:
        print(json.dumps(result))
    else:
        print(
            f"{images:,} synthetic images, {moves} moves, {result['kilobytes_a_move']} kB each: p50 {p50:.0f} ms, "
            f"p95 {p95:.0f} ms, slowest {times.max():.0f} ms; the server's CPU {cpu:.0f} ms each"
        )


def cpu_ms(server: psutil.Process) -> float:
    """CPU time of the process so far."""
    times = server.cpu_times()
    return 1000 * (times.user + times.system)


# ── data of the page ───────────────────────────────────────────────────────────────────────────────────


def make_run(runs_dir: Path, images: int) -> str:
    """Write a finished run of one epoch and its teacher's report, random but of realistic size. Returns its id."""
    random, store = np.random.default_rng(0), RunStore(runs_dir)
    run_id = store.create(RunSpec(teacher=TEACHER, device="cpu", epochs=1))
    log = RunLog(store, store.get(run_id))
    log.write_epoch(1, images, {"iacc": 70.0, "asr": 20.0})
    log.write_snapshot(
        Snapshot(
            epoch=1,
            images=random.integers(0, 256, (images, 3, SIDE, SIDE), np.uint8),
            threshold=4.0,
            teacher_probs=random.dirichlet(np.full(CLASSES, 0.2), images).astype(np.float32),
            student_probs=random.dirichlet(np.full(CLASSES, 0.2), images).astype(np.float32),
            features=random.normal(size=(images, FEATURES)).astype(np.float32),
            batchnorm=np.empty((2, 0), np.float32),
            scores=scores(random, images),
            fragile=np.zeros(images, bool),
        )
    )
    with store.database.write() as connection:
        connection.execute("UPDATE runs SET status = 'done', epoch = 1, round = rounds WHERE id = ?", (run_id,))
    id_side, ood_side = (
        DomainReport(
            labels=random.integers(0, CLASSES, REAL),
            predicted=random.integers(0, CLASSES, REAL),
            confidence=random.random(REAL, np.float32),
            features=random.normal(size=(REAL, FEATURES)).astype(np.float32),
            images=random.integers(0, 256, (REAL, 3, SIDE, SIDE), np.uint8),
            robust_share=np.linspace(100, 0, len(EPSILONS)),
            scores=scores(random, REAL) | {"oracle": random.normal(size=REAL).astype(np.float32)},
        )
        for _ in range(2)
    )
    names = tuple(map(str, range(CLASSES)))
    pair = find_pair("mnistm-badnet_sq")
    report = Report(
        id_side,
        ood_side,
        np.array(EPSILONS),
        names,
        names,
        pair.target,
        pair.metric,
        Oracle(random.normal(size=FEATURES).astype(np.float32), 0.0),
    )
    report.save(report_file(runs_dir, TEACHER, store.get_distillation(run_id).spec.split))
    store.close()
    return run_id


def scores(random: np.random.Generator, images: int) -> dict[str, np.ndarray]:
    """Random values of each score, (images,) float32: min_eps in steps of 1/4, 5 % of them infinite."""
    min_eps = np.ceil(random.gamma(2, 2, images) * 4) / 4
    min_eps[random.random(images) < 0.05] = np.inf
    return {name: random.normal(size=images).astype(np.float32) for name in SCORES} | {
        "min_eps": min_eps.astype(np.float32)
    }


# ── server and visitor ──────────────────────────────────────────────────────────────────────────────


@contextmanager
def served(runs_dir: Path) -> Iterator[tuple[int, psutil.Process]]:
    """Start a server of the app; yields its port and process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        str(ROOT / "app.py"),
        f"--server.port={port}",
        "--server.headless=true",
        "--server.fileWatcherType=none",
    ]
    server = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"ATESC_RUNS_DIR": str(runs_dir)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + TIMEOUT_S
        while not answers(port):
            if server.poll() is not None or time.monotonic() > end:
                raise RuntimeError("the server did not start")
            time.sleep(0.1)
        yield port, psutil.Process(server.pid)
    finally:
        server.terminate()
        server.wait()


def answers(port: int) -> bool:
    """Whether the server is up."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=1):
            return True
    except OSError:
        return False


class Visitor:
    """A client that speaks to the server as a browser does."""

    def __init__(self, socket: ClientConnection, run_id: str):
        self.socket, self.query = socket, f"run={run_id}"
        self.slider = self.fragment = self.page = ""
        self.bytes = 0
        self._rerun(page_name="robustness")
        if not self.slider:
            raise RuntimeError("the page Robustness shows no threshold")
        self.bytes = 0

    def move(self, threshold: float) -> float:
        """Move the threshold. Returns the milliseconds until every change of the page has arrived."""
        started = time.perf_counter()
        self._rerun(threshold, page_script_hash=self.page, fragment_id=self.fragment)
        return 1000 * (time.perf_counter() - started)

    def _rerun(self, threshold: float | None = None, **state: str) -> None:
        message = BackMsg()
        message.rerun_script.query_string = self.query
        for name, value in state.items():
            setattr(message.rerun_script, name, value)
        if threshold is not None:
            widget = message.rerun_script.widget_states.widgets.add(id=self.slider)
            widget.double_array_value.data.append(threshold)
        self.socket.send(message.SerializeToString())
        while not self._receive():
            pass

    def _receive(self) -> bool:
        """Receive one message. Returns whether it is the last of the response."""
        frame = self.socket.recv(TIMEOUT_S)
        self.bytes += len(frame)
        message = ForwardMsg.FromString(frame)
        match message.WhichOneof("type"):
            case "new_session":
                self.page = message.new_session.page_script_hash
            case "delta":
                element = message.delta.new_element
                if element.WhichOneof("type") == "slider" and element.slider.label == "Threshold":
                    self.slider, self.fragment = element.slider.id, message.delta.fragment_id
                if element.WhichOneof("type") == "exception":
                    raise RuntimeError(element.exception.message)
            case "script_finished":
                return message.script_finished in FINISHED
        return False


if __name__ == "__main__":
    app()
