"""Studies: the runs that give evidence, their results, and tables of these results."""

from atesc_core.study.plan import STUDIES, PlannedRun, Study, group_by_student, missing_data, provide_teachers
from atesc_core.study.rows import append_row, expected_seconds, measured_events, outcome_key, read_rows, run_and_measure
from atesc_core.study.tables import provenance_sentence, results, summary, summary_table, write_development, write_page

__all__ = [
    "STUDIES",
    "PlannedRun",
    "Study",
    "append_row",
    "expected_seconds",
    "group_by_student",
    "missing_data",
    "measured_events",
    "outcome_key",
    "provenance_sentence",
    "provide_teachers",
    "read_rows",
    "results",
    "run_and_measure",
    "summary",
    "summary_table",
    "write_development",
    "write_page",
]
