"""The form of a new run: the fields of RunSpec with description and badge, and the estimated time."""

from __future__ import annotations

from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import streamlit as st
from pydantic import BaseModel

from atesc_core.errors import SpecError
from atesc_core.runs.store import LABEL_LENGTH
from atesc_core.specs.base import field_values
from atesc_core.specs.command import run_command, sweep_command
from atesc_core.specs.field_help import describe_field
from atesc_core.specs.presets import PRESETS, from_preset
from atesc_core.specs.run import ESCAPE_REQUIREMENTS, ESCAPE_SETTINGS, SYNTHESES, RunSpec
from atesc_core.specs.sweep import NOT_VARIED, sweep
from atesc_core.teachers import TeacherCard
from atesc_core.vocabulary import ESCAPE_NAMES, METRIC_NAMES, SYNTHESIZER_NAMES
from pages.distill.starting import show_time, start_group
from pages.shared.data import cost
from pages.shared.data.store import run_store
from pages.shared.data.teachers import architectures, cards
from pages.shared.state import url
from pages.shared.state.run_choice import show_run
from pages.shared.ui import elements, formats
from pages.shared.ui.actions import action_button
from pages.shared.ui.run_labels import count_runs

FORM_PARAMETERS = {"spec", "teacher", "vary"}  # of a link to the form: all settings, or the teacher; what is varied
CHOSEN = "chosen teacher"  # in the session's state while the form is shown: to say so when it is deleted elsewhere
# Above the advanced settings; and threshold_changes, the thresholds set by hand while a run went on.
BASIC_FIELDS = {"teacher", "preset", "escape.kind", "synthesis.kind", "threshold_changes"}
LABELS = {
    "lr": "Learning rate",
    "synthesis.lr": "Learning rate",
    "rounds": "Rounds an epoch",
    "batch_size": "Images a step",
    "student": "Architecture",
    "student_steps": "Steps a round",
    "snapshot_images": "Images kept an epoch",
    "synthesis.steps": "Steps a round",
    "synthesis.batch_size": "Images made at once",
    "synthesis.bn": "BatchNorm weight",
    "synthesis.onehot": "One-hot weight",
    "synthesis.adversarial": "Adversarial weight",
    "synthesis.balance": "Balance weight",
    "synthesis.latent": "Latent length",
    "synthesis.contrast": "Contrast weight",
    "synthesis.contrast_temperature": "Contrast temperature",
    "synthesis.bank": "Feature bank",
    "synthesis.head": "Head length",
    "synthesis.flip": "Mirrored views",
    "synthesis.loops": "Loops a round",
    "synthesis.warmup_loops": "Loops, warming up",
    "synthesis.warmup_epochs": "Warm-up epochs",
    "synthesis.generator_life": "Epochs a generator",
    "synthesis.noise": "Noise length",
    "synthesis.pool": "Image pool",
    "split.epsilon": "ε (1/255)",
    "split.max_epsilon": "Largest ε (1/255)",
    "split.steps": "PGD steps",
    "split.fragile_share": "Fragile share",
    "escape.vaccine": "Vaccine weight",
    "escape.trap": "Trap label's weight",
    "escape.mixing": "Mixtures' weight",
    "escape.orientation": "Orientation's weight",
    "escape.ood_images": "OOD images",
    "escape.weight": "λ",
    "escape.clamp": "Clamp (nats)",
    "escape.warmup_epochs": "Warm-up epochs",
}
COLUMNS = 4
VARY = "vary"  # parameter of what is varied
MAX_VARIED, PROPOSED_SEEDS, MAX_CHARACTERS = 8, 3, 1000
BY_HAND = "by hand"  # the option of a field that is a number or one of a few words
FORM = url.Form("spec", "new run")


