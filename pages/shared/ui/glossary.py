"""Explanations of terms and symbols, shown as tooltips in the story and in the trace of a turn."""

from __future__ import annotations

import re
from html import escape

from pages.shared.ui.elements import Html

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
    "worst class": "Recall of the ID class that the student knows worst, in per cent of its test images.",
    "trap label's class": "Recall of the class whose label is the trap label, the one that the teacher gives most OOD "
    "images. Near 0: the student forgot the class with the trap, and a low OLAcc or ASR is no success.",
    "trap label on OOD": "Share of OOD test images that get the trap label, which the teacher gives most of them.",
    "ε": "Attack budget: how far each colour value of an image may be moved, in steps of 1/255.",
    "fragile": "The attack within ε changes the teacher's label of this synthetic image.",
    "robust": "The attack within ε does not change the teacher's label of this synthetic image.",
    "ATEsc": "Adversarial trap escaping (Hong et al., ICML 2025): learn from the fragile group, forget the robust one.",
    "Twin": "This lab's escape: two generators make the ID and the OOD half of a batch; only the ID half teaches.",
    "synthetic": "Made by the generator G: no real image is used.",
    "R_BN": "How far the images' statistics are from those that T's BatchNorm layers kept of its training data.",
    "CE(T, y)": "Cross-entropy of T's answer to a label y, its own (DFQ) or one asked for: small where T is sure of y.",
    "KL(T‖S)": "How far the answers of teacher T and student S are apart, in nats: 0 where they agree.",
    "−KL(T‖S)": "The generator's reward for images on which teacher T and student S disagree, as a loss, in nats.",
    "Σ p̄ log p̄": "Class balance: smallest where all classes are equally common in a batch. p̄ is T's mean probability.",
    "L_cr": "Contrast: smallest where an image's two views are alike and unlike those of all other images.",
    "−KL(T‖T̃)/C": "ABD's vaccine: where copies T̃ of T with shuffled channels give T's label, T and T̃ are to differ.",
    "−KL(T‖S), clamped": "Forgetting: away from T's answer, until far enough from it.",
    "KL(U‖S)": "Forgetting: towards giving every class the same probability, U.",
    "−log(1 − S_y)": "Forgetting: large while the student S still gives T's label y, 0 once that label is gone.",
    "noise z": "Random numbers that the generator G turns into an image. Other numbers, another image.",
    "label y": "The class that an image is asked to be of.",
    "logits": "A network's raw numbers, one a class. Softmax turns them into probabilities; the largest one wins.",
    "gradient": "How the loss changes with each weight of the network; a step goes against it. Its size is the L2 "
    "norm, the root of the sum of all its squares.",
    "learning rate": "How far a step goes. It falls along a cosine to 0 at the run's end.",
    "λ": "Weight of forgetting in the student's loss.",
    "teaches": "The student is to answer as the teacher does: the image counts in KL(T‖S).",
    "held back": "Does not teach: robust, or of the OOD half. ATEsc and Twin make S forget T's label of it.",
    "OOD half": "Images of twin synthesis' second generator. They stand for the OOD domain and never teach; the "
    "student forgets T's answer to them. This lab's escape.",
    "CE(T, trap)": "Cross-entropy of T's answers to the trap label: small where the OOD half carries it.",
    "1 − cos": "Summed over BatchNorm layers; 0 where the OOD half differs from the ID half as noise with the trap "
    "label differs from other noise.",
    "mixtures": "Quarters of four images put together. Small where those of the OOD half carry the trap label, and "
    "those of the ID half do not.",
}
LOSSES = {  # loss term -> its name with its symbol, and the number of decimals to show
    "g/bn": ("BatchNorm match, [[R_BN]]", 2),
    "g/onehot": ("One-hot, [[CE(T, y)]]", 3),
    "g/adversarial": ("Adversarial, [[−KL(T‖S)]]", 3),
    "g/balance": ("Class balance, [[Σ p̄ log p̄]]", 3),
    "g/contrast": ("Contrast, [[L_cr]]", 3),
    "g/trap": ("OOD half, [[CE(T, trap)]]", 3),
    "g/mixing": ("Mixing, [[mixtures]]", 3),
    "g/orientation": ("Orientation, [[1 − cos]]", 3),
    "g/vaccine": ("Vaccine, [[−KL(T‖T̃)/C]]", 3),
    "s/fragile": ("Distillation, [[KL(T‖S)]]", 3),
}
FORGETTING = {"negative_kl": "−KL(T‖S), clamped", "uniform": "KL(U‖S)", "negative_learning": "−log(1 − S_y)"}


def annotated(text: str) -> Html:
    """Return text whose [[terms]] are explained on hover and on focus; [[term|other words]] shows the other words.

    Raises:
        KeyError: a term is not in `TERMS`.
    """
    parts = re.split(r"\[\[(.+?)]]", text)
    return Html("".join(_term(part) if index % 2 else escape(part) for index, part in enumerate(parts)))


def _term(part: str) -> str:
    name, _, label = part.partition("|")
    return f'<span class="atesc-term" tabindex="0" data-help="{escape(TERMS[name])}">{escape(label or name)}</span>'
