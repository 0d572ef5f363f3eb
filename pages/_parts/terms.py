"""The story's words and symbols: each is explained where it stands."""

from __future__ import annotations

import re
from html import escape

from pages._parts.look import Html

TERMS = {
    "ID": "In-distribution: the domain that the teacher may serve.",
    "OOD": "Out-of-distribution: the domain that the teacher's knowledge must not be carried to.",
    "NTL teacher": "T, trained by non-transferable learning: right on ID, and useless or misleading on OOD on purpose.",
    "SL teacher": "T, trained on ID only, by plain supervision: the control that nobody tampered with.",
    "teacher T": "The network to be copied. It is frozen, and its training data is gone.",
    "generator G": "A network that turns noise z into images. It never sees a real one.",
    "student S": "The network that learns from T's answers to G's images, and from nothing else.",
    "IAcc": "Student accuracy on ID test images, in per cent of true labels. Higher is better.",
    "OAcc": "Student accuracy on OOD test images, in per cent of true labels. Higher is better.",
    "OLAcc": "Share of OOD test images that get the label the teacher was trained to give them. Lower is better.",
    "ASR": "Attack success rate: share of triggered test images that are sent to the target class. Lower is better.",
    "ε": "Attack budget: how far each colour value of an image may be moved, in steps of 1/255.",
    "fragile": "An attack within ε changes the teacher's label of this synthetic image.",
    "robust": "No attack within ε changes the teacher's label of this synthetic image.",
    "ATEsc": "Adversarial trap escaping (Hong et al., ICML 2025): learn from the fragile group, forget the robust one.",
    "synthetic": "Made by the generator G: no real image is used.",
    "R_BN": "How far the images' statistics are from those that T's BatchNorm layers kept of its training data.",
    "CE(T, y)": "Cross-entropy of T's answer to its own label y: small where T is sure.",
    "KL(T‖S)": "How far the answers of teacher T and student S are apart, in nats: 0 where they agree.",
    "−KL(T‖S)": "The generator's reward for images on which teacher T and student S disagree, as a loss, in nats.",
    "Σ p̄ log p̄": "Class balance: smallest where all classes are equally common in a batch. p̄ is T's mean probability.",
}


def sentence(text: str) -> Html:
    """Text in which [[term]] is explained on hover and on focus; [[term|other words]] shows other words."""
    parts = re.split(r"\[\[(.+?)]]", text)
    return Html("".join(_term(part) if place % 2 else escape(part) for place, part in enumerate(parts)))


def _term(part: str) -> str:
    name, _, words = part.partition("|")
    return (f'<span class="atesc-term" tabindex="0" data-help="{escape(TERMS[name])}">{escape(words or name)}</span>')
