"""Which run a page shows: the one in the URL (?run=ID), so that a reload or another browser sees the same."""

import atexit
import gc
import time
from collections.abc import Callable
from contextlib import suppress

import streamlit as st

from atesc_core.figures.theme import ESCAPE_NAMES
from atesc_core.runs import Run, Snapshot, UnknownRun, ensure_worker
from atesc_core.specs.run import RunSpec
from atesc_core.specs.teacher import ABOUT_METHODS, TeacherSpec
from pages.shared.data.store import run_store
from pages.shared.state import url
from pages.shared.ui import look

PICKER = "run_picker"  # the widget; what it holds is always copied from the URL
PAGES = {"student": "pages/distill/page.py", "teacher": "pages/teachers/page.py"}  # where a run that makes it is shown
REMEMBERED = "run_shown"  # the run last looked at, for pages reached by the menu


def pick_run(label: str = "Run", *, with_images: bool = False, required: bool = True) -> Run | None:
    """A box to choose the page's run from; the run that the URL, or else this visit's last page, names.

    with_images: offer only runs that already keep synthetic images. required: where nothing is named, take the
    newest run. None: there is no run to show, and unless that is what was asked for, the page now says why.
    Call it outside fragments: choosing another run reruns the page.
    """
    runs = run_store().list(forks=True)
    offered = {run.id: run for run in runs if (run.metrics or not with_images) and not run.fork}
    run = _named(runs) or (next(iter(offered.values()), None) if required else None)
    if run is not None:
        offered.setdefault(run.id, run)
        show_run(run.id)
    elif required and not offered:
        _say_none(with_images and bool(runs))
        return None
    elif not offered:
        return None
    st.session_state[PICKER] = run.id if run else None
    st.selectbox(
        label,
        list(offered),
        key=PICKER,
        format_func=lambda run_id: name(offered[run_id]),
        index=None,
        placeholder="Open a run",
        on_change=lambda: show_run(st.session_state[PICKER]),
    )
    return run


def show_run(run_id: str | None) -> None:
    """Put a run, or none, into the URL and into this visit's memory."""
    if st.query_params.get("run", run_id) != run_id:
        url.forget_run()
    if run_id is None:
        st.query_params.pop("run", None)
    elif st.query_params.get("run") != run_id:
        st.query_params["run"] = run_id
    st.session_state[REMEMBERED] = run_id


def _named(runs: list[Run]) -> Run | None:
    """The run of the URL, or the one this visit last looked at."""
    wanted = st.query_params.get("run")
    known = {run.id: run for run in runs}
    if wanted in {run.id for run in run_store().list(makes="teacher")}:
        st.info("This run trains a teacher.", icon=":material/school:")
        st.page_link(PAGES["teacher"], label="See it on the page Teachers", query_params={"run": wanted})
        show_run(None)
        return None
    if wanted is not None and wanted not in known and (why := run_store().unreadable().get(wanted)):
        look.problem(
            f"Run {wanted} was made by another version.",
            f"This one does not know its settings: {why}",
            "It stays where it is; the version that made it can show it.",
        )
        show_run(None)
        return None
    if wanted is not None and wanted not in known:
        st.warning(
            f"There is no run {wanted[:20]!r} here. It may have been deleted, or the link comes from another lab.",
            icon=":material/link_off:",
        )
        show_run(None)
        return None
    return known.get(wanted or st.session_state.get(REMEMBERED))


def _say_none(waiting: bool) -> None:
    """waiting: there are runs, but none has images yet."""
    words = (
        ("No synthetic images yet", "A run keeps its first ones at the end of its first epoch.")
        if waiting
        else ("No runs yet", "Distil a student, or run the story, and come back here.")
    )
    with look.empty(*words), st.container(horizontal=True, horizontal_alignment="center"):
        st.page_link("pages/distill/page.py", label="Distil a student", icon=":material/experiment:")
        st.page_link("pages/start/page.py", label="Run the story", icon=":material/home:")


# ── a run in words ──────────────────────────────────────────────────────────────────────────────────


