"""Where images come from: domains, and the pairs (ID, OOD) a teacher is trained on."""

from atesc_core.domains.catalogue import DOMAINS, OFFLINE, class_samples, domain_classes, fetch_domain, load_domain
from atesc_core.domains.data_folder import data_dir
from atesc_core.domains.domain import Domain, ImageSet
from atesc_core.domains.folder import folder_name, open_folder
from atesc_core.domains.pairs import PAIRS, PAPER, Pair, PairData, find_pair, load_pair, make_pair, pair_samples
from atesc_core.domains.triggers import TRIGGERS
from atesc_core.errors import DomainError

__all__ = [
    "DOMAINS",
    "OFFLINE",
    "PAIRS",
    "PAPER",
    "TRIGGERS",
    "Domain",
    "DomainError",
    "ImageSet",
    "Pair",
    "PairData",
    "class_samples",
    "data_dir",
    "domain_classes",
    "fetch_domain",
    "find_pair",
    "folder_name",
    "load_domain",
    "load_pair",
    "make_pair",
    "open_folder",
    "pair_samples",
]
