"""What is to be drawn, of which run, and how it is to be printed: the widgets that make a figure's recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from string import ascii_lowercase
from typing import Any

import streamlit as st

from atesc_core.embedding import ReferenceMap
from atesc_core.figures import title
from atesc_core.figures.export import files, venues
from atesc_core.figures.export.recipe import PANEL_OPTIONS, Panel, PrintLayout, Recipe
from atesc_core.figures.run_data import available_scores
from atesc_core.figures.sources import Sources
from atesc_core.runs import DistillationRun
from atesc_core.vocabulary import SCORE_NAMES, SCORE_UNITS
from pages.shared.data import snapshots
from pages.shared.data.reports import measuring, teacher_report
from pages.shared.data.store import run_store
from pages.shared.data.teachers import cards
from pages.shared.state import threshold, url
from pages.shared.ui import run_labels
from pages.shared.ui.run_panel import comparable_runs

FORM = url.Form("recipe", "figure form")
PANELS = 4  # at most, side by side on a screen
# True: under attack too
MEASURED = {
    "embedding": False,
    "drift": False,
    "robust_share": True,
    "roc": True,
    "per_class": False,
    "confusion": False,
}


def recipe_form(run: DistillationRun) -> Recipe:
    """The recipe that the widgets describe, of ``run`` unless a panel names another. It starts from a link's
    (?recipe=...)."""
    linked = FORM.read(Recipe, "Below is the run's accuracy.")
    first = linked.panels[:PANELS] if linked else ()
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        count = st.segmented_control(
            "Panels", range(1, PANELS + 1), default=len(first) or 1, required=True, key="panels"
        )
        across = (
            1
            if count == 1
            else st.segmented_control(
                "In a row",
                range(1, count + 1),
                default=min(linked.across if linked else 2, count),
                required=True,
                key="across",
            )
        )
        paper = _paper(linked.paper if linked else PrintLayout())
    if count == 1:
        left, right = st.columns([1, 2.4], vertical_alignment="bottom", gap="medium")
        recipe = Recipe(panels=(_panel("", run, left, right, *first[:1]),), paper=paper)
    else:
        panels = []
        for at, column in enumerate(st.columns(count, gap="medium")):
            with column, st.container(border=True):
                panels.append(_panel(ascii_lowercase[at], run, st.container(), st.container(), *first[at : at + 1]))
        recipe = Recipe(panels=tuple(panels), across=across, paper=paper)
    FORM.write(recipe.to_token())
    return recipe


def _paper(first: PrintLayout) -> PrintLayout:
    """first: what the widgets hold at first."""
    venue = st.segmented_control(
        "Venue",
        list(venues.VENUES),
        default=first.venue,
        required=True,
        key="venue",
        format_func=lambda name: venues.VENUES[name].name,
    )
    one, two = venues.VENUES[venue].one, venues.VENUES[venue].two
    columns = 1
    if one != two:
        columns = st.segmented_control(
            "Columns",
            [1, 2],
            default=first.columns,
            required=True,
            key="columns",
            format_func=lambda n: f"{n} · {(one, two)[n - 1]:g} in",
        )
    with st.popover("Type", icon=":material/format_size:"):
        font = st.segmented_control(
            "Type",
            ["sans", "serif"],
            default=first.font,
            required=True,
            key="font",
            help=("Arimo, as wide as Arial, or Tinos, as wide as Times. Both come with the lab and go into the file."),
            format_func=str.capitalize,
        )
        font_pt = st.number_input("Size (pt)", 4.0, 24.0, first.font_pt, 0.5, format="%.1f", key="font size")
        height = st.number_input(
            "Height (in)",
            0.5,
            11.0,
            first.height_in and max(first.height_in, 0.5),
            0.1,
            format="%.2f",
            key="height",
            placeholder="the figure's own",
        )
        dpi = st.number_input("PNG, pixels to the inch", *files.DPI_RANGE, first.dpi, 50, key="dpi")
    return PrintLayout(venue=venue, columns=columns, font=font, font_pt=font_pt, height_in=height, dpi=dpi)


def _panel(letter: str, run: DistillationRun, top: Any, below: Any, first: Panel | None = None) -> Panel:
    """``letter``: of a panel among several; empty where the figure is alone. ``first``: what the widgets hold at
    first."""
    words: dict[str, Any] = {}
    with top:
        usual = ascii_lowercase.find(letter) % len(PANEL_OPTIONS) if letter else 0
        name = st.selectbox(
            f"Figure ({letter})" if letter else "Figure",
            list(PANEL_OPTIONS),
            format_func=title,
            index=list(PANEL_OPTIONS).index(first.figure) if first else usual,
            key=f"figure {letter}".strip(),
            bind=None if letter else "query-params",
        )
        if letter:
            known = {other.id: other for other in run_store().distillations()}
            wanted = first.run if first and first.run in known else run.id
            of = st.selectbox(
                f"Run ({letter})",
                list(known),
                list(known).index(wanted),
                key=f"run {letter}",
                format_func=lambda own: run_labels.run_name(known[own]),
            )
            run = known[of]
            words["label"] = st.text_input(
                f"Beside the letter ({letter})", first.label if first else "", key=f"label {letter}", max_chars=80
            )
    if first and (first.figure, first.run) != (name, run.id):
        first = None  # its options are of another figure
    with below, st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        for option in PANEL_OPTIONS[name]:
            if option in ASK:
                words |= ASK[option](run, f"figures {option} {letter} {run.id}", words, first)
    return Panel(figure=name, run=run.id, **words)


# ── one widget an option: (run, its key, what was answered before, the link's panel) -> fields ──────────


def _epoch(run: DistillationRun, key: str, before: dict[str, Any], first: Panel | None) -> dict[str, Any]:
    epochs = run_store().snapshot_epochs(run.id)
    if not epochs:
        return {}
    at = first.epoch if first and first.epoch in epochs else epochs[-1]
    return {"epoch": st.select_slider("Epoch", epochs, at, key=key) if len(epochs) > 1 else epochs[0]}


def _score(run: DistillationRun, key: str, before: dict[str, Any], first: Panel | None) -> dict[str, Any]:
    epochs = run_store().snapshot_epochs(run.id)
    if not epochs:
        return {}
    kept = available_scores(snapshots.load_snapshot(run.id, epochs[-1]), None)
    wanted = first.score if first and first.score in kept else run.spec.split.score
    return {
        "score": st.segmented_control(
            "Score", kept, default=wanted, required=True, key=key, format_func=SCORE_NAMES.get
        )
    }


def _threshold(run: DistillationRun, key: str, before: dict[str, Any], first: Panel | None) -> dict[str, Any]:
    """Where the user dragged the line on another page, unless something else is typed here."""
    score = before.get("score", run.spec.split.score)
    unit = {"min_eps": "1/255"}.get(score, SCORE_UNITS[score].strip())
    label = f"Threshold ({unit})" if unit else "Threshold"
    own = score == run.spec.split.score
    moved = first.threshold if first else threshold.chosen_threshold(run, score)
    value = st.number_input(
        label,
        value=moved,
        format="%.3g",
        key=f"{key} {score}",
        placeholder="the run's" if own else "Otsu's threshold",
        width=150,
    )
    return {"threshold": value}


def _real(run: DistillationRun, key: str, before: dict[str, Any], first: Panel | None) -> dict[str, Any]:
    known = _report(run.spec.teacher, run.spec.split, True) if run.spec.teacher in cards() else None
    there = known is not None and known.attacked
    return {
        "real": st.toggle(
            "Real test images",
            first.real if first else there,
            key=key,
            help=("Outlines of real ID and OOD test images; the teacher is measured for them once"),
        )
    }


def _against(run: DistillationRun, key: str, before: dict[str, Any], first: Panel | None) -> dict[str, Any]:
    others = comparable_runs(run)
    shown = others and st.toggle(
        "With comparable runs",
        first is None or bool(first.against),
        key=key,
        help=("Plain students of the same teacher, and of the SL teacher: same seed, same images an epoch"),
    )
    return {"against": tuple(other.id for other in others)} if shown else {}


def _domain(run: DistillationRun, key: str, before: dict[str, Any], first: Panel | None) -> dict[str, Any]:
    return {
        "domain": st.segmented_control(
            "Domain",
            ["id", "ood"],
            default=first.domain if first else "id",
            required=True,
            key=key,
            format_func=str.upper,
        )
    }


def _method(run: DistillationRun, key: str, before: dict[str, Any], first: Panel | None) -> dict[str, Any]:
    report = _report(run.spec.teacher, run.spec.split, False) if run.spec.teacher in cards() else None
    made = (
        report is not None
        and ReferenceMap(report.id.features, report.ood.features, run_store().runs_dir / "cache").coordinates()
        is not None
    )
    return {
        "method": st.segmented_control(
            "Map",
            ["PCA", "UMAP"],
            required=True,
            key=key,
            default=(first.method if first else "UMAP" if made else "PCA"),
            help="UMAP once the page Embedding has made it",
        )
    }


def _colour(run: DistillationRun, key: str, before: dict[str, Any], first: Panel | None) -> dict[str, Any]:
    return {
        "colour": st.segmented_control(
            "Colour",
            ["group", "score", "class", "domain"],
            required=True,
            key=key,
            default=first.colour if first else "group",
            format_func=str.capitalize,
        )
    }


def _ground(run: DistillationRun, key: str, before: dict[str, Any], first: Panel | None) -> dict[str, Any]:
    return {
        "ground": st.segmented_control(
            "Real images",
            ["density", "points"],
            required=True,
            key=key,
            default=first.ground if first else "density",
            format_func=str.capitalize,
        )
    }


ASK: dict[str, Callable[[DistillationRun, str, dict[str, Any], Panel | None], dict[str, Any]]] = {
    "epoch": _epoch,
    "score": _score,
    "threshold": _threshold,
    "real": _real,
    "against": _against,
    "domain": _domain,
    "method": _method,
    "colour": _colour,
    "ground": _ground,
}


# ── what the figures are drawn from ─────────────────────────────────────────────────────────────────────


def sources() -> Sources:
    """As far as it is known: a page waits for nothing."""
    return Sources(run_store(), cards, _report)


def _report(teacher: str, split: Any, attacked: bool) -> Any:
    return teacher_report(teacher, split)


def measure_what_is_missing(recipe: Recipe) -> None:
    """See to it that the first teacher that a panel needs measured is being measured; the others follow."""
    for panel, run_id in _runs(recipe):
        run = run_store().get_distillation(run_id)
        if not (panel.real or panel.figure in MEASURED) or run.spec.teacher not in cards():
            continue
        report = teacher_report(run.spec.teacher, run.spec.split)
        attacked = panel.real or MEASURED[panel.figure]
        if report is None or attacked and not report.attacked:
            measuring(run.spec.teacher, run.spec.split, report)
            return


def _runs(recipe: Recipe) -> Iterator[tuple[Panel, str]]:
    """Each run that a panel draws, its id."""
    for panel in recipe.panels:
        for run_id in (panel.run, *panel.against):
            yield panel, run_id