def new_run_form() -> None:
    """Draw the form. It starts from a link's spec (?spec=...), a link's teacher (?teacher=...), or the first preset."""
    known = cards()
    if not known:
        elements.empty_state("No teachers yet", "Add one on the page Teachers, then come back.")
        return
    linked = FORM.read(RunSpec, "Below are the preset's.")
    if linked and linked.student not in architectures():
        elements.problem(
            "This link's settings cannot be read.",
            f"student: {linked.student!r}: expected one of {', '.join(architectures())}.",
            "Below are the preset's.",
        )
        linked = None
    left, right = st.columns([3, 2], gap="medium")
    with left, elements.card(height="stretch"):
        base, origin = _basics(known, linked)
    with right, elements.card(height="stretch"):
        summary = st.container()
    with st.expander("Advanced settings", icon=":material/tune:"):
        changes = _advanced(base, origin)
    with st.expander("Vary", icon=":material/stacks:", expanded=VARY in st.query_params):
        varied, group = _vary(base)
    with summary:
        _summary(base, changes, varied, group)


def _remember_teacher(key: str) -> None:
    st.session_state[CHOSEN] = st.session_state[key]


def _basics(known: dict[str, TeacherCard], linked: RunSpec | None) -> tuple[RunSpec, str]:
    """Draw the choice of teacher, method, escape and preset.

    Returns:
        The spec to start from, and its origin as text, for the keys of widgets.
    """
    preferred = linked.teacher if linked else st.query_params.get("teacher")
    names = list(known)
    first = next((name for name, card in known.items() if card.kind == "NTL"), names[0])
    chosen = preferred if preferred in known else first
    before = st.session_state.get(CHOSEN)
    if before is not None and before not in known:
        gone = f"The teacher {before!r} has been deleted; choose another one."
        elements.notice("warning", gone, icon=":material/delete:")
    # With a key the choice stays where the list gets longer or shorter.
    key = f"teacher, at first {chosen}"
    teacher = st.selectbox(
        "Teacher", names, index=names.index(chosen), key=key, on_change=_remember_teacher, args=(key,)
    )
    if before is None or before in known:
        st.session_state[CHOSEN] = teacher
    elements.row(*teacher_summary(known[teacher]))
    left, right = st.columns(2)
    sources = (["link"] if linked else []) + list(PRESETS)
    preset = right.segmented_control(
        "Preset",
        sources,
        default=sources[0],
        required=True,
        help=(
            "quick is made for two CPU cores; full is what is published for the synthesizer, for one GPU"
            + ("; link: the settings the link brought." if linked else ".")
        ),
    )
    start = linked or RunSpec(teacher=teacher)
    key = f"method, at first {start.synthesis.kind}"
    method = left.segmented_control(
        **elements.setting("synthesis.kind", "Method", start, start.synthesis.kind),
        options=list(SYNTHESES),
        format_func=SYNTHESIZER_NAMES.__getitem__,
        required=True,
        default=start.synthesis.kind,
        key=key,
    )
    base = (
        linked.replaced({"teacher": teacher, "synthesis.kind": method})
        if linked and preset == "link"
        else from_preset(preset, teacher, **{"synthesis.kind": method})
    )
    key = f"escape, at first {base.escape.kind}"
    kind = st.segmented_control(
        **elements.setting("escape.kind", "Escape", base, st.session_state.get(key, base.escape.kind)),
        options=list(ESCAPE_NAMES),
        required=True,
        default=base.escape.kind,
        format_func=ESCAPE_NAMES.__getitem__,
        key=key,
    )
    if notice := _batchnorm_notice(known[teacher].arch, method):
        elements.notice("warning", notice, icon=":material/rule:")
    requirements = kind if kind in ESCAPE_REQUIREMENTS else ""  # an escape with requirements changes other settings
    return base.replaced({"escape.kind": kind}), f"{preset} {method} {requirements} {FORM.initial_token() or ''}"


def _batchnorm_notice(arch: str, method: str) -> str | None:
    from atesc_core.synthesis import batchnorm_notice

    return batchnorm_notice(arch, method)


def teacher_summary(card: TeacherCard) -> list[elements.Html]:
    """A teacher's kind, pair, image side, and accuracies on ID and OOD, for ``elements.row``."""
    metric = next(name for name in card.metrics if name != "iacc")
    return [
        elements.teacher_chip(card.kind),
        elements.muted(card.pair),
        elements.muted(f"{card.image_side} px"),
        elements.swatch("id", f"IAcc {formats.per_cent(card.metrics['iacc'])} %"),
        elements.swatch("ood", f"{METRIC_NAMES[metric]} {formats.per_cent(card.metrics[metric])} %"),
        elements.muted(
            "of " + " and ".join(formats.count(card.test_images[side]) for side in ("id", "ood")) + " test images"
        ),
    ]


