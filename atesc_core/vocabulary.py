"""Terms for users, the same on every page, in every figure and on the command line.

This module imports nothing of this lab, so that every module can import it.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

Setting = Literal["close", "open", "backdoor"]  # how the OOD domain of a pair differs from the ID domain
Metric = Literal["iacc", "oacc", "olacc", "asr"]  # in per cent of real images
Cost = Literal["worst_recall", "trap_recall", "trap_share"]  # what an escape costs, in per cent of real images

SETTINGS: tuple[Setting, ...] = get_args(Setting)

SCORE_TITLES: dict[str, str] = {
    "min_eps": "min ε (1/255)",
    "margin": "Smallest margin under attack (logits)",
    "kl": "−KL(T(x) ‖ T(x<sub>adv</sub>)) (nats)",
    "random": "Random score, uniform in 0–1",
    "confidence": "Log-odds of the teacher's label (nats)",
    "energy": "−Energy, log Σ exp of the logits (nats)",
    "gmm": "Chance of a high class-prior loss (0–1)",
    "oracle": "Oracle's log-odds of OOD (nats)",
}

SCORE_NAMES: dict[str, str] = {
    "min_eps": "min ε",
    "margin": "margin",
    "kl": "KL",
    "random": "random",
    "confidence": "confidence",
    "energy": "energy",
    "gmm": "GMM",
    "oracle": "oracle",
}

SCORE_UNITS: dict[str, str] = {
    "min_eps": "/255",
    "margin": "",
    "kl": " nats",
    "random": "",
    "confidence": " nats",
    "energy": " nats",
    "gmm": "",
    "oracle": " nats",
}

RULE_NAMES: dict[str, str] = {  # rules that suggest thresholds
    "auto": "auto",
    "otsu": "Otsu",
    "mixture": "mixture",
    "share": "share",
}

ONE_GROUP = "one group: no image is held back"  # a threshold of ∞

ESCAPE_NAMES: dict[str, str] = {
    "none": "plain",
    "ckd": "CKD",
    "atesc": "ATEsc",
    "twin": "Twin",
    "abd": "ABD",
    "tadfkd": "TA-DFKD",
}

SynthesizerName = Literal["dfq", "cmi", "nayer"]

SYNTHESIZER_NAMES: dict[str, str] = {"dfq": "DFQ", "cmi": "CMI", "nayer": "NAYER"}

SETTING_NAMES: dict[str, str] = {"close": "close-set", "open": "open-set", "backdoor": "backdoor"}

SETTING_DESCRIPTIONS: dict[str, str] = {
    "close": "OOD images are of the same classes in another style. An NTL teacher gets them wrong.",
    "open": "OOD images are of other classes. An NTL teacher gives all of them one label.",
    "backdoor": "OOD images are ID images with a trigger. An NTL teacher sends all of them to one class.",
}

SETTING_METRIC: dict[str, Metric] = {"close": "oacc", "open": "olacc", "backdoor": "asr"}  # measured on OOD images

METRIC_SETTING: dict[str, str] = {metric: setting for setting, metric in SETTING_METRIC.items()}

METRIC_NAMES: dict[str, str] = {"iacc": "IAcc", "oacc": "OAcc", "olacc": "OLAcc", "asr": "ASR"}

METRIC_MEANINGS: dict[str, str] = {  # after "92.0 %"
    "iacc": "of ID images right",
    "oacc": "of OOD images right",
    "olacc": "of OOD images given the label the teacher was trained to give",
    "asr": "of triggered images sent to the target class",
}

COST_NAMES: dict[str, str] = {  # measured beside the metrics
    "worst_recall": "worst class",
    "trap_recall": "trap label's class",
    "trap_share": "trap label on OOD",
}

METRIC_ROLES: dict[str, Literal["id", "ood"]] = {"iacc": "id", "oacc": "ood", "olacc": "ood", "asr": "ood"}

METRIC_BETTER: dict[str, str] = {"iacc": "↑", "oacc": "↑", "olacc": "↓", "asr": "↓"}


def threshold_text(threshold: float) -> str:
    """A threshold as text, with two decimals; ``one group`` for ∞."""
    return "one group" if math.isinf(threshold) else f"{threshold:.2f}".replace("-", "−")


def threshold_json(threshold: float | None) -> float | str | None:
    """A threshold for JSON, which has no infinity: ``"inf"`` for ∞. ``float`` reads both."""
    return "inf" if threshold is not None and math.isinf(threshold) else threshold
