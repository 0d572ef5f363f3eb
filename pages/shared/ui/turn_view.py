"""One turn of a run, looked at closely: what was just computed, point by point, with the tensors behind it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from atesc_core.distillation.turns import (
    GeneratorTurn,
    StudentTurn,
    Turn,
    Who,
    agreement,
    next_turn,
    probabilities,
    sureness,
)
from atesc_core.runs import DistillationRun, ensure_worker
from atesc_core.vocabulary import SCORE_NAMES, SCORE_UNITS
from pages.shared.data.store import run_store
from pages.shared.data.teachers import cards
from pages.shared.state import url
from pages.shared.ui import elements, formats
from pages.shared.ui.elements import Html
from pages.shared.ui.gallery import clickable_gallery, gallery
from pages.shared.ui.glossary import FORGETTING, LOSSES, sentence

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

PACES = (1, 2, 3, 5, 10)  # s a turn
PATIENCE_S = 1.0  # that a press waits for its turn, so that the page shows it at once
COLUMNS, ROWS, PROBES = 8, 5, 8  # of a wall of images; its last row is for probes, where there are any
CHANGED = 14  # images that are shown before and after
MOST_CLASSES = 12  # of many, those that anybody finds likeliest
NUMBERS = 6  # of a latent vector's
TOTAL = "Total"
NO_TRAP = "[[without its trap|no trap]]"


def closely(run: DistillationRun) -> None:
    """The card of a run that stands still, goes turn by turn or in slow motion; of any other, nothing."""
    if not (run.status == "paused" or run.active and (run.requested_state == "pause" or run.in_slow_motion)):
        return
    last = run_store().turn(run.id)
    with elements.card(key="closely"):
        elements.row(elements.bold("One turn, looked at closely"), elements.muted(_place(run, last)))
        _controls(run, last)
        match last:
            case GeneratorTurn():
                _generator(run, last)
            case StudentTurn():
                _student(run, last)
            case None:
                elements.caption("A round begins with the generator. Take its turn, and see here what it computed.")


def _place(run: DistillationRun, last: Turn | None) -> str:
    if last is None:
        return f"between two rounds · epoch {run.epoch} of {run.epochs}" if run.epoch else "before the first round"
    of = f" {last.number} of {last.of}" if last.of > 1 else ""
    pace = f" · one every {run.seconds_per_turn:g} s" if run.in_slow_motion else ""
    return f"epoch {last.epoch} of {run.epochs} · round {last.round} of {run.rounds} · the {last.who}'s turn{of}{pace}"


# ── whose turn it is ────────────────────────────────────────────────────────────────────────────────


def buttons(turn: Who | None, columns: Iterable[DeltaGenerator], press: Callable[..., None], *args: Any) -> None:
    """A button for each of the two, of which the one whose turn it is can be pressed. turn: None, nobody's."""
    for who, column in zip(("generator", "student"), columns, strict=True):
        column.button(
            f"{who.capitalize()}'s turn",
            icon=":material/skip_next:",
            key=f"turn {who}",
            width="stretch",
            type="primary" if who == turn else "secondary",
            disabled=who != turn,
            on_click=press,
            args=args,
        )


def _controls(run: DistillationRun, last: Turn | None) -> None:
    *pair, slow, pace = st.columns([2.2, 2.2, 2.2, 4], vertical_alignment="center")
    buttons(None if run.in_slow_motion or run.stepping else next_turn(last), pair, _take, run, _after(last))
    # not a switch: redrawn every second, it would take what it showed before last for the user's wish
    if run.in_slow_motion:
        slow.button(
            "End slow motion",
            icon=":material/pause:",
            key="slow off",
            type="primary",
            width="stretch",
            on_click=run_store().pause,
            args=(run.id,),
            help="Pauses the run here",
        )
    else:
        slow.button(
            "Slow motion",
            icon=":material/slow_motion_video:",
            key="slow on",
            width="stretch",
            on_click=_slow,
            args=(run,),
            help="The turns follow one another by themselves",
        )
    pace.segmented_control(
        "Seconds a turn",
        PACES,
        format_func="{} s".format,
        required=True,
        label_visibility="collapsed",
        **url.bind_widget("pace", _pace()) | {"on_change": _change_pace, "args": (run,)},
    )