# ── advanced settings: a widget for every other field that the escape uses ────────────────────────────────────────────


def _advanced(base: RunSpec, origin: str) -> dict[str, Any]:
    """Draw the advanced settings; return dotted field -> value for each value that differs from the preset."""
    groups = {"Run": RunSpec, "Generator": type(base.synthesis), "Split": type(base.split), "Escape": type(base.escape)}
    prefixes = {"Run": "", "Generator": "synthesis.", "Split": "split.", "Escape": "escape."}
    unused = {
        f"escape.{name}" for name in type(base.escape).model_fields if name not in ESCAPE_SETTINGS[base.escape.kind]
    }
    changes = {}
    for tab, (title, model) in zip(st.tabs(list(groups)), groups.items(), strict=True):
        paths = [prefixes[title] + name for name in model.model_fields]
        paths = [path for path in paths if path not in BASIC_FIELDS | unused]
        paths = [path for path in paths if not isinstance(_value(base, path), BaseModel)]
        with tab:
            if not paths:
                elements.caption("Plain distillation has no settings of an escape.")
            for path in unused if title == "Escape" else ():
                _keep_value(f"new run, {origin}: {path}")
            for start in range(0, len(paths), COLUMNS):
                for column, path in zip(st.columns(COLUMNS), paths[start : start + COLUMNS], strict=False):
                    with column:
                        default = _value(base, path)
                        annotation = model.model_fields[path.split(".")[-1]].annotation
                        value = _field(path, annotation, base, key=f"new run, {origin}: {path}")
                    if value != default:
                        changes[path] = value
    return changes


def _keep_value(key: str) -> None:
    """Keep what was set with a widget that is not drawn now, until it is drawn again."""
    if key in st.session_state:
        st.session_state[key] = st.session_state[key]


def _field(path: str, kind: Any, base: RunSpec, key: str) -> Any:
    """Draw the widget of one field; return its value. The spec checks bounds later."""
    default = _value(base, path)
    shown = st.session_state.get(key, default)
    if shown == BY_HAND:
        shown = st.session_state.get(_by_hand(key), default)
    label = LABELS.get(path, path.split(".")[-1].replace("_", " ").capitalize())
    texts = elements.setting(path, label, base, shown)
    if path == "student":
        return st.selectbox(**texts, options=architectures(), index=architectures().index(default), key=key)
    if get_origin(kind) is Literal:
        return st.selectbox(**texts, options=get_args(kind), index=get_args(kind).index(default), key=key)
    if get_origin(kind) in (Union, UnionType):
        return _choice_or_number(texts, kind, default, key)
    if kind is bool:
        return st.toggle(**texts, value=default, key=key)
    if kind is str:
        return st.text_input(**texts, value=default, key=key)
    return _number(texts, kind, default, key)


def _choice_or_number(texts: dict[str, Any], kind: Any, default: Any, key: str) -> Any:
    """Draw a field whose value is a number or one of a few options, e.g. the threshold: a number or ``auto``."""
    options = [option for member in get_args(kind) if get_origin(member) is Literal for option in get_args(member)]
    chosen = st.selectbox(
        **texts,
        options=[*options, BY_HAND],
        key=key,
        index=options.index(default) if default in options else len(options),
    )
    if chosen != BY_HAND:
        return chosen
    number = default if isinstance(default, float) else None
    return _number({"label": "Its value", "help": texts["help"]}, float, number, _by_hand(key))


def _by_hand(key: str) -> str:
    """The key of the number beside a choice whose key is ``key``."""
    return f"{key}, by hand"


def _number(texts: dict[str, Any], kind: type, default: float | None, key: str) -> float | None:
    """Draw a field whose value is a number; return it, or None while the box is empty."""
    layout: dict[str, Any] = {"step": 1, "format": "%d"} if kind is int else {"step": None, "format": "%g"}
    number: float | None = st.number_input(**texts, **layout, value=default, key=key)
    return number


def _value(spec: RunSpec, path: str) -> Any:
    value: Any = spec
    for name in path.split("."):
        value = getattr(value, name)
    return value


# ── several runs at once ────────────────────────────────────────────────────────────────────────────


