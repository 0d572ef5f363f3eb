"""The story in five steps: a sentence each, and one thing to touch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from atesc_core import figures
from atesc_core.figures.scores import bin_edges
from atesc_core.recording import RecordedRun, Recording
from atesc_core.recording.manifest import FirstStep, FirstSteps, RecordedSnapshot
from atesc_core.recording.verdict import story_verdict
from atesc_core.vocabulary import METRIC_NAMES, SETTING_METRIC
from pages.shared.data import recordings, story
from pages.shared.state import url
from pages.shared.ui import appearance, elements, formats
from pages.shared.ui.chart import ThresholdHandle, chart
from pages.shared.ui.gallery import gallery
from pages.shared.ui.glossary import LOSSES, annotated
from pages.shared.ui.polling import poll
from pages.shared.ui.turn.controls import turn_buttons
from pages.shared.ui.turn.tables import decimal, loss_table
from pages.story import replay
from pages.story.theatre import theatre

SHOWN, COLUMNS = 32, 8  # images of a group, nearest the line first
SAID = "font-size:1.45rem;font-weight:600;line-height:1.4;max-width:75rem"  # read from the back row
TOLD = "font-size:1.15rem;font-weight:550;line-height:1.4;min-height:1.4em"


@dataclass(frozen=True)
class Scene:
    """What a step is told from."""

    recording: Recording
    parts: dict[str, RecordedRun]
    group: str | None  # of a live story
    bare: bool  # controls hidden

    @property
    def metric(self) -> str:
        """The OOD side's metric, by the setting."""
        return SETTING_METRIC[self.parts["plain"].teacher.setting]


@dataclass(frozen=True)
class Step:
    title: str
    sentence: Callable[[Scene], str]
    show: Callable[[Scene], None]
    needs: str = ""  # a part of the recording that no run logs


def step(scene: Scene, number: int) -> None:
    """Its sentence, and what there is to touch."""
    own = STEPS[number]
    st.html(f'<p class="atesc" style="{SAID}">{annotated(own.sentence(scene))}</p>')
    if not own.needs or getattr(scene.recording.manifest, own.needs) is not None:
        own.show(scene)
    elif scene.group is None:
        elements.empty_state(
            "Not in this recording", "It was made without the story's first two steps; the others play."
        )
    else:
        poll(lambda: recordings.scenes_progress(scene.group), recordings.scenes_coming(scene.group))


# ── 1 ───────────────────────────────────────────────────────────────────────────────────────────────


@st.fragment
def _border(scene: Scene) -> None:
    border = scene.recording.manifest.border
    images, probs = (scene.recording.arrays[f"border/{name}"] for name in ("images", "probs"))
    last = len(border.pairs) - 1
    pair = int(url.read_number("pair", 0, 0, last))
    share = url.read_number("blend", 0, 0, 100)
    left, right = st.columns([2, 3], gap="medium")
    with left, elements.card(height="stretch"):
        place = int(np.abs(100 * np.array(border.shares) - share).argmin())
        _blend(images[pair], place)
        st.select_slider(
            "From ID to OOD",
            [round(100 * at) for at in border.shares],
            format_func="{} % OOD".format,
            **url.bind_widget("blend", round(100 * border.shares[place]), first="value"),
        )
        if last and not scene.bare:
            st.segmented_control(
                "ID image",
                range(last + 1),
                required=True,
                format_func=lambda at: border.pairs[at].id_class,
                **url.bind_widget("pair", pair),
            )
        verdict = [
            _verdict(border.class_names, kind, probs[at, pair, place], border.pairs[pair].label)
            for at, kind in enumerate(border.kinds)
        ]
        st.html(f'<div class="atesc atesc-tiles" style="grid-template-columns:1fr 1fr">{"".join(verdict)}</div>')
    with (
        right,
        elements.card(
            "What each teacher makes of it",
            f"ID test image of class {border.pairs[pair].id_class}, OOD "
            f"test image of class {border.pairs[pair].ood_class}",
            height="stretch",
        ),
    ):
        label = border.pairs[pair].label
        curves = pd.DataFrame(
            {"share": 100 * np.array(border.shares)}
            | {kind: 100 * probs[at, pair, :, label] for at, kind in enumerate(border.kinds)}
        )
        chart(
            figures.border(curves, appearance.mode(), 100 * border.shares[place]),
            "border",
            height=430,
            revision=pair,
            label="Probability of the ID image's class from ID to OOD",
        )


def _blend(images: np.ndarray, place: int) -> None:
    """The ID image, the blend in the middle, the OOD image."""
    for column, at, role, word in zip(
        st.columns([2, 3, 2], vertical_alignment="center"),
        (0, place, len(images) - 1),
        ("id", None, "ood"),
        ("ID", "blend", "OOD"),
        strict=True,
    ):
        with column:
            gallery(images[[at]], columns=1, roles=[role], titles=[word], captions=[word])


def _verdict(names: tuple[str, ...], kind: str, probs: np.ndarray, label: int) -> elements.Html:
    given = int(probs.argmax())
    return elements.tile(
        f"{kind} teacher",
        names[given],
        measured_on=f"{100 * probs[given]:.1f} % sure",
        role=kind,
        change="" if given == label else f"was {names[label]}",
    )