def _pace() -> int:
    """Seconds a turn, by the link."""
    wanted = url.read_number("pace", 3, PACES[0], PACES[-1])
    return min(PACES, key=lambda pace: abs(pace - wanted))


def _slow(run: DistillationRun) -> None:
    run_store().slow_motion(run.id, _pace())
    ensure_worker(run_store().runs_dir)


def _change_pace(run: DistillationRun) -> None:
    url.set_parameter("pace", st.session_state["link pace"])
    if run.in_slow_motion:
        run_store().slow_motion(run.id, _pace())


def _after(last: Turn | None) -> tuple[object, ...] | None:
    return last and (last.epoch, last.round, last.who, last.number)


def _take(run: DistillationRun, after: tuple[object, ...] | None) -> None:
    """The turn after that one, and a moment's patience for it; pressed again meanwhile, it is not asked for twice."""
    store, end = run_store(), time.monotonic() + PATIENCE_S
    if store.get(run.id).stepping or _after(store.turn(run.id)) != after:
        return
    store.take_turn(run.id)
    ensure_worker(store.runs_dir)
    while store.get(run.id).active and time.monotonic() < end:
        time.sleep(0.05)


# ── the generator's ─────────────────────────────────────────────────────────────────────────────────


def _generator(run: DistillationRun, turn: GeneratorTurn) -> None:
    names, total = _class_names(run, turn.teacher_before), len(turn.before)
    shown = np.arange(min(COLUMNS * ROWS, total))
    at = _chosen(shown)
    left, middle, right = st.columns([5, 4.4, 5], gap="medium")
    with left:
        made = (
            "[[noise z]]"
            if turn.labels is None
            else "[[label y]]"
            if turn.noise is None
            else "[[noise z]] and [[label y]]"
        )
        step = "step" if _steps(turn) == 1 else "first step"
        _point(1, f"Images from {made}", f"{len(shown)} of {total}, before the {step}")
        said = turn.teacher_before.argmax(1)
        _wall(run, turn.before, shown, at, [f"teacher: {names[label]}" for label in said])
        _given(turn, at, names)
    with middle:
        _point(2, "What [[teacher T|teacher]] and [[student S|student]] say of it", "the image marked")
        _answers(run, names, {"teacher": turn.teacher_before[at], "student": turn.student_before[at]})
    with right:
        _point(3, "The generator's loss", "weight × value" + (", of the last step" if _steps(turn) > 1 else ""))
        _generator_losses(run, turn)
        _point(
            4,
            f"The [[gradient]] that reached the generator: {number(turn.gradient, 3)}",
            f"L2 norm over {formats.count(turn.weights)} weights",
        )
        elements.caption(
            f"Adam, learning rate {run.spec.synthesis.lr:g}, took the step"
            + ("." if _steps(turn) == 1 else f"s, {_steps(turn)} in all; the gradient is the last's.")
        )
    _changed(turn, names)


def _given(turn: GeneratorTurn, at: int, names: Sequence[str]) -> None:
    """What the chosen image was made from."""
    words = []
    if turn.noise is not None:
        z = turn.noise[at]
        words.append(f"z = ({', '.join(number(value, 2) for value in z[:NUMBERS])}, …), {len(z)} numbers")
    if turn.labels is not None:
        words.append(f"y = {names[turn.labels[at]]}")
    elements.caption("Of the image marked: " + "; ".join(words))


def _generator_losses(run: DistillationRun, turn: GeneratorTurn) -> None:
    settings, rows = run.spec.synthesis, []
    for name, values in turn.losses.items():
        term = name.removeprefix("g/")
        words, digits = LOSSES[name]
        weight = run.spec.escape.vaccine if term == "vaccine" else getattr(settings, term)
        rows.append((_term(words, weight, values[-1], digits), *_ends(values, digits)))
    rows.append((TOTAL, *_ends(sum(turn.losses.values()), 3)))
    steps = _steps(turn)
    losses(*(["in the loss"] if steps == 1 else ["step 1", f"step {steps}"]), rows=rows)
    if settings.kind == "nayer" and turn.epoch <= settings.warmup_epochs:
        elements.caption(f"NAYER warms up for {settings.warmup_epochs} epochs without the adversarial term.")