def _linked_values() -> dict[str, str]:
    """The varied fields in the link (``?vary=FIELD=VALUES;FIELD=VALUES``) and their values."""
    parts = st.query_params.get(VARY, "").split(";")
    return {field: values for field, equals, values in (part.partition("=") for part in parts) if equals}


def _vary(base: RunSpec) -> tuple[list[str], str]:
    """Draw the choice of settings that shall have several values each.

    Returns:
        Texts ``FIELD=VALUES`` for `sweep`, and the name of the group; empty unless given.
    """
    values, linked = field_values(base.model_dump()), _linked_values()
    fields = ["seed", *(field for field in values if field not in (*NOT_VARIED, "seed", "device", "snapshot_images"))]
    chosen = st.multiselect(
        "Settings with several values",
        fields,
        [field for field in linked if field in fields][:MAX_VARIED],
        key=VARY,
        max_selections=MAX_VARIED,
        select_all=False,
        placeholder="seed, escape.weight, synthesis.kind …",
        help="A run starts for every combination of the values",
    )
    varied = []
    for start in range(0, len(chosen), COLUMNS):
        for column, field in zip(st.columns(COLUMNS), chosen[start : start + COLUMNS], strict=False):
            help_text = describe_field(field, base).description
            texts = column.text_input(
                field,
                linked.get(field, _proposal(field, values[field]))[:MAX_CHARACTERS],
                key=f"{VARY}.{field}",
                max_chars=MAX_CHARACTERS,
                help=f"{help_text}.  \nValues with commas between; of whole numbers also ranges: 1,5,10-12",
            )
            varied.append(f"{field}={texts}")
    url.set_parameter(VARY, ";".join(varied) or None)
    group = ""
    if chosen:
        group = st.text_input(
            "Name of the group", key="group name", max_chars=LABEL_LENGTH, placeholder="made for you", width=420
        )
    return varied, group


def _proposal(field: str, value: Any) -> str:
    """The values that are proposed for a field whose value is ``value``."""
    kinds: dict[str, list[str]] = {"synthesis.kind": list(SYNTHESES), "escape.kind": list(ESCAPE_NAMES)}
    if field == "seed":
        return f"{value}-{value + PROPOSED_SEEDS - 1}"
    if field in kinds:
        return ",".join(kinds[field])
    return str(value).lower() if isinstance(value, bool) else str(value)


# ── estimated time, and the start button ───────────────────────────────────────────────────────────────


def _summary(base: RunSpec, changes: dict[str, Any], varied: list[str], group: str) -> None:
    """Draw the number of images, the estimated time, the command, and the button that starts the run or the runs."""
    try:
        spec = base.replaced(changes)
        specs = sweep(spec, varied)
    except SpecError as error:
        elements.notice("error", str(error), icon=":material/error:")
        st.button("Start", type="primary", icon=":material/play_arrow:", disabled=True, width="stretch")
        return
    FORM.write(spec.to_token())
    for warning in dict.fromkeys(warning for each in specs for warning in each.warnings()):
        elements.notice("warning", f"{warning}.", icon=":material/help:")
    elements.label("Before it starts")
    if varied:
        elements.row(elements.bold(count_runs(len(specs))), elements.muted(f"as one group, {cost.together(specs)}"))
    images = [cost.training_image_count(each) for each in specs]
    elements.row(
        elements.bold(f"{formats.count(sum(images))} images"),
        elements.muted(
            "that the students learn from" if varied else f"that the student learns from, in {spec.epochs} epochs"
        ),
    )
    show_time(specs)
    if changes:
        elements.row(elements.muted(f"{len(changes)} setting{'s' if len(changes) > 1 else ''} changed by hand"))
    label = f"Start {count_runs(len(specs))}" if varied else "Start"
    # Its key names the teacher: a press does not start a run of another one, if that one was deleted meanwhile.
    key = f"start {spec.teacher}"
    if action_button(label, type="primary", icon=":material/play_arrow:", width="stretch", key=key):
        if varied:
            start_group(specs, group or None)
        else:
            run_id = run_store().create(spec)
            st.query_params.clear()
            show_run(run_id)
            st.rerun()
    elements.label("The same from the command line")
    st.code(sweep_command(spec, varied, group) if varied else run_command(spec), language="bash", wrap_lines=True)
