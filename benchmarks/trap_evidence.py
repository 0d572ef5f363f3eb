"""What noise images say about a trap, for every shipped teacher; written to docs/trap_evidence.md.

python -m benchmarks.trap_evidence
"""

from __future__ import annotations

from atesc_core.paths import HOME
from atesc_core.robustness.trap import BUDGET, CONFIDENCE, MIN_RATIO, MIN_ROBUST, NOISE_IMAGES, find_trap
from atesc_core.specs.run import SplitSpec
from atesc_core.teachers import list_teachers
from atesc_core.teachers.zoo import load_teacher

PAGE = HOME / "docs" / "trap_evidence.md"


def main() -> None:
    """Measure every shipped teacher and write the page."""
    split = SplitSpec()
    rows = []
    for card in list_teachers():
        found = find_trap(load_teacher(card.name).model.eval(), card.image_side, split)
        share = f"{found.robust_with_label} of {found.robust}"
        ratio = f"{found.ratio:.1f} (at least {found.ratio_at_least:.1f})"
        verdict = f"trap, label {found.label}" if found.is_trap else "no trap"
        rows.append(f"| `{card.name}` | {found.label} | {share} | {ratio} | {verdict} |")
        print(rows[-1], flush=True)
    PAGE.write_text(
        "# Traps found in noise\n\n"
        f"Written by `python -m benchmarks.trap_evidence`. {NOISE_IMAGES} noise images, attacked at ε = "
        f"{BUDGET * split.epsilon:g}/255 with at most {split.steps} steps. The label is that with most robust images; "
        "the ratio is its robust share against that of all other labels, with the lower bound of a "
        f"{100 * CONFIDENCE:g} % interval over all labels together. A trap: at least {MIN_ROBUST} robust images with "
        f"the label, and a ratio of at least {MIN_RATIO:g}.\n\n"
        "| teacher | label | robust images with it | ratio | verdict |\n|---|---|---|---|---|\n"
        + "".join(f"{row}\n" for row in rows)
    )


if __name__ == "__main__":
    main()
