"""The data of the story's steps: a recording, and the role of each of its runs in the story."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from atesc_core.recording import RecordedRun, Recording
from atesc_core.recording.story import STORY_ROLES, story_role
from atesc_core.vocabulary import METRIC_NAMES, SETTING_METRIC


@dataclass(frozen=True)
class StoryContext:
    """A recording of the story, and how the page shows it."""

    recording: Recording
    runs: Mapping[str, RecordedRun]  # by role: plain, atesc, twin, control; plain always exists
    group: str | None  # group of the runs in this lab if the story is live
    presenting: bool  # whether controls are hidden

    @property
    def ood_metric(self) -> str:
        """The name of the metric measured on OOD images in the story's setting."""
        return METRIC_NAMES[SETTING_METRIC[self.runs["plain"].teacher.setting]]


def runs_by_role(recording: Recording) -> dict[str, RecordedRun]:
    """Return the recording's runs by their role in the story; if two runs have the same role, the first.

    Only runs with the plain run's pair and setting count. The result is empty without a plain student of an NTL
    teacher: then the recording does not contain the story.
    """
    candidates: dict[str, RecordedRun] = {}
    for run in recording.manifest.runs:
        if role := story_role(run.teacher.kind, run.spec.escape.kind):
            candidates.setdefault(role, run)
    if "plain" not in candidates:
        return {}
    plain = candidates["plain"].teacher
    return {
        role: candidates[role]
        for role in STORY_ROLES
        if role in candidates
        and (candidates[role].teacher.pair, candidates[role].teacher.setting) == (plain.pair, plain.setting)
    }
