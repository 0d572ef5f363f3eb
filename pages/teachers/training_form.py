"""The form that trains a new teacher, with the estimated time, and the list of the latest trainings."""

from __future__ import annotations

from statistics import median
from typing import Any, Literal, get_args, get_origin

import streamlit as st

from atesc_core.domains import PAIRS, find_pair, pair_warnings
from atesc_core.errors import DomainError, SpecError
from atesc_core.runs import default_runs_dir
from atesc_core.specs.teacher import ABOUT_METHODS, ABOUT_PRESETS, METHODS, PRESETS, TeacherSpec, uses
from atesc_core.teachers.recipes import command, from_preset, taken_names
from atesc_core.vocabulary import METRIC_NAMES, METRIC_ROLES
from pages.shared.data.cost import active_run_count
from pages.shared.data.device import machine
from pages.shared.data.store import run_store
from pages.shared.data.teachers import architecture, architectures
from pages.shared.state import url
from pages.shared.ui import elements, formats
from pages.shared.ui.actions import action_button
from pages.shared.ui.polling import is_live, poll
from pages.shared.ui.run_labels import method_name, time_ago

FIELD_LABELS = {  # in the order of the form; name, pair, method and preset have their own controls
    "arch": "Architecture",
    "image_side": "Side (px)",
    "epochs": "Epochs",
    "batch_size": "Images a step",
    "lr": "Learning rate",
    "alpha": "α",
    "beta": "β",
    "seed": "Seed",
    "device": "Device",
}
COLUMNS = 3
LATEST_TRAININGS = 4  # number of trainings in the list
FORM = url.Form("spec", "new training")
TIMED_TRAININGS = 12  # trainings of the same kind from which the speed is computed
PAIR_HELP = (
    "ID and OOD domain. A pair of your own is typed: SETTING ID OOD [LABEL], e.g. open mnistm folder:/my/images 0"
)


def training_form() -> None:
    """Draw the form in an expander. A link with ``?spec=...`` opens it."""
    with st.expander("Train a teacher", expanded="spec" in st.query_params, icon=":material/model_training:"):
        poll(_form, machine() is None, every_s=2)


def latest_trainings() -> bool:
    """Draw the latest trainings, one per line; return whether any of them may still change."""
    runs = run_store().trainings(LATEST_TRAININGS)
    for run in runs:
        name, rest = st.columns([2, 5], vertical_alignment="center")
        with name:
            st.page_link("teachers/page.py", label=elements.plain(run.teacher), query_params={"run": run.id})
        with rest:
            accuracies = [
                elements.swatch(METRIC_ROLES[metric], f"{METRIC_NAMES[metric]} {formats.per_cent(value)} %")
                for metric, value in run.metrics.items()
                if metric in METRIC_NAMES
            ]
            elements.row(
                elements.muted(method_name(run.spec)),
                elements.status_chip(run.status),
                f"epoch {run.epoch}/{run.epochs}",
                *accuracies,
                *[elements.muted(f"after epoch {run.measured_epoch}")] * (bool(run.metrics) and is_live(run)),
                elements.muted(time_ago(run.created)),
            )
    return any(map(is_live, runs))


# ── the form ────────────────────────────────────────────────────────────────────────────────────────


def _form() -> bool:
    """Draw the form; return whether the device is not known yet, so that there is no estimate."""
    linked = FORM.read(TeacherSpec, "Below are the preset's.")
    left, right = st.columns([3, 2], gap="medium")
    with left:
        try:
            base, origin = _basics(linked)
        except (DomainError, SpecError) as error:
            _refuse(error)
            return machine() is None
        changes = _settings(base, origin)
    with right:
        _summary(base, changes)
    return machine() is None


def _basics(linked: TeacherSpec | None) -> tuple[TeacherSpec, str]:
    """Draw the choice of name, pair, method and preset.

    Returns:
        The spec to start from, and its origin as text, for the keys of widgets.

    Raises:
        ValueError: The pair is not valid.
    """
    left, right = st.columns(2)
    pairs = [*([linked.pair] if linked and linked.pair not in PAIRS else []), *PAIRS]
    pair = left.selectbox(
        "Pair",
        pairs,
        pairs.index(linked.pair) if linked else 0,
        help=PAIR_HELP,
        accept_new_options=True,
        key="pair to train on",
    )
    setting = find_pair(pair).setting
    offered = [name for name in METHODS if name != "cuti" or setting == "close"]
    default_method = linked.trained_by if linked and linked.trained_by in offered else "tntl"
    trained_by = left.segmented_control(
        f"Method {elements.BADGES['paper']}",  # each of them is published
        offered,
        default=default_method,
        required=True,
        format_func=lambda name: ABOUT_METHODS[name][0],
        key=f"method for {setting}, {default_method}",
        help=".  \n".join(f"{title}: {sentence}" for title, sentence in ABOUT_METHODS.values()),
    )
    sources = (["link"] if linked else []) + list(PRESETS)
    preset = right.segmented_control(
        "Preset",
        sources,
        default=sources[0],
        required=True,
        key=f"preset of {sources}",
        help="What the settings below start from",
    )
    name = right.text_input(
        "Name",
        _free_name(linked.name if linked else f"{pair}-{trained_by}"),
        max_chars=64,
        help=TeacherSpec.model_fields["name"].description,
    )
    elements.caption(
        f"{ABOUT_METHODS[trained_by][1]}. {preset.capitalize()}: "
        f"{ABOUT_PRESETS.get(preset, 'the settings the link brought')}."
    )
    start = (
        linked.replaced({"pair": pair, **METHODS[trained_by]})
        if linked and preset == "link"
        else from_preset(preset, "t", pair, trained_by)
    )
    origin = f"{preset} {trained_by} {setting} {FORM.initial_token() or ''}"
    return start.model_copy(update={"name": name}), origin


