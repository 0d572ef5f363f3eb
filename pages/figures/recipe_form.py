"""The form of a figure's recipe: which figures of which runs, with which options and print layout."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any, Literal

import streamlit as st

from atesc_core import jobs
from atesc_core.embedding import ReferenceMap
from atesc_core.figures import title
from atesc_core.figures.export import files, venues
from atesc_core.figures.export.recipe import PANEL_OPTIONS, Panel, PrintLayout, Recipe
from atesc_core.figures.export.venues import FontName
from atesc_core.figures.run_data import available_scores
from atesc_core.figures.sources import Sources
from atesc_core.runs import DistillationRun
from atesc_core.runs.students import validation_labels
from atesc_core.teachers.report import Report
from atesc_core.vocabulary import SCORE_NAMES, SCORE_UNITS
from pages.shared.data import snapshots
from pages.shared.data.batchnorm import batchnorm_report, watch_batchnorm
from pages.shared.data.reports import measuring, teacher_report
from pages.shared.data.store import run_store
from pages.shared.data.teachers import cards
from pages.shared.state import threshold, url
from pages.shared.ui import run_labels
from pages.shared.ui.progress import watch_job
from pages.shared.ui.run_panel import comparable_runs

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

FORM = url.Form("recipe", "figure form")
MAX_PANELS = 4  # side by side on a screen
NEEDS_REPORT = {  # figures that need the teacher's report; True: including the attack on real images
    "embedding": False,
    "drift": False,
    "robust_share": True,
    "roc": True,
    "per_class": False,
    "confusion": False,
}
LABEL_FIGURES = ("per_class", "confusion")  # of the student's labels or the teacher's
BATCHNORM_FIGURES = ("batchnorm", "batchnorm_epochs")


def recipe_form(run: DistillationRun) -> Recipe:
    """Draw the form, filled from the link (``?recipe=...``); return the recipe that it describes.

    Panels show ``run`` by default.
    """
    linked = FORM.read(Recipe, "Below is the accuracy of the chosen run.")
    first = linked.panels[:MAX_PANELS] if linked else ()
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        count = st.segmented_control(
            "Panels", range(1, MAX_PANELS + 1), default=len(first) or 1, required=True, key="panels"
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
        layout = _layout_controls(linked.layout if linked else PrintLayout())
    if count == 1:
        left, right = st.columns([1, 2.4], vertical_alignment="bottom", gap="medium")
        recipe = Recipe(panels=(_panel_controls("", run, left, right, *first[:1]),), layout=layout)
    else:
        panels = []
        for index, column in enumerate(st.columns(count, gap="medium")):
            with column, st.container(border=True):
                panels.append(
                    _panel_controls(
                        ascii_lowercase[index], run, st.container(), st.container(), *first[index : index + 1]
                    )
                )
        recipe = Recipe(panels=tuple(panels), across=across, layout=layout)
    FORM.write(recipe.to_token())
    return recipe


def _layout_controls(initial: PrintLayout) -> PrintLayout:
    """Draw the controls of the print layout; return the layout. ``initial``: their first values."""
    venue = st.segmented_control(
        "Venue",
        list(venues.VENUES),
        default=initial.venue,
        required=True,
        key="venue",
        format_func=lambda name: venues.VENUES[name].name,
    )
    column_in, page_in = venues.VENUES[venue].column_in, venues.VENUES[venue].page_in
    columns: Literal[1, 2] = 1
    column_counts: tuple[Literal[1, 2], ...] = (1, 2)
    if column_in != page_in:
        columns = st.segmented_control(
            "Columns",
            column_counts,
            default=initial.columns,
            required=True,
            key="columns",
            format_func=lambda n: f"{n} · {(column_in, page_in)[n - 1]:g} in",
        )
    fonts: tuple[FontName, ...] = ("sans", "serif")
    with st.popover("Type", icon=":material/format_size:"):
        font = st.segmented_control(
            "Type",
            fonts,
            default=initial.font,
            required=True,
            key="font",
            help=("Arimo, as wide as Arial, or Tinos, as wide as Times. Both come with the lab and go into the file."),
            format_func=str.capitalize,
        )
        font_pt = st.number_input("Size (pt)", 4.0, 24.0, initial.font_pt, 0.5, format="%.1f", key="font size")
        height = st.number_input(
            "Height (in)",
            0.5,
            11.0,
            initial.height_in and max(initial.height_in, 0.5),
            0.1,
            format="%.2f",
            key="height",
            placeholder="the figure's own",
        )
        dpi = st.number_input("PNG, pixels to the inch", *files.DPI_RANGE, initial.dpi, 50, key="dpi")
    return PrintLayout(venue=venue, columns=columns, font=font, font_pt=font_pt, height_in=height, dpi=dpi)


def _panel_controls(
    letter: str, run: DistillationRun, choice: DeltaGenerator, options: DeltaGenerator, initial: Panel | None = None
) -> Panel:
    """Draw the controls of one panel; return the panel that they describe.

    Args:
        letter: Letter of the panel; empty for a single figure.
        run: The default run.
        choice: Container for the choice of figure and run.
        options: Container for the figure's options.
        initial: First values of the controls.
    """
    fields: dict[str, Any] = {}
    with choice:
        default_index = ascii_lowercase.find(letter) % len(PANEL_OPTIONS) if letter else 0
        name = st.selectbox(
            f"Figure ({letter})" if letter else "Figure",
            list(PANEL_OPTIONS),
            format_func=title,
            index=list(PANEL_OPTIONS).index(initial.figure) if initial else default_index,
            key=f"figure {letter}".strip(),
            bind=None if letter else "query-params",
        )
        if letter:
            known = {other.id: other for other in run_store().distillations()}
            selected = initial.run if initial and initial.run in known else run.id
            run_id = st.selectbox(
                f"Run ({letter})",
                list(known),
                list(known).index(selected),
                key=f"run {letter}",
                format_func=lambda run_id: run_labels.run_name(known[run_id]),
            )
            run = known[run_id]
            fields["label"] = st.text_input(
                f"Beside the letter ({letter})", initial.label if initial else "", key=f"label {letter}", max_chars=80
            )
    if initial and (initial.figure, initial.run) != (name, run.id):
        initial = None  # its options belong to another figure
    with options, st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        for option in PANEL_OPTIONS[name]:
            if option in OPTION_WIDGETS:
                fields |= OPTION_WIDGETS[option](run, f"figures {option} {letter} {run.id}", fields, initial)
    return Panel(figure=name, run=run.id, **fields)


# ── the control of each option: (run, key, fields chosen so far, the link's panel) -> fields ────────


def _epoch(run: DistillationRun, key: str, chosen: dict[str, Any], initial: Panel | None) -> dict[str, Any]:
    epochs = run_store().snapshot_epochs(run.id)
    if not epochs:
        return {}
    epoch = initial.epoch if initial and initial.epoch in epochs else epochs[-1]
    return {"epoch": st.select_slider("Epoch", epochs, epoch, key=key) if len(epochs) > 1 else epochs[0]}


def _score(run: DistillationRun, key: str, chosen: dict[str, Any], initial: Panel | None) -> dict[str, Any]:
    epochs = run_store().snapshot_epochs(run.id)
    if not epochs:
        return {}
    scores = available_scores(snapshots.load_snapshot(run.id, epochs[-1]), None)
    selected = initial.score if initial and initial.score in scores else run.spec.split.score
    return {
        "score": st.segmented_control(
            "Score", scores, default=selected, required=True, key=key, format_func=SCORE_NAMES.__getitem__
        )
    }


def _threshold(run: DistillationRun, key: str, chosen: dict[str, Any], initial: Panel | None) -> dict[str, Any]:
    """Draw the box for the threshold; its first value is the threshold chosen on another page."""
    score = chosen.get("score", run.spec.split.score)
    unit = {"min_eps": "1/255"}.get(score, SCORE_UNITS[score].strip())
    label = f"Threshold ({unit})" if unit else "Threshold"
    is_run_score = score == run.spec.split.score
    value = initial.threshold if initial else threshold.chosen_threshold(run, score)
    if value is not None and math.isinf(value):
        value = None  # a panel has no threshold of ∞
    value = st.number_input(
        label,
        value=value,
        format="%.3g",
        key=f"{key} {score}",
        placeholder="the run's" if is_run_score else "Otsu's threshold",
        width=150,
    )
    return {"threshold": value}


def _real(run: DistillationRun, key: str, chosen: dict[str, Any], initial: Panel | None) -> dict[str, Any]:
    report = _report(run.spec.teacher, run.spec.split, True) if run.spec.teacher in cards() else None
    attacked = report is not None and report.attacked
    return {
        "real": st.toggle(
            "Real validation images",
            initial.real if initial else attacked,
            key=key,
            help=("Outlines of real ID and OOD validation images; the teacher is measured for them once"),
        )
    }


def _against(run: DistillationRun, key: str, chosen: dict[str, Any], initial: Panel | None) -> dict[str, Any]:
    others = comparable_runs(run)
    show = others and st.toggle(
        "With comparable runs",
        initial is None or bool(initial.against),
        key=key,
        help=("Plain students of the same teacher, and of the SL teacher: same seed, same images an epoch"),
    )
    return {"against": tuple(other.id for other in others)} if show else {}


def _domain(run: DistillationRun, key: str, chosen: dict[str, Any], initial: Panel | None) -> dict[str, Any]:
    return {
        "domain": st.segmented_control(
            "Domain",
            ["id", "ood"],
            default=initial.domain if initial else "id",
            required=True,
            key=key,
            format_func=str.upper,
        )
    }


def _network(run: DistillationRun, key: str, chosen: dict[str, Any], initial: Panel | None) -> dict[str, Any]:
    return {
        "network": st.segmented_control(
            "Of the",
            ["student", "teacher"],
            default=initial.network if initial else "student",
            required=True,
            key=key,
            format_func=str.capitalize,
            help="The run's last student, or its teacher",
        )
    }


def _method(run: DistillationRun, key: str, chosen: dict[str, Any], initial: Panel | None) -> dict[str, Any]:
    report = _report(run.spec.teacher, run.spec.split, False) if run.spec.teacher in cards() else None
    has_umap = (
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
            default=(initial.method if initial else "UMAP" if has_umap else "PCA"),
            help="UMAP once the page Embedding has made it",
        )
    }


def _colour(run: DistillationRun, key: str, chosen: dict[str, Any], initial: Panel | None) -> dict[str, Any]:
    return {
        "colour": st.segmented_control(
            "Colour",
            ["group", "score", "class", "domain"],
            required=True,
            key=key,
            default=initial.colour if initial else "group",
            format_func=str.capitalize,
        )
    }


def _ground(run: DistillationRun, key: str, chosen: dict[str, Any], initial: Panel | None) -> dict[str, Any]:
    return {
        "ground": st.segmented_control(
            "Real images",
            ["density", "points"],
            required=True,
            key=key,
            default=initial.ground if initial else "density",
            format_func=str.capitalize,
        )
    }


OPTION_WIDGETS: dict[str, Callable[[DistillationRun, str, dict[str, Any], Panel | None], dict[str, Any]]] = {
    "epoch": _epoch,
    "score": _score,
    "threshold": _threshold,
    "real": _real,
    "against": _against,
    "domain": _domain,
    "network": _network,
    "method": _method,
    "colour": _colour,
    "ground": _ground,
}


# ── the data of the figures ─────────────────────────────────────────────────────────────────


def sources() -> Sources:
    """The data sources of figures. They return only existing results, so that the page never waits."""
    return Sources(run_store(), cards, _report, batchnorm_report, _student_report)


def _student_report(run_id: str, report: Report) -> Report | None:
    return validation_labels(run_store(), run_id, report).in_report(report)


def _report(teacher: str, split: Any, attacked: bool) -> Any:
    return teacher_report(teacher, split)


def measure_missing_reports(recipe: Recipe) -> None:
    """Start to measure the first teacher whose report is missing; later reruns measure the others."""
    for panel, run_id in _runs(recipe):
        run = run_store().get_distillation(run_id)
        if panel.figure in BATCHNORM_FIGURES and run.spec.teacher in cards():
            if batchnorm_report(run.spec.teacher) is None:
                watch_batchnorm(run.spec.teacher)
                return
            continue
        if not (panel.real or panel.figure in NEEDS_REPORT) or run.spec.teacher not in cards():
            continue
        report = teacher_report(run.spec.teacher, run.spec.split)
        attacked = panel.real or NEEDS_REPORT[panel.figure]
        if report is None or attacked and not report.attacked:
            measuring(run.spec.teacher, run.spec.split, report)
            return
        of_student = panel.figure in LABEL_FIGURES and panel.network == "student"
        if of_student and run_store().student_files(run.id) and _student_report(run.id, report) is None:
            _measure_student(run)
            return


def _measure_student(run: DistillationRun) -> None:
    """Start the job that measures the run's last student, and draw its progress."""

    def start() -> jobs.Job:
        return jobs.start(key, "atesc_core.runs.students", "labels", run.id, "--runs-dir", str(run_store().runs_dir))

    key = f"labels of the student of {run.id}"
    job = jobs.find(key)
    if job is None or job.state == "done":
        job = start()
    watch_job(job, "The student on validation images", start)


def _runs(recipe: Recipe) -> Iterator[tuple[Panel, str]]:
    """Pairs of a panel and the id of a run that it draws."""
    for panel in recipe.panels:
        for run_id in (panel.run, *panel.against):
            yield panel, run_id
