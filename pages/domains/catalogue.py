"""The domains: cards of the usable ones, the list of downloads, and the form for the user's folders of images."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from atesc_core.domains import DOMAINS, Source, data_dir, folder_name, open_folder
from atesc_core.domains.folder import PREFIX, READABLE
from atesc_core.errors import DomainError
from pages.shared.data.domains import (
    CHECKED_FOLDERS,
    MAX_SAMPLES,
    checked_folder,
    class_samples,
    download_size,
    usable_domains,
)
from pages.shared.data.preparation import preparation, prepare, watch_preparation
from pages.shared.state.visitor import may_change
from pages.shared.ui import elements, formats
from pages.shared.ui.actions import action_button
from pages.shared.ui.gallery import gallery

COLUMNS = 3


# ── usable domains ────────────────────────────────────────────────────────────────────────────────────────────


def usable_cards() -> None:
    """Draw a card for each domain that can be used now."""
    names = usable_domains()
    for start in range(0, len(names), COLUMNS):
        for name, column in zip(names[start : start + COLUMNS], st.columns(COLUMNS, gap="medium"), strict=False):
            with column, elements.card(height="stretch"):
                _card(name)


def _card(name: str) -> None:
    source = DOMAINS.get(name)
    if source is None:
        _folder_card(name)
        return
    state = elements.chip("offline", "SL") if source.status == "offline" else elements.chip("downloaded", "id")
    elements.row(elements.bold(name), state)
    elements.caption(f"{source.about} · {len(source.classes)} classes, a test image each")
    _samples(name)
    elements.caption(f"{source.origin}.")


def _folder_card(name: str) -> None:
    elements.row(elements.bold(name.rpartition("/")[2] or name), elements.chip("your folder", "synthetic"))
    try:
        folder = checked_folder(name)
    except DomainError as error:
        elements.problem("This folder has changed.", f"{error}.", "Check it again, to use it as it is now.")
        action_button(
            "Check again", icon=":material/fact_check:", key=f"check {name}", on_click=_type_and_check, args=(name,)
        )
        return
    limit = f"the first {MAX_SAMPLES} shown, " if len(folder.classes) > MAX_SAMPLES else ""
    elements.caption(
        f"{formats.count(folder.images)} images · {len(folder.classes)} classes, {limit}a test image each"
        + (f" · {folder.about}" if folder.about else "")
    )
    _samples(name)
    elements.caption(name)


def _samples(name: str) -> None:
    """Draw a test image of each class with the class name; only of the first MAX_SAMPLES classes."""
    try:
        images, names = class_samples(name)
    except DomainError as error:
        elements.problem("It cannot be read.", f"{error}.", "The other domains stand.")
        return
    gallery(images, columns=5, captions=names, titles=names)


# ── downloads ─────────────────────────────────────────────────────────────────────────────────────


def _short(path: Path) -> str:
    """The path with the home folder as ~, since the page may be shown to an audience."""
    return f"~/{path.relative_to(Path.home())}" if path.is_relative_to(Path.home()) else str(path)


def download_list() -> None:
    """Draw the domains that are not downloaded, each with its size and a button, or the progress of its download."""
    missing = {name: source for name, source in DOMAINS.items() if source.status == "downloadable"}
    if not missing:
        return
    with elements.card("To download", f"once, into {_short(data_dir())}; checked against the published checksums"):
        for name, source in missing.items():
            _download(name, source)


def _download(name: str, source: Source) -> None:
    text, button = st.columns([5, 1.2], vertical_alignment="center")
    with text:
        parts = f"{len(source.classes)} classes · {source.origin}"
        elements.row(elements.bold(name), elements.chip(download_size(name)), source.about, elements.muted(parts))
    job = preparation(name)
    if job is not None and job.state != "done":
        watch_preparation(name, job, f"Downloading {name}", "Nothing half-downloaded was kept.")
    elif action_button("Download", place=button, icon=":material/download:", key=f"download {name}", width="stretch"):
        prepare(name)
        st.rerun()


# ── the user's folders ──────────────────────────────────────────────────────────────────────


def folder_form() -> None:
    """Draw the form that makes a folder of images a domain. A job reads and checks every image."""
    with elements.card("Your own images", "a folder on the machine that runs this lab, one sub-folder a class"):
        left, right = st.columns([5, 1.2], vertical_alignment="bottom")
        typed = left.text_input(
            "Folder",
            key="folder",
            placeholder="/home/me/pictures",
            help=(
                "Images in sub-folders that are named after their class, at least five a class; or train and test (or "
                "val) with these sub-folders each. PNG, JPEG, TIFF, WebP, GIF, BMP and more; transparent pixels show "
                "white. They are read, never changed or copied elsewhere than into this lab's own data folder."
            ),
        )
        check = action_button(
            "Check",
            place=right,
            icon=":material/fact_check:",
            key="check folder",
            disabled=not typed.strip(),
            width="stretch",
        )
        if typed.strip() and may_change():
            _folder(typed.strip(), check)


def _folder(typed: str, check: bool) -> None:
    try:
        name = folder_name(typed.removeprefix(PREFIX).removeprefix(READABLE), typed.startswith(READABLE))
        if check:
            open_folder(name)
    except DomainError as error:
        elements.problem("This folder cannot be a domain.", f"{error}.", "Nothing was changed.")
        return
    if check:
        prepare(name)
        st.rerun()
    job = preparation(name)
    if job is None:
        return
    if job.state == "done":
        _checked(name)
    else:
        watch_preparation(name, job, "Checking this folder", "Nothing was changed.")
        if job.state == "failed" and "images cannot be used" in job.error:
            _offer_readable(name)


def _offer_readable(name: str) -> None:
    """Draw the button that checks the folder without its unreadable images."""
    readable = folder_name(name.removeprefix(PREFIX), readable=True)
    action_button("Leave them out", icon=":material/filter_alt:", on_click=_type_and_check, args=(readable,))


def _type_and_check(name: str) -> None:
    """What typing the folder's name into the form and pressing its button does."""
    st.session_state["folder"] = name
    prepare(name)


def _checked(name: str) -> None:
    """Add a checked folder to the usable domains, and draw a notice."""
    folders = st.session_state.setdefault(CHECKED_FOLDERS, [])
    if name not in folders:
        folders.append(name)
        st.rerun()  # to draw the domain's card, above
    try:
        folder = checked_folder(name)
    except DomainError:  # the domain's card shows the reason
        return
    elements.row(
        elements.chip("fits", "SL"),
        elements.bold(name),
        f"{formats.count(folder.images)} images",
        f"{len(folder.classes)} classes",
        *([folder.about] if folder.about else []),
        elements.muted("now a domain among those above, for either side of a pair"),
    )
