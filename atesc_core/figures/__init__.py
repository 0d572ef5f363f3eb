"""Figures: each is a pure function from data frames or arrays to a plotly Figure in the style of theme.py.

Each function takes ``mode`` (light, dark or print); the first line of its docstring is the figure's title.
"""

from collections.abc import Callable

import plotly.graph_objects as go

from atesc_core.figures.accuracy import Curve, accuracy
from atesc_core.figures.batchnorm import TeacherLine, batchnorm, batchnorm_epochs, format_position
from atesc_core.figures.border import border
from atesc_core.figures.drift import Drift, drift
from atesc_core.figures.embedding import embedding
from atesc_core.figures.groups import class_sides, contact_sheet
from atesc_core.figures.losses import fragile_share, losses_generator, losses_student, losses_teacher
from atesc_core.figures.recalls import RecallRow, recalls
from atesc_core.figures.roc import Images, roc
from atesc_core.figures.scores import scores
from atesc_core.figures.teacher import confusion, per_class, robust_share
from atesc_core.figures.trial import paired

FIGURES: dict[str, Callable[..., go.Figure]] = {
    "accuracy": accuracy,
    "paired": paired,
    "losses_generator": losses_generator,
    "losses_student": losses_student,
    "losses_teacher": losses_teacher,
    "fragile_share": fragile_share,
    "scores": scores,
    "class_sides": class_sides,
    "contact_sheet": contact_sheet,
    "embedding": embedding,
    "drift": drift,
    "robust_share": robust_share,
    "roc": roc,
    "per_class": per_class,
    "confusion": confusion,
    "recalls": recalls,
    "border": border,
    "batchnorm": batchnorm,
    "batchnorm_epochs": batchnorm_epochs,
}


def title(name: str) -> str:
    """The title of a figure on a page and in a caption: the first line of its docstring."""
    return (FIGURES[name].__doc__ or name).splitlines()[0].rstrip(".")


__all__ = [
    "FIGURES",
    "Curve",
    "Drift",
    "Images",
    "RecallRow",
    "TeacherLine",
    "accuracy",
    "batchnorm",
    "batchnorm_epochs",
    "border",
    "class_sides",
    "confusion",
    "contact_sheet",
    "drift",
    "embedding",
    "format_position",
    "fragile_share",
    "losses_generator",
    "losses_student",
    "losses_teacher",
    "paired",
    "per_class",
    "recalls",
    "robust_share",
    "roc",
    "scores",
    "title",
]
