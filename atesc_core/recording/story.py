"""The story's three students: of one pair and one seed, nothing but the teacher and the escape differs."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from atesc_core.runs import DistillationRun, RunStore
from atesc_core.specs.presets import from_preset
from atesc_core.specs.run import RunSpec

if TYPE_CHECKING:
    from atesc_core.teachers import TeacherCard

GROUP = "story-"
SETTINGS = ("backdoor", "open", "close")


@dataclass(frozen=True)
class Part:
    """One of the three students."""

    title: str
    kind: str  # of its teacher
    escape: str


PARTS = {
    "plain": Part("Plain student", "NTL", "none"),
    "atesc": Part("ATEsc student", "NTL", "atesc"),
    "control": Part("Plain student", "SL", "none"),
}


def part_of(kind: str, escape: str) -> str | None:
    """Which part a student of a teacher of this kind plays; None for any other."""
    return next((name for name, part in PARTS.items() if (part.kind, part.escape) == (kind, escape)), None)


def tellable(cards: Iterable[TeacherCard]) -> dict[str, dict[str, str]]:
    """setting -> {NTL: teacher, SL: teacher}: the settings that have both, at their smallest image side."""
    every = sorted(cards, key=lambda card: card.image_side)
    found: dict[str, dict[str, str]] = {}
    for setting in SETTINGS:
        theirs = [card for card in every if card.setting == setting]
        for ntl in (card for card in theirs if card.kind == "NTL"):
            sl = next(
                (
                    card
                    for card in theirs
                    if card.kind == "SL" and (card.pair, card.image_side) == (ntl.pair, ntl.image_side)
                ),
                None,
            )
            if sl and setting not in found:
                found[setting] = {"NTL": ntl.name, "SL": sl.name}
    return found


def story_specs(teachers: dict[str, str], **changes: Any) -> dict[str, RunSpec]:
    """part -> what it runs. teachers: {NTL: name, SL: name}; changes: dotted fields, the same for all three."""
    return {
        name: from_preset("quick", teachers[part.kind], **{**changes, "escape.kind": part.escape})
        for name, part in PARTS.items()
    }


def queue_story(store: RunStore, specs: dict[str, RunSpec]) -> dict[str, str]:
    """part -> id of its run, queued as one group. Somebody must then see to a worker."""
    group = GROUP + secrets.token_hex(4)
    return {
        name: store.create(spec, group=group, label=f"{PARTS[name].title}, {PARTS[name].kind} teacher")
        for name, spec in specs.items()
    }


def story_runs(store: RunStore, group: str, kinds: dict[str, str]) -> dict[str, DistillationRun]:
    """part -> its run, of a group; a deleted one is missing. kinds: teacher -> SL or NTL."""
    found = {}
    for run in store.distillations(group=group):
        part = part_of(kinds.get(run.spec.teacher, ""), run.spec.escape.kind)
        if part:
            found[part] = run
    return {name: found[name] for name in PARTS if name in found}