def _ends(values: np.ndarray, digits: int) -> tuple[str, ...]:
    """Of the first and the last step, or of the only one."""
    ends = values[[0, -1]] if len(values) > 1 else values
    return tuple(number(value, digits) for value in ends)


def _changed(turn: GeneratorTurn, names: Sequence[str]) -> None:
    moved = np.abs(turn.after.astype(int) - turn.before)
    scale = 255 / max(1, moved.max())
    whose = "the same noise" if turn.labels is None else "the first step's batch, and the best one's"
    _point(5, "How the images changed", f"{whose}; on average by {number(moved.mean(), 1)} of 255 levels")
    rows = {
        "before": turn.before,
        "after": turn.after,
        f"change × {scale:.0f}" if scale >= 1.5 else "change": moved * scale / 255,
    }
    labels = {"before": turn.teacher_before.argmax(1), "after": turn.teacher_after.argmax(1)}
    for words, images in rows.items():
        name, wall = st.columns([1.3, 12], vertical_alignment="center")
        with name:
            elements.caption(words)
        with wall:
            said = [names[label] for label in labels[words][:CHANGED]] if words in labels else None
            gallery(
                images[:CHANGED],
                columns=CHANGED,
                titles=said and [f"teacher: {label}" for label in said],
                captions=said,
            )
    elements.tiles(
        _before_after(
            "Teacher is sure",
            sureness(turn.teacher_before),
            sureness(turn.teacher_after),
            f"mean largest probability · {len(turn.before)} images",
        ),
        _before_after(
            "Student agrees",
            agreement(turn.student_before, turn.teacher_before),
            agreement(turn.student_after, turn.teacher_after),
            f"with the teacher's label · {len(turn.before)} images",
        ),
    )


# ── the student's ───────────────────────────────────────────────────────────────────────────────────


def _student(run: DistillationRun, turn: StudentTurn) -> None:
    names, probes = _class_names(run, turn.teacher), len(turn.images) - turn.synthetic
    shown = np.arange(min(COLUMNS * (ROWS - bool(probes)), turn.synthetic))
    shown = np.concatenate([shown, turn.synthetic + np.arange(min(PROBES, probes))])
    at = _chosen(shown)
    left, middle, right = st.columns([4, 6, 4.8], gap="medium")
    with left:
        _point(
            1,
            f"The batch: {turn.synthetic} [[synthetic]] images" + (f" and {probes} [[noise probes]]" if probes else ""),
            f"{len(shown)} shown" + (", probes last" if probes else ""),
        )
        roles = None if turn.fragile is None else [_group(turn, i) for i in shown]
        _wall(run, turn.images, shown, at, [_title(run, turn, i, names) for i in range(len(turn.images))], roles)
        _attacked(run, turn)
    with middle:
        _point(3, "What [[teacher T|teacher]] and [[student S|student]] say of it", "the image marked")
        columns = {"teacher": turn.teacher[at]}
        if at < turn.synthetic and not np.array_equal(turn.taught, turn.teacher[: turn.synthetic]):
            columns[NO_TRAP] = turn.taught[at]
        _answers(run, names, columns | {"student": turn.student_before[at], "after": turn.student_after[at]})
        elements.caption("The student as it learns: its BatchNorm goes by this batch. After: the step taken.")
    with right:
        _point(4, "The student's loss", "before and after the step, on this batch")
        _student_losses(run, turn)
        _point(
            5, f"The [[gradient]]: {number(turn.gradient, 3)}", f"L2 norm over {formats.count(turn.weights)} weights"
        )
        _say(f"SGD with momentum 0.9, [[learning rate]] {turn.lr:.3g}, took the step.")
        elements.tiles(*_student_tiles(turn))


def _group(turn: StudentTurn, at: int) -> elements.Role:
    return "fragile" if turn.fragile[at] else "robust"


