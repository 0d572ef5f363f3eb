"""The selection that all charts of a run share: images of one epoch, and the image in the inspector.

The selection is in the link (``?run=ID&picked=EPOCH-IMAGES&image=37``), so that another browser shows the same, and in
the session state, for pages that are opened from the menu.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import streamlit as st

from atesc_core.runs import DistillationRun
from pages.shared.state import url
from pages.shared.ui import elements, formats

MAX_BYTES = 1 << 17  # largest selection in a link: one bit per image, so a million images


@dataclass(frozen=True)
class Selection:
    """Selected images of one epoch, and the image in the inspector."""

    epoch: int
    indices: tuple[int, ...] = ()  # in the epoch's snapshot, ascending
    image: int | None = None  # index of the inspected image

    def to_token(self) -> str:
        """The epoch and one bit per image, compressed: ``6-eJw...``."""
        bits = np.zeros(max(self.indices, default=-1) + 1, bool)
        bits[list(self.indices)] = True
        packed = zlib.compress(np.packbits(bits).tobytes(), 9)
        return f"{self.epoch}-{base64.urlsafe_b64encode(packed).decode().rstrip('=')}"

    @classmethod
    def from_token(cls, token: str, image: str | None) -> Selection:
        """The selection of a link: ``token`` holds the images, ``image`` the index of the image in the inspector.

        Raises:
            ValueError: they do not describe a selection.
        """
        epoch, _, packed = token.partition("-")
        try:
            decompressor = zlib.decompressobj()
            compressed = base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4))
            bits = np.unpackbits(np.frombuffer(decompressor.decompress(compressed, MAX_BYTES), np.uint8))
            if not decompressor.eof:
                raise ValueError("it is cut short")
            return cls(int(epoch), tuple(np.flatnonzero(bits).tolist()), None if image is None else int(image))
        except (ValueError, binascii.Error, zlib.error) as error:
            raise ValueError(f"picked: {token[:40]!r} is not a link's selection ({error})") from None


def selected(run: DistillationRun, epoch: int | None = None, images: int | None = None) -> Selection | None:
    """The selection of a run; None if nothing is selected.

    Args:
        run: the run.
        epoch: return the selection only if it is of this epoch.
        images: number of images of that epoch; larger indices are removed.
    """
    selection: Selection | None = _from_link(run) or st.session_state.get(_key(run))
    if selection is not None:
        _store(run, selection)
    if selection is None or epoch is None:
        return selection
    if selection.epoch != epoch:
        return None
    indices = tuple(index for index in selection.indices if images is None or index < images)
    image = selection.image if selection.image is not None and 0 <= selection.image < (images or np.inf) else None
    return Selection(epoch, indices, image) if indices or image is not None else None


def select(run: DistillationRun, epoch: int, indices: Iterable[int]) -> None:
    """Select these images of an epoch. Empty ``indices`` clear a selection of that epoch."""
    before, chosen = selected(run), tuple(sorted(map(int, indices)))
    if not chosen:
        if before is not None and before.epoch == epoch:
            clear(run)
        return
    image = chosen[0] if len(chosen) == 1 else before.image if before and before.epoch == epoch else None
    _store(run, Selection(epoch, chosen, image if image in chosen else None))


def inspect(run: DistillationRun, epoch: int, index: int) -> None:
    """Open the inspector for one image. The selected images of its epoch stay selected."""
    before = selected(run, epoch)
    _store(run, replace(before or Selection(epoch), image=int(index)))


def close(run: DistillationRun) -> None:
    """Close the inspector. The selected images stay selected."""
    before = selected(run)
    if before is not None and before.indices:
        _store(run, replace(before, image=None))
    else:
        clear(run)


def clear(run: DistillationRun) -> None:
    """Clear the selection, and close the inspector."""
    st.session_state.pop(_key(run), None)
    for name in ("picked", "image", "budget"):
        url.set_parameter(name, None)


def other_epoch_notice(run: DistillationRun, epoch: int, slider: str) -> None:
    """If the selection is of another epoch than the shown one, draw a notice and a button that shows that epoch.

    Args:
        run: the run.
        epoch: the epoch that the page shows.
        slider: key of the page's epoch slider.
    """
    other = selected(run)
    if other is None or other.epoch == epoch:
        return
    count = max(len(other.indices), 1)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(f"{formats.count(count)} selected in epoch {other.epoch}", width="content")
        st.button(
            f"Show epoch {other.epoch}",
            key=f"{slider} back",
            icon=":material/undo:",
            on_click=lambda: st.session_state.update({slider: other.epoch}),
        )
        st.button("Clear", key=f"{slider} clear", icon=":material/close:", on_click=clear, args=(run,))


def _key(run: DistillationRun) -> str:
    return f"selection {run.id}"


def _from_link(run: DistillationRun) -> Selection | None:
    token = st.query_params.get("picked")
    if token is None:
        return None
    try:
        return Selection.from_token(token, st.query_params.get("image"))
    except ValueError as error:
        elements.notice("warning", f"The link's selection cannot be read: {error}", icon=":material/link_off:")
        clear(run)
        return None


def _store(run: DistillationRun, selection: Selection) -> None:
    st.session_state[_key(run)] = selection
    if st.query_params.get("image", str(selection.image)) != str(selection.image):
        url.set_parameter("budget", None)  # it belongs to the attack on another image
    url.set_parameter("picked", selection.to_token())
    url.set_parameter("image", selection.image)
