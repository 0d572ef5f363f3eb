"""Recordings that the Story page plays: the shipped one, uploaded files, and the runs of a story in this lab."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from atesc_core import paths
from atesc_core.files import atomic_write, read_cached
from atesc_core.recording import Recording, load, record
from atesc_core.recording.file import SUFFIX
from atesc_core.recording.writer import scenes_file
from atesc_core.runs import DistillationRun, default_runs_dir
from pages.shared.data import story
from pages.shared.data.store import run_store
from pages.shared.data.teachers import cards

SHIPPED = paths.ASSETS / "recordings" / f"story{SUFFIX}"
MAKE_COMMAND = "atesc recording story"  # creates the shipped recording
UPLOAD_NAME = re.compile(r"[0-9a-f]{16}")  # the beginning of the file's SHA-256: never a name given by a visitor
MAX_UPLOADS = 20  # files; then the oldest is deleted


def load_file(path: Path) -> Recording:
    """Return the recording in a file. All visitors share the object: do not modify it.

    Raises:
        RecordingError: The file is not a valid recording.
    """
    return _load_file(str(path), path.stat().st_mtime_ns)


@st.cache_resource(max_entries=8, show_spinner=False)
def _load_file(path: str, modified: int) -> Recording:
    return load(Path(path))


def upload_path(name: str) -> Path | None:
    """Return the path of the upload with this name, whether or not it exists; None for a malformed name."""
    return default_runs_dir() / "recordings" / f"{name}{SUFFIX}" if UPLOAD_NAME.fullmatch(name) else None


def store_upload(content: bytes) -> str:
    """Store an uploaded file that has been checked, delete the oldest if there are many, and return its name."""
    name = hashlib.sha256(content).hexdigest()[:16]
    folder = default_runs_dir() / "recordings"
    with atomic_write(folder / f"{name}{SUFFIX}") as file:
        file.write(content)
    newest_first = sorted(folder.glob(f"*{SUFFIX}"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for path in newest_first[MAX_UPLOADS:]:
        path.unlink(missing_ok=True)
    return name


def live_recording(group: str) -> Recording | None:
    """Return the story of this group up to now, rebuilt at the end of every epoch; None if it was deleted."""
    runs, store = list(story.runs(group).values()), run_store()
    if not runs:
        return None
    state = tuple((run.id, run.status, run.finished, len(store.snapshot_epochs(run.id))) for run in runs)
    return _live_recording(str(store.runs_dir), group, state, scenes_file(store.runs_dir, runs[0].id).exists())


@st.cache_resource(max_entries=8, show_spinner="Reading the runs …")
def _live_recording(runs_dir: str, group: str, state: tuple[object, ...], has_scenes: bool) -> Recording:
    return record_runs(list(story.runs(group).values()), "The story, live")


def record_runs(runs: Sequence[DistillationRun], title: str) -> Recording:
    """Return runs of this lab as a recording, with the story's scenes if they have been computed."""
    scenes = None
    with contextlib.suppress(FileNotFoundError):  # a damaged file counts as missing: a job makes it again
        scenes = read_cached(scenes_file(run_store().runs_dir, runs[0].id), load) if len(runs) > 1 else None
    return record(run_store(), [run.id for run in runs], cards(), title, scenes=scenes)
