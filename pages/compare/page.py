"""Compare: curves and results of any set of runs, averaged over seeds, and the differences between their specs."""

from pages.compare.comparison_view import compare
from pages.compare.run_choice import choose_runs, linked_group
from pages.shared.ui import elements
from pages.shared.ui.group_card import group_card

elements.header("Compare", "Any runs over each other; those that differ in the seed alone, as one line with a band.")
if group := linked_group():
    group_card(group, with_link=False)
run_ids = choose_runs()
if run_ids:
    compare(run_ids)