def _title(run: DistillationRun, turn: StudentTurn, at: int, names: Sequence[str]) -> str:
    """What a pointer sees over an image."""
    said = f"teacher: {names[turn.teacher[at].argmax()]} · student: {names[turn.student_before[at].argmax()]}"
    if turn.fragile is None:
        return said
    fate = "teaches" if at < turn.synthetic else "a probe, which never teaches"
    if turn.trapped[at]:
        fate = "trapped, forgotten" if run.spec.escape.kind == "atesc" else "held back"
    return f"{said} · {_group(turn, at)}, {fate}"


def _attacked(run: DistillationRun, turn: StudentTurn) -> None:
    """Which group each image is in, and why."""
    escape, split, n = run.spec.escape, run.spec.split, turn.synthetic
    if turn.fragile is None:
        why = (
            f"Warm-up, epoch {turn.epoch} of {escape.warmup_epochs}: nothing is split yet, every image teaches."
            if escape.splits
            else "This run splits nothing: every image teaches."
        )
        _point(2, "No attack", "")
        elements.caption(why)
        return
    fragile = turn.fragile[:n].sum()
    line = f"{turn.threshold:.2f}{SCORE_UNITS[split.score]}"
    if split.score == "min_eps":
        _point(2, f"An attack within [[ε]] = {line} on the teacher", "")
    else:
        _point(2, f"The line: {SCORE_NAMES[split.score]} {line}", "above it: robust")
    elements.row(
        elements.swatch("fragile", f"fragile {fragile}", outline=True),
        elements.swatch("robust", f"robust {n - fragile}", outline=True),
        elements.muted(f"of {n} synthetic images"),
    )
    crowding = ", robust ones whose label [[crowds]] their group" if escape.overrepresented_only else ""
    words = [
        f"[[teaches|Teach]]: {turn.teaching.sum()} of {n}. [[trapped|Held back]]: {turn.trapped[:n].sum()}{crowding}."
    ]
    if probes := len(turn.images) - n:
        words.append(
            f"Of {probes} probes {(~turn.fragile[n:]).sum()} are robust, {turn.trapped[n:].sum()} of these trapped."
        )
    _say(" ".join(words))


def _student_losses(run: DistillationRun, turn: StudentTurn) -> None:
    escape, rows = run.spec.escape, []
    for name, value in turn.losses.items():
        words = {
            "s/fragile": f"{LOSSES['s/fragile'][0]}, mean over the {turn.teaching.sum()} that teach",
            "s/robust": f"Forgetting, [[λ]] · [[{FORGETTING[escape.forgetting]}]], mean over {turn.trapped.sum()} "
            "trapped",
            "s/total": TOTAL,
        }[name]
        told = _term(words, escape.weight, value, 3) if name == "s/robust" else sentence(words)
        rows.append((told, number(value, 3), number(turn.losses_after[name], 3)))
    losses("before", "after", rows=rows)
    if run.spec.temperature != 1:
        elements.caption(f"KL at temperature {run.spec.temperature:g}, times its square.")


def _student_tiles(turn: StudentTurn) -> Iterable[Html]:
    """How the student's answers changed, on what teaches and on what is trapped."""
    n, teaching = turn.synthetic, turn.teaching
    if teaching.any():
        yield _before_after(
            "Agrees with what teaches",
            *(agreement(s[:n][teaching], turn.taught[teaching]) for s in (turn.student_before, turn.student_after)),
            f"{teaching.sum()} images",
        )
    if turn.trapped.any():
        yield _before_after(
            "Gives T's label to the trapped",
            *(
                agreement(s[turn.trapped], turn.teacher[turn.trapped])
                for s in (turn.student_before, turn.student_after)
            ),
            f"{turn.trapped.sum()} images",
            role="robust",
        )


# ── what both show ──────────────────────────────────────────────────────────────────────────────────


def number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{round(float(value), digits) + 0:.{digits}f}".replace("-", "−")  # no −0


