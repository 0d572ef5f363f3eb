"""Where images come from: domains, and the pairs (ID, OOD) a teacher is trained on."""

from atesc_core.domains.domain import Domain, ImageSet
from atesc_core.domains.offline import DOMAINS, load_domain
from atesc_core.domains.pairs import PAIRS, Pair, PairData, load_pair
from atesc_core.domains.triggers import TRIGGERS

__all__ = ["DOMAINS", "PAIRS", "TRIGGERS", "Domain", "ImageSet", "Pair", "PairData", "load_domain", "load_pair"]
