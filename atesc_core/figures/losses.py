"""Losses of generator, student and teacher, and the share of fragile images, by round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from atesc_core.figures import theme
from atesc_core.figures.theme import Mode, Style, trace_id

CHANGE_LABEL_WIDTH = 0.16  # of the axis: the text of a threshold, in a chart of a phone

GENERATOR_TERMS: dict[str, str] = {
    "g/bn": "BatchNorm match, R<sub>BN</sub>",
    "g/onehot": "One-hot, CE(T, y) (nats)",
    "g/adversarial": "Adversarial, −KL(T ‖ S) (nats)",
    "g/balance": "Class balance, Σ p̄ log p̄ (nats)",
    "g/contrast": "Contrast, L<sub>cr</sub> (nats)",
    "g/trap": "OOD half, CE(T, trap label) (nats)",
    "g/mixing": "Mixtures of both halves (nats)",
    "g/orientation": "Orientation, Σ 1 − cos",
    "g/vaccine": "Vaccine, −KL(T ‖ shuffled) / C (nats)",
}
STUDENT_TERMS: dict[str, tuple[str, str]] = {
    "s/fragile": ("fragile", "learn"),
    "s/robust": ("robust", "forget"),
    "s/total": ("ink", "total"),
}
TEACHER_TERMS: dict[str, str] = {
    "t/total": "Total",
    "t/id": "ID cross-entropy (nats)",
    "t/ood": "OOD cross-entropy, weighted and clamped (nats)",
    "t/separation": "Separation, min(1, β·MMD)",
}


def epoch_position(steps: pd.DataFrame) -> NDArray[np.float64]:
    """(N,) position of each round in epochs: round 20 of 40 in epoch 3 is 2.5. Columns: ``epoch`` and ``round``."""
    rounds = max(int(steps["round"].max()), 1) if len(steps) else 1
    return (steps["epoch"] - 1 + steps["round"] / rounds).to_numpy(float)


def losses_generator(steps: pd.DataFrame, mode: Mode = "light", epochs: int | None = None) -> go.Figure:
    """Generator loss by term.

    ``steps``: one row per round, with ``epoch``, ``round`` and a column ``g/<term>`` for each term, with its weight
    applied. The terms differ by orders of magnitude, so each has its own panel and scale.
    """
    terms = [name for name in steps.columns if name.startswith("g/") and name != "g/total"]
    return _panels(
        "losses_generator", steps, {term: GENERATOR_TERMS.get(term, term[2:]) for term in terms}, mode, epochs
    )


def losses_teacher(steps: pd.DataFrame, mode: Mode = "light", epochs: int | None = None) -> go.Figure:
    """Teacher loss by term.

    ``steps``: one row per round, with ``epoch``, ``round`` and a column ``t/<term>`` for each term, missing in a round
    without a step. The total is the trained loss, in which the OOD term or the separation is subtracted.
    """
    terms = {term: name for term, name in TEACHER_TERMS.items() if term in steps}
    if set(terms) == {"t/total", "t/id"}:  # an SL teacher: both are equal
        del terms["t/total"]
    return _panels("losses_teacher", steps, terms, mode, epochs)


def _panels(key: str, steps: pd.DataFrame, terms: dict[str, str], mode: Mode, epochs: int | None) -> go.Figure:
    """Panels below each other over the same epochs, one for each term. ``terms``: column -> name."""
    style = theme.style(mode)
    figure = theme.new_figure(mode, key, "Epoch", "", aspect=0.85)
    figure.layout.meta["y"] = "weighted loss"
    if not len(steps) or not terms:
        return theme.show_message(figure, "The first losses come with the first round")
    at = epoch_position(steps)
    for row, (term, name) in enumerate(terms.items()):
        logged = steps[term].notna().to_numpy()
        _panel(figure, style, row, len(terms), term, name, at[logged], steps[term].to_numpy(float)[logged])
    figure.update_xaxes(range=_span(at, epochs), minallowed=0, tickformat=".3~g")
    figure.update_layout(margin_r=4 * figure.layout.template.layout.font.size)  # the last values
    return figure


def _panel(
    figure: go.Figure,
    style: Style,
    row: int,
    rows: int,
    term: str,
    name: str,
    at: NDArray[np.float64],
    values: NDArray[np.float64],
) -> None:
    """Draw one term: its line, its name above, and its last value at the line's end."""
    suffix = "" if row == 0 else str(row + 1)
    pitch, gap = 1 / rows, (0.46 if style.mode == "print" else 0.34) / rows
    top = 1 - row * pitch
    figure.update_layout(
        {
            f"yaxis{suffix}": {
                "domain": [top - pitch, top - gap],
                "anchor": "x",
                "nticks": 4,
                "title": {"text": ""},
                "tickformat": "~g",
            },
            "xaxis": {"anchor": f"y{rows}" if rows > 1 else "y"},
        }
    )
    figure.add_scatter(
        x=at,
        y=values,
        yaxis=f"y{suffix}",
        uid=trace_id("loss", term),
        mode="lines",
        showlegend=False,
        name=term[2:],
        line={"color": style.ink, "width": style.thin_width},
        hovertemplate="%{y:.4g} at epoch %{x:.2f}<extra></extra>",
        meta={"term": term},
    )
    layout = {"xref": "paper", "showarrow": False, "xanchor": "left"}
    figure.add_annotation(
        text=name, x=0, y=top - gap, yref="paper", yanchor="bottom", font={"color": style.muted}, **layout
    )
    figure.add_annotation(
        text=f"<b>{theme.format_number(values[-1])}</b>",
        x=1,
        xshift=4,
        y=values[-1],
        yref=f"y{suffix}",
        yanchor="middle",
        **layout,
    )


