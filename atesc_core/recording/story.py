"""The four students of the story. They share pair and seed and differ only in teacher and escape."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from atesc_core.runs import DistillationRun, RunStore
from atesc_core.specs.presets import from_preset
from atesc_core.specs.run import RunSpec
from atesc_core.teachers import TeacherCard

GROUP_PREFIX = "story-"
SETTING_ORDER = ("open", "backdoor", "close")


@dataclass(frozen=True)
class StoryRole:
    """One of the four students."""

    title: str
    kind: Literal["NTL", "SL"]  # kind of its teacher
    escape: str


STORY_ROLES = {
    "plain": StoryRole("Plain student", "NTL", "none"),
    "atesc": StoryRole("ATEsc student", "NTL", "atesc"),
    "twin": StoryRole("Twin student", "NTL", "twin"),
    "control": StoryRole("Plain student", "SL", "none"),
}


def story_role(kind: str, escape: str) -> str | None:
    """The role in the story of a run with a teacher of this kind (NTL, SL) and this escape, or None."""
    return next((name for name, role in STORY_ROLES.items() if (role.kind, role.escape) == (kind, escape)), None)


def playable_settings(cards: Iterable[TeacherCard]) -> dict[str, dict[str, str]]:
    """Setting -> {NTL: teacher, SL: teacher}, for settings with both kinds, at the smallest image side.

    Of several teachers, one trained by tNTL comes before one trained by CUTI.
    """
    by_side = sorted(
        cards, key=lambda card: (card.image_side, card.recipe is not None and card.recipe.method == "cuti")
    )
    settings: dict[str, dict[str, str]] = {}
    for setting in SETTING_ORDER:
        candidates = [card for card in by_side if card.setting == setting]
        for ntl in (card for card in candidates if card.kind == "NTL"):
            sl = next(
                (
                    card
                    for card in candidates
                    if card.kind == "SL" and (card.pair, card.image_side) == (ntl.pair, ntl.image_side)
                ),
                None,
            )
            if sl and setting not in settings:
                settings[setting] = {"NTL": ntl.name, "SL": sl.name}
    return settings


def story_specs(teachers: dict[str, str], **changes: Any) -> dict[str, RunSpec]:
    """Role -> its spec. ``teachers``: {NTL: name, SL: name}; ``changes``: dotted fields to set in all four."""
    return {
        name: from_preset("quick", teachers[role.kind], **{**changes, "escape.kind": role.escape})
        for name, role in STORY_ROLES.items()
    }


def queue_story(store: RunStore, specs: dict[str, RunSpec]) -> dict[str, str]:
    """Queue the story's runs as one group; role -> id of its run."""
    group = GROUP_PREFIX + secrets.token_hex(4)
    return {
        name: store.create(spec, group=group, label=f"{STORY_ROLES[name].title}, {STORY_ROLES[name].kind} teacher")
        for name, spec in specs.items()
    }


def story_runs(store: RunStore, group: str, kinds: dict[str, str]) -> dict[str, DistillationRun]:
    """Role -> its run in the group; deleted runs are left out. ``kinds``: teacher -> SL or NTL."""
    runs = {}
    for run in store.distillations(group=group):
        role = story_role(kinds.get(run.spec.teacher, ""), run.spec.escape.kind)
        if role:
            runs[role] = run
    return {name: runs[name] for name in STORY_ROLES if name in runs}
