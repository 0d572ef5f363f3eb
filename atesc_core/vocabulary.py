"""TODO: what this module is."""

from __future__ import annotations

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

ESCAPE_NAMES: dict[str, str] = {"none": "plain", "ckd": "CKD", "atesc": "ATEsc", "abd": "ABD", "tadfkd": "TA-DFKD"}

METRIC_NAMES: dict[str, str] = {"iacc": "IAcc", "oacc": "OAcc", "olacc": "OLAcc", "asr": "ASR"}

METRIC_ROLES: dict[str, str] = {"iacc": "id", "oacc": "ood", "olacc": "ood", "asr": "ood"}

METRIC_BETTER: dict[str, str] = {"iacc": "↑", "oacc": "↑", "olacc": "↓", "asr": "↓"}
