"""Data on domains and pairs for the pages: which are usable, their download sizes, sample images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from atesc_core.domains import DOMAINS, Pair
from atesc_core.domains.catalogue import domain_version
from atesc_core.domains.folder import is_checked
from pages.shared.ui import formats

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SAMPLE_SIDE = 32  # pixels, the side of the paper's images
MAX_SAMPLES = 10  # classes of a domain that show an image
CHECKED_FOLDERS = "own folders"  # key in the session state: folders that the visitor has checked


def usable_domains() -> list[str]:
    """Names of the domains from which a pair can be made now; folders come last.

    These are the folders that the visitor has checked, and those of the link that were checked on this machine.
    """
    present = [name for name, source in DOMAINS.items() if source.status != "downloadable"]
    linked = [name for name in (st.query_params.get("id", ""), st.query_params.get("ood", "")) if is_checked(name)]
    return list(dict.fromkeys([*present, *st.session_state.get(CHECKED_FOLDERS, []), *linked]))


def download_size(name: str) -> str:
    """Size of a domain's archives, as text."""
    return f"{formats.count(DOMAINS[name].megabytes)} MB"


def class_samples(name: str) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """A test image of each of the first MAX_SAMPLES classes of a domain, and the names of these classes.

    Returns:
        (N, 3, SAMPLE_SIDE, SAMPLE_SIDE) in [0, 1], and N names.

    Raises:
        DomainError: the domain cannot be read.
    """
    return _class_samples(name, domain_version(name))


def pair_samples(pair: Pair) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A test image of each class of a pair's ID and of its OOD side, (N, 3, SAMPLE_SIDE, SAMPLE_SIDE) in [0, 1] each.

    Raises:
        DomainError: the pair cannot be read.
    """
    return _pair_samples(pair, domain_version(pair.id), domain_version(pair.ood))


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
def first_test_images(pair: str, image_side: int, count: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The first ``count`` test images of a pair's ID and of its OOD side, (count, 3, image_side, image_side) each."""
    from atesc_core.domains import loading

    data = loading.load_pair(pair, image_side)
    return data.id.test.images[:count].numpy(), data.ood.test.images[:count].numpy()
