"""Compare: any set of runs over each other, seeds together, and what tells their specs apart."""

from pages.compare.compare import compare, pick
from pages.shared.ui import elements

elements.header("Compare", "Any runs over each other; those that differ in the seed alone, as one line with a band.")
chosen = pick()
if chosen:
    compare(chosen)
