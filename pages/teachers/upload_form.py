"""The form that adds a teacher from the user's file: upload, questions, check, add. No code in the file is run."""

from __future__ import annotations

import re
import secrets
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Literal

import streamlit as st

from atesc_core import jobs
from atesc_core.domains import find_pair
from atesc_core.errors import DomainError, TeacherError
from atesc_core.runs import default_runs_dir
from atesc_core.teachers.normalisation import NORMALISATIONS
from atesc_core.vocabulary import METRIC_NAMES
from pages.shared.data.teachers import architecture, architectures, forget_cards
from pages.shared.state.visitor import may_change
from pages.shared.ui import elements, formats
from pages.shared.ui.actions import action_button
from pages.shared.ui.pair_picker import pick_pair, unavailable_pairs
from pages.shared.ui.progress import watch_job

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

    from atesc_core.teachers.formats import Recognised
    from atesc_core.teachers.staging import CheckedTeacher, StagedTeacher

KINDS: tuple[Literal["NTL", "SL"], ...] = ("NTL", "SL")
BY_HAND = "by hand"
STAGED = "staged teacher"  # key in the session state: (id of the uploaded file, its StagedTeacher)
CHECK = "check of a teacher"  # key in the session state: the last Check
JOB_TITLE = "Reading the file and measuring it on its pair"
WAIT_S = 1.0  # a small teacher is measured within this time; a larger one's progress is shown


@dataclass(frozen=True)
class Answers:
    """The user's answers to the questions on a file. The fields are the arguments of `StagedTeacher.check`."""

    kind: Literal["SL", "NTL"]
    pair: str
    arch: str | None  # None: not chosen among those that fit
    image_side: int
    normalisation: str | None
    class_names: tuple[str, ...]


@dataclass
class Check:
    """The measurement of an uploaded file, under the answers that were given. Results are kept here, not in its job."""

    file_id: str
    staged: StagedTeacher
    answers: Answers
    key: str = field(default_factory=lambda: f"check {secrets.token_hex(8)}")  # of its job
    checked: CheckedTeacher | None = None
    each: dict[str, CheckedTeacher] = field(default_factory=dict)  # of each architecture that fits, if none was chosen
    error: ValueError | None = None  # why the file cannot be a teacher
    job: jobs.Job | None = None  # the last one

    def start(self) -> jobs.Job:
        """Measure it in the background; if it is measured now, its job."""
        self.job = jobs.start_thread(self.key, self._measure, queue="upload")
        return self.job

    def _measure(self, job: jobs.ThreadJob[None]) -> None:
        recognised = self.staged.recognised
        try:
            if self.answers.arch is not None or recognised is None:
                job.report(0, f"as {self.answers.arch}")
                self.checked = self.staged.check(**asdict(self.answers))
                return
            questions = {key: value for key, value in asdict(self.answers).items() if key != "arch"}
            each: dict[str, CheckedTeacher] = {}
            job.report(0, f"as each of {len(recognised.architectures)} architectures")
            for arch, checked in self.staged.check_each(**questions):
                each[arch] = checked
                job.report(len(each) / len(recognised.architectures), f"done as {arch}")
                if job.stop_requested.is_set():
                    return
            self.each = each
        except (TeacherError, DomainError) as error:
            self.error = error.with_traceback(None)


def upload_form() -> None:
    """Draw the uploader, the questions on the uploaded file, and the buttons that check and add it."""
    with st.expander("Load your own teacher", expanded="pair" in st.query_params, icon=":material/upload_file:"):
        uploaded = st.file_uploader(
            "Weights",
            type=["safetensors", "pt", "pth", "pth.tar", "ckpt", "bin"],
            key="weights",
            disabled=not may_change(),
            help=(
                "The weights of a listed architecture, of this lab or as CMI, NAYER, NTLBench or TransNTL publish it. "
                "The file is read as data, by a process of its own: nothing in it is run."
            ),
        )
        if uploaded is None or not may_change():
            _forget_upload()
            elements.caption(
                "Drop a .safetensors, .pt, .pth, .pth.tar, .ckpt or .bin file. It is checked before it is added."
            )
            return
        try:
            staged = _staged(uploaded)
        except TeacherError as error:
            _refuse(error)
            return
        name, answers = _questions(staged)
        check = _current_check(uploaded, answers)
        job = check.job if check else None
        measuring = job is not None and job.active
        checked = check.checked if check and job and job.state == "done" else None
        with st.container(horizontal=True, gap="small"):
            pressed = action_button("Check", icon=":material/fact_check:", type="secondary" if checked else "primary")
            add = action_button(
                "Add", icon=":material/add:", type="primary" if checked else "secondary", disabled=not checked
            )
        if pressed:
            _start_check(check if measuring else None, uploaded, staged, answers)
            st.rerun()
        if check and job:
            _result(check, job, measuring)
        if add and checked:
            _add(checked, name)


