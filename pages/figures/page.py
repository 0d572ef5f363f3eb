"""Figures: a preview of a run's figure as it will print, and its files to download."""

from atesc_core.errors import FigureNotReadyError, StoreError
from atesc_core.figures.run_figures import draw_panels
from pages.figures.print_preview import print_figure
from pages.figures.recipe_form import measure_missing_reports, recipe_form, sources
from pages.shared.data.snapshots import leaving_out_damaged
from pages.shared.ui import elements
from pages.shared.ui.run_header import run_page_header

run = run_page_header("Figures", "As it will print, and to take home.")
if run:
    with elements.hidden_when_presenting("recipe"):
        recipe = recipe_form(run)
    measure_missing_reports(recipe)
    try:
        with leaving_out_damaged():
            drawn = draw_panels(recipe, sources())
    except FigureNotReadyError as reason:
        elements.empty_state("Not yet", str(reason))
    except StoreError as error:  # a recipe may name any run and epoch
        elements.problem("This figure cannot be drawn.", f"{error}.", "Choose another epoch or run.")
    else:
        print_figure(recipe, drawn)
