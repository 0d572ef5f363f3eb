"""The card with the images that are selected on the map."""

from __future__ import annotations

from functools import partial

import numpy as np
import streamlit as st

from atesc_core import figures
from atesc_core.figures.scores import bin_edges
from atesc_core.figures.selection import mark_samples
from pages.embedding.epoch_map import EpochMap, point_id, point_thumbnails
from pages.shared.state import selection, url
from pages.shared.ui import appearance, elements, formats
from pages.shared.ui.chart import chart
from pages.shared.ui.gallery import clickable_gallery, gallery

GALLERY_IMAGES = 60  # largest number of selected images shown


def selected_images(epoch_map: EpochMap, real: list[str], columns: int = 6) -> None:
    """Draw the selected images, and where their scores lie among all scores of the epoch.

    Args:
        epoch_map: the map with the selection.
        real: ids of real images under the lasso.
        columns: images in a row.
    """
    indices = np.array(epoch_map.selected.indices if epoch_map.selected else (), int)
    count = len(indices) + len(real)
    with elements.card("Selected", f"{formats.count(count)} images" if count else ""):
        if not count:
            elements.caption(
                "Draw a lasso around points, or Tab to the map and frame them by keys: their images appear "
                "here. Press one to look at it closely."
            )
            return
        # All in one container, so that the caption above replaces it. An element that a fragment does not draw again
        # may stay in the browser: if another fragment's timer runs right after it, Streamlit 1.67 believes that its
        # run was interrupted, and does not remove old elements (forward_msg_queue.py).
        with st.container():
            if len(indices):
                to_id, to_ood = epoch_map.distances
                elements.row(
                    elements.swatch("id", f"{np.median(to_id[indices]):.1f} to ID"),
                    elements.swatch("ood", f"{np.median(to_ood[indices]):.1f} to OOD"),
                    elements.muted(f"median k-NN distance of {formats.count(len(indices))} synthetic"),
                )
                _synthetic_gallery(epoch_map, indices[:GALLERY_IMAGES], columns)
                if len(indices) > GALLERY_IMAGES:
                    elements.caption(f"and {formats.count(len(indices) - GALLERY_IMAGES)} more")
                _score_histogram(epoch_map, indices)
            if real:
                _real_gallery(epoch_map, real[:GALLERY_IMAGES], columns)
            if len(indices):
                with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                    st.page_link(
                        "robustness/page.py",
                        label="Split them",
                        icon=":material/vertical_split:",
                        query_params=url.run_parameters(),
                    )
                    st.button(
                        "Clear",
                        icon=":material/close:",
                        key="clear selection",
                        on_click=selection.clear,
                        args=(epoch_map.run,),
                    )


def _synthetic_gallery(epoch_map: EpochMap, indices: np.ndarray, columns: int) -> None:
    _, _, captions = point_thumbnails(epoch_map, "density")
    clickable_gallery(
        epoch_map.snapshot.images[indices],
        indices,
        "wall map",
        partial(selection.inspect, epoch_map.run, epoch_map.snapshot.epoch),
        columns=columns,
        chosen=epoch_map.selected.image if epoch_map.selected else None,
        roles=["fragile" if epoch_map.fragile[index] else "robust" for index in indices],
        titles=[captions[index].replace("\n", " · ") for index in indices],
    )


def _real_gallery(epoch_map: EpochMap, real: list[str], columns: int) -> None:
    ids, images, captions = point_thumbnails(epoch_map, "points")
    positions = [ids.index(point) for point in real]
    gallery(
        images[positions],
        columns=columns,
        roles=["id" if point.startswith("id:") else "ood" for point in real],
        titles=[captions[position].replace("\n", " · ") for position in positions],
    )


def _score_histogram(epoch_map: EpochMap, indices: np.ndarray) -> None:
    """Draw the histogram of the epoch's scores; the scores of the selected images are marked."""
    split = epoch_map.run.spec.split
    edges = bin_edges(split.score, [epoch_map.scores], split.max_epsilon)
    figure = figures.scores(
        epoch_map.scores,
        epoch_map.threshold,
        appearance.mode(),
        score=split.score,
        max_epsilon=split.max_epsilon,
        edges=edges,
    )
    figure.update_layout(showlegend=False)
    figure.update_yaxes(title_text="")
    mark_samples(figure, epoch_map.scores[indices], [point_id(epoch_map, index) for index in indices], edges)
    chart(figure, "selected scores", height=190, label="Robustness scores of the selected images")
