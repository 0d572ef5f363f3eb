"""What teachers show: the paper's premise, their BatchNorm statistics, their trap. Written to docs/teachers.md.

python -m benchmarks.teachers [--runs-dir DIR]
"""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Annotated, cast

import numpy as np
import torch
import typer

from atesc_core.distillation import trap_label
from atesc_core.figures.batchnorm import FAR, format_position
from atesc_core.paths import HOME
from atesc_core.robustness.trap import (
    CONFIDENCE,
    EPSILON,
    FITS_BEST,
    MIN_RATIO,
    MIN_ROBUST,
    MOST_NOISE_IMAGES,
    NOISE_IMAGES,
    STEPS,
    TrapEvidence,
    find_trap,
    noise_chunks,
)
from atesc_core.specs.presets import from_preset
from atesc_core.specs.run import RunSpec, SplitSpec
from atesc_core.study.plan import provide_teachers
from atesc_core.study.rows import DEVELOPMENT_TEACHERS
from atesc_core.teachers import TeacherCard, fingerprint, list_teachers
from atesc_core.teachers.batchnorm_measurement import measured_batchnorm
from atesc_core.teachers.measurement import measured_report
from atesc_core.teachers.report import ATTACKED_IMAGES, PREMISE_GAP
from atesc_core.teachers.zoo import Teacher, load_teacher
from atesc_core.training.evaluation import predict

PAGE = HOME / "docs" / "teachers.md"
OTHERS = 3  # labels that are not the trap's and are tried all the same, those of most noise images


def main(
    runs_dir: Annotated[Path | None, typer.Option(help="A folder of runs whose teachers are measured instead.")] = None,
) -> None:
    """Measure every teacher and write the page."""
    on_real_images: list[str] = []
    on_noise: list[str] = []
    on_statistics: list[str] = []
    first: dict[str, str] = {}  # fingerprint of the weights -> the first teacher that has them
    with tempfile.TemporaryDirectory() as temporary:
        if runs_dir is None:
            runs_dir = Path(temporary)
            provide_teachers(DEVELOPMENT_TEACHERS, runs_dir)
        for card in list_teachers(runs_dir):
            on_real_images.append(_on_real_images(card, runs_dir))
            print(on_real_images[-1], flush=True)
            same = first.setdefault(fingerprint(card.name, runs_dir), card.name)
            if same != card.name:
                on_noise.append(f"| `{card.name}` | the same teacher as `{same}` | | | | |")
                continue
            teacher = load_teacher(card.name, runs_dir)
            found = find_trap(teacher.model.eval(), card.image_side)
            on_noise.append(_on_noise(card, found))
            print(on_noise[-1], flush=True)
            if found.stands_out:
                on_statistics.append(_on_statistics(teacher, found, runs_dir))
                print(on_statistics[-1], flush=True)
    split = SplitSpec()
    PAGE.write_text(
        "# What the teachers show\n\nWritten by `python -m benchmarks.teachers`. Teachers named `-seedN` are of "
        "training seed N (`atesc teachers train NAME --pair PAIR --method tntl --preset quick --set seed=N`, or `sl`). "
        "They do not ship with the app; their weights are in `docs/teachers`.\n\n"
        "## On real images\n\n"
        f"The first {ATTACKED_IMAGES} validation images of each domain of the teacher's pair, attacked with at most "
        f"{split.steps} steps. ATEsc's premise: OOD images are more robust than ID images. It holds at an ε if the "
        f"robust share of OOD images is at least {PREMISE_GAP:g} points above that of ID images. The position of a "
        "BatchNorm layer's running mean is 0 at the mean of real ID images and 1 at that of real OOD images (all "
        "validation images); in brackets: far from the line between both, where the position says little.\n\n"
        "| teacher | premise holds at ε (1/255) | widest gap, points | running means, by depth |\n|---|---|---|---|\n"
        + "".join(f"{row}\n" for row in on_real_images)
        + f"\n## On noise\n\n{NOISE_IMAGES} noise images (more where a label stands out, but has fewer than "
        f"{MIN_ROBUST} robust images: at most {MOST_NOISE_IMAGES}), attacked at ε = {EPSILON:g}/255 with at most "
        f"{STEPS} steps. The ratio is the robust share of the images with a label against that of all "
        f"others, as the lower bound of a {100 * CONFIDENCE:g} % interval over all labels together; if no other label "
        "has a robust image, one is counted. The label is the one with the highest bound. A trap: at least "
        f"{MIN_ROBUST} robust images with the label, and a ratio of at least {MIN_RATIO:g}. A rival is a label that "
        "may have as many robust images, and as large a robust share: then the statistics decide (below).\n\n"
        "| teacher | noise images | label | robust images with it | ratio, at least | verdict |\n"
        "|---|---|---|---|---|---|\n"
        + "".join(f"{row}\n" for row in on_noise)
        + "\n## On the statistics\n\nR_BN of both halves of twin synthesis, DFQ `quick`, seed 0, after "
        f"{trap_label.STEPS} steps of the generators. *Its label* is the one that the teacher gives most real OOD "
        f"validation images. Tried besides: the label that noise names, its rivals, and the {OTHERS} others that most "
        "noise images have, of those that any has. A run tries the label that noise names and its rivals, and takes "
        f"the best if its R_BN is below {FITS_BEST:g} of that of every other.\n\n"
        "| teacher | its label | R_BN with it | with the best other label | share | labels tried |\n"
        "|---|---|---|---|---|---|\n" + "".join(f"{row}\n" for row in on_statistics)
    )


