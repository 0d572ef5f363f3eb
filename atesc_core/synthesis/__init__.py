"""Synthesizers: how images are made from a teacher alone. One file and one line here each."""

from atesc_core.synthesis.base import Synthesizer
from atesc_core.synthesis.dfq import DFQ
from atesc_core.synthesis.probes import noise_probes

SYNTHESIZERS: dict[str, type[Synthesizer]] = {"dfq": DFQ}

__all__ = ["SYNTHESIZERS", "Synthesizer", "noise_probes"]
