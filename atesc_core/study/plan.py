"""The runs of each study, ordered so that an unfinished study already gives a useful table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atesc_core.domains import DOMAINS, find_pair
from atesc_core.specs.presets import from_preset
from atesc_core.specs.run import RunSpec
from atesc_core.teachers import fingerprint, list_teachers

EVIDENCE_FORMS = {
    "plain": "none",
    "CKD": "ckd",
    "ATEsc": "atesc",
}  # form -> escape.kind; other settings as in the preset
SYNTHESIZERS = ("dfq", "cmi", "nayer")
TEACHER_KINDS = ("NTL", "SL")  # the trap first, then the control
OFFLINE_PAIRS = ("mnistm-fashion", "mnistm-badnet_sq", "mnistm-mnist")  # the pairs with shipped teachers
PAPER_PAIRS = (
    "svhn-mnistm",
    "cifar10-stl10",
    "svhn-cifar10",
    "cifar10-digits5",
    "cifar10-badnet_sq",
    "cifar10-badnet_grid",
    "cifar10-blend",
    "cifar10-sig",
)

# Study of the escape: which part of it helps, and does the KD batch size matter? DFQ, NTL teachers.
BATCH_SIZES = (96, 144)
ESCAPE_FORMS: dict[str, dict[str, Any]] = {
    "plain": {"escape.kind": "none"},
    "ATEsc": {"escape.kind": "atesc"},
    "ATEsc, λ = 1": {"escape.kind": "atesc", "escape.weight": 1.0},
    "CKD": {"escape.kind": "ckd"},
}
MAIN_ESCAPE_FORMS = ("plain", "ATEsc")  # at every batch size; the other forms only at the first


@dataclass(frozen=True)
class PlannedRun:
    """One run of a study."""

    pair: str
    kind: str  # kind of its teacher, NTL or SL
    form: str
    spec: RunSpec


def offline(seeds: int) -> list[PlannedRun]:
    """{SL, NTL} × three settings × three synthesizers × {plain, CKD, ATEsc}, preset ``quick``, seed by seed."""
    return _evidence("quick", OFFLINE_PAIRS, "", seeds, "cpu")


def paper(seeds: int) -> list[PlannedRun]:
    """The runs of ``offline`` on the paper's pairs at 32 × 32 pixels, preset ``full``, on the machine's device."""
    return _evidence("full", PAPER_PAIRS, "-32", seeds, "auto")


def _evidence(preset: str, pairs: tuple[str, ...], suffix: str, seeds: int, device: str) -> list[PlannedRun]:
    return [
        PlannedRun(
            pair,
            kind,
            form,
            from_preset(
                preset,
                f"{pair}-{kind.lower()}{suffix}",
                device=device,
                seed=seed,
                **{"synthesis.kind": synthesizer, "escape.kind": escape},
            ),
        )
        for seed in range(seeds)
        for synthesizer in SYNTHESIZERS
        for kind in TEACHER_KINDS
        for pair in pairs
        for form, escape in EVIDENCE_FORMS.items()
    ]


def escape(seeds: int) -> list[PlannedRun]:
    """Forms of the escape and two batch sizes, the main forms first."""
    forms: list[tuple[str, tuple[int, ...]]] = [(form, BATCH_SIZES) for form in MAIN_ESCAPE_FORMS]
    forms += [(form, BATCH_SIZES[:1]) for form in ESCAPE_FORMS if form not in MAIN_ESCAPE_FORMS]
    return [
        PlannedRun(
            pair,
            "NTL",
            form,
            from_preset("quick", f"{pair}-ntl", device="cpu", seed=seed, batch_size=batch, **ESCAPE_FORMS[form]),
        )
        for form, batches in forms
        for batch in batches
        for seed in range(seeds)
        for pair in OFFLINE_PAIRS
    ]


STUDIES: dict[str, Callable[[int], list[PlannedRun]]] = {"offline": offline, "escape": escape, "paper": paper}
SEEDS = {"offline": 5, "escape": 3, "paper": 3}  # default number of seeds of each study


def group_by_student(planned_runs: list[PlannedRun], runs_dir: Path | None = None) -> list[list[PlannedRun]]:
    """Group planned runs that have the same student.

    Teachers with the same weights (the SL control of pairs with one ID domain) make the same student, which is then
    measured on each pair.
    """
    fingerprints = {name: fingerprint(name, runs_dir) for name in {planned.spec.teacher for planned in planned_runs}}
    groups: dict[RunSpec, list[PlannedRun]] = {}
    for planned in planned_runs:
        groups.setdefault(planned.spec.model_copy(update={"teacher": fingerprints[planned.spec.teacher]}), []).append(
            planned
        )
    return list(groups.values())


def missing_data(planned_runs: list[PlannedRun], runs_dir: Path | None = None) -> dict[str, list[str]]:
    """Teacher -> commands that get its missing data and its missing weights, for the planned runs.

    Teachers for which nothing is missing are left out.
    """
    present = {card.name for card in list_teachers(runs_dir)}
    missing = {}
    for teacher, name in {planned.spec.teacher: planned.pair for planned in planned_runs}.items():
        pair = find_pair(name)
        commands = [
            f"atesc domains get {domain}"
            for domain in dict.fromkeys((pair.id, pair.ood))
            if DOMAINS[domain].status == "downloadable"
        ]
        if teacher not in present:
            commands.append(f"atesc teachers train {teacher}")
        if commands:
            missing[teacher] = commands
    return missing
