"""The form that adds a teacher from the user's file: upload, questions, check, add. No code in the file is run."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

import streamlit as st

from atesc_core.errors import DomainError, TeacherError
from atesc_core.runs import default_runs_dir
from atesc_core.teachers import TeacherCard
from atesc_core.teachers.normalisation import NORMALISATIONS
from atesc_core.vocabulary import METRIC_NAMES
from pages.shared.data.teachers import architecture, architectures, forget_cards
from pages.shared.ui import elements, formats
from pages.shared.ui.pair_picker import pick_pair, unavailable_pairs

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

    from atesc_core.teachers.formats import Recognised
    from atesc_core.teachers.staging import CheckedTeacher, StagedTeacher

KINDS: tuple[Literal["NTL", "SL"], ...] = ("NTL", "SL")
BY_HAND = "by hand"
STAGED = "staged teacher"  # key in the session state: (id of the uploaded file, its StagedTeacher)
CHECKED = "checked teacher"  # key in the session state: (id of the uploaded file, the answers, the CheckedTeacher)


@dataclass(frozen=True)
class Answers:
    """The user's answers to the questions on a file. The fields are the arguments of `StagedTeacher.check`."""

    kind: Literal["SL", "NTL"]
    pair: str
    arch: str
    image_side: int
    normalisation: str | None
    class_names: tuple[str, ...]


def upload_form() -> None:
    """Draw the uploader, the questions on the uploaded file, and the buttons that check and add it."""
    with st.expander("Load your own teacher", expanded="pair" in st.query_params, icon=":material/upload_file:"):
        uploaded = st.file_uploader(
            "Weights",
            type=["safetensors", "pt", "pth"],
            key="weights",
            help=(
                "A state dict of a listed architecture, of this lab or as CMI, NAYER, NTLBench or TransNTL publish it. "
                "It is read as data: nothing in it is run."
            ),
        )
        if uploaded is None:
            _forget_upload()
            elements.caption("Drop a .safetensors, .pt or .pth file. It is checked before it is added.")
            return
        try:
            staged = _staged(uploaded)
        except TeacherError as error:
            _refuse(error)
            return
        name, answers = _questions(staged)
        checked = _checked(uploaded, answers)
        with st.container(horizontal=True, gap="small"):
            check = st.button("Check", icon=":material/fact_check:", type="secondary" if checked else "primary")
            add = st.button(
                "Add", icon=":material/add:", type="primary" if checked else "secondary", disabled=not checked
            )
        try:
            if check:
                with st.spinner("Reading the file and measuring it on its pair …", show_time=True):
                    st.session_state[CHECKED] = (uploaded.file_id, answers, staged.check(**asdict(answers)))
                st.rerun()
            if add and checked:
                card = checked.add(name, default_runs_dir())
                _forget_upload()
                forget_cards()
                st.query_params["teacher"] = card.name
                st.rerun()
        except (TeacherError, DomainError) as error:
            if check:
                st.session_state.pop(CHECKED, None)
            _refuse(error)
            return
        if checked:
            _measured(checked.card)


def _staged(uploaded: UploadedFile) -> StagedTeacher:
    """The uploaded file, written to disk and recognised; done once for each upload."""
    saved: tuple[str, StagedTeacher] | None = st.session_state.get(STAGED)
    if saved is not None and saved[0] == uploaded.file_id:
        return saved[1]
    from atesc_core.teachers.staging import stage_upload  # imports PyTorch, so only once there is a file

    staged = stage_upload(uploaded.name, uploaded.getbuffer())
    st.session_state[STAGED] = (uploaded.file_id, staged)
    return staged


def _checked(uploaded: UploadedFile, answers: Answers) -> CheckedTeacher | None:
    """The result of the last check; None if the file or the answers have changed since."""
    file_id, checked_answers, checked = st.session_state.get(CHECKED, (None, None, None))
    return checked if (file_id, checked_answers) == (uploaded.file_id, answers) else None


def _refuse(error: ValueError) -> None:
    elements.problem(
        "This file cannot be a teacher.", f"{error}.", "Nothing was kept. Change what is asked, or the file."
    )


def _forget_upload() -> None:
    st.session_state.pop(STAGED, None)
    st.session_state.pop(CHECKED, None)


def _questions(staged: StagedTeacher) -> tuple[str, Answers]:
    """Draw the questions on the file; recognised values are the first answers.

    Returns:
        The teacher's name, and the answers.
    """
    known, recognised = architectures(), staged.recognised
    first_row, second_row = st.columns(3), st.columns(3)
    name = first_row[0].text_input(
        "Name", _suggested_name(staged.filename), max_chars=64, help="Lower-case letters, digits, - and _"
    )
    arch = first_row[1].selectbox(
        "Architecture",
        known,
        index=known.index(recognised.arch) if recognised else 0,
        help=(
            f"The file's tensors are those of {recognised.arch}."
            if recognised
            else "None of these fits the file; Check says why."
        ),
    )
    kind = first_row[2].segmented_control("Kind", KINDS, default="NTL", required=True)
    pair = pick_pair(second_row[0], "ID and OOD domain that it was trained on; type the name of a pair of your own")
    side = recognised.image_side if recognised and recognised.image_side in range(8, 257) else None
    image_side = second_row[1].number_input(
        "Image side (px)", 8, 256, side or architecture(arch).image_side, 4, key=f"image side of {arch} {side}"
    )
    with second_row[2]:
        normalisation = _normalisation(recognised) if recognised and not recognised.says_normalisation else None
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
        elements.caption(
            f"Recognised: {recognised.arch}, by the names of {recognised.source}. {architecture(arch).description}"
        )
    else:
        elements.caption(f"Not recognised. {staged.problem}.")
    return name, Answers(kind, pair, arch, int(image_side), normalisation, _split(class_names))


def _normalisation(recognised: Recognised) -> str:
    """Draw the choice of the normalisation, if the file does not contain it; return its name or six numbers."""
    chosen = st.selectbox(
        "Normalisation",
        [*NORMALISATIONS, BY_HAND],
        list(NORMALISATIONS).index(recognised.normalisation),
        help=(
            f"The file does not say it; {recognised.normalisation} is usual for files of "
            f"{recognised.source}. Images in [0, 1] less the mean, divided by the standard deviation "
            "of each channel."
        ),
    )
    if chosen != BY_HAND:
        return chosen
    return st.text_input("Mean, then standard deviation of R, G, B", "0.5, 0.5, 0.5, 0.5, 0.5, 0.5")


def _split(names: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in names.split(",")) if names.strip() else ()


def _measured(card: TeacherCard) -> None:
    """Draw the result of the check."""
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
    if card.metrics["iacc"] < 200 / card.num_classes:
        st.warning(
            "Hardly better than chance on ID: another pair, image side or normalisation?", icon=":material/help:"
        )


def _suggested_name(filename: str) -> str:
    """A valid teacher name, made from the file's name."""
    return re.sub(r"[^a-z0-9_-]+", "-", filename.rpartition(".")[0].lower()).strip("-_")[:64] or "my-teacher"
