"""Data on domains and pairs for the pages: which are usable, their download sizes, sample images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from atesc_core.domains import DOMAINS, Pair, read_pair
from atesc_core.domains.catalogue import domain_version
from atesc_core.domains.folder import CHECK_SIDE, Folder, is_checked, is_folder, is_read, open_folder, version
from atesc_core.errors import DomainError
from pages.shared.ui import formats

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SAMPLE_SIDE = CHECK_SIDE  # pixels
MAX_SAMPLES = 10  # classes of a domain that show an image
CHECKED_FOLDERS = "own folders"  # key in the session state: folders that the visitor has checked


def usable_domains() -> list[str]:
    """Names of the domains from which a pair can be made now; folders come last.

    These are the folders that the visitor has checked, and those of the link that were checked on this machine.
    """
    present = [name for name, source in DOMAINS.items() if source.status != "downloadable"]
    linked = [name for name in (st.query_params.get("id", ""), st.query_params.get("ood", "")) if is_checked(name)]
    return list(dict.fromkeys([*present, *st.session_state.get(CHECKED_FOLDERS, []), *linked]))


def checked_folder(name: str, image_side: int = SAMPLE_SIDE) -> Folder:
    """A folder as it was when it was checked, or read at this size for a teacher: a page reads no other.

    Raises:
        DomainError: it cannot be listed, or has changed since.
    """
    folder = open_folder(name)
    if not any(is_read(folder, side) for side in (image_side, CHECK_SIDE)):
        raise DomainError(f"{name}: has changed since it was checked, and is not read before it is checked again")
    return folder


def _version(name: str, image_side: int = SAMPLE_SIDE) -> str:
    """Raises as `checked_folder`, and as ``domain_version``."""
    return version(checked_folder(name, image_side)) if is_folder(name) else domain_version(name)


def download_size(name: str) -> str:
    """Size of a domain's archives, as text."""
    return f"{formats.count(DOMAINS[name].megabytes)} MB"


def class_samples(name: str) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """A test image of each of the first MAX_SAMPLES classes of a domain, and the names of these classes.

    Returns:
        (N, 3, SAMPLE_SIDE, SAMPLE_SIDE) in [0, 1], and N names.

    Raises:
        DomainError: the domain cannot be read, or is a folder that has changed since it was checked.
    """
    return _class_samples(name, _version(name))


def pair_samples(pair: Pair) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A test image of each class of a pair's ID and of its OOD side, (N, 3, SAMPLE_SIDE, SAMPLE_SIDE) in [0, 1] each.

    Raises:
        DomainError: the pair cannot be read, or one is a folder that has changed since it was checked.
    """
    return _pair_samples(pair, _version(pair.id), _version(pair.ood))


def first_test_images(pair: str, image_side: int, count: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The first ``count`` test images of a pair's ID and of its OOD side, (count, 3, image_side, image_side) each.

    Raises:
        DomainError: as `pair_samples`, of images at ``image_side`` pixels.
    """
    found = read_pair(pair)
    return _first_test_images(pair, image_side, count, _version(found.id, image_side), _version(found.ood, image_side))


# PyTorch is imported inside the functions that read images: it takes two seconds, and most pages show no images.


@st.cache_data(max_entries=64, show_spinner="Reading the images …")
def _class_samples(name: str, version: str) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    from atesc_core.domains import loading

    return loading.class_samples(name, SAMPLE_SIDE, MAX_SAMPLES)


@st.cache_data(max_entries=64, show_spinner="Reading the images …")
def _pair_samples(pair: Pair, id_version: str, ood_version: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    from atesc_core.domains import loading

    return loading.pair_samples(pair, SAMPLE_SIDE)


@st.cache_data(max_entries=32, show_spinner="Drawing the images …")
def _first_test_images(
    pair: str, image_side: int, count: int, id_version: str, ood_version: str
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    from atesc_core.domains import loading

    data = loading.load_pair(pair, image_side)
    return data.id.test.images[:count].numpy(), data.ood.test.images[:count].numpy()
