"""Classifiers, by name in ``ARCHITECTURES``, and the image generator."""

from atesc_core.models.architectures import ARCHITECTURES, CLASSES, build
from atesc_core.models.base import Architecture, Classifier, untouched
from atesc_core.models.generator import Generator

__all__ = ["ARCHITECTURES", "CLASSES", "Architecture", "Classifier", "Generator", "build", "untouched"]
