"""What teachers show: the paper's premise, their BatchNorm statistics, a trap in noise. Written to docs/teachers.md.

python -m benchmarks.teachers [--runs-dir DIR]
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from atesc_core.figures.batchnorm import FAR, format_position
from atesc_core.paths import HOME
from atesc_core.robustness.trap import CONFIDENCE, EPSILON, MIN_RATIO, MIN_ROBUST, NOISE_IMAGES, STEPS, find_trap
from atesc_core.specs.run import SplitSpec
from atesc_core.teachers import TeacherCard, fingerprint, list_teachers
from atesc_core.teachers.batchnorm_measurement import measured_batchnorm
from atesc_core.teachers.measurement import measured_report
from atesc_core.teachers.report import ATTACKED_IMAGES, PREMISE_GAP
from atesc_core.teachers.zoo import load_teacher

PAGE = HOME / "docs" / "teachers.md"


def main(
    runs_dir: Annotated[Path | None, typer.Option(help="A folder of runs whose teachers are measured too.")] = None,
) -> None:
    """Measure every teacher and write the page."""
    on_real_images: list[str] = []
    on_noise: list[str] = []
    first: dict[str, str] = {}  # fingerprint of the weights -> the first teacher that has them
    with tempfile.TemporaryDirectory() as empty:
        for card in list_teachers(runs_dir):
            on_real_images.append(_on_real_images(card, runs_dir or Path(empty)))
            same = first.setdefault(fingerprint(card.name, runs_dir), card.name)
            on_noise.append(
                _on_noise(card, runs_dir)
                if same == card.name
                else f"| `{card.name}` | the same teacher as `{same}` | | | |"
            )
            print(on_real_images[-1], on_noise[-1], sep="\n", flush=True)
    split = SplitSpec()
    PAGE.write_text(
        "# What the teachers show\n\nWritten by `python -m benchmarks.teachers`.\n\n"
        "## On real images\n\n"
        f"The first {ATTACKED_IMAGES} validation images of each domain of the teacher's pair, attacked with at most "
        f"{split.steps} steps. ATEsc's premise: OOD images are more robust than ID images. It holds at an ε if the "
        f"robust share of OOD images is at least {PREMISE_GAP:g} points above that of ID images. The position of a "
        "BatchNorm layer's running mean is 0 at the mean of real ID images and 1 at that of real OOD images (all "
        "validation images); in brackets: far from the line between both, where the position says little.\n\n"
        "| teacher | premise holds at ε (1/255) | widest gap, points | running means, by depth |\n|---|---|---|---|\n"
        + "".join(f"{row}\n" for row in on_real_images)
        + f"\n## On noise\n\n{NOISE_IMAGES} noise images, attacked at ε = {EPSILON:g}/255"
        f" with at most {STEPS} steps. The ratio is the robust share of the images with a label against that of all "
        f"others, as the lower bound of a {100 * CONFIDENCE:g} % interval over all labels together; if no other label "
        "has a robust image, one is counted. The label is the one with the highest bound. A trap: at least "
        f"{MIN_ROBUST} robust images with the label, and a ratio of at least {MIN_RATIO:g}.\n\n"
        "| teacher | label | robust images with it | ratio, at least | verdict |\n|---|---|---|---|---|\n"
        + "".join(f"{row}\n" for row in on_noise)
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


def _on_noise(card: TeacherCard, runs_dir: Path | None) -> str:
    found = find_trap(load_teacher(card.name, runs_dir).model.eval(), card.image_side)
    share = f"{found.robust_with_label} of {found.robust}"
    verdict = f"trap, label {found.label}" if found.is_trap else "no trap"
    return f"| `{card.name}` | {found.label} | {share} | {found.ratio_at_least:.1f} | {verdict} |"


if __name__ == "__main__":
    typer.run(main)
