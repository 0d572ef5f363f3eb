"""Tables of made-up rows, with numbers worked out by hand."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from atesc_core.study import STUDIES, results, summary, tables, write_development, write_page
from atesc_core.study.plan import FIRST_SEED
from atesc_core.study.rows import outcome_key, read_rows
from tests.support.study_rows import row, write

CELLS = STUDIES["offline"].plan(3)


def cell(form: str, seed: int, pair: str = "mnistm-fashion"):
    return next(cell for cell in CELLS if (cell.form, cell.spec.seed, cell.pair) == (form, FIRST_SEED + seed, pair))


@pytest.fixture
def file(tmp_path):
    """Plain on seeds 0, 1, 2; ATEsc on 0, 1, 2; CKD on 2 only."""
    plain = [row(cell("plain", seed), iacc, 100) for seed, iacc in enumerate((60, 62, 64))]
    atesc = [row(cell("ATEsc", seed), iacc, 10) for seed, iacc in enumerate((61, 64, 67))]
    return write(tmp_path / "rows.jsonl", plain + atesc + [row(cell("CKD", 2), 63, 99)])


@pytest.fixture
def lines(file) -> pd.DataFrame:
    frame = summary(results(CELLS, read_rows(file)))
    return frame[(frame.pair == "mnistm-fashion") & (frame.kind == "NTL") & (frame.synthesizer == "dfq")].set_index(
        "form"
    )


def test_means_and_sample_deviations(lines):
    assert (lines.iacc_mean["plain"], lines.iacc_sd["plain"], lines.n["plain"]) == (62, 2, 3)
    assert (lines.other_mean["ATEsc"], lines.other_sd["ATEsc"]) == (10, 0)
    assert lines.id_images["plain"] == 1000
    assert lines.ood_images["plain"] == 891


def test_significance_by_hand(lines):
    """Differences 1, 2, 3: t = 2 / (1 / √3) = 2√3 with 2 degrees of freedom, p = 1 − t / √(t² + 2)."""
    t = 2 * math.sqrt(3)
    assert lines.iacc_pairs["ATEsc"] == 3
    assert lines.iacc_difference["ATEsc"] == 2
    assert lines.iacc_p["ATEsc"] == pytest.approx(1 - t / math.sqrt(t * t + 2))


def test_equal_differences_and_few_seeds_are_not_tested(lines):
    assert math.isnan(lines.other_p["ATEsc"])  # all −90
    assert (lines.iacc_pairs["CKD"], lines.iacc_difference["CKD"]) == (1, -1)
    assert math.isnan(lines.iacc_p["CKD"])


def test_only_common_seeds_are_compared():
    n, difference, p = tables.paired_t_test(pd.Series({0: 5.0, 1: 6.0, 3: 9.0}), pd.Series({1: 4.0, 2: 0.0, 3: 9.0}))
    assert (n, difference) == (2, 1.0)
    assert math.isnan(p)


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((5, 5.84, 0.123), "+5.8 (p = 0.12, n = 5)"),
        ((3, -99.6, 1e-5), "−99.6 (p < 0.001, n = 3)"),
        ((2, 1.0, math.nan), "+1.0 (no test, n = 2)"),
        ((0, math.nan, math.nan), "plain not run"),
        ((math.nan, math.nan, math.nan), ""),
    ],
)
def test_differences_in_words(numbers, words):
    assert tables.difference_text(*numbers) == words


def test_the_page_shows_what_was_run_and_nothing_else(file):
    page = write_page(file, {"offline": 3}).read_text()
    assert "7 of 216 runs are done." in page
    assert "7 rows of 7 runs (" in page
    assert "0.1 hours in all, on abacus; PyTorch 2.0." in page
    assert (
        "| open-set | mnistm-fashion | NTL | ATEsc | 3 of 3 | 64.0 ± 3.0 | +2.0 (p = 0.074, n = 3) | OLAcc ↓ "
        "| 10.0 ± 0.0 | −90.0 (no test, n = 3) | 0 of 3 | – | – | 1,000 ID, 891 OOD | 60 s |"
    ) in page
    assert "| open-set | mnistm-fashion | NTL | CKD | 1 of 3 | 63.0 | −1.0 (no test, n = 1) |" in page
    assert (
        "| close-set | mnistm-mnist | SL | plain, CKD, ATEsc, Twin | 0 of 3 | not run |  | OAcc ↑ | not run |" in page
    )
    assert "### CMI: 0 of 72 runs\n\nNot run." in page
    assert "{{" not in page
    assert "nan" not in page


def test_seeds_side_by_side(file):
    page = write_page(file).read_text()
    assert (
        "| open-set `mnistm-fashion` | 96 | 3 | 62.0 ± 2.0 | 64.0 ± 3.0 | OLAcc ↓ | 100.0 ± 0.0 | 10.0 ± 0.0 "
        "| 60.0 → 61.0; 100.0 → 10.0<br>62.0 → 64.0; 100.0 → 10.0<br>64.0 → 67.0; 100.0 → 10.0 |"
    ) in page
    assert "| open-set `mnistm-fashion` | 144 | 0 | not run | not run | OLAcc ↓ | not run | not run |  |" in page
    assert "| CKD | 1, 0 | 63.0, 99.0 | not run | not run |" in page


def test_without_rows_every_cell_says_so(tmp_path):
    page = write_page(tmp_path / "rows.jsonl").read_text()
    assert "No runs yet." in page
    assert "0 of 360 runs are done." in page
    assert "±" not in page.split("## The evidence")[1].split("## Batch size")[0]


def test_the_cost_of_the_split_is_the_benchmarks_own_table(tmp_path):
    (tmp_path / "split_cost.md").write_text("| made | here |\n")
    assert "## What the split costs\n\n| made | here |\n" in write_page(tmp_path / "rows.jsonl").read_text()


def test_what_an_escape_costs_is_counted_run_by_run(tmp_path):
    """Against the SL student of the same seed, which gives the trap label to 20 %, and is right on 80 % of its class.

    The bounds: trapped from 60 %, partly above 25 %, over-forgetting below a recall of 40 %.
    """

    def measured(form, seed, olacc, recall, kind="NTL"):
        cell = next(
            c
            for c in CELLS
            if (c.form, c.spec.seed - FIRST_SEED, c.kind, c.pair) == (form, seed, kind, "mnistm-fashion")
        )
        made = row(cell, 70, olacc, recalls=[recall, 50.0], trap_label=0)
        return made | {"metrics": made["metrics"] | {"trap_recall": recall, "worst_recall": min(recall, 50.0)}}

    rows = [measured("plain", seed, 20, 80, "SL") for seed in range(3)]
    rows += [measured("plain", 0, 60, 80), measured("plain", 1, 26, 80), measured("plain", 2, 25, 80)]
    rows += [measured("ATEsc", seed, 0, recall) for seed, recall in enumerate((0, 39, 40))]
    file = write(tmp_path / "rows.jsonl", rows)
    lines = summary(results(CELLS, read_rows(file)))
    lines = lines[(lines.teacher == "mnistm-fashion-ntl") & (lines.synthesizer == "dfq")].set_index("form")
    counts = ["trapped", "partly_trapped", "over_forgetting"]
    assert lines.loc["plain", counts].tolist() == [1, 1, 0]
    assert lines.loc["ATEsc", counts].tolist() == [0, 0, 2]
    page = write_page(file, {"offline": 3}).read_text()
    assert "| 1 of 3, partly 1 | 80.0 ± 0.0 | 50.0 ± 0.0 |" in page
    assert "| 0 of 3 | 26.3 ± 22.8, over-forgetting on 2 | 26.3 ± 22.8 |" in page


def test_a_trap_with_another_label_than_the_target_is_told(tmp_path):
    """Twin took 8 for the trap label of a backdoor teacher whose target is 0, and nothing said so."""
    cells = [c for c in STUDIES["development"].plan(3) if (c.spec.teacher, c.form) == ("mnistm-badnet_sq-ntl", "Twin")]
    traps = [{"is_trap": True, "label": 0}, {"is_trap": True, "label": 8}, {"is_trap": False, "label": 8}]
    rows = [row(c, 60, 1, images_from="validation", trap=trap) for c, trap in zip(cells, traps, strict=True)]
    page = write_development(write(tmp_path / "development.jsonl", rows), {"development": 3}).read_text()
    assert "| 2 of 3, not the target's label on 1 |" in page


def test_aims_are_counted_run_by_run():
    """Against the control with the same seed: IAcc 80 and OLAcc 20, or OAcc 90; recalls 80 and 60."""
    cells = STUDIES["development"].plan(2)

    def made(teacher, form, seed, iacc, other, recalls):
        planned = next(c for c in cells if (c.spec.teacher, c.form, c.spec.seed) == (teacher, form, seed))
        values = row(planned, iacc, other, images_from="validation", recalls=recalls, trap_label=0)
        values["metrics"]["trap_recall"] = recalls[0]
        return outcome_key(planned.spec, "validation"), values

    rows = dict(
        [
            *(made("mnistm-fashion-sl", "plain", seed, 80.0, 20.0, [80.0, 60.0]) for seed in (0, 1)),
            made("mnistm-mnist-sl", "plain", 0, 80.0, 90.0, [80.0, 60.0]),
            made("mnistm-fashion-ntl", "Twin", 0, 76.0, 25.0, [64.0, 48.0]),  # each aim is just reached
            made("mnistm-fashion-ntl", "Twin", 1, 75.9, 5.0, [39.0, 60.0]),  # only its OLAcc: over-forgetting
            made("mnistm-mnist-ntl", "Twin", 0, 90.0, 53.9, [80.0, 60.0]),  # all but its OAcc
            made("mnistm-mnist-ntl", "Twin", 1, 90.0, 90.0, [80.0, 60.0]),  # its control was not run
        ]
    )
    assert tables.aims_table(cells, rows).splitlines()[2:] == [
        "| `mnistm-fashion-ntl` | Twin | 2 | 1 of 2 | 2 of 2 | 1 of 2 | 1 of 2 | 1 of 2 |",
        "| `mnistm-mnist-ntl` | Twin | 1 | 1 of 1 | 0 of 1 | 1 of 1 | 1 of 1 | 0 of 1 |",
    ]


def test_the_development_page_reads_validation_rows_only(tmp_path):
    cells = STUDIES["development"].plan(1)
    twin = next(c for c in cells if (c.form, c.spec.teacher) == ("plain", "mnistm-fashion-ntl-seed1"))
    shipped = next(c for c in cells if (c.form, c.spec.teacher) == ("plain", "mnistm-fashion-ntl"))
    rows = [
        row(shipped, 60, 90, images_from="validation"),
        row(twin, 61, 91, images_from="validation"),
        row(next(c for c in cells if c.form == "ATEsc"), 62, 92),  # on test images
    ]
    page = write_development(write(tmp_path / "development.jsonl", rows), {"development": 1})
    assert page == tmp_path / "development.md"
    text = page.read_text()
    assert (
        "| `mnistm-fashion-ntl` | plain | 1 of 1 | 60.0 | OLAcc ↓ | 90.0 | 1 of 1 | – | – | – | 0: 60.0; 90.0 |" in text
    )
    assert "| `mnistm-fashion-ntl-seed1` | plain | 1 of 1 | 61.0 |" in text
    assert "| `mnistm-fashion-ntl` | ATEsc | 0 of 1 | not run |" in text
    assert "{{" not in text
