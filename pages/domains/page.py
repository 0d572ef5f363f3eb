"""Domains: the sources of images, how to get more of them, and the pairs that teachers are trained on."""

from pages.domains.catalogue import download_list, folder_form, usable_cards
from pages.domains.pairs import pair_view, preset_table
from pages.shared.ui import elements

elements.header(
    "Domains",
    "Images that a teacher may serve (ID) and images that it must fail on (OOD). No student ever learns from them.",
)
usable_cards()
with elements.hidden_when_presenting("getting more"):
    download_list()
    folder_form()
pair_view()
with elements.hidden_when_presenting("named pairs"):
    preset_table()