def _start_check(check: Check | None, uploaded: UploadedFile, staged: StagedTeacher, answers: Answers) -> None:
    """Start a check, or go on with the one that is measured now, and wait a moment for its result."""
    if check is None:
        _stop_check()
        check = st.session_state[CHECK] = Check(uploaded.file_id, staged, answers)
    job = check.start()
    with st.spinner(f"{JOB_TITLE} …", show_time=True):
        job.wait(WAIT_S)


def _stop_check() -> None:
    """Stop the last check: nobody waits for it any more."""
    last: Check | None = st.session_state.pop(CHECK, None)
    if last and last.job:
        last.job.stop()


def _current_check(uploaded: UploadedFile, answers: Answers) -> Check | None:
    """The last check; None if there is none, or the file or the answers have changed since."""
    check: Check | None = st.session_state.get(CHECK)
    return check if check and (check.file_id, check.answers) == (uploaded.file_id, answers) else None


def _result(check: Check, job: jobs.Job, measuring: bool) -> None:
    """Draw what the check has found, or how far it is."""
    if measuring or job.state != "done":
        watch_job(job, JOB_TITLE, check.start, unaffected="Nothing was kept.", changes=True)
        if measuring and not job.active:  # it has ended while the page was drawn
            st.rerun()
    elif check.error:
        _refuse(check.error)
    elif check.checked:
        _measured(check.checked)
    else:
        _compare(check.each)


def _add(checked: CheckedTeacher, name: str) -> None:
    try:
        card = checked.add(name, default_runs_dir())
    except TeacherError as error:
        elements.problem("It cannot have this name.", f"{error}.", "The file was checked. Choose another name.")
        return
    _forget_upload()
    forget_cards()
    st.query_params["teacher"] = card.name
    st.rerun()


def _staged(uploaded: UploadedFile) -> StagedTeacher:
    """The uploaded file, written to disk and recognised; done once for each upload."""
    saved: tuple[str, StagedTeacher] | None = st.session_state.get(STAGED)
    if saved is not None and saved[0] == uploaded.file_id:
        return saved[1]
    from atesc_core.teachers.staging import stage_upload  # imports PyTorch, so only once there is a file

    staged = stage_upload(uploaded.name, uploaded.getbuffer())
    st.session_state[STAGED] = (uploaded.file_id, staged)
    return staged


def _compare(each: dict[str, CheckedTeacher]) -> None:
    """Draw the accuracies of the file in each architecture that fits."""
    elements.caption(
        "The names and shapes in the file fit several architectures, which compute differently. Choose the one that it "
        "was trained as; the right one is usually the most accurate on ID."
    )
    rows = [
        {"Architecture": arch, "What it is": architecture(arch).about}
        | {f"{METRIC_NAMES[name]}, %": value for name, value in checked.card.metrics.items()}
        for arch, checked in each.items()
    ]
    accuracies = {name: st.column_config.NumberColumn(format="%.1f") for name in rows[0] if name.endswith(", %")}
    rows.sort(key=lambda row: -float(row[f"{METRIC_NAMES['iacc']}, %"]))
    st.dataframe(rows, hide_index=True, column_config=accuracies, placeholder="–")


def _refuse(error: ValueError) -> None:
    elements.problem(
        "This file cannot be a teacher.", f"{error}.", "Nothing was kept. Change what is asked, or the file."
    )


def _forget_upload() -> None:
    st.session_state.pop(STAGED, None)
    _stop_check()


