"""The runs of each study, ordered so that an unfinished study already gives a useful table."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atesc_core.domains import DOMAINS, find_pair
from atesc_core.specs.presets import from_preset
from atesc_core.specs.run import RunSpec
from atesc_core.specs.teacher import TeacherSpec
from atesc_core.study.rows import DEVELOPMENT_ROWS, DEVELOPMENT_TEACHERS, ROWS, Images
from atesc_core.teachers import fingerprint, list_teachers
from atesc_core.teachers.recipes import RECIPES, command

EVIDENCE_FORMS = {
    "plain": "none",
    "CKD": "ckd",
    "ATEsc": "atesc",
    "Twin": "twin",
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

FIRST_SEED = 100  # of all evidence: settings were chosen on seeds from 0

# Study on which the lab's own escape and its settings are chosen: validation images, DFQ, seeds from 0.
DEVELOPMENT_FORMS: dict[str, dict[str, Any]] = {
    "plain": {"escape.kind": "none"},
    "ATEsc": {"escape.kind": "atesc"},
    "Twin": {"escape.kind": "twin"},
    "Twin without forgetting": {"escape.kind": "twin", "escape.ood_images": 0},
    "Twin without mixtures": {"escape.kind": "twin", "escape.mixing": 0.0},
    "Twin without orientation": {"escape.kind": "twin", "escape.orientation": 0.0},
}
CONTROL_FORMS = {form: DEVELOPMENT_FORMS[form] for form in ("plain", "Twin")}  # also of SL teachers, which set no trap
TEACHER_SEEDS = (0, 1)  # of the teachers' training


@dataclass(frozen=True)
class PlannedRun:
    """One run of a study."""

    pair: str
    kind: str  # kind of its teacher, NTL or SL
    form: str
    spec: RunSpec


def offline(seeds: int) -> list[PlannedRun]:
    """{SL, NTL} × three settings × three synthesizers × EVIDENCE_FORMS, preset ``quick``, seed by seed."""
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
        for seed in range(FIRST_SEED, FIRST_SEED + seeds)
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
        for seed in range(FIRST_SEED, FIRST_SEED + seeds)
        for pair in OFFLINE_PAIRS
    ]


def development(seeds: int) -> list[PlannedRun]:
    """Forms of the escape on DFQ, the three offline pairs and TEACHER_SEEDS; and CONTROL_FORMS on the SL teachers.

    CONTROL_FORMS come first, on every seed: they say whether the aim is reached. The others say what each part does.
    """
    planned = [
        PlannedRun(
            pair,
            kind,
            form,
            from_preset("quick", development_teacher(pair, kind, teacher_seed), device="cpu", seed=seed, **changes),
        )
        for seed in range(seeds)
        for teacher_seed in TEACHER_SEEDS
        for pair in OFFLINE_PAIRS
        for kind, forms in (("SL", CONTROL_FORMS), ("NTL", DEVELOPMENT_FORMS))
        for form, changes in forms.items()
    ]
    return sorted(planned, key=lambda run: run.form not in CONTROL_FORMS)


def development_teacher(pair: str, kind: str, seed: int) -> str:
    """Name of the teacher of a pair that was trained with ``seed``: of seed 0 the shipped one."""
    return f"{pair}-{kind.lower()}" + (f"-seed{seed}" if seed else "")


@dataclass(frozen=True)
class Study:
    """A study: its runs, and where its rows are."""

    plan: Callable[[int], list[PlannedRun]]  # seeds -> runs
    seeds: int  # number of seeds, unless another is asked for
    rows: Path = ROWS
    images_from: Images = "test"
    teachers: Path | None = None  # a folder of teachers that the study needs beside the shipped ones


STUDIES: dict[str, Study] = {
    "offline": Study(offline, 5),
    "escape": Study(escape, 3),
    "paper": Study(paper, 3),
    "development": Study(development, 5, DEVELOPMENT_ROWS, "validation", DEVELOPMENT_TEACHERS),
}


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
            commands.append(_training_command(teacher))
        if commands:
            missing[teacher] = commands
    return missing


def provide_teachers(folder: Path, runs_dir: Path) -> None:
    """Copy teachers, with their cards, into a folder of runs; those whose name is taken there are left as they are.

    Training on another machine does not give the same weights, so the teachers of a study come with its rows.
    """
    for card in sorted(folder.glob("*.json")):
        own = runs_dir / "teachers" / card.name
        if not own.exists():
            own.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(card.with_suffix(".safetensors"), own.with_suffix(".safetensors"))
            shutil.copyfile(card, own)  # last: a teacher with a card is complete


def _training_command(teacher: str) -> str:
    """The command that trains a teacher of a study."""
    shipped, _, seed = teacher.partition("-seed")
    if not seed:
        return f"atesc teachers train {teacher}"
    recipe = RECIPES[shipped].model_copy(update={"seed": int(seed)})
    return command(TeacherSpec(name=teacher, **recipe.model_dump()))
