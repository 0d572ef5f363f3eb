"""Domains: where images come from, getting more of them, and the pairs a teacher is trained on."""

from pages._parts import look
from pages._parts.domains import downloads, own_folders, ready
from pages._parts.pairs import pair_view, presets

look.header("Domains", "Images that a teacher may serve (ID) and images that it must fail on (OOD). No student ever "
            "learns from them.")
ready()
with look.backstage("getting more"):
    downloads()
    own_folders()
pair_view()
with look.backstage("named pairs"):
    presets()