# ── 2 ───────────────────────────────────────────────────────────────────────────────────────────────


@st.fragment
def _first_steps(scene: Scene) -> None:
    first = scene.recording.manifest.first
    done = int(url.read_number("n", 0, 0, len(first.steps)))
    left, right = st.columns([3, 2], gap="medium")
    drawn = sum(step.turn == "generator" for step in first.steps[:done])
    pick = {name: scene.recording.arrays[f"first/{name}"] for name in ("images", "teacher_class", "teacher_confidence")}
    students = scene.recording.arrays["first/student_class"][done]
    note = f"{first.images} images, the teacher's label below"
    with left, elements.card("What the generator makes of the same noise", note, height="stretch"):
        names = first.class_names
        told = [names[at] for at in pick["teacher_class"][drawn]]
        agree = students == pick["teacher_class"][drawn]
        gallery(
            pick["images"][drawn],
            columns=COLUMNS,
            captions=told,
            titles=[
                f"teacher: {t}, {100 * sure:.1f} % sure · student: {names[s]}"
                for t, sure, s in zip(told, pick["teacher_confidence"][drawn], students, strict=True)
            ],
        )
    with right, elements.card(height="stretch"):
        _step_buttons(first.steps, done)
        elements.tiles(
            elements.tile(
                "Teacher is sure",
                formats.per_cent(100 * float(pick["teacher_confidence"][drawn].mean())),
                "%",
                measured_on=f"mean over the {first.images} images",
            ),
            elements.tile(
                "Student agrees",
                formats.per_cent(100 * float(agree.mean())),
                "%",
                measured_on=f"with the teacher's label on the {first.images} images",
            ),
        )
        _what_was_computed(first, done)


def _step_buttons(steps: tuple[FirstStep, ...], done: int) -> None:
    """The one whose turn it is, and the way back."""
    turn_buttons(
        steps[done].turn if done < len(steps) else None, st.columns(2), lambda: url.set_parameter("n", done + 1)
    )
    back, over = st.columns(2)
    back.button(
        "Back",
        icon=":material/undo:",
        key="turn back",
        width="stretch",
        disabled=not done,
        on_click=url.set_parameter,
        args=("n", done - 1),
    )
    over.button(
        "Start over",
        icon=":material/restart_alt:",
        key="turn over",
        width="stretch",
        disabled=not done,
        on_click=url.set_parameter,
        args=("n", None),
    )


def _what_was_computed(first: FirstSteps, done: int) -> None:
    """The last turn's losses, each beside what it was in that one's turn before."""
    if not done:
        elements.caption("Nothing has been learned yet: noise goes in, and blots come out.")
        return
    last = first.steps[done - 1]
    before = first.steps[done - 3].losses if done > 2 else {}
    elements.row(elements.bold(f"Round {last.round}: the {last.turn}'s losses"))
    loss_table(
        "a round earlier",
        "this round",
        rows=[
            (annotated(LOSSES[name][0]), decimal(before.get(name), LOSSES[name][1]), decimal(value, LOSSES[name][1]))
            for name, value in last.losses.items()
            if name in LOSSES
        ],
    )


# ── 3 and 5 ─────────────────────────────────────────────────────────────────────────────────────────


def _trap(scene: Scene) -> None:
    _play(scene, ("plain", "control"))


def _escape(scene: Scene) -> None:
    _play(scene, ("plain", "atesc"))


def _play(scene: Scene, names: tuple[str, ...]) -> None:
    """The named students side by side, in the player's time; a live story stands where it is."""
    runs = [scene.parts[name] for name in names if name in scene.parts]
    live = scene.group is not None and story.in_progress(scene.group)
    theatre(
        scene.recording,
        runs,
        live=live,
        bare=scene.bare,
        ghost=scene.parts["plain"],
        tell=lambda at: _told(scene, names, at),
    )


def _told(scene: Scene, names: tuple[str, ...], at: float) -> None:
    """What the numbers say by then, of all that the step compares."""
    compared = {"plain", *names} | ({"control"} if "atesc" in names else set())
    curves = {name: run.epochs_until(at) for name, run in scene.parts.items() if name in compared}
    begun = set(curves["plain"]["epoch"])
    curves = {name: curve for name, curve in curves.items() if begun & set(curve["epoch"])}
    words = story_verdict(curves, finished=bool(begun))
    if at == 0:
        words = ["Press Play."]
    if "atesc" in names and len(words) > 1:
        words = words[1:]  # the trap was step 3
    st.html(f'<p class="atesc" role="status" style="{TOLD}">{"<br>".join(map(elements.as_html, words))}</p>')


# ── 4 ───────────────────────────────────────────────────────────────────────────────────────────────


