"""``atesc study``: resumable, in parts, and plain about what it cannot run."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from atesc_core import cli, study
from atesc_core.specs.presets import from_preset
from atesc_core.study import PlannedRun, Study
from tests.support.study_rows import STUDY_SETTINGS, row, write

FORMS = {"plain": "none", "CKD": "ckd", "ATEsc": "atesc"}


def tiny(seeds: int) -> list[PlannedRun]:
    return [
        PlannedRun(
            "mnistm-fashion",
            "NTL",
            form,
            from_preset("quick", "mnistm-fashion-ntl", seed=seed, **STUDY_SETTINGS, **{"escape.kind": kind}),
        )
        for seed in range(seeds)
        for form, kind in FORMS.items()
    ]


@pytest.fixture
def runs(monkeypatch) -> list[PlannedRun]:
    """The offline study is three tiny runs a seed."""
    monkeypatch.setitem(study.STUDIES, "offline", Study(tiny, 1))
    return tiny(1)


def command(*words):
    return CliRunner().invoke(cli.app, ["study", *map(str, words)], catch_exceptions=False)


def specs(file) -> list[dict]:
    return [json.loads(line)["spec"] for line in file.read_text().splitlines()]


def dumped(*cells: PlannedRun) -> list[dict]:
    return [cell.spec.model_dump(mode="json") for cell in cells]


def test_what_is_done_is_not_done_again(tmp_path, runs):
    file = write(tmp_path / "rows.jsonl", [row(runs[1], 12.5, 34.5)])
    before = file.read_text()
    result = command("offline", "--seeds", 1, "--rows", file)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == str(tmp_path / "results.md")
    after = file.read_text()
    assert after.startswith(before)
    assert specs(file) == dumped(runs[1], runs[0], runs[2])
    page = (tmp_path / "results.md").read_text()
    assert "3 of 3 runs are done." in page
    assert "| CKD | 1 of 1 | 12.5 |" in page

    command("offline", "--seeds", 1, "--rows", file)
    assert file.read_text() == after


def test_parts_share_the_runs(tmp_path, runs):
    file = tmp_path / "rows.jsonl"
    command("offline", "--seeds", 1, "--rows", file, "--part", "2/2")
    assert specs(file) == dumped(runs[1])
    command("offline", "--seeds", 1, "--rows", file, "--part", "1/2")
    assert specs(file) == dumped(runs[1], runs[0], runs[2])


def test_the_control_of_several_pairs_is_distilled_once_and_measured_on_each(tmp_path, monkeypatch):
    """The shipped SL teachers are one: the same file for three pairs."""
    pairs = {"mnistm-fashion": "olacc", "mnistm-mnist": "oacc"}
    cells = [
        PlannedRun(pair, "SL", "plain", from_preset("quick", f"{pair}-sl", **STUDY_SETTINGS, **{"escape.kind": "none"}))
        for pair in pairs
    ]
    monkeypatch.setitem(study.STUDIES, "offline", Study(lambda seeds: cells, 1))
    distilled, real = [], study.run_and_measure
    monkeypatch.setattr(study, "run_and_measure", lambda specs, *rest: distilled.append(specs) or real(specs, *rest))
    file = tmp_path / "rows.jsonl"
    command("offline", "--seeds", 1, "--rows", file)
    assert distilled == [[cell.spec for cell in cells]]
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    for row_, cell in zip(rows, cells, strict=True):
        [alone] = real([cell.spec])
        assert (row_["spec"], row_["curve"], row_["images"]) == (alone["spec"], alone["curve"], alone["images"])
        assert {"iacc", pairs[cell.pair]} <= set(row_["metrics"])
        assert row_["recalls"] == alone["recalls"]
    assert [row_["with"] for row_ in rows] == [["mnistm-mnist-sl"], ["mnistm-fashion-sl"]]
    assert "2 rows of 1 run (" in (tmp_path / "results.md").read_text()


def test_table_runs_nothing(tmp_path, runs):
    file = tmp_path / "rows.jsonl"
    assert command("offline", "--seeds", 1, "--rows", file, "--table").exit_code == 0
    assert not file.exists()
    assert "0 of 3 runs are done." in (tmp_path / "results.md").read_text()


def test_what_failed_leaves_what_was_done_and_its_page(tmp_path, runs, monkeypatch):
    file, real = tmp_path / "rows.jsonl", study.run_and_measure

    def measure(specs, *rest):
        if specs[0].escape.kind == "ckd":
            raise KeyboardInterrupt
        return real(specs, *rest)

    monkeypatch.setattr(study, "run_and_measure", measure)
    assert command("offline", "--seeds", 1, "--rows", file).exit_code != 0
    assert specs(file) == dumped(runs[0])
    assert "1 of 3 runs are done." in (tmp_path / "results.md").read_text()


def test_paper_says_what_is_missing_and_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("ATESC_DATA_DIR", str(tmp_path / "none"))
    result = command("paper", "--rows", tmp_path / "rows.jsonl", "--runs-dir", tmp_path, "--seeds", 1)
    assert "192 of 192 runs are left out." in result.stderr
    for line in ("domains get svhn", "domains get stl10", "teachers train cifar10-badnet_sq-ntl-32"):
        assert result.stderr.count(f"    atesc {line}\n") == 1
    assert not (tmp_path / "rows.jsonl").exists()
    assert "0 of 192 runs are done." in (tmp_path / "results.md").read_text()


@pytest.mark.parametrize("part", ["0/2", "3/2", "1", "a/b", "1/2/3", "-1/2"])
def test_a_part_that_is_none_is_refused(part):
    with pytest.raises(ValueError, match=f"part: '{part}': expected i/n"):
        command("offline", f"--part={part}", "--table")