def losses_student(steps: pd.DataFrame, mode: Mode = "light", epochs: int | None = None) -> go.Figure:
    """Student loss by what it asks: to learn the teacher's answer, and to forget it.

    ``steps``: one row per round, with ``epoch``, ``round`` and those of the columns ``s/fragile``, ``s/robust`` and
    ``s/total`` that the run has, in nats.
    """
    style = theme.style(mode)
    figure = theme.new_figure(mode, "losses_student", "Epoch", "Student loss (nats)")
    at = epoch_position(steps) if len(steps) else np.empty(0)
    for term, (role, name) in STUDENT_TERMS.items():
        if term in steps and steps[term].notna().any():
            figure.add_scatter(
                x=at,
                y=steps[term],
                uid=trace_id("loss", term),
                name=name,
                mode="lines",
                connectgaps=False,
                line={
                    "color": style.outline(role),
                    "width": style.thin_width if role == "ink" else style.line_width * 0.7,
                },
                hovertemplate=f"%{{y:.4g}} nats, {name}, at epoch %{{x:.2f}}<extra></extra>",
                meta={"term": term},
            )
    figure.update_xaxes(range=_span(at, epochs), minallowed=0, tickformat=".3~g")
    figure.update_layout(showlegend=len(figure.data) > 0)
    return figure if len(figure.data) else theme.show_message(figure, "The first losses come with the first round")


def _span(at: NDArray[np.float64], epochs: int | None) -> list[float]:
    return [0, float(epochs or (at.max() if len(at) else 1))]


def label_rows(at: Sequence[float], width: float) -> list[int]:
    """For labels that begin at these places, the row of each, 0 at the top, so that none overlaps another."""
    ends: list[float] = []  # of each row's last label
    rows = []
    for start in at:
        row = next((row for row, end in enumerate(ends) if start >= end), len(ends))
        ends[row : row + 1] = [start + width]
        rows.append(row)
    return rows


def fragile_share(
    steps: pd.DataFrame, mode: Mode = "light", epochs: int | None = None, changes: Mapping[float, float] | None = None
) -> go.Figure:
    """Share of fragile images by round.

    ``steps``: one row per round, with ``epoch``, ``round`` and ``fragile_share`` in 0..1, missing in rounds without a
    split. ``changes``: epoch (may be fractional) -> the threshold that was set at this point.
    """
    style = theme.style(mode)
    figure = theme.new_figure(mode, "fragile_share", "Epoch", "Fragile share (%)")
    figure.layout.meta["y"] = "fragile share of synthetic images, per cent"
    figure.update_yaxes(theme.per_cent_axis(range=[0, 102]))
    split = steps.dropna(subset=["fragile_share"]) if len(steps) else steps
    at = epoch_position(steps) if len(steps) else np.empty(0)
    figure.update_xaxes(range=_span(at, epochs), minallowed=0, tickformat=".3~g")
    if not len(split):
        return theme.show_message(figure, "No round has split its images")
    by_epoch = 100 * split.groupby("epoch")["fragile_share"].mean()
    figure.add_scatter(
        x=at[steps["fragile_share"].notna()],
        y=100 * split["fragile_share"],
        uid=trace_id("fragile share", "round"),
        name="each round",
        mode="lines",
        line={"color": theme.tint(style.outline("fragile"), 0.55), "width": style.thin_width},
        fill="tozeroy",
        fillcolor=style.tint("fragile", 0.18),
        meta={"per": "round"},
        hovertemplate="%{y:.1f} % fragile at epoch %{x:.2f}<extra></extra>",
    )
    figure.add_scatter(
        x=np.repeat(by_epoch.index.to_numpy(float), 2) + np.tile([-1.0, 0.0], len(by_epoch)),
        y=np.repeat(by_epoch.to_numpy(), 2),
        uid=trace_id("fragile share", "epoch"),
        name="mean of the epoch",
        mode="lines",
        line={"color": style.outline("fragile"), "width": style.line_width},
        hoverinfo="skip",
        meta={"per": "epoch"},
    )
    rows = label_rows(list(changes or {}), CHANGE_LABEL_WIDTH * figure.layout.xaxis.range[1])
    for (epoch, threshold), row in zip((changes or {}).items(), rows, strict=True):
        figure.add_vline(x=epoch, line={"color": style.muted, "width": style.thin_width, "dash": "2px,3px"})
        figure.add_annotation(
            x=epoch,
            y=1,
            yref="paper",
            yanchor="top",
            xanchor="left",
            xshift=3,
            yshift=-1.4 * row * figure.layout.template.layout.font.size,
            text=theme.format_threshold(threshold),
            font={"color": style.muted},
        )
    return figure
