"""Two runs' maps next to each other, and how far each run drifts towards OOD."""

from __future__ import annotations

import streamlit as st

from atesc_core import figures
from atesc_core.figures.run_data import evenly_thinned
from pages.embedding import second_run
from pages.embedding.controls import MapOptions
from pages.embedding.distances import distance_tiles
from pages.embedding.epoch_map import EpochMap, draw_map, drawable_method
from pages.embedding.feature_space import FeatureSpace, Method, Subject
from pages.shared.data.snapshots import load_snapshot
from pages.shared.data.store import run_store
from pages.shared.ui import appearance, elements, formats
from pages.shared.ui.chart import chart
from pages.shared.ui.run_labels import method_name


def side_by_side(
    epoch_map: EpochMap, second: Subject | None, space: FeatureSpace, options: MapOptions, epochs: list[int]
) -> tuple[list[str], bool]:
    """Draw both maps and the curve that compares them.

    Args:
        epoch_map: the first map.
        second: the run of the second map; None draws what to start.
        space: the feature space of the second run.
        options: how the maps are drawn.
        epochs: epochs of the first run that have images.

    Returns:
        Ids of the selected real images on the first map, and whether UMAP is being computed for one of the maps.
    """
    maps = {epoch_map: epochs}
    if second and (second_epochs := run_store().snapshot_epochs(second.run.id)):
        # the second run may lack this epoch: then its last one before, or its first
        second_epoch = max(
            (epoch for epoch in second_epochs if epoch <= epoch_map.snapshot.epoch), default=second_epochs[0]
        )
        maps[EpochMap(second, space, load_snapshot(second.run.id, second_epoch), key="second map")] = second_epochs
    available = {drawable_method(options.method, drawn_map)[0] for drawn_map in maps}
    method: Method = "UMAP" if available == {"UMAP"} else "PCA"  # the same for both
    results = []
    columns = st.columns(2)
    for (drawn_map, run_epochs), column in zip(maps.items(), columns, strict=False):
        with column, elements.card():
            _title(drawn_map, epoch_map.snapshot.epoch)
            results.append(draw_map(drawn_map, options, run_epochs, method))
            elements.tiles(*distance_tiles(drawn_map))
    if len(maps) > 1:
        _drift(maps)
    else:
        with columns[1]:
            second_run.no_second_run(epoch_map.run)
    return results[0][0], any(computing for _, computing in results)


def _title(epoch_map: EpochMap, requested: int) -> None:
    """Draw which run and epoch the map shows. ``requested``: the epoch that the slider is at."""
    card, run, epoch = epoch_map.subject.card, epoch_map.run, epoch_map.snapshot.epoch
    note = f"epoch {epoch}" + (f": this run has no epoch {requested}" if requested != epoch else "")
    elements.row(elements.teacher_chip(card.kind), method_name(run.spec), f"seed {run.spec.seed}", elements.muted(note))


def _drift(maps: dict[EpochMap, list[int]]) -> None:
    """Draw, by epoch, the share of each run's images that are nearer to OOD. ``maps``: each with its run's epochs."""
    curves = []
    for epoch_map, epochs in maps.items():
        plotted_epochs = evenly_thinned(epochs)
        curves.append(
            figures.Drift(
                plotted_epochs,
                [epoch_map.space.nearer_to_ood(epoch) for epoch in plotted_epochs],
                epoch_map.subject.card.kind,
                epoch_map.run.spec.escape.kind,
                epoch_map.space.real_nearer_to_ood,
                epoch_map.run.id,
            )
        )
    sizes = " and ".join(dict.fromkeys(formats.count(len(epoch_map.scores)) for epoch_map in maps))
    with elements.card(
        "Drift towards OOD",
        f"{sizes} synthetic images an epoch, by mean distance to the 10 nearest real "
        "images of each domain, each in the feature space of its own "
        f"{next(iter(maps)).space.model_name.partition(' ')[0]}",
    ):
        chart(figures.drift(curves, appearance.mode(), next(iter(maps)).snapshot.epoch), "drift", height=290)
        elements.caption(
            "Faint: the real ID validation images themselves, each among all others. The higher that level, the "
            "less these features tell the domains apart, and the less it says that an image is nearer to OOD."
        )
