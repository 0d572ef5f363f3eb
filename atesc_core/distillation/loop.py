"""The paper's third idea, and the loop of every distillation: synthesize, split, distil, forget.

``distill`` is a generator of events. The worker, the command line, a notebook or a test takes the next event; a run
pauses while nobody takes one. The student learns from synthetic images only: ``evaluate`` measures it and changes
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from atesc_core.device import use_threads
from atesc_core.distillation.events import Event, ThresholdChanged, TrapSought
from atesc_core.distillation.state import Distillation
from atesc_core.distillation.trace import trace_generator_turn, trace_student_turn
from atesc_core.distillation.trap_label import seek_trap
from atesc_core.distillation.turns import Turn
from atesc_core.models import Classifier
from atesc_core.specs.run import RunSpec
from atesc_core.teachers.zoo import Teacher
from atesc_core.training.events import CheckpointReady, EpochDone, Measured, RoundDone


@dataclass
class Controls:
    """Values that the caller may change between two events of a run."""

    threshold: float | None = None  # set by hand; applied from the next round on
    trace: bool = False  # yield every turn of generator and student too


def distill(
    spec: RunSpec,
    teacher: Teacher,
    evaluate: Callable[[Classifier], Measured] | None = None,
    controls: Controls | None = None,
    resume: dict[str, Any] | None = None,
    until: int | None = None,
) -> Iterator[Event]:
    """Distils ``teacher`` into a student with the settings of ``spec``, and yields events.

    TrapSought, maybe after LabelTried, before the first round of twin synthesis; RoundDone after every round;
    EpochDone, SnapshotTaken and CheckpointReady after every epoch; ThresholdChanged when the threshold changes; turns
    while ``controls.trace`` is true. PyTorch computes with ``spec.threads`` threads in this process from then on.

    Args:
        spec: the run.
        teacher: the teacher that ``spec.teacher`` names.
        evaluate: measures the student; it does not change the student.
        controls: the caller may change them during the run.
        resume: the state of a CheckpointReady of the same spec.
        until: the last epoch, if not the spec's. The learning rates stay those of the whole run.

    Raises:
        ValueError: the spec names an unknown part, or a device that is not present.
    """
    use_threads(spec.threads)
    controls, by_hand = controls or Controls(), spec.thresholds_by_hand
    trap = None
    if spec.escape.kind == "twin" and resume is None:
        trap = yield from seek_trap(spec, teacher)
        yield TrapSought(trap)
    run = Distillation(spec, teacher, resume, trap)
    while run.epoch < (until or spec.epochs):
        epoch = run.epoch + 1
        for round_ in range(1, spec.rounds + 1):
            # Found anew in each epoch, as the generator changes, even if one set by hand replaces it: both cases draw
            # the same random numbers.
            found = run.calibrate() if round_ == 1 and run.finds_threshold_in(epoch) else None
            controls.threshold = by_hand.get((epoch, round_), controls.threshold)
            if controls.threshold is not None:
                if controls.threshold != run.threshold or not run.threshold_is_by_hand:
                    yield ThresholdChanged(epoch, round_, controls.threshold, by="hand")
                run.threshold, run.threshold_is_by_hand = controls.threshold, True
            elif found is not None and not run.threshold_is_by_hand:
                run.threshold = found
                yield ThresholdChanged(epoch, round_, found, by="auto")
            yield from round_events(run, epoch, round_, controls)
        run.epoch = epoch
        measured = evaluate(run.student) if evaluate else ()
        yield EpochDone(epoch, _images_learned(spec, epoch, spec.rounds), *measured)
        yield run.snapshot()
        yield CheckpointReady(epoch, run.state_dict())


def round_events(run: Distillation, epoch: int, round_: int, controls: Controls) -> Iterator[Turn | RoundDone]:
    """One round: the generator's steps, then the student's.

    Yields RoundDone, and before it each turn while ``controls.trace``.

    Values are copied from the device once per round, not once per step; while tracing, after each turn as well.
    """
    generator_terms: dict[str, torch.Tensor] = {}
    for number, update in enumerate(run.synthesizer.turns(run.student), 1):
        generator_terms = update.losses[-1]
        if controls.trace:
            yield trace_generator_turn(run, epoch, round_, number, update)
    student_terms = []
    for number in range(1, run.spec.student_steps + 1):
        batch, learning_rate = run.student_batch(epoch), run.learning_rate
        terms, logits_before = run.learn(batch)
        student_terms.append(terms)
        if controls.trace:
            yield trace_student_turn(run, epoch, round_, number, batch, terms, logits_before, learning_rate)
    losses = {f"g/{name}": float(value) for name, value in generator_terms.items()}
    means = {name: float(torch.stack([terms[name] for terms in student_terms]).mean()) for name in student_terms[0]}
    fragile_share = means.pop("fragile_share", None)
    losses |= {f"s/{name}": value for name, value in means.items()}
    threshold = run.threshold if run.splits_in(epoch) else None
    yield RoundDone(epoch, round_, _images_learned(run.spec, epoch, round_), losses, fragile_share, threshold)


def one_round(run: Distillation, epoch: int, round_: int) -> RoundDone:
    """One round without a trace."""
    for event in round_events(run, epoch, round_, Controls()):
        if isinstance(event, RoundDone):
            return event
    raise AssertionError("a round ends with RoundDone")


def _images_learned(spec: RunSpec, epoch: int, round_: int) -> int:
    return ((epoch - 1) * spec.rounds + round_) * spec.student_steps * spec.batch_size
