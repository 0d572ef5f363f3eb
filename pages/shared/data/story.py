"""The story's runs in this lab: four students of one pair, queued together as one group."""

from __future__ import annotations

from atesc_core.recording.story import GROUP_PREFIX, playable_settings, queue_story, story_runs, story_specs
from atesc_core.runs import DistillationRun
from atesc_core.specs.run import RunSpec
from pages.shared.data.store import run_store
from pages.shared.data.teachers import cards
from pages.shared.ui.polling import is_live


def teachers_by_setting() -> dict[str, dict[str, str]]:
    """Return the names of an NTL and an SL teacher for each setting: ``{"NTL": ..., "SL": ...}``.

    Settings without both kinds are missing. Of several image sides, the smallest counts.
    """
    return playable_settings(cards().values())


def specs(setting: str) -> dict[str, RunSpec]:
    """Return the spec of each student of the story in this setting."""
    return story_specs(teachers_by_setting()[setting])


def start(setting: str) -> str:
    """Queue the four students and return the name of their group."""
    runs = queue_story(run_store(), specs(setting))
    group = run_store().get_distillation(runs["plain"]).group
    assert group  # queue_story puts all four runs into one group
    return group


def runs(group: str) -> dict[str, DistillationRun]:
    """Return the group's runs by role (plain, atesc, twin, control); deleted runs are missing."""
    return story_runs(run_store(), group, {card.name: card.kind for card in cards().values()})


def in_progress(group: str) -> bool:
    """Whether any student of the group may still change: it trains, waits, or is paused."""
    return any(map(is_live, runs(group).values()))


def latest_group() -> str | None:
    """Return the group of the story that was started last; None if there is no story."""
    return next((run.group for run in run_store().distillations() if (run.group or "").startswith(GROUP_PREFIX)), None)
