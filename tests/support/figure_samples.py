"""Small artificial inputs for every figure, and ``DRAW``: name of a figure -> function that draws it in a mode."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from atesc_core.figures import FIGURES, Curve, Drift, RecallRow, TeacherLine
from atesc_core.teachers.batchnorm import Positions

EPOCHS = [1, 2, 3]
PLAIN = pd.DataFrame(
    {"epoch": EPOCHS, "images": [100, 200, 300], "iacc": [30.0, 55.0, 66.8], "olacc": [97.0, 100.0, 99.8]}
)
ESCAPED = PLAIN.assign(iacc=[31.0, 57.0, 68.1], olacc=[97.0, 52.0, 14.3])
CHANGES = pd.DataFrame({"epoch": [1.5], "threshold": [4.0]})
CURVES = [Curve(PLAIN, "plain", curve_id="a"), Curve(ESCAPED, "ATEsc", escape="atesc", changes=CHANGES, curve_id="b")]

STEPS = pd.DataFrame(
    {
        "epoch": [1, 1, 2, 2],
        "round": [1, 2, 1, 2],
        "images": [10, 20, 30, 40],
        "fragile_share": [np.nan, np.nan, 0.6, 0.7],
        "threshold": [np.nan, np.nan, 4.0, 4.0],
        "g/bn": [9.0, 8.0, 7.0, 6.0],
        "g/onehot": [0.4, 0.3, 0.2, 0.1],
        "s/fragile": [1.0, 0.8, 0.6, 0.5],
        "s/robust": [np.nan, np.nan, 0.4, 0.2],
        "s/total": [1.0, 0.8, 1.0, 0.7],
        "t/id": [2.3, np.nan, 1.1, 0.6],
        "t/ood": [0.2, np.nan, 0.9, 1.0],
        "t/separation": [0.1, np.nan, 0.2, 0.3],
        "t/total": [2.28, np.nan, 0.92, 0.3],
    }
)
SCORES = np.array([0.5, 1.0, 3.9, 4.0, 4.1, 12.0, np.inf, np.inf])
IS_OOD = np.array([0, 0, 1, 0, 0, 1, 1, 1], bool)
FRAGILE_ONES = SCORES <= 4.0
ID_SCORES, OOD_SCORES = np.array([0.5, 1.5, 2.5, 9.5]), np.array([8.0, 16.0, np.inf, np.inf])

LABELS, FRAGILE = np.array([0, 0, 0, 1, 2, 2]), np.array([False, False, True, True, True, False])
IMAGES = np.random.default_rng(0).integers(0, 256, (6, 3, 16, 16), np.uint8)

ROBUST = pd.DataFrame({"epsilon": [0, 2, 4, 8], "id": [100.0, 79.0, 59.0, 32.0], "ood": [100.0, 100.0, 100.0, 98.0]})
CLASSES = pd.DataFrame(
    {
        "domain": ["id", "id", "ood", "ood"],
        "class": ["0", "1", "Coat", "Bag"],
        "accuracy": [90.0, 94.0, 99.0, 97.0],
        "images": [50, 150, 100, 100],
    }
)
BORDER = pd.DataFrame({"share": [0.0, 50.0, 100.0], "NTL": [99.0, 40.0, 0.1], "SL": [98.0, 97.0, 96.0]})
RECALLS = [RecallRow("A · plain", [90.0, 80.0, None], 0), RecallRow("B · ATEsc", [0.0, 78.4, None], 0)]
CONFUSION = np.array([[45, 5], [3, 147]])


def cloud(seed: int, count: int, mean: float) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 1, (count, 2))


REFERENCE = pd.DataFrame(np.concatenate([cloud(0, 40, 0), cloud(1, 40, 6)]), columns=["x", "y"]).assign(
    domain=["id"] * 40 + ["ood"] * 40, id=[f"id:{n}" for n in range(40)] + [f"ood:{n}" for n in range(40)]
)
SYNTHETIC = pd.DataFrame(cloud(2, 6, 3), columns=["x", "y"]).assign(
    **{"id": range(6), "fragile": FRAGILE, "score": [1.0, 2, 3, 8, 9, np.inf], "class": LABELS}
)

HALFWAY = Positions(
    mean=np.array([0.5, 0.49, 0.5]),
    mean_distance=np.array([0.02, 0.03, 0.9]),
    variance=np.array([0.7, 1.4, 0.6]),
    variance_distance=np.array([0.1, 0.2, 0.3]),
)
AT_ID = Positions(np.array([0.02, -0.01, np.nan]), np.array([0.1, 0.1, np.nan]), np.zeros(3), np.zeros(3))
LAYERS = ("backbone.1", "backbone.4", "backbone.7")

DRAW: dict[str, Callable[[str], go.Figure]] = {
    "accuracy": lambda mode: FIGURES["accuracy"](CURVES, mode, epochs=6),
    "paired": lambda mode: FIGURES["paired"](PLAIN[:1], PLAIN[1:], ESCAPED[1:], (2.12, 4.0), 1, mode),
    "losses_generator": lambda mode: FIGURES["losses_generator"](STEPS, mode),
    "losses_student": lambda mode: FIGURES["losses_student"](STEPS, mode),
    "losses_teacher": lambda mode: FIGURES["losses_teacher"](STEPS, mode),
    "fragile_share": lambda mode: FIGURES["fragile_share"](STEPS, mode, changes={1.0: 4.0}),
    "scores": lambda mode: FIGURES["scores"](
        SCORES, 4.0, mode, id_values=ID_SCORES, ood_values=OOD_SCORES, suggestions={"otsu": 6.0}
    ),
    "class_sides": lambda mode: FIGURES["class_sides"](LABELS, FRAGILE, mode, class_names=["0", "1", "2"]),
    "contact_sheet": lambda mode: FIGURES["contact_sheet"](IMAGES, mode, fragile=FRAGILE, columns=3),
    "embedding": lambda mode: FIGURES["embedding"](REFERENCE, SYNTHETIC, mode),
    "drift": lambda mode: FIGURES["drift"](
        [
            Drift([1, 2, 3], [50.0, 75.0, 90.0], "NTL", "atesc", 0.0, curve_id="a"),
            Drift([1, 2], [20.0, 12.5], "SL", "none", 48.0, curve_id="b"),
        ],
        mode,
        2,
    ),
    "roc": lambda mode: FIGURES["roc"](
        {"real": (SCORES, IS_OOD), "synthetic": (SCORES, ~FRAGILE_ONES)}, 4.0, mode, suggestions={"otsu": 6.0}
    ),
    "robust_share": lambda mode: FIGURES["robust_share"](ROBUST, mode, auroc=0.97, threshold=4.0),
    "per_class": lambda mode: FIGURES["per_class"](CLASSES, mode, metric="olacc"),
    "confusion": lambda mode: FIGURES["confusion"](CONFUSION, mode, rows=["0", "1"]),
    "recalls": lambda mode: FIGURES["recalls"](RECALLS, mode, classes=["0", "1", "2"]),
    "border": lambda mode: FIGURES["border"](BORDER, mode, marked_share=45.0),
    "batchnorm": lambda mode: FIGURES["batchnorm"](
        [TeacherLine("NTL", LAYERS, HALFWAY), TeacherLine("SL", LAYERS, AT_ID)], mode
    ),
    "batchnorm_epochs": lambda mode: FIGURES["batchnorm_epochs"](
        [1, 2, 4], [AT_ID, HALFWAY, HALFWAY], LAYERS, mode, target=HALFWAY, images=256, epoch=2
    ),
}
