"""Domains: where images come from, getting more of them, and the pairs a teacher is trained on."""

from pages.domains.catalogue import downloads, own_folders, ready
from pages.domains.pairs import pair_view, presets
from pages.shared.ui import elements

elements.header(
    "Domains",
    "Images that a teacher may serve (ID) and images that it must fail on (OOD). No student ever learns from them.",
)
ready()
with elements.hidden_when_presenting("getting more"):
    downloads()
    own_folders()
pair_view()
with elements.hidden_when_presenting("named pairs"):
    presets()