def _settings(base: TeacherSpec, origin: str) -> dict[str, Any]:
    """Draw a widget for every setting that this training uses; return the settings that the user has changed."""
    setting = find_pair(base.pair).setting
    names = [name for name in FIELD_LABELS if uses(name, base.trained_by, setting)]
    changes = {}
    for start in range(0, len(names), COLUMNS):
        for column, name in zip(st.columns(COLUMNS), names[start : start + COLUMNS], strict=False):
            with column:
                value = _field(name, base, key=f"training, {origin}: {name}")
            if value != getattr(base, name):
                changes[name] = value
    return changes


def _field(name: str, base: TeacherSpec, key: str) -> Any:
    """Draw the widget of one setting; return its value. The spec checks bounds later."""
    default = getattr(base, name)
    common = {"key": key, **elements.setting(name, FIELD_LABELS[name], base, st.session_state.get(key, default))}
    kind = TeacherSpec.model_fields[name].annotation
    if name == "arch" or get_origin(kind) is Literal:
        options = architectures() if name == "arch" else list(get_args(kind))
        return st.selectbox(**common, options=options, index=options.index(default))
    return st.number_input(
        **common, value=default, step=1 if kind is int else None, format="%d" if kind is int else "%g"
    )


def _free_name(suggestion: str) -> str:
    """``suggestion`` in characters that a teacher's name may have; with a number at the end if the name is taken."""
    stem = "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "_-") else "-" for letter in suggestion.lower()
    ).strip("-_")[:58]
    names = [stem, *(f"{stem}-{number}" for number in range(2, 1000))]
    return next((name for name in names if name not in _taken_names()), stem)


def _taken_names() -> set[str]:
    return taken_names(default_runs_dir()) | run_store().teachers_in_training()


# ── estimated time, and the button ───────────────────────────────────────────────────────────────


def _summary(base: TeacherSpec, changes: dict[str, Any]) -> None:
    """Draw the number of images, the estimated time, the command, and the button that starts the training."""
    from atesc_core.teachers.training import check_spec  # imports PyTorch, so only while the form is open

    try:
        spec = base.replaced(changes)
        with st.spinner("Reading the images …"):
            images = spec.epochs * check_spec(spec, _taken_names())
    except ValueError as error:
        _refuse(error)
        return
    FORM.write(spec.to_token())
    elements.label("Before it starts")
    elements.row(
        elements.bold(f"{formats.count(images)} images"),
        elements.muted(f"in {spec.epochs} epochs, {'ID only' if spec.kind == 'SL' else 'half of them OOD'}"),
    )
    seconds = estimate(spec, images)
    elements.row(
        elements.bold(
            "Time: not known before a first training here"
            if seconds is None
            else f"About {formats.duration(seconds)} here"
        ),
        elements.muted(f"after {active_run_count()} in line" if active_run_count() else ""),
    )
    if not architecture(spec.arch).batch_norm:
        elements.caption(architecture(spec.arch).description)
    for warning in pair_warnings(find_pair(spec.pair)):
        elements.notice("warning", f"{warning}.", icon=":material/help:")
    if action_button("Train", type="primary", icon=":material/model_training:", width="stretch"):
        run_id = run_store().create(spec)
        st.query_params.from_dict({"run": run_id})
        st.rerun()
    elements.label("The same from the command line")
    st.code(command(spec), language="bash", wrap_lines=True)


def _refuse(error: ValueError) -> None:
    elements.notice("error", str(error), icon=":material/error:")
    st.button("Train", type="primary", icon=":material/model_training:", disabled=True, width="stretch")


def estimate(spec: TeacherSpec, images: int) -> float | None:
    """Seconds that a training takes, at the speed of earlier ones of the same kind on this device; None if unknown."""
    device = machine()
    if device is None or spec.device not in ("auto", device.kind):
        return None
    same_kind = [
        run
        for run in run_store().trainings()
        if run.device == device.summary and _cost_factors(run.spec) == _cost_factors(spec)
    ]
    seconds_per_image = []
    for run in same_kind[:TIMED_TRAININGS]:
        epochs = run_store().epochs(run.id)
        seconds_per_image += (epochs["time"].diff() / epochs["images"].diff()).dropna().tolist()
    return images * median(seconds_per_image) if seconds_per_image else None


def _cost_factors(spec: TeacherSpec) -> tuple[str, int, int, str]:
    """The settings that determine the time per image."""
    return spec.arch, spec.image_side, spec.batch_size, spec.trained_by
