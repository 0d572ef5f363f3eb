"""Mean and standard deviation of the colour channels that a teacher expects. Needs no PyTorch."""

from __future__ import annotations

from atesc_core.errors import TeacherError

CMI, NTL = "CMI and NAYER", "NTLBench and TransNTL"  # the repositories
Normalisation = tuple[tuple[float, float, float], tuple[float, float, float]]

# Mean and standard deviation of R, G, B from the repositories (CMI's registry.py; NTLBench's data_split.py).
NORMALISATIONS: dict[str, Normalisation] = {
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "cifar100": ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


def read_normalisation(text: str) -> Normalisation:
    """A normalisation by its name, or from six numbers: mean, then standard deviation of R, G, B.

    Args:
        text: A name of NORMALISATIONS, or numbers such as ``0.5,0.5,0.5,0.2,0.2,0.2``.

    Raises:
        TeacherError: ``text`` is neither.
    """
    if text in NORMALISATIONS:
        return NORMALISATIONS[text]
    try:
        numbers = [float(number) for number in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 6 or not all(abs(value) < 1e3 for value in numbers) or min(numbers[3:]) <= 0:
        raise TeacherError(
            f"normalisation: {text!r}: expected one of {', '.join(NORMALISATIONS)}, or six numbers: "
            "mean of R, G, B, then their standard deviations, which are above 0"
        )
    red, green, blue, *deviations = numbers
    return (red, green, blue), (deviations[0], deviations[1], deviations[2])


def usual_normalisation(source: str, num_classes: int, id_domain: str | None = None) -> str:
    """The name of the normalisation that a network from the repository ``source`` usually has.

    NTLBench normalises every domain as ImageNet; CMI's and NAYER's scripts CIFAR-10 and CIFAR-100 by their own
    statistics. For others, and for networks of this lab, it is ``half``.

    Args:
        source: CMI, NTL, or any other text.
        num_classes: Number of outputs, which tells what CMI's and NAYER's networks were trained on.
        id_domain: Name of the domain that it was trained on, if known.
    """
    if source == NTL:
        return "imagenet"
    if source == CMI and id_domain in (None, "cifar10"):
        return {10: "cifar10", 100: "cifar100"}.get(num_classes, "half")
    return "half"
