"""How far an epoch's synthetic images are from real ones, in feature space."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from atesc_core.figures import theme
from atesc_core.figures.run_data import evenly_thinned
from pages.embedding.epoch_map import EpochMap
from pages.shared.ui import appearance, elements, formats
from pages.shared.ui.chart import chart


def distance_tiles(epoch_map: EpochMap) -> list[elements.Html]:
    """The shares of the epoch's images that are nearer to real ID or OOD images, as tiles."""
    nearer = epoch_map.space.nearer_to_ood(epoch_map.snapshot.epoch)
    measured_on = formats.measured_on("synthetic", len(epoch_map.scores), epoch_map.snapshot.epoch)
    return [
        elements.tile(
            "Nearer to ID",
            formats.per_cent(100 - nearer),
            "%",
            measured_on=measured_on,
            role="id",
            help_text="By mean distance to the 10 nearest real images, in feature space itself",
        ),
        elements.tile("Nearer to OOD", formats.per_cent(nearer), "%", measured_on=measured_on, role="ood"),
    ]


def distance_curves(epoch_map: EpochMap, epochs: list[int]) -> None:
    """Draw the median k-NN distance to ID and to OOD, epoch by epoch."""
    if len(epochs) < 2:
        return
    drawn_epochs = evenly_thinned(epochs)
    medians = np.array(
        [[np.median(distances) for distances in epoch_map.space.distances(epoch)] for epoch in drawn_epochs]
    )
    roles: dict[elements.Role, str] = {"id": "to real ID", "ood": "to real OOD"}
    style = theme.style(appearance.mode())
    figure = theme.new_figure(appearance.mode(), "distances", "Epoch", "Median k-NN distance (a.u.)")
    for column, (role, name) in enumerate(roles.items()):
        figure.add_trace(
            go.Scatter(
                x=drawn_epochs,
                y=medians[:, column],
                name=name,
                mode="lines+markers",
                uid=theme.trace_id("distance", role),
                line={"color": appearance.colour(role), "width": style.line_width},
                marker={"size": style.dot_size},
                hovertemplate=f"<b>%{{y:.2f}}</b> {name}, epoch %{{x}}<extra></extra>",
            )
        )
    figure.update_xaxes(tickformat="d", nticks=min(len(drawn_epochs), 12))
    figure.update_yaxes(rangemode="tozero")
    with elements.card(
        "How far synthetic images are from real ones",
        f"{len(epoch_map.scores)} synthetic images an epoch; "
        f"the 10 nearest real images of each domain, among features of the {epoch_map.space.model_name}",
    ):
        chart(figure, "distances", height=260)