@st.fragment
def _groups(scene: Scene) -> None:
    run = scene.parts.get("atesc", scene.parts["plain"])
    kept = _trapped_images(run)
    if kept is None:
        elements.empty_state("No synthetic images yet", "A run keeps its first ones at the end of its first epoch.")
        return
    values = scene.recording.pictures(run, kept.epoch).min_eps
    edges = bin_edges("min_eps", [values], run.spec.split.max_epsilon)
    end = float(edges[-1])
    start = kept.threshold if run.spec.split.score == "min_eps" else end / 4
    line = round(url.read_number("eps", start, 0.0, end), 1)
    left, right = st.columns([3, 1.1], gap="medium")
    with left, elements.card():
        figure = figures.scores(
            values, line, appearance.mode(), max_epsilon=run.spec.split.max_epsilon, edges=edges, line=False
        )
        chart(
            figure,
            "story scores",
            height=300,
            revision=kept.epoch,
            label="min ε of the synthetic images",
            on_threshold=lambda value: url.set_parameter("eps", f"{value:g}"),
            threshold=ThresholdHandle(
                line,
                0.0,
                end,
                0.1,
                "ε =",
                "/255",
                values,
                left_colour=appearance.colour("fragile"),
                right_colour=appearance.colour("robust"),
            ),
        )
        st.slider(
            "ε",
            0.0,
            end,
            step=0.1,
            format="ε = %.1f/255",
            label_visibility="collapsed",
            **url.bind_widget("eps", line, first="value"),
        )
    with right, st.container(key="story-groups"):
        st.html("<style>.st-key-story-groups .atesc-tiles { grid-template-columns: 1fr }</style>")
        _group_tiles(scene, run, kept, values, line)
    _walls(scene, run, kept, values, line)


def _trapped_images(run: RecordedRun) -> RecordedSnapshot | None:
    """Those of the last plain epoch before the split begins: what the split first sees."""
    warm = run.spec.escape.warmup_epochs if run.spec.escape.kind != "none" else run.spec.epochs
    return next((kept for kept in reversed(run.snapshots) if kept.epoch <= max(warm, 1)), None)


def _group_tiles(scene: Scene, run: RecordedRun, kept: RecordedSnapshot, values: np.ndarray, line: float) -> None:
    """Of each group its share, and how many carry the label that the teacher gives OOD images."""
    target, given = run.teacher.target, scene.recording.pictures(run, kept.epoch).teacher_class
    tiles = []
    for role, members in (("fragile", values <= line), ("robust", values > line)):
        tiles.append(
            elements.tile(
                role.capitalize(),
                formats.per_cent(100 * members.mean()),
                "%",
                role=role,
                measured_on=(f"{members.sum()} of {len(values)} synthetic · epoch {kept.epoch}"),
            )
        )
        if target is not None:
            share = 100 * (given[members] == target).mean() if members.any() else None
            tiles.append(
                elements.tile(
                    f"of them with the OOD label, {run.teacher.class_names[target]}",
                    formats.per_cent(share),
                    "%",
                    role=role,
                    measured_on=f"of {members.sum()} {role} images",
                )
            )
    elements.tiles(*tiles)


def _walls(scene: Scene, run: RecordedRun, kept: RecordedSnapshot, values: np.ndarray, line: float) -> None:
    """Both groups' images, nearest the line first, the teacher's label under each."""
    shown, order = scene.recording.pictures(run, kept.epoch), np.argsort(values, kind="stable")
    groups = {"fragile": order[values[order] <= line][::-1], "robust": order[values[order] > line]}
    for (role, members), column in zip(groups.items(), st.columns(2, gap="medium"), strict=True):
        with (
            column,
            elements.card(role.capitalize(), "nearest the line first, the teacher's label below", height="stretch"),
        ):
            near = members[:SHOWN]
            if not len(near):
                elements.caption("No image on this side of the line.")
                continue
            gallery(
                shown.images[near],
                columns=COLUMNS,
                roles=[role] * len(near),
                titles=replay.titles(run, shown, near),
                captions=[run.teacher.class_names[shown.teacher_class[at]] for at in near],
            )


def _metric(scene: Scene) -> str:
    return METRIC_NAMES[scene.metric]


STEPS = {
    1: Step(
        "A teacher with a border",
        lambda scene: (
            "Move from an [[ID]] image to an [[OOD]] image: somewhere on the way the [[NTL teacher]]'s prediction "
            "breaks."
        ),
        _border,
        "border",
    ),
    2: Step(
        "Distilling without data",
        lambda scene: (
            "The [[generator G]] learns to make images that the [[teacher T]] is sure of; the [[student S]] learns what "
            "the teacher says of them."
        ),
        _first_steps,
        "first",
    ),
    3: Step(
        "The trap", lambda scene: f"Same method, two teachers: watch [[IAcc]] and [[{_metric(scene)}]] part.", _trap
    ),
    4: Step(
        "Fragile and robust",
        lambda scene: (
            "Push [[ε]]: which [[synthetic]] images lose their label and are [[fragile]], which keep it and are "
            "[[robust]]?"
        ),
        _groups,
    ),
    5: Step(
        "The escape",
        lambda scene: (
            f"[[ATEsc]] learns from the [[fragile]] and forgets the [[robust]]: what becomes of [[{_metric(scene)}]], and "
            "what does it cost in [[IAcc]]?"
        ),
        _escape,
    ),
}
