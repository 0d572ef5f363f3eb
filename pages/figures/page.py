"""Figures: a run's figure as it will print, and the files to take home."""

from atesc_core.figures.run_figures import NotYet, draw_all
from pages.figures.paper import downloads, preview
from pages.figures.recipe_form import measure_what_is_missing, recipe_form, sources
from pages.shared.ui import look
from pages.shared.ui.run_header import run_page

run = run_page("Figures", "As it will print, and to take home.")
if run:
    with look.backstage("recipe"):
        recipe = recipe_form(run)
    measure_what_is_missing(recipe)
    try:
        drawn = draw_all(recipe, sources())
    except NotYet as reason:
        look.empty("Not yet", str(reason))
    else:
        sheet = preview(recipe, drawn)
        with look.backstage("files"):
            downloads(recipe, drawn, sheet)
