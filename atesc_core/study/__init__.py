"""Studies: which runs the evidence needs, the rows of those that were done, and the tables made from them."""

from atesc_core.study.plan import SEEDS, STUDIES, Cell, missing, runs
from atesc_core.study.rows import ROWS, expected_seconds, keep, key, measure, measured
from atesc_core.study.tables import in_words, made_on, results, summary, write_page

__all__ = [
    "ROWS",
    "SEEDS",
    "STUDIES",
    "Cell",
    "expected_seconds",
    "in_words",
    "keep",
    "key",
    "made_on",
    "measure",
    "measured",
    "missing",
    "results",
    "runs",
    "summary",
    "write_page",
]
