"""The embedding page below its header: the map of one run, or the maps of two."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from pages.embedding.controls import epoch_controls, map_controls, slider_key
from pages.embedding.distances import distance_curves, distance_tiles
from pages.embedding.epoch_map import EpochMap, draw_map
from pages.embedding.feature_space import FeatureSpace, Network, Subject, student_progress, student_space, teacher_space
from pages.embedding.selected_images import selected_images
from pages.embedding.side_by_side import side_by_side
from pages.shared.data.snapshots import load_snapshot
from pages.shared.data.store import run_store
from pages.shared.state import selection
from pages.shared.ui import elements
from pages.shared.ui.apply_threshold import pending_notice
from pages.shared.ui.batchnorm import batchnorm_curve
from pages.shared.ui.inspector import Sample, inspector
from pages.shared.ui.polling import is_live
from pages.shared.ui.student_curve import student_curve

SPACES: dict[Network, Callable[[Subject], FeatureSpace | None]] = {"teacher": teacher_space, "student": student_space}
NOTE_ON_TWO_MAPS = (
    "Each map is the feature space of its own {network}: compare where the synthetic images lie among the real "
    "ID and OOD ones, not positions on one map with those on the other."
)
NOTE_ON_STUDENTS = (
    "Real images and those of every epoch go through one student, the last that is kept, so that the map stays "
    "still while the epochs pass. This is a choice of this lab."
)


def map_view(first: Subject, second: Subject | None = None, two: bool = False) -> bool:
    """Draw the whole page below its header. Call it in a fragment.

    Args:
        first: the page's run.
        second: the run of the second map.
        two: whether there are two maps. With ``two`` and no ``second``, the page tells the user which run to start.

    Returns:
        Whether the page may change without a click.
    """
    run, epochs = first.run, run_store().snapshot_epochs(first.run.id)
    if not epochs:
        elements.empty_state("No synthetic images yet", "The run keeps its first ones at the end of epoch 1.")
        return is_live(run)
    options = map_controls()
    subjects = [subject for subject in (first, second) if subject]
    if options.network == "student" and not all(map(_has_student, subjects)):
        return is_live(run)
    left, right = [st.container()] * 2 if two else st.columns([3, 1])
    with left, elements.card():
        epoch, playing = epoch_controls(run, epochs)
        if options.network == "student":
            elements.caption(NOTE_ON_STUDENTS)
        if two:
            elements.caption(NOTE_ON_TWO_MAPS.format(network=options.network))
        computed = [SPACES[options.network](subject) for subject in subjects]
        spaces = [space for space in computed if space is not None]
        if len(spaces) < len(subjects):
            in_progress = [
                student_progress(subject) for subject, space in zip(subjects, computed, strict=True) if space is None
            ]
            return any(in_progress) or is_live(run)
        snapshot = load_snapshot(run.id, epoch)
        epoch_map = EpochMap(first, spaces[0], snapshot, selection.selected(run, epoch, len(snapshot.images)))
        if not two:
            real, computing = draw_map(epoch_map, options, epochs)
        selection.other_epoch_notice(run, epoch, slider_key(run))
        pending_notice(run)
    if two:
        real, computing = side_by_side(epoch_map, second, spaces[-1], options, epochs)
        selected_images(epoch_map, real, columns=20)
    else:
        with right:
            elements.tiles(*distance_tiles(epoch_map))
            selected_images(epoch_map, real)
    waiting = student_curve(run, snapshot, epoch_map.selected.indices if epoch_map.selected else ())
    if epoch_map.selected and epoch_map.selected.image is not None:
        sample = Sample(run, snapshot, epoch_map.selected.image, epoch_map.threshold, first.card)
        waiting = inspector(sample, first.report) or waiting
    else:
        st.empty()  # replaces the inspector, see selected_images
    if not two:
        distance_curves(epoch_map, epochs)
    waiting = _batchnorm_cards(subjects, epoch) or waiting
    live = is_live(run) or second is not None and is_live(second.run)
    return playing or waiting or live or computing


def _batchnorm_cards(subjects: list[Subject], epoch: int) -> bool:
    """Draw where each run's images lie by BatchNorm layer. Returns whether a teacher is being measured."""
    waiting = False
    for subject in subjects:
        note = f"by BatchNorm layer of the {subject.card.kind} teacher"
        with elements.card("Synthetic images between ID and OOD", note):
            waiting = batchnorm_curve(subject.run, epoch=epoch) or waiting
    return waiting


def _has_student(subject: Subject) -> bool:
    """Whether the run has a student's file; if not, draw a notice."""
    available = bool(run_store().student_files(subject.run.id))
    if not available:
        elements.empty_state(
            "No student is kept of this run",
            "It keeps its first one at the end of epoch 1."
            if is_live(subject.run)
            else "Its files are gone. Look at the teacher's features, or do the run again.",
        )
    return available