def _questions(staged: StagedTeacher) -> tuple[str, Answers]:
    """Draw the questions on the file; recognised values are the first answers.

    Returns:
        The teacher's name, and the answers.
    """
    known, recognised = architectures(for_files=True), staged.recognised
    fits = list(recognised.architectures) if recognised else []
    first_row, second_row = st.columns(3), st.columns(3)
    name = first_row[0].text_input(
        "Name", _suggested_name(staged.filename), max_chars=64, help="Lower-case letters, digits, - and _"
    )
    arch = first_row[1].selectbox(
        "Architecture",
        fits if len(fits) > 1 else known,
        index=None if len(fits) > 1 else known.index(fits[0]) if fits else 0,
        placeholder=f"{len(fits)} fit: Check compares them",
        help=_about_architectures(fits),
    )
    kind = first_row[2].segmented_control("Kind", KINDS, default="NTL", required=True)
    pair = pick_pair(
        second_row[0],
        "ID and OOD domain that it was trained on; type the name of a pair of your own",
        staged.listing.pair if staged.listing else None,
    )
    side = recognised.image_side if recognised and recognised.image_side in range(8, 257) else None
    image_side = second_row[1].number_input(
        "Image side (px)",
        8,
        256,
        side or architecture(arch or fits[0]).image_side,
        4,
        key=f"image side of {arch} {side}",
    )
    with second_row[2]:
        asks = recognised is not None and not recognised.says_normalisation
        normalisation = _normalisation(recognised, pair) if recognised and asks else None
    class_names = st.text_input(
        "Class names",
        ", ".join(recognised.class_names or ()) if recognised else "",
        placeholder="the pair's own",
        help=(
            "In the order of the teacher's outputs, separated by commas. Empty takes the names of the pair's ID domain."
        ),
    )
    unavailable_pairs()
    if recognised:
        about = f" {architecture(arch).description}" if arch else ""
        entry = f" Weights: {staged.listing.entry_notice}." if staged.listing and staged.listing.entry_notice else ""
        elements.caption(f"Recognised: {' or '.join(fits)}, by the names of {recognised.source}.{about}{entry}")
    else:
        elements.caption(f"Not recognised. {staged.problem}.")
    return name, Answers(kind, pair, arch, int(image_side), normalisation, _split(class_names))


def _about_architectures(fits: list[str]) -> str:
    """A help text on the architectures that a file fits."""
    if not fits:
        return "None of these fits the file; Check says why."
    if len(fits) == 1:
        return f"The file's tensors are those of {fits[0]}."
    return (
        "Stride and pooling of the stem cannot be told from names and shapes. Check without a choice measures the file "
        "as each of them."
    )


def _normalisation(recognised: Recognised, pair: str) -> str:
    """Draw the choice of the normalisation, if the file does not contain it; return its name or six numbers."""
    usual = recognised.normalisation(_id_domain(pair))
    chosen = st.selectbox(
        "Normalisation",
        [*NORMALISATIONS, BY_HAND],
        list(NORMALISATIONS).index(usual),
        key=f"normalisation, {usual} at first",
        help=(
            f"The file does not say it; {usual} is usual for files of {recognised.source} and this ID domain. "
            "Images in [0, 1] less the mean, divided by the standard deviation of each channel."
        ),
    )
    if chosen != BY_HAND:
        return chosen
    return st.text_input("Mean, then standard deviation of R, G, B", "0.5, 0.5, 0.5, 0.5, 0.5, 0.5")


def _id_domain(pair: str) -> str | None:
    try:
        return find_pair(pair).id
    except DomainError:  # Check says why
        return None


def _split(names: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in names.split(",")) if names.strip() else ()


def _measured(checked: CheckedTeacher) -> None:
    """Draw the result of the check."""
    card = checked.card
    metric = next(name for name in card.metrics if name != "iacc")
    elements.row(
        elements.chip("fits", "SL"),
        elements.bold(card.arch),
        f"{card.num_classes} classes",
        f"{formats.count(card.parameters)} parameters",
        elements.swatch(
            "id", f"ID {formats.per_cent(card.metrics['iacc'])} % of {formats.count(card.test_images['id'])}"
        ),
        elements.swatch(
            "ood",
            f"{METRIC_NAMES[metric]} {formats.per_cent(card.metrics[metric])} % "
            f"of {formats.count(card.test_images['ood'])}",
        ),
        elements.muted("test images"),
    )
    if checked.reordered:
        elements.caption("Its outputs were put into the order of the pair's classes, by their names.")
    for warning in checked.warnings:
        elements.notice("warning", warning, icon=":material/help:")


def _suggested_name(filename: str) -> str:
    """A valid teacher name, made from the file's name."""
    return re.sub(r"[^a-z0-9_-]+", "-", filename.rpartition(".")[0].lower()).strip("-_")[:64] or "my-teacher"