def losses(*heads: str, rows: Sequence[tuple[str | Html, ...]]) -> None:
    """A row a term: what it is, then numbers, the last ones in bold; heads: of the numbers' columns."""
    top = "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    body = []
    for words, *values in rows:
        cells = "".join(f"<td>{elements.as_html(value)}</td>" for value in values)
        kind = ' class="is-total"' if words == TOTAL else ""
        body.append(f'<tr{kind}><th scope="row">{elements.as_html(words)}</th>{cells}</tr>')
    st.html(
        f'<table class="atesc atesc-sums"><thead><tr><td></td>{top}</tr></thead><tbody>{"".join(body)}</tbody></table>'
    )


def _term(words: str, weight: float, weighted: float, digits: int) -> Html:
    """A term of a loss, and how it comes about: its weight, and its value without it."""
    value = number(weighted / weight, digits) if weight else "not asked for"
    return Html(sentence(words) + "<br>" + elements.muted(f"{weight:g} × {value}"))


def _steps(turn: GeneratorTurn) -> int:
    return len(next(iter(turn.losses.values())))


def _point(place: int, words: str, note: str) -> None:
    """The numbered heading of what was computed. words: a sentence with [[terms]]."""
    st.html(f'<div class="atesc atesc-point"><i>{place}</i><b>{sentence(words)}</b>{elements.muted(note)}</div>')


def _say(words: str) -> None:
    """A sentence with [[terms]]."""
    st.html(f'<p class="atesc">{sentence(words)}</p>')


def _chosen(shown: np.ndarray) -> int:
    """The image that is marked: the link's, where it is among those shown."""
    wanted = int(url.read_number("image", shown[0], 0, shown[-1]))
    return wanted if wanted in shown else int(shown[0])


def _wall(
    run: DistillationRun,
    images: np.ndarray,
    shown: np.ndarray,
    at: int,
    titles: Sequence[str],
    roles: Sequence[elements.Role] | None = None,
) -> None:
    clickable_gallery(
        images[shown],
        shown.tolist(),
        f"turn wall {run.id}",
        lambda picked: url.set_parameter("image", picked),
        titles=[titles[i] for i in shown],
        columns=COLUMNS,
        roles=roles,
        chosen=at,
    )


def _answers(run: DistillationRun, names: Sequence[str], columns: dict[str, np.ndarray]) -> None:
    """A row a class, a column for each who answers: probability in per cent as a bar, its logit beside it."""
    card = cards().get(run.spec.teacher)
    own = {who: f"--own:var(--role-{card.kind})" if card and who in ("teacher", NO_TRAP) else "" for who in columns}
    sure = {who: probabilities(logits) for who, logits in columns.items()}
    likeliest = np.sort(np.argsort(-np.max(list(sure.values()), axis=0), kind="stable")[:MOST_CLASSES])
    heads = "".join(f'<th scope="col" colspan="2">{sentence(who)}</th>' for who in columns)
    rows = []
    for label in likeliest:
        cells = "".join(
            _answer(100 * sure[who][label], logits[label], label == logits.argmax(), own[who])
            for who, logits in columns.items()
        )
        rows.append(f'<tr><th scope="row">{escape(str(names[label]))}</th>{cells}</tr>')
    st.html(
        f'<table class="atesc atesc-answers"><thead><tr><td></td>{heads}</tr></thead><tbody>{"".join(rows)}</tbody>'
        f'</table><p class="atesc atesc-quiet">{sentence("Probability in %, small: [[logits]]")}</p>'
    )


def _answer(per_cent: float, logit: float, most: bool, own: str) -> str:
    kind = ' class="is-most"' if most else ""
    return (
        f'<td><small>{number(logit, 1)}</small></td><td{kind} style="--share:{per_cent:.1f}%;{own}">{per_cent:.1f}</td>'
    )


def _before_after(label: str, before: float, after: float, of: str, role: elements.Role | None = None) -> Html:
    return elements.tile(
        label, formats.per_cent(after), "%", measured_on=of, change=f"was {formats.per_cent(before)}", role=role
    )


def _class_names(run: DistillationRun, logits: np.ndarray) -> Sequence[str]:
    card = cards().get(run.spec.teacher)
    return card.class_names if card else tuple(map(str, range(logits.shape[1])))