def _on_real_images(card: TeacherCard, runs_dir: Path) -> str:
    report = measured_report(card.name, runs_dir, SplitSpec())
    between = report.premise_range()
    holds = "nowhere" if between is None else f"{between[0]:g} to {between[1]:g}"
    epsilon, gap = report.widest_gap()
    batchnorm = measured_batchnorm(card.name, runs_dir)
    places = batchnorm.positions(batchnorm.running)
    means = ", ".join(
        format_position(place) if distance <= FAR else f"({format_position(place)})"
        for place, distance in zip(places.mean, places.mean_distance, strict=True)
    )
    return f"| `{card.name}` | {holds} | {gap:.1f} at ε = {epsilon:g} | {means or 'no BatchNorm'} |"


def _on_noise(card: TeacherCard, found: TrapEvidence) -> str:
    rivals = ", ".join(map(str, found.rivals)) if found.stands_out else ""
    verdict = "no trap" if not found.stands_out else f"trap, label {found.label}" + f" or {rivals}" * bool(rivals)
    share = f"{found.robust_with_label} of {found.robust}"
    return f"| `{card.name}` | {found.images} | {found.label} | {share} | {found.ratio_at_least:.1f} | {verdict} |"


def _on_statistics(teacher: Teacher, found: TrapEvidence, runs_dir: Path) -> str:
    card, device = teacher.card, torch.device("cpu")
    label = int(np.bincount(measured_report(card.name, runs_dir, SplitSpec()).ood.predicted).argmax())
    spec = from_preset("quick", card.name, **{"escape.kind": "twin", "device": "cpu"})
    noise = torch.cat([predict(teacher.model, chunk).argmax(1) for chunk in noise_chunks(card.image_side, device)])
    by_count = [each for each, _ in Counter(noise.tolist()).most_common()]  # only these can be tried
    candidates = {found.label, label, *found.rivals} & set(by_count)
    candidates |= set([each for each in by_count if each != label][:OTHERS])
    fits = {tried: _fit(spec, teacher, replace(found, label=tried, rivals=())) for tried in sorted(candidates)}
    others = {tried: fit for tried, fit in fits.items() if fit and tried != label}
    own = fits.get(label)
    if not own or not others:
        return f"| `{card.name}` | {label} | – | – | – | {len(fits)} |"
    best = min(others, key=others.__getitem__)
    return (
        f"| `{card.name}` | {label} | {own:.2f} | {others[best]:.2f}, label {best} | "
        f"{own / others[best]:.2f} | {len(fits)} |"
    )


def _fit(spec: RunSpec, teacher: Teacher, trap: TrapEvidence) -> float | None:
    steps = trap_label.halves_fit(spec, teacher, trap)
    try:
        while True:
            next(steps)
    except StopIteration as end:
        return cast("float | None", end.value)


if __name__ == "__main__":
    typer.run(main)