def method(spec: RunSpec | TeacherSpec) -> str:
    """`DFQ + ATEsc`, `DFQ, plain`; of a teacher's training: `Training, tNTL`."""
    if isinstance(spec, TeacherSpec):
        return f"Training, {ABOUT_METHODS[spec.trained_by][0]}"
    synthesis = spec.synthesis.kind.upper()
    escape = ESCAPE_NAMES[spec.escape.kind]
    return f"{synthesis}, {escape}" if spec.escape.kind == "none" else f"{synthesis} + {escape}"


def place(run: Run) -> dict[str, object]:
    """Where the run is shown, as ``st.page_link(**place(run))`` takes it: a try beside the run that it parted from."""
    if run.fork:
        with suppress(UnknownRun):  # deleted since
            run_store().get(run.fork.parent)
            return {"page": "pages/robustness/page.py", "query_params": {"run": run.fork.parent, "try": run.id}}
    return {"page": PAGES[run.makes], "query_params": {"run": run.id}}


def name(run: Run) -> str:
    """What tells a run from its neighbours, in one line that never changes: Streamlit knows an option by its words,
    and takes one that reads otherwise than before for another choice of the user's."""
    created = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.created))
    what = f"{method(run.spec)}, {run.label}" if run.fork else method(run.spec)
    return f"{run.spec.teacher} · {what} · seed {run.spec.seed} · {created} · {run.id}"


def when(at: float | None) -> str:
    """`just now`, `12 min ago`, then the clock or the date. at: unix seconds."""
    if at is None:
        return "–"
    age = time.time() - at
    if age < 60:
        return "just now"
    if age < 3600:
        return f"{int(age // 60)} min ago"
    today = time.strftime("%Y-%m-%d") == time.strftime("%Y-%m-%d", time.localtime(at))
    return time.strftime("%H:%M" if today else "%Y-%m-%d %H:%M", time.localtime(at))


# ── a run, live ─────────────────────────────────────────────────────────────────────────────────────


def may_change(run: Run) -> bool:
    """Whether a page should go on looking: the run moves, or somebody may let it go on."""
    return run.active or run.status == "paused"


def follow(show: Callable[[], bool], changing: bool, every_s: float = 1.0) -> None:
    """Call `show` now, and again every few seconds as long as things change, without touching the page around it.

    show: draws, and returns whether what it drew may still change; when that is no longer what `changing` says,
    the whole page runs once more, and looking begins or ends. It is a fragment: its widgets rerun only itself.
    """

    @st.fragment(run_every=every_s if changing else None)
    def fragment() -> None:
        if show() != changing:
            st.rerun()

    fragment()
    _settle(show.__module__)


@st.cache_resource(show_spinner=False)
def _settle(page: str) -> None:
    """Once a page's modules are loaded they stay: a collection that walks through them all took up to 0.3 s, in the
    middle of a drag."""
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)


def watch(run: Run, panel: Callable[[Run], None]) -> None:
    """`panel` of the run as it stands, again and again as long as it may change; a queued run gets its worker."""

    def show() -> bool:
        try:
            now = run_store().get(run.id)
        except UnknownRun:
            st.info("This run has been deleted.", icon=":material/delete:")
            return False
        if now.status == "queued":
            ensure_worker(run_store().runs_dir)
        panel(now)
        return may_change(now)

    follow(show, may_change(run))


def snapshot(run_id: str, epoch: int) -> Snapshot:
    """The run's synthetic images at the end of an epoch, read once. Raises UnknownRun, StoreError."""
    file = run_store().snapshot_file(run_id, epoch)
    written = file.stat().st_mtime_ns if file.exists() else 0  # a resumed run writes its epochs anew
    return _snapshot(str(run_store().runs_dir), run_id, epoch, written)


@st.cache_resource(max_entries=64, show_spinner=False)
def _snapshot(runs_dir: str, run_id: str, epoch: int, written: int) -> Snapshot:
    """One for all visitors, and never written to: a copy of 20 000 images at every look took longer than the look."""
    return run_store().snapshot(run_id, epoch)
