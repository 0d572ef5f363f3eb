"""The visual language of every page: headers, chips, tiles, empty states, and how numbers are written.

Markup is built from escaped text only: a `str` given to any function here is text, never HTML. What the
functions themselves make is `Html`, which the others take as it is.
"""


# ── theme ───────────────────────────────────────────────────────────────────────────────────────────


# ── pieces: each makes Html ─────────────────────────────────────────────────────────────────────────


# ── what a page shows ───────────────────────────────────────────────────────────────────────────────


# ── settings ────────────────────────────────────────────────────────────────────────────────────────


# ── numbers ─────────────────────────────────────────────────────────────────────────────────────────
