"""Domains of images, and the pairs (ID, OOD) that teachers are trained on.

This package gives names, classes and pairs without PyTorch; `atesc_core.domains.loading` gives images as tensors.
"""

from atesc_core.domains.catalogue import DOMAINS, OFFLINE, Source, domain_classes, fetch_domain
from atesc_core.domains.data_folder import data_dir
from atesc_core.domains.folder import folder_name, open_folder
from atesc_core.domains.pairs import PAIRS, PAPER, TRIGGER_NAMES, Pair, find_pair, make_pair, pair_warnings, read_pair

__all__ = [
    "DOMAINS",
    "OFFLINE",
    "PAIRS",
    "PAPER",
    "TRIGGER_NAMES",
    "Pair",
    "Source",
    "data_dir",
    "domain_classes",
    "fetch_domain",
    "find_pair",
    "folder_name",
    "make_pair",
    "pair_warnings",
    "open_folder",
    "read_pair",
]
