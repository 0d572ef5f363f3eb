"""Where the page's recording comes from: the shipped one, a file that a visitor gave, or a story that is live."""

from __future__ import annotations

import hashlib
import io
import re
from functools import partial
from pathlib import Path

import streamlit as st

from atesc_core import jobs, paths
from atesc_core.errors import RecordingError
from atesc_core.recording import Recording, load, record
from atesc_core.recording.file import MAX_FILE_BYTES, SUFFIX, to_bytes
from atesc_core.recording.writer import scenes_file
from atesc_core.runs import DistillationRun, default_runs_dir, ensure_worker
from pages.shared.data import story
from pages.shared.data.store import run_store
from pages.shared.data.teachers import cards
from pages.shared.state import url
from pages.shared.ui import elements
from pages.shared.ui.progress import show_job

SHIPPED = paths.ASSETS / "recordings" / f"story{SUFFIX}"
MAKE = "python -m atesc_core recording story"
NAME = re.compile(r"[0-9a-f]{16}")  # of a kept file: the beginning of its SHA-256, never a name of the visitor's
KEPT = 20  # files; then the oldest goes


def chosen() -> Recording | None:
    """The recording that the link names: ``?story=GROUP``, ``?recording=NAME``, or else the shipped one.

    None: there is none, and the page now says what to do.
    """
    group, name = st.query_params.get("story"), st.query_params.get("recording")
    if group:
        return _live(group)
    path = SHIPPED if name is None else _kept(name)
    if path is not None and path.exists():
        try:
            return _loaded(str(path), path.stat().st_mtime_ns)
        except RecordingError as error:
            elements.problem(
                f"This recording cannot be played: {error}.",
                "Your runs are untouched.",
                f"Give another file, or make it anew: {MAKE}" if name is None else "Give another file.",
            )
            return None
    _say_none(name)
    return None


def _kept(name: str) -> Path | None:
    return default_runs_dir() / "recordings" / f"{name}{SUFFIX}" if NAME.fullmatch(name) else None


@st.cache_resource(max_entries=8, show_spinner=False)
def _loaded(path: str, written: int) -> Recording:
    """One for all visitors, and never written to."""
    return load(Path(path))


def _say_none(name: str | None) -> None:
    if name is not None:
        st.warning(
            "This recording is not here: the link comes from another lab, or the file has been removed. Give "
            "the file itself below.",
            icon=":material/link_off:",
        )
        return
    with elements.empty_state(
        "No recorded story",
        "This copy of the lab has none. Make it in a few minutes on a machine that "
        "is idle, run the story live, or open a recording of your own below.",
    ):
        st.code(MAKE, language="bash")
        with st.container(horizontal=True, horizontal_alignment="center"):
            st.page_link("pages/start/page.py", label="Run the story live", icon=":material/play_arrow:")


# ── a visitor's file, in and out ────────────────────────────────────────────────────────────────────


def opener() -> None:
    """Take a file, check it, keep it under a name of its content, and show it."""
    given = st.file_uploader(
        "Open a recording",
        type=[SUFFIX.removeprefix(".")],
        key="recording file",
        max_upload_size=MAX_FILE_BYTES // 1024**2,
        help="A file of `recording make`, or of a download button. It is checked, never executed.",
    )
    if given is None:
        return
    before, wrong = st.session_state.get("opened", (None, ""))
    if given.file_id == before:
        if wrong:
            elements.problem(f"This file cannot be played: {wrong}.", "Nothing was kept of it.", "Choose another file.")
        return
    content = given.getvalue()
    try:
        if not load(io.BytesIO(content)).manifest.runs:
            raise RecordingError("there is no run in it")
    except RecordingError as error:
        st.session_state["opened"] = (given.file_id, str(error))
        st.rerun()
    st.session_state["opened"] = (given.file_id, "")
    url.set_parameter("recording", _keep(content))
    for name in ("story", "t"):
        url.set_parameter(name, None)
    st.rerun()


def _keep(content: bytes) -> str:
    """The file's name in this lab."""
    from atesc_core.files import atomic_write

    name = hashlib.sha256(content).hexdigest()[:16]
    path = _kept(name)
    with atomic_write(path) as file:
        file.write(content)
    files = sorted(path.parent.glob(f"*{SUFFIX}"), key=lambda file: file.stat().st_mtime_ns, reverse=True)
    for old in files[KEPT:]:
        old.unlink(missing_ok=True)
    return name


def download_runs(runs: list[DistillationRun], title: str) -> None:
    """A button that gives the runs as a recording; made when it is pressed."""
    name = runs[0].id
    st.download_button(
        "Download recording",
        lambda: to_bytes(_recorded(runs, title)),
        file_name=f"{name}{SUFFIX}",
        mime="application/zip",
        icon=":material/movie:",
        key=f"record {name}",
        on_click="ignore",
        help="A small file that any lab replays without computing anything",
    )


def download_recording(recording: Recording) -> None:
    """The recording that is shown, as a file."""
    st.download_button(
        "Download this recording",
        lambda: to_bytes(recording),
        file_name=f"story{SUFFIX}",
        mime="application/zip",
        icon=":material/download:",
        key="download recording",
        on_click="ignore",
    )


# ── a story that is live ────────────────────────────────────────────────────────────────────────────


def _live(group: str) -> Recording | None:
    runs = list(story.runs(group).values())
    if not runs:
        st.info("This story has been deleted, or the link comes from another lab.", icon=":material/delete:")
        return None
    if any(run.status == "queued" for run in runs):
        ensure_worker(run_store().runs_dir)
    scenes = scenes_file(run_store().runs_dir, runs[0].id)
    state = tuple((run.id, run.status, run.finished, len(run_store().snapshots(run.id))) for run in runs)
    return _recorded_at(str(run_store().runs_dir), group, state, scenes.exists())


@st.cache_resource(max_entries=8, show_spinner="Reading the runs …")
def _recorded_at(runs_dir: str, group: str, state: tuple, scenes: bool) -> Recording:
    """The story's runs as they were then: anew at the end of every epoch."""
    return _recorded(list(story.runs(group).values()), "The story, live")


def _recorded(runs: list[DistillationRun], title: str) -> Recording:
    scenes = scenes_file(run_store().runs_dir, runs[0].id)
    return record(
        run_store(),
        [run.id for run in runs],
        cards(),
        title,
        scenes=load(scenes) if len(runs) > 1 and scenes.exists() else None,
    )


# ── steps 1 and 2 of a live story: no run logs them, and a process of its own computes them ─────────


def scenes_coming(group: str) -> bool:
    """Whether the scenes are being computed; starts that at the first call."""
    runs = story.runs(group)
    if not {"plain", "control"} <= runs.keys():
        return False
    return (jobs.find(_scenes_key(runs)) or _make_scenes(runs)).active


def scenes_progress(group: str) -> bool:
    """Show how far the scenes are; whether they are still being computed."""
    runs = story.runs(group)
    if not {"plain", "control"} <= runs.keys():
        elements.caption("This step needs the story's plain students, and they have been deleted.")
        return False
    start = partial(_make_scenes, runs)
    return show_job(jobs.find(_scenes_key(runs)) or start(), "Computing this step", start)


def _scenes_key(runs: dict[str, DistillationRun]) -> str:
    return str(scenes_file(run_store().runs_dir, runs["plain"].id))


def _make_scenes(runs: dict[str, DistillationRun]) -> jobs.Job:
    return jobs.start(
        _scenes_key(runs),
        "atesc_core.recording.scenes",
        runs["plain"].id,
        runs["control"].spec.teacher,
        "--runs-dir",
        str(run_store().runs_dir),
    )
