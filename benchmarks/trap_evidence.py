"""What noise images say about a trap, for every teacher; written to docs/trap_evidence.md.

python -m benchmarks.trap_evidence [--runs-dir DIR]
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from atesc_core.paths import HOME
from atesc_core.robustness.trap import CONFIDENCE, EPSILON, MIN_RATIO, MIN_ROBUST, NOISE_IMAGES, STEPS, find_trap
from atesc_core.teachers import fingerprint, list_teachers
from atesc_core.teachers.zoo import load_teacher

PAGE = HOME / "docs" / "trap_evidence.md"


def main(
    runs_dir: Annotated[Path | None, typer.Option(help="A folder of runs whose teachers are measured too.")] = None,
) -> None:
    """Measure every teacher and write the page."""
    rows: list[str] = []
    first: dict[str, str] = {}  # fingerprint of the weights -> the first teacher that has them
    for card in list_teachers(runs_dir):
        teacher = load_teacher(card.name, runs_dir)
        same = first.setdefault(fingerprint(card.name, runs_dir), card.name)
        if same != card.name:
            rows.append(f"| `{card.name}` | the same teacher as `{same}` | | | |")
            continue
        found = find_trap(teacher.model.eval(), card.image_side)
        share = f"{found.robust_with_label} of {found.robust}"
        verdict = f"trap, label {found.label}" if found.is_trap else "no trap"
        rows.append(f"| `{card.name}` | {found.label} | {share} | {found.ratio_at_least:.1f} | {verdict} |")
        print(rows[-1], flush=True)
    PAGE.write_text(
        "# Traps found in noise\n\n"
        f"Written by `python -m benchmarks.trap_evidence`. {NOISE_IMAGES} noise images, attacked at ε = {EPSILON:g}/255"
        f" with at most {STEPS} steps. The ratio is the robust share of the images with a label against that of all "
        f"others, as the lower bound of a {100 * CONFIDENCE:g} % interval over all labels together; if no other label "
        "has a robust image, one is counted. The label is the one with the highest bound. A trap: at least "
        f"{MIN_ROBUST} robust images with the label, and a ratio of at least {MIN_RATIO:g}.\n\n"
        "| teacher | label | robust images with it | ratio, at least | verdict |\n|---|---|---|---|---|\n"
        + "".join(f"{row}\n" for row in rows)
    )


if __name__ == "__main__":
    typer.run(main)
