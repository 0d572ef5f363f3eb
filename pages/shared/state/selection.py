"""The one selection that follows the user from chart to chart: images of one epoch, and the one looked at closely.

It is in the URL (?run=ID&picked=EPOCH-IMAGES&image=37), so that a link shows it to another, and in this visit's
memory, for pages reached by the menu.
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
from pages.shared.ui import formats

MOST_BYTES = 1 << 17  # of a link's images, a bit each: a million images


@dataclass(frozen=True)
class Selection:
    epoch: int
    indices: tuple[int, ...] = ()  # of the epoch's snapshot, ascending
    image: int | None = None  # the one in the inspector

    def to_token(self) -> str:
        """`6-eJw...`: the epoch, and a bit an image, packed."""
        bits = np.zeros(max(self.indices, default=-1) + 1, bool)
        bits[list(self.indices)] = True
        packed = zlib.compress(np.packbits(bits).tobytes(), 9)
        return f"{self.epoch}-{base64.urlsafe_b64encode(packed).decode().rstrip('=')}"

    @classmethod
    def from_token(cls, token: str, image: str | None) -> Selection:
        """Raises ValueError where it is not one of these."""
        epoch, _, packed = token.partition("-")
        try:
            unpacked = zlib.decompressobj()
            squeezed = base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4))
            bits = np.unpackbits(np.frombuffer(unpacked.decompress(squeezed, MOST_BYTES), np.uint8))
            if not unpacked.eof:
                raise ValueError("it is cut short")
            return cls(int(epoch), tuple(np.flatnonzero(bits).tolist()), None if image is None else int(image))
        except (ValueError, binascii.Error, zlib.error) as error:
            raise ValueError(f"picked: {token[:40]!r} is not a link's selection ({error})") from None


def selected(run: DistillationRun, epoch: int | None = None, images: int | None = None) -> Selection | None:
    """What is selected of a run; with ``epoch``, only where it is of that epoch, and of its first ``images`` images."""
    kept = _of_link(run) or st.session_state.get(_key(run))
    if kept is not None:
        _keep(run, kept)
    if kept is None or epoch is None:
        return kept
    if kept.epoch != epoch:
        return None
    there = tuple(index for index in kept.indices if images is None or index < images)
    image = kept.image if kept.image is not None and 0 <= kept.image < (images or np.inf) else None
    return Selection(epoch, there, image) if there or image is not None else None


def select(run: DistillationRun, epoch: int, indices: Iterable[int]) -> None:
    """Take these images. None of them: no selection, where the present one is of this epoch."""
    before, indices = selected(run), tuple(sorted(map(int, indices)))
    if not indices:
        if before is not None and before.epoch == epoch:
            clear(run)
        return
    image = indices[0] if len(indices) == 1 else before.image if before and before.epoch == epoch else None
    _keep(run, Selection(epoch, indices, image if image in indices else None))


def inspect(run: DistillationRun, epoch: int, index: int) -> None:
    """Look at one image closely; what is selected of its epoch stays."""
    before = selected(run, epoch)
    _keep(run, replace(before or Selection(epoch), image=int(index)))


def close(run: DistillationRun) -> None:
    """The inspector shuts; what is selected stays."""
    before = selected(run)
    if before is not None and before.indices:
        _keep(run, replace(before, image=None))
    else:
        clear(run)


def clear(run: DistillationRun) -> None:
    st.session_state.pop(_key(run), None)
    for name in ("picked", "image", "budget"):
        st.query_params.pop(name, None)


def other_epoch_notice(run: DistillationRun, epoch: int, slider: str) -> None:
    """A line where the selection is of another epoch than the one shown, with the way there. slider: the key of the
    page's epoch slider."""
    kept = selected(run)
    if kept is None or kept.epoch == epoch:
        return
    count = max(len(kept.indices), 1)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(f"{formats.count(count)} selected in epoch {kept.epoch}", width="content")
        st.button(
            f"Show epoch {kept.epoch}",
            key=f"{slider} back",
            icon=":material/undo:",
            on_click=lambda: st.session_state.update({slider: kept.epoch}),
        )
        st.button("Clear", key=f"{slider} clear", icon=":material/close:", on_click=clear, args=(run,))


def _key(run: DistillationRun) -> str:
    return f"selection {run.id}"


def _of_link(run: DistillationRun) -> Selection | None:
    token = st.query_params.get("picked")
    if token is None:
        return None
    try:
        return Selection.from_token(token, st.query_params.get("image"))
    except ValueError as error:
        st.warning(f"The link's selection cannot be read: {error}", icon=":material/link_off:")
        clear(run)
        return None


def _keep(run: DistillationRun, selection: Selection) -> None:
    st.session_state[_key(run)] = selection
    if st.query_params.get("image", str(selection.image)) != str(selection.image):
        url.set_parameter("budget", None)  # the attack on another image
    url.set_parameter("picked", selection.to_token())
    url.set_parameter("image", selection.image)
