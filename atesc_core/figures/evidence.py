"""Accuracies of each form of distillation over seeds: the figure of a study."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from atesc_core.figures import theme
from atesc_core.figures.theme import Mode, Style, trace_id
from atesc_core.vocabulary import METRIC_NAMES, METRIC_ROLES, SETTING_NAMES

OFFSETS = {("iacc", "NTL"): -0.27, ("iacc", "SL"): -0.12, ("other", "NTL"): 0.12, ("other", "SL"): 0.27}
GAP = 0.05  # between two panels, of the figure's width


def evidence(runs: pd.DataFrame, mode: Mode = "light") -> go.Figure:
    """IAcc and the trap by form.

    ``runs``: one row per run of one synthesizer, columns ``setting`` (close, open, backdoor), ``pair``, ``metric``
    (oacc, olacc, asr), ``kind`` of teacher (NTL, SL), ``form``, ``seed``, and ``iacc`` and ``other`` (the metric), per
    cent, NaN for a run that was not done. One panel per pair. Dots: mean ± one standard deviation over seeds, filled
    for NTL teachers and open for SL teachers. Small dots: seeds.
    """
    style = theme.style(mode)
    figure = theme.new_figure(mode, "evidence", "", "Student accuracy (%)", aspect=0.5)
    figure.layout.meta.update(x="form", y="per cent of test images")
    pairs, forms = list(dict.fromkeys(runs["pair"])), list(dict.fromkeys(runs["form"]))
    done = runs.dropna(subset="iacc")
    for number, pair in enumerate(pairs):
        axis = "" if number == 0 else str(number + 1)
        width = (1 - GAP * (len(pairs) - 1)) / len(pairs)
        left = number * (width + GAP)
        figure.update_layout(
            {
                f"xaxis{axis}": {
                    "domain": [left, left + width],
                    "anchor": f"y{axis}",
                    "range": [-0.5, len(forms) - 0.5],
                    "tickvals": list(range(len(forms))),
                    "ticktext": forms,
                },
                f"yaxis{axis}": theme.per_cent_axis(anchor=f"x{axis}", showticklabels=number == 0),
            }
        )
        case = runs[runs["pair"] == pair].iloc[0]
        figure.add_annotation(
            text=f"{SETTING_NAMES[case.setting]}: IAcc, {METRIC_NAMES[case.metric]}",
            x=left,
            xref="paper",
            y=1.01,
            yref="paper",
            xanchor="left",
            yanchor="bottom",
        )
        for (value, kind), offset in OFFSETS.items():
            runs_of_kind = done[(done["pair"] == pair) & (done["kind"] == kind)]
            metric = "iacc" if value == "iacc" else case.metric
            for trace in _traces(style, runs_of_kind, value, metric, forms, offset, f"{pair}/{value}/{kind}"):
                figure.add_trace(trace.update(xaxis=f"x{axis}", yaxis=f"y{axis}"))
    for role, name in (("id", "IAcc"), ("ood", "on OOD images")):
        for kind in dict.fromkeys(done["kind"]):
            figure.add_scatter(
                x=[None],
                y=[None],
                mode="markers",
                uid=trace_id("evidence key", role, kind),
                name=f"{name}, {kind} teacher",
                marker=_marker(style, role, kind),
                meta={"skip": True},
            )
    size = figure.layout.template.layout.font.size
    figure.update_layout(margin_t=4.2 * size, legend_y=1.1)
    return figure if len(done) else theme.show_message(figure, "Not run")


def _traces(
    style: Style, runs: pd.DataFrame, value: str, metric: str, forms: list[str], offset: float, name: str
) -> tuple[go.Scatter, go.Scatter]:
    """Two traces of one metric and one kind of teacher: means with standard deviations, and single seeds."""
    role, kind = METRIC_ROLES[metric], name.rpartition("/")[2]
    by_form = runs.groupby("form", sort=False)[value].agg(["mean", "std", "count"]).reindex(forms).dropna(subset="mean")
    means = go.Scatter(
        x=[forms.index(form) + offset for form in by_form.index],
        y=by_form["mean"],
        mode="markers",
        cliponaxis=False,
        uid=trace_id("evidence", name),
        name=f"{METRIC_NAMES[metric]}, {kind} teacher",
        showlegend=False,
        marker=_marker(style, role, kind),
        customdata=[
            [form, sd, int(n)]
            for form, sd, n in zip(by_form.index, by_form["std"].fillna(0), by_form["count"], strict=True)
        ],
        error_y={
            "array": by_form["std"].fillna(0),
            "color": style.colour(role),
            "thickness": style.thin_width,
            "width": 4,
        },
        hovertemplate=f"<b>%{{y:.1f}} ± %{{customdata[1]:.1f}} %</b> {METRIC_NAMES[metric]}<br>%{{customdata[0]}}, "
        f"{kind} teacher, %{{customdata[2]}} seeds<extra></extra>",
        meta={"metric": metric, "teacher": kind, "customdata": ["form", "sd", "seeds"]},
    )
    seeds = go.Scatter(
        x=[forms.index(form) + offset + 0.06 for form in runs["form"]],
        y=runs[value],
        mode="markers",
        uid=trace_id("evidence seeds", name),
        showlegend=False,
        hoverinfo="skip",
        cliponaxis=False,
        opacity=0.5,
        marker={"size": style.dot_size * 0.5, "color": style.colour(role)},
        meta={"skip": True},
    )
    return means, seeds


def _marker(style: Style, role: str, kind: str) -> dict[str, object]:
    symbol = "circle" if kind == "NTL" else "circle-open"
    return {
        "size": style.dot_size * 1.3,
        "color": style.colour(role),
        "symbol": symbol,
        "line": {"color": style.colour(role), "width": style.thin_width},
    }
