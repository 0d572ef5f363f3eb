"""Classifiers and generators, one table of names."""

from atesc_core.models.classifiers import ARCHITECTURES, Classifier, build
from atesc_core.models.generator import Generator

__all__ = ["ARCHITECTURES", "Classifier", "Generator", "build"]
