"""Compare: any set of runs over each other, seeds together, and what tells their specs apart."""

from pages._parts import look
from pages._parts.compare import compare, pick

look.header("Compare", "Any runs over each other; those that differ in the seed alone, as one line with a band.")
chosen = pick()
if chosen:
    compare(chosen)
