"""A teacher from a file of the user's: see what it is, check it, add it. The file is data; nothing in it is run."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from atesc_core import errors
from atesc_core.runs import default_runs_dir
from atesc_core.vocabulary import METRIC_NAMES
from pages.shared.data.teachers import architecture, architectures, forget_cards
from pages.shared.ui import elements, formats
from pages.shared.ui.pair_picker import pick_pair, unavailable_pairs

if TYPE_CHECKING:
    from atesc_core.teachers import TeacherCard
    from atesc_core.teachers.formats import Recognised

KINDS = ("safetensors", "pt", "pth")
BY_HAND = "by hand"
CHECKED = "checked teacher"  # what was asked of which file, and what the check found


def add_teacher() -> None:
    with st.expander("Load your own teacher", expanded="pair" in st.query_params, icon=":material/upload_file:"):
        uploaded = st.file_uploader(
            "Weights",
            type=list(KINDS),
            key="weights",
            help=(
                "A state dict of a listed architecture, of this lab or as CMI, NAYER, NTLBench or TransNTL publish it. "
                "It is read as data: nothing in it is run."
            ),
        )
        if uploaded is None:
            elements.caption("Drop a .safetensors, .pt or .pth file. It is checked before it is added.")
            return
        asked = _questions(uploaded)
        found = st.session_state.get(CHECKED)
        done = found is not None and found[0] == (uploaded.file_id, asked)
        with st.container(horizontal=True, gap="small"):
            check = st.button("Check", icon=":material/fact_check:", type="secondary" if done else "primary")
            add = st.button("Add", icon=":material/add:", type="primary" if done else "secondary", disabled=not done)
        if check:
            _check(uploaded, asked)
        elif add:
            _add(uploaded, asked)
        elif done:
            _found(found[1])


def _questions(uploaded: Any) -> dict[str, Any]:
    """What the file does not say itself, with what could be recognised as the first answer."""
    known = architectures()
    found, problem = _recognised(uploaded)
    top = st.columns(3)
    name = top[0].text_input("Name", _slug(uploaded.name), max_chars=64, help="Lower-case letters, digits, - and _")
    chosen = top[1].selectbox(
        "Architecture",
        known,
        index=known.index(found.arch) if found else 0,
        help=(
            f"The file's tensors are those of {found.arch}."
            if found
            else "None of these fits the file; Check says why."
        ),
    )
    kind = top[2].segmented_control("Kind", ["NTL", "SL"], default="NTL", required=True)
    middle = st.columns(3)
    pair = pick_pair(middle[0], "ID and OOD domain that it was trained on; type the name of a pair of your own")
    said = found.image_side if found and found.image_side in range(8, 257) else None
    side = middle[1].number_input(
        "Image side (px)", 8, 256, said or architecture(chosen).image_side, 4, key=f"image side of {chosen} {said}"
    )
    with middle[2]:
        normalisation = _normalisation(found) if found and not found.says_normalisation else None
    classes = st.text_input(
        "Class names",
        ", ".join(found.class_names or ()) if found else "",
        placeholder="the pair's own",
        help=(
            "In the order of the teacher's outputs, separated by commas. Empty takes the names of the pair's ID domain."
        ),
    )
    unavailable_pairs()
    if found:
        elements.caption(
            f"Recognised: {found.arch}, by the names of {found.source}. {architecture(chosen).description}"
        )
    else:
        elements.caption(f"Not recognised. {problem}.")
    return {
        "name": name,
        "arch": chosen,
        "kind": kind,
        "pair": pair,
        "image_side": int(side),
        "normalisation": normalisation,
        "class_names": _split(classes),
    }


def _normalisation(found: Recognised) -> str:
    """Asked where the file does not say: a name, or six numbers."""
    from atesc_core.teachers.normalisation import NORMALISATIONS

    chosen = st.selectbox(
        "Normalisation",
        [*NORMALISATIONS, BY_HAND],
        list(NORMALISATIONS).index(found.normalisation),
        help=(
            f"The file does not say it; {found.normalisation} is usual for files of "
            f"{found.source}. Images in [0, 1] less the mean, divided by the standard deviation "
            "of each channel."
        ),
    )
    if chosen != BY_HAND:
        return chosen
    return st.text_input("Mean, then standard deviation of R, G, B", "0.5, 0.5, 0.5, 0.5, 0.5, 0.5")


def _split(names: str) -> tuple[str, ...] | None:
    return tuple(name.strip() for name in names.split(",")) if names.strip() else None


def _check(uploaded: Any, asked: dict[str, Any]) -> None:
    """Read the file and measure it on its pair; keep what was found, so that it may be added."""
    from atesc_core.errors import TeacherError
    from atesc_core.teachers.formats import check_file
    from atesc_core.teachers.zoo import measured_card

    with _on_disk(uploaded) as path, st.spinner("Reading the file and measuring it on its pair …", show_time=True):
        try:
            rest = asked | {"name": "checked"}
            model = check_file(path, asked["arch"], normalisation=rest.pop("normalisation"))
            card = measured_card(model, **rest)
        except (TeacherError, ValueError) as error:
            st.session_state.pop(CHECKED, None)
            _refuse(error, path, uploaded)
            return
    st.session_state[CHECKED] = ((uploaded.file_id, asked), card)
    st.rerun()


def _found(card: TeacherCard) -> None:
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
            f"{METRIC_NAMES[metric]} {formats.per_cent(card.metrics[metric])} % of {formats.count(card.test_images['ood'])}",
        ),
        elements.muted("test images"),
    )
    if card.metrics["iacc"] < 200 / card.num_classes:
        st.warning(
            "Hardly better than chance on ID: another pair, image side or normalisation?", icon=":material/help:"
        )


def _add(uploaded: Any, asked: dict[str, Any]) -> None:

    from atesc_core.teachers import zoo

    with _on_disk(uploaded) as path, st.spinner("Adding …"):
        try:
            card = zoo.add_teacher(path, **asked, runs_dir=default_runs_dir())
        except (errors.TeacherError, ValueError) as error:
            _refuse(error, path, uploaded)
            return
    forget_cards()
    st.session_state.pop(CHECKED, None)
    st.query_params["teacher"] = card.name
    st.rerun()


def _refuse(error: ValueError, path: Path, uploaded: Any) -> None:
    words = str(error).replace(path.name, uploaded.name)
    elements.problem(
        "This file cannot be a teacher.", f"{words}.", "Nothing was kept. Change what is asked, or the file."
    )


def _recognised(uploaded: Any) -> tuple[Recognised | None, str]:
    """What the file's tensors are, or why they are nothing that is known."""
    key = f"recognised {uploaded.file_id}"
    if key not in st.session_state:
        from atesc_core.errors import TeacherError
        from atesc_core.teachers.formats import recognise

        with _on_disk(uploaded) as path:
            try:
                st.session_state[key] = recognise(path), ""
            except TeacherError as error:
                st.session_state[key] = None, str(error).replace(path.name, uploaded.name)
    return st.session_state[key]


@contextmanager
def _on_disk(uploaded: Any) -> Iterator[Path]:
    """The upload as a file for a moment, under a name of ours: a name from a user never becomes a path."""
    kind = uploaded.name.rpartition(".")[2].lower()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"upload.{kind if kind in KINDS else KINDS[0]}"
        path.write_bytes(uploaded.getbuffer())
        yield path


def _slug(name: str) -> str:
    """A name that a teacher may have, from a file's."""
    return re.sub(r"[^a-z0-9_-]+", "-", name.rpartition(".")[0].lower()).strip("-_")[:64] or "my-teacher"
