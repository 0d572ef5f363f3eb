"""Messages that the process of a job prints on stdout, one JSON object per line."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """Progress of a job.

    Attributes:
        share: Part of the work that is done, 0 to 1.
        message: A text that says what the job is doing.
        expected_s: Expected seconds of the step that begins now, if the step cannot report its own progress.
    """

    share: float
    message: str
    expected_s: float | None = None


@dataclass(frozen=True)
class Result:
    """The result of a job: any value that JSON can hold."""

    value: object


def report_progress(share: float, message: str, expected_s: float | None = None) -> None:
    """Report the progress of this process to the job that started it; see ``Progress``."""
    progress: dict[str, object] = {"share": share, "message": message}
    if expected_s is not None:
        progress["expected_s"] = expected_s
    print(json.dumps(progress), flush=True)


def report_result(value: object) -> None:
    """Report a small result, any value that JSON can hold, to the job that started this process."""
    print(json.dumps({"result": value}), flush=True)


def parse(line: str) -> Progress | Result | None:
    """The message in a line of a job's stdout; None for other output, such as that of a library."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    if not isinstance(message, dict):
        return None
    if "result" in message:
        return Result(message["result"])
    share, text, expected_s = message.get("share"), message.get("message", ""), message.get("expected_s")
    if isinstance(share, int | float) and isinstance(text, str) and isinstance(expected_s, int | float | None):
        return Progress(share, text, expected_s)
    return None
