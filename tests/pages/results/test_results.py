"""Results: what was run, by choice; what was not says so."""

from __future__ import annotations

import pytest

from atesc_core.study import STUDIES, rows
from atesc_core.study.plan import FIRST_SEED
from tests.support.pages import charts, page_text
from tests.support.study_rows import row, write


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "ROWS", tmp_path / "rows.jsonl")
    return tmp_path / "rows.jsonl"


@pytest.fixture
def some(file):
    """Two seeds of every form, DFQ, NTL teachers: IAcc 60 and 62, the other 20 and 20."""
    cells = [cell for cell in STUDIES["offline"].plan(2) if (cell.spec.synthesis.kind, cell.kind) == ("dfq", "NTL")]
    return write(file, [row(cell, 60 + 2 * (cell.spec.seed - FIRST_SEED), 20) for cell in cells])


def test_without_rows_the_page_says_what_to_do(open_page, store, file):
    app = open_page("results")
    assert not app.exception
    assert "atesc study offline --seeds 5" in page_text(app)
    assert not app.dataframe
    assert not charts(app)


def test_the_table_holds_mean_sd_and_seeds(open_page, store, some):
    app = open_page("results")
    assert not app.exception
    table = app.dataframe[0].value
    assert len(table) == 24
    plain = table[(table.pair == "mnistm-mnist") & (table.teacher == "NTL") & (table.form == "plain")].iloc[0]
    assert (plain["seeds"], plain["IAcc ↑"], plain["its value"]) == ("2 of 5", "61.0 ± 1.4", "20.0 ± 0.0")
    assert set(table[table.teacher == "SL"]["IAcc ↑"]) == {"not run"}
    assert "24 of 120 runs" in page_text(app)
    assert list(charts(app)) == ["evidence"]


def test_the_visitor_chooses(open_page, store, some):
    app = open_page("results", setting="open-set", teacher="NTL")
    table = app.dataframe[0].value
    assert list(table.form) == ["plain", "CKD", "ATEsc", "Twin"]
    assert set(table.setting) == {"open-set"}
    assert set(table.teacher) == {"NTL"}


def test_a_synthesizer_that_was_not_run_says_so(open_page, store, some):
    app = open_page("results", synthesizer="NAYER")
    assert not app.exception
    assert set(app.dataframe[0].value["IAcc ↑"]) == {"not run"}
    assert "Not run yet." in page_text(app)
    assert "0 of 120 runs" in page_text(app)
    assert not charts(app)


def test_an_empty_parameter_is_no_choice(open_page, store, some):
    app = open_page("results", synthesizer="", setting="", teacher="")
    assert not app.exception
    assert "Not run yet" not in page_text(app)
