"""Synthesizers make images from a teacher without data. Each is one file and one entry of ``SYNTHESIZERS``."""

from atesc_core.synthesis.base import Synthesizer, batchnorm_notice
from atesc_core.synthesis.cmi import CMI
from atesc_core.synthesis.dfq import DFQ
from atesc_core.synthesis.nayer import NAYER

SYNTHESIZERS: dict[str, type[Synthesizer]] = {"dfq": DFQ, "cmi": CMI, "nayer": NAYER}

__all__ = ["SYNTHESIZERS", "Synthesizer", "batchnorm_notice"]
