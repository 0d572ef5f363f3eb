"""The paper's third idea, and the one loop that everything drives: synthesize, split, distil, forget.

``distill`` is a generator of events. The worker, the command line, a notebook and a test all ask it for
the next event; not asking is a pause. The student sees synthetic images only: ``evaluate`` is called
with the student, never the other way round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from atesc_core.distillation import trace as closely
from atesc_core.distillation.events import Event, ThresholdChanged
from atesc_core.distillation.state import Distillation
from atesc_core.distillation.turns import Turn
from atesc_core.models import Classifier
from atesc_core.specs.run import RunSpec
from atesc_core.teachers.zoo import Teacher
from atesc_core.training.events import CheckpointReady, EpochDone, StepDone


@dataclass
class Controls:
    """What may be changed while a run is going. ``threshold`` set by hand holds from the next round on; while
    ``closely`` is set, each turn of generator and student is told of too."""

    threshold: float | None = None
    closely: bool = False


def distill(
    spec: RunSpec,
    teacher: Teacher,
    evaluate: Callable[[Classifier], dict[str, float]] | None = None,
    controls: Controls | None = None,
    resume: dict[str, Any] | None = None,
    until: int | None = None,
) -> Iterator[Event]:
    """Distil ``teacher`` into a student as ``spec`` says; yields events, an epoch at a time:
    StepDone for every round, EpochDone, SnapshotTaken, CheckpointReady (ThresholdChanged where it happens, and turns
    while ``controls.closely``).

    ``evaluate`` only measures; without it the same student comes out. ``resume`` is the state of a
    CheckpointReady of the same spec. ``until``: the last epoch, where that is not the spec's; learning rates stay the
    spec's own. Raises ValueError where the spec names an unknown part or device.
    """
    controls = controls or Controls()
    run = Distillation(spec, teacher)
    if resume is not None:
        run.load_state(resume)
    while run.epoch < (until or spec.epochs):
        epoch = run.epoch + 1
        for round_ in range(1, spec.rounds + 1):
            # The automatic one first, even where a hand's replaces it at once: the same random numbers are used up.
            if run.splitting(epoch) and run.threshold is None:
                run.threshold = run.calibrate()
                yield ThresholdChanged(epoch, round_, run.threshold, by="auto")
            if controls.threshold is not None and controls.threshold != run.threshold:
                run.threshold = controls.threshold
                yield ThresholdChanged(epoch, round_, run.threshold, by="hand")
            yield from round_events(run, epoch, round_, controls)
        run.epoch = epoch
        yield EpochDone(epoch, _images_seen(spec, epoch, spec.rounds), evaluate(run.student) if evaluate else {})
        yield run.snapshot()
        yield CheckpointReady(epoch, run.state())


def round_events(run: Distillation, epoch: int, round_: int, controls: Controls) -> Iterator[Turn | StepDone]:
    """Generator steps, then student steps: StepDone, and before it while ``controls.closely`` each turn.

    Values leave the device once a round, not once a step; where a turn is looked at, after that turn as well.
    """
    for number, turn in enumerate(run.synthesizer.turns(run.student), 1):
        generator_terms = turn.losses[-1]
        if controls.closely:
            yield closely.generator_turn(run, epoch, round_, number, turn)
    student_terms = []
    for number in range(1, run.spec.student_steps + 1):
        lesson, lr = run.lesson(epoch), run.optimiser.param_groups[0]["lr"]
        terms, before = run.learn(lesson)
        student_terms.append(terms)
        if controls.closely:
            yield closely.student_turn(run, epoch, round_, number, lesson, terms, before, lr)
    losses = {f"g/{name}": float(value) for name, value in generator_terms.items()}
    means = {name: float(torch.stack([terms[name] for terms in student_terms]).mean()) for name in student_terms[0]}
    share = means.pop("fragile_share", None)
    losses |= {f"s/{name}": value for name, value in means.items()}
    yield StepDone(
        epoch,
        round_,
        _images_seen(run.spec, epoch, round_),
        losses,
        share,
        run.threshold if run.splitting(epoch) else None,
    )


def one_round(run: Distillation, epoch: int, round_: int) -> StepDone:
    """A round that nobody looks at closely."""
    [done] = round_events(run, epoch, round_, Controls())
    return done


def _images_seen(spec: RunSpec, epoch: int, round_: int) -> int:
    return ((epoch - 1) * spec.rounds + round_) * spec.student_steps * spec.batch_size
