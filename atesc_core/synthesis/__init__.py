"""Synthesizers: how images are made from a teacher alone. One file and one line here each."""

from atesc_core.synthesis.base import Synthesizer
from atesc_core.synthesis.dfq import DFQ

SYNTHESIZERS: dict[str, type[Synthesizer]] = {"dfq": DFQ}

__all__ = ["SYNTHESIZERS", "Synthesizer"]
