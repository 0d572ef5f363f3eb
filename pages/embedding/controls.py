"""The controls above the map: features, method, colour, real images, and the epoch with its play button."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import streamlit as st

from atesc_core.figures.embedding import ColourBy
from atesc_core.runs import DistillationRun
from pages.embedding.feature_space import Method, Network
from pages.shared.state import selection, url
from pages.shared.ui.epoch_slider import epoch_slider

RealImages = Literal["density", "points"]  # how real images are drawn
MAPS: tuple[Method, ...] = ("PCA", "UMAP")
REAL_IMAGES: tuple[RealImages, ...] = ("density", "points")
COLOURS: dict[ColourBy, str] = {"group": "Group", "score": "Score", "class": "Class", "domain": "Domain"}
FEATURES: tuple[Network, ...] = ("teacher", "student")


@dataclass(frozen=True)
class MapOptions:
    """How the maps are drawn, as the user chose by the page's controls."""

    network: Network  # whose features are mapped
    method: Method
    colour: ColourBy
    real_images: RealImages


def map_controls() -> MapOptions:
    """Draw the controls of how the maps are drawn; return what the user chose."""
    with st.container(horizontal=True, gap="medium"):
        return MapOptions(
            st.segmented_control(
                "Features of",
                FEATURES,
                required=True,
                format_func=str.capitalize,
                help="Whose last layer the map is of",
                **url.bind_choice("features", FEATURES, key="link features"),
            )
            or "teacher",
            st.segmented_control(
                "Map",
                MAPS,
                required=True,
                **url.bind_choice("method", MAPS),
                help="PCA is there at once. UMAP takes a while, once per teacher or student.",
            )
            or "PCA",
            st.segmented_control(
                "Colour",
                list(COLOURS),
                required=True,
                format_func=COLOURS.__getitem__,
                **url.bind_choice("colour", COLOURS),
            )
            or "group",
            st.segmented_control(
                "Real images",
                REAL_IMAGES,
                required=True,
                format_func=str.capitalize,
                **url.bind_choice("ground", REAL_IMAGES),
            )
            or "density",
        )


def slider_key(run: DistillationRun) -> str:
    """Key of the epoch slider of a run."""
    return f"embedding epoch {run.id}"


def epoch_controls(run: DistillationRun, epochs: list[int]) -> tuple[int, bool]:
    """Draw the play button and the epoch slider.

    Returns:
        The epoch to show, and whether the next one follows without a click.
    """
    key, playing_key = slider_key(run), f"embedding plays {run.id}"
    state, selected = st.session_state, selection.selected(run)
    if len(epochs) == 1:
        return epoch_slider(run, epochs, key, selected=selected), False
    left, right = st.columns([1, 6], vertical_alignment="bottom")
    playing = bool(state.get(playing_key))
    with right:
        epoch = epoch_slider(run, epochs, key, selected=selected, advance=playing)
    state[playing_key] = playing = playing and epoch != epochs[-1]

    def toggle() -> None:
        state[playing_key] = not playing
        if not playing and state[key] == epochs[-1]:
            state[key] = epochs[0]

    left.button(
        "Pause" if playing else "Play",
        key=f"embedding play {run.id}",
        width="stretch",
        icon=":material/pause:" if playing else ":material/play_arrow:",
        on_click=toggle,
    )
    return epoch, playing
