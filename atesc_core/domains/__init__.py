"""Where images come from: domains, and the pairs (ID, OOD) a teacher is trained on."""

from atesc_core.domains.catalogue import DOMAINS, OFFLINE, domain_classes, fetch_domain, load_domain
from atesc_core.domains.data_folder import data_dir
from atesc_core.domains.domain import Domain, DomainError, ImageSet
from atesc_core.domains.folder import folder_name
from atesc_core.domains.pairs import PAIRS, Pair, PairData, find_pair, load_pair, make_pair
from atesc_core.domains.triggers import TRIGGERS

__all__ = [
    "DOMAINS", "OFFLINE", "PAIRS", "TRIGGERS", "Domain", "DomainError", "ImageSet", "Pair", "PairData", "data_dir",
    "domain_classes", "fetch_domain", "find_pair", "folder_name", "load_domain", "load_pair", "make_pair",
]
