"""The specification of one distillation run: a frozen, validated object that round-trips to YAML, JSON and a URL.

Every field has a description with its unit, and what is published for it: by Hong et al. (ICML 2025), by the other
defences' papers, or in the public code of the synthesizers, each with its script for CIFAR-10:

- DFQ: zju-vipa/CMI, scripts/dfq/dfq_cifar10_wrn402_wrn161.sh
- CMI: zju-vipa/CMI, scripts/cmi/scratch_cmi_cifar10_wrn402_wrn161.sh (ABD's sweep has the same values)
- NAYER: tmtuan1307/NAYER, scripts/nayer_100.sh and run/nayer_{200,300}.sh
- TA-DFKD: bigdata-inha/TA-DFKD-Official, the script for CIFAR; ABD: illidanlab/ABD, cmi/sweeps/cmi_cifar10.yml

Any other value is this lab's choice. The app and the user guide show both.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from atesc_core.errors import SpecError
from atesc_core.specs.base import JobSpec, Spec, _shown, setting

ScoreName = Literal["min_eps", "margin", "kl", "random", "confidence", "energy", "gmm"]
EscapeKind = Literal["none", "ckd", "atesc", "twin", "abd", "tadfkd"]
SPLITTING: tuple[EscapeKind, ...] = ("ckd", "atesc", "tadfkd")
# The settings of EscapeSpec that each kind uses. The others change nothing.
ESCAPE_SETTINGS: dict[EscapeKind, tuple[str, ...]] = {
    "none": (),
    "ckd": ("warmup_epochs",),
    "atesc": ("weight", "forgetting", "clamp", "warmup_epochs"),
    "twin": ("weight", "warmup_epochs", "trap", "mixing", "orientation", "ood_images"),
    "abd": ("vaccine",),
    "tadfkd": ("warmup_epochs",),
}


SYNTHESIS = (
    "How images are made. dfq: one generator, trained against the student; cmi: a new generator a call, its "
    "images made unlike earlier ones; nayer: labels, as fixed orthogonal vectors (published: CLIP's text embeddings), "
    "through a noisy layer. The last two keep a pool of images, which the student gets unchanged (published for nayer: "
    "shifted and mirrored)"
)


class DFQSpec(Spec):
    """Data-free quantisation-style synthesis: one persistent generator, trained against the student."""

    kind: Literal["dfq"] = setting("dfq", SYNTHESIS, "dfq")
    steps: int = setting(1, "Generator steps a round", 1, ge=1, le=1000)
    lr: float = setting(1e-3, "Generator learning rate (Adam, betas 0.5 and 0.999)", 1e-3, gt=0, le=1)
    bn: float = setting(
        1.0, "Weight of matching the teacher's BatchNorm statistics, R_BN", {"tadfkd": 10.0, "dfq": 1.0}, ge=0, le=1e4
    )
    onehot: float = setting(
        1.0, "Weight of CE(T, argmax T): images the teacher is sure of", {"tadfkd": 0.0, "dfq": 1.0}, ge=0, le=1e4
    )
    adversarial: float = setting(1.0, "Weight of −KL(T‖S): images the student gets wrong", {"dfq": 1.0}, ge=0, le=1e4)
    balance: float = setting(20.0, "Weight of class balance, Σ p̄ log p̄", {"tadfkd": 0.0, "dfq": 20.0}, ge=0, le=1e4)
    latent: int = setting(256, "Length of the latent vector z", 256, ge=2, le=4096)
    width: int = setting(
        128,
        "Channels of the generator after its first convolution: twice as many before it, half as many after the second",
        128,
        ge=4,
        le=1024,
    )


class CMISpec(Spec):
    """Contrastive model inversion (Fang et al., 2021).

    Generator and z start again at each call. The best batch is added to a pool, from which the student learns.
    """

    kind: Literal["cmi"] = setting("cmi", SYNTHESIS, "cmi")
    steps: int = setting(200, "Generator steps a call; a call a round", 200, ge=1, le=10_000)
    batch_size: int = setting(256, "Images a call makes, which join the pool", 256, ge=2, le=65_536)
    lr: float = setting(
        1e-3,
        "Learning rate of generator, z and head (Adam; generator and z with betas 0.5 and 0.999)",
        1e-3,
        gt=0,
        le=1,
    )
    bn: float = setting(
        1.0, "Weight of matching the teacher's BatchNorm statistics, R_BN", {"tadfkd": 10.0, "cmi": 1.0}, ge=0, le=1e4
    )
    onehot: float = setting(
        1.0, "Weight of CE(T, y): images of the labels y drawn for them", {"tadfkd": 0.0, "cmi": 1.0}, ge=0, le=1e4
    )
    adversarial: float = setting(
        0.5, "Weight of −KL(T‖S) where student and teacher choose the same label", {"cmi": 0.5}, ge=0, le=1e4
    )
    contrast: float = setting(
        0.8, "Weight of L_cr: an image's two views alike, unlike those of all other images", 0.8, ge=0, le=1e4
    )
    contrast_temperature: float = setting(0.1, "Temperature of L_cr", 0.1, gt=0, le=100)
    bank: int = setting(40_960, "Images whose features are kept for L_cr", 40_960, ge=1, le=1_000_000)
    negatives: int = setting(4096, "Images drawn from the feature bank a step", 4096, ge=1, le=100_000)
    head: int = setting(256, "Length of the feature that the head makes for L_cr", 256, ge=2, le=4096)
    flip: bool = setting(True, "Views may be mirrored; digits and letters are not the same mirrored", True)
    latent: int = setting(256, "Length of the latent vector z", 256, ge=2, le=4096)
    width: int = setting(
        128,
        "Channels of the generator before and after its first convolution; half as many after the second",
        128,
        ge=4,
        le=1024,
    )
    pool: int = setting(
        51_200,
        "Images the pool holds, then the oldest leave (published: no bound; in full it holds all that a run makes)",
        ge=2,
        le=10_000_000,
    )


class NAYERSpec(Spec):
    """Noisy layer generation (Tran et al., 2024): a frozen label embedding instead of z.

    It goes through a linear layer that is drawn again in every loop. The best batch of a loop is added to a pool, from
    which the student learns.
    """

    kind: Literal["nayer"] = setting("nayer", SYNTHESIS, "nayer")
    steps: int = setting(30, "Generator steps a loop (published: 40 for 100 classes)", 30, ge=1, le=10_000)
    batch_size: int = setting(400, "Images a loop makes, which join the pool", 400, ge=2, le=65_536)
    loops: int = setting(2, "Loops a round: noisy layers drawn, batches that join the pool", 2, ge=1, le=1000)
    warmup_loops: int = setting(10, "Loops a round while it warms up", 10, ge=1, le=1000)
    warmup_epochs: int = setting(
        20,
        "Epochs without the adversarial term. Here the student learns from the first; in the published code it waits",
        20,
        ge=0,
        le=10_000,
    )
    generator_life: int = setting(
        10, "Epochs a generator lives; a new one also starts when the warm-up ends", 10, ge=1, le=100_000
    )
    lr: float = setting(4e-3, "Generator learning rate (Adam, betas 0.5 and 0.999)", 4e-3, gt=0, le=1)
    bn: float = setting(
        10.0,
        "Weight of matching the teacher's BatchNorm statistics, R_BN, of each batch alone. The published code compares "
        "a mean over earlier loops",
        10.0,
        ge=0,
        le=1e4,
    )
    onehot: float = setting(
        0.5, "Weight of CE(T, y): images of the labels y asked for", {"tadfkd": 0.0, "nayer": 0.5}, ge=0, le=1e4
    )
    adversarial: float = setting(
        1.33, "Weight of −KL(T‖S) where student and teacher choose the same label", {"nayer": 1.33}, ge=0, le=1e4
    )
    flip: bool = setting(
        True, "Images may be mirrored on their way to the teacher; digits are not the same mirrored", True
    )
    noise: int = setting(1000, "Length of what the noisy layer makes of a label", 1000, ge=2, le=8192)
    width: int = setting(
        128,
        "Channels of the generator before and after its first convolution; half as many after the second",
        128,
        ge=4,
        le=1024,
    )
    pool: int = setting(
        51_200,
        "Images the pool holds, then the oldest leave (published: no bound; in full it holds all that a run makes)",
        ge=2,
        le=10_000_000,
    )


SYNTHESES: dict[str, type[Spec]] = {"dfq": DFQSpec, "cmi": CMISpec, "nayer": NAYERSpec}


def _synthesis_kind(values: Any) -> Any:
    """The kind of a synthesis in values or in a spec; DFQ, the default, if ``sparse`` left it out."""
    return values.get("kind", "dfq") if isinstance(values, dict) else getattr(values, "kind", None)


SynthesisSpec = Annotated[
    Annotated[DFQSpec, Tag("dfq")] | Annotated[CMISpec, Tag("cmi")] | Annotated[NAYERSpec, Tag("nayer")],
    Discriminator(
        _synthesis_kind,
        custom_error_type="synthesis_kind",
        custom_error_message=f"expected a kind of {', '.join(SYNTHESES)}",
    ),
    Field(description="How synthetic images are made"),
]


class SplitSpec(Spec):
    """Which synthetic images are fragile: the robustness score and its threshold."""

    score: ScoreName = setting(
        "min_eps",
        "Score of an image; above the threshold it is robust. min_eps: smallest ε that changes the "
        "prediction, in 1/255; margin, kl: what an attack at ε does to the label, to the output. Comparators that "
        "attack nothing: random; confidence: log-odds of the teacher's label; energy: log Σ exp of its logits; gmm: "
        "chance of a high loss, by a mixture fitted to the batch (TA-DFKD; its threshold is 0.5)",
        {"tadfkd": "gmm"},
    )
    threshold: float | Literal["auto", "mixture", "share"] = setting(
        4.0,
        "Images with a score above this are robust. For min_eps this is the attack budget ε in 1/255. Found "
        "from the synthetic images' own scores at the beginning of each epoch that splits, without real data: auto, "
        "the lowest density between two groups, if a test finds two; mixture, where two fitted Gaussians are equally "
        "likely, if one does not suffice; otherwise one group, and no image is held back; share, so that a given share "
        "is fragile",
        {"tadfkd": 0.5},
    )
    fragile_share: float = setting(
        0.5, "Share of images that are fragile where the threshold is share: two scores at an equal rate", gt=0, lt=1
    )
    epsilon: float = setting(4.0, "Attack budget ε in 1/255 at which margin and KL are measured", gt=0, le=255)
    max_epsilon: float = setting(32.0, "Largest ε tried by min_eps, in 1/255; beyond it a score is ∞", gt=0, le=255)
    steps: int = setting(8, "PGD steps of the attack", ge=1, le=1000)

    def warning(self, threshold: float, name: str = "threshold") -> str:
        """A sentence if ``threshold``, called ``name``, is off the scale of the score; empty if it is on it, or ∞."""
        scales = {"min_eps": (0.0, self.max_epsilon), "random": (0.0, 1.0), "gmm": (0.0, 1.0)}
        if self.score not in scales or math.isinf(threshold):
            return ""
        low, high = scales[self.score]
        if low <= threshold < high:
            return ""
        return (
            f"{name}: {threshold:g} is off the scale of {self.score}, {low:g} to {high:g}: all images whose score is "
            "on it fall on one side"
        )


class EscapeSpec(Spec):
    """How the student uses the fragile and the robust group."""

    kind: EscapeKind = setting(
        "atesc",
        "none: plain distillation from every image; ckd: only the fragile group teaches; atesc: CKD and forgetting on "
        "the robust group. This lab's escape: twin, a second generator makes the OOD half of each batch, and only the "
        "ID half teaches; plain where noise shows no trap. Other papers' defences: abd, the generator is kept from "
        "images that copies of the teacher with shuffled channels label alike (shuffling vaccine); tadfkd, only images "
        "that TA-DFKD's mixture calls clean teach, and the generator is not asked for sure and balanced labels (left "
        "out: its L1 loss of logits, total variation and JS term)",
        ("none", "ckd", "atesc", "abd", "tadfkd"),
    )
    weight: float = setting(
        0.3,
        "λ, the weight of forgetting. Forgetting is at temperature 1, whatever that of the distillation loss. That is "
        "T²·KL, whose gradient is up to T times as large where the teacher is sure: at T = 20 the same λ forgets less",
        {"atesc": 1.0},
        ge=0,
        le=1e3,
    )
    forgetting: Literal["negative_kl", "uniform", "negative_learning"] = setting(
        "negative_kl", "What forgetting asks of the student on robust images; twin: always negative_learning"
    )
    clamp: float = setting(10.0, "negative_kl stops pushing once KL(T‖S) exceeds this, in nats", gt=0, le=100)
    warmup_epochs: int = setting(
        1, "Epochs of plain distillation before the split begins, or before twin forgets", {"tadfkd": 0}, ge=0, le=1000
    )
    trap: float = setting(1.0, "twin: weight of CE(T, trap label) of the OOD half's images", ge=0, le=1e3)
    mixing: float = setting(
        1.0,
        "twin: weight of mixtures of quarters of images: CE(T, trap label) of those of the OOD half, and −log(1 − T's "
        "probability of the trap label) of those of images of the ID half with another label",
        ge=0,
        le=1e3,
    )
    orientation: float = setting(
        0.3,
        "twin: weight of 1 − cos, summed over BatchNorm layers, of the angle between how the mean of the OOD half "
        "differs from that of the ID half, and how that of noise with the trap label differs from that of other noise",
        ge=0,
        le=1e3,
    )
    ood_images: int = setting(
        32, "twin: images of the OOD half a step of the student, which forgets the trap label on them", ge=0, le=4096
    )
    vaccine: float = setting(
        0.1, "Weight of the shuffling vaccine in the generator's loss, with abd", 0.1, ge=0, le=1e3
    )

    @property
    def splits(self) -> bool:
        """Whether images are split into two groups at all."""
        return self.kind in SPLITTING

    @property
    def forgets(self) -> bool:
        """Whether the student is made to forget the teacher's answer to some images."""
        return self.weight > 0 and (self.kind == "atesc" or (self.kind == "twin" and self.ood_images > 0))

    @property
    def form_of_forgetting(self) -> str:
        """How the student forgets: as ``forgetting`` says; in twin synthesis always by negative learning."""
        return "negative_learning" if self.kind == "twin" else self.forgetting


# Settings that a kind of escape requires, where the synthesizer has them. TA-DFKD (Shin & Choi, AAAI 2024) is CKD with
# another score, from the first epoch on, and a generator without its class prior, which is the paper's point.
ESCAPE_REQUIREMENTS: dict[str, dict[str, Any]] = {
    "tadfkd": {
        "split.score": "gmm",
        "split.threshold": 0.5,
        "escape.warmup_epochs": 0,
        "synthesis.onehot": 0.0,
        "synthesis.balance": 0.0,
    }
}


def _required(escape: str, synthesis: str) -> dict[str, Any]:
    """What ``escape`` requires of a run with this synthesizer."""
    fields = SYNTHESES[synthesis].model_fields
    return {
        path: value
        for path, value in ESCAPE_REQUIREMENTS.get(escape, {}).items()
        if not path.startswith("synthesis.") or path.removeprefix("synthesis.") in fields
    }


def _default(path: str, synthesis: str) -> Any:
    """The default of a setting of a group."""
    group, name = path.split(".")
    groups: dict[str, Spec] = {"split": SplitSpec(), "escape": EscapeSpec(), "synthesis": SYNTHESES[synthesis]()}
    return getattr(groups[group], name)


NAYER_EPOCHS = 220  # of the published run that NAYERSpec's warm-up is for

THRESHOLD_AT = re.compile(r"([1-9][0-9]{0,6})\.([1-9][0-9]{0,6}):threshold=([^:\s]+)")


def threshold_at(epoch: int, round_: int, threshold: float) -> str:
    """The entry of ``RunSpec.threshold_changes`` for this threshold from this round on."""
    return f"{epoch}.{round_}:threshold={threshold!r}"


class RunSpec(JobSpec):
    """One distillation run. Same spec, same kind of device, same build of PyTorch: same numbers."""

    teacher: str = Field(min_length=1, max_length=200, description="Name of the teacher, as in the list of teachers")
    seed: int = setting(0, "Seed of everything random in the run", ge=0, lt=2**31)
    device: Literal["auto", "cpu", "cuda", "mps"] = setting("auto", "auto takes CUDA, then Apple MPS, then CPU")
    threads: int = setting(1, "Threads on the CPU; the last digits of the numbers depend on it", ge=1, le=256)
    student: str = setting("small", "Architecture of the student", min_length=1, max_length=100)
    epochs: int = setting(
        6,
        "Epochs; the accuracy is measured after each",
        {"dfq": 200, "cmi": 200, "nayer": (120, 220, 320)},
        ge=1,
        le=100_000,
    )
    rounds: int = setting(
        40,
        "Rounds an epoch: generator steps, then student steps",
        {"dfq": 40, "cmi": 1, "nayer": 1},
        ge=1,
        le=1_000_000,
    )
    student_steps: int = setting(5, "Student steps a round", {"dfq": 10, "cmi": 400, "nayer": 400}, ge=1, le=10_000)
    batch_size: int = setting(
        96,
        "Images a step of the student, and of DFQ's generator",
        {"dfq": 256, "cmi": 128, "nayer": 512},
        ge=2,
        le=65_536,
    )
    lr: float = setting(
        0.1,
        "Student learning rate (SGD, momentum 0.9, cosine to 0 by step; published: by epoch, NAYER's to 0.0002)",
        {"dfq": 0.1, "cmi": 0.1, "nayer": 0.2},
        gt=0,
        le=10,
    )
    weight_decay: float = setting(1e-4, "Student weight decay", 1e-4, ge=0, le=1)
    temperature: float = setting(
        1.0,
        "Temperature of the distillation loss, which is multiplied by its square. DFQ's public code reads 20 and then "
        "computes with 1",
        {"dfq": 1.0, "cmi": 20.0, "nayer": 20.0},
        gt=0,
        le=1000,
    )
    snapshot_images: int = setting(256, "Synthetic images kept, with scores, after each epoch", ge=8, le=20_000)
    synthesis: SynthesisSpec = DFQSpec()
    split: SplitSpec = SplitSpec()
    escape: EscapeSpec = EscapeSpec()
    threshold_changes: tuple[str, ...] = setting(
        (),
        "Thresholds set by hand, each from a round on: EPOCH.ROUND:threshold=VALUE; inf: one group. The app writes "
        "here what was moved while a run went on",
        max_length=1000,
    )
    preset: str = setting("custom", "The preset these settings started from", max_length=40)

    @field_validator("threshold_changes")
    @classmethod
    def _check_changes(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        for entry in entries:
            _read_change(entry)
        return entries

    @model_validator(mode="after")
    def _check_warmups(self, info: ValidationInfo) -> Self:
        if info.context and info.context["stored"]:
            return self
        warmups: dict[str, tuple[int, str]] = {}
        if self.escape.splits or self.escape.kind == "twin":
            warmups["escape"] = self.escape.warmup_epochs, self.escape.kind
        if isinstance(self.synthesis, NAYERSpec):
            warmups["synthesis"] = self.synthesis.warmup_epochs, "its adversarial term"
        for group, (warmup, begins) in warmups.items():
            if warmup >= self.epochs:
                raise PydanticCustomError(
                    "warmup",
                    "{group}.warmup_epochs: {warmup}: expected fewer than epochs ({epochs}), as {begins} would never "
                    "begin",
                    {"group": group, "warmup": warmup, "epochs": self.epochs, "begins": begins},
                )
        return self

    @model_validator(mode="after")
    def _check_changes_happen(self, info: ValidationInfo) -> Self:
        if info.context and info.context["stored"]:
            return self
        for when, value in self.thresholds_by_hand.items():
            if not self._has_round(when):
                raise PydanticCustomError(
                    "threshold_change",
                    "threshold_changes: {entry}: expected a round of the run, 1.1 to {epochs}.{rounds}, as it would "
                    "never happen",
                    {"entry": threshold_at(*when, value), "epochs": self.epochs, "rounds": self.rounds},
                )
        return self

    def _has_round(self, when: tuple[int, int]) -> bool:
        return when[0] <= self.epochs and when[1] <= self.rounds

    @property
    def thresholds_by_hand(self) -> dict[tuple[int, int], float]:
        """``threshold_changes`` as (epoch, round) -> threshold."""
        return dict(map(_read_change, self.threshold_changes))

    def with_thresholds(self, changes: dict[tuple[int, int], float]) -> Self:
        """A copy with these thresholds, by (epoch, round), instead of its own ``threshold_changes``."""
        entries = tuple(threshold_at(epoch, round_, value) for (epoch, round_), value in sorted(changes.items()))
        return self.model_copy(update={"threshold_changes": entries})

    @property
    def variants(self) -> tuple[str, ...]:
        """The escape before the synthesizer: TA-DFKD has its own published values for the generator."""
        return self.escape.kind, self.synthesis.kind

    def warnings(self) -> list[str]:
        """A sentence on each threshold that is off the scale of its score: allowed, but probably a mistake."""
        if not self.escape.splits:
            return []
        named = {"split.threshold": self.split.threshold}
        named |= {threshold_at(*when, value): value for when, value in self.thresholds_by_hand.items()}
        found = [self.split.warning(value, name) for name, value in named.items() if not isinstance(value, str)]
        return [warning for warning in found if warning]

    def sparse(self) -> dict[str, Any]:
        """The fields that differ from their defaults."""
        values = super().sparse()
        if (
            self.synthesis.kind != "dfq"
        ):  # ``kind`` has the default of its class, so it was left out; but without it, the values mean DFQ
            values["synthesis"]["kind"] = self.synthesis.kind
        return values

    def replaced(self, changes: dict[str, Any]) -> Self:
        """A copy with dotted fields set, validated again; see ``JobSpec.replaced``.

        Another ``synthesis.kind`` starts from its defaults, without settings of the former kind. Another
        ``escape.kind`` also sets the settings that ``ESCAPE_REQUIREMENTS`` lists for it, and gives those of the former
        kind their defaults. Fewer ``epochs`` shorten the warm-ups in proportion, see ``_scaled``; changes of the
        threshold in rounds that the run no longer has are left out.
        """
        kind = changes.get("synthesis.kind", self.synthesis.kind)
        if kind not in tuple(SYNTHESES):
            raise SpecError(f"synthesis.kind: {_shown(kind)}: expected one of {', '.join(SYNTHESES)}")
        escape = changes.get("escape.kind", self.escape.kind)
        required = _required(escape, kind)
        if escape != self.escape.kind:
            required = {path: _default(path, kind) for path in _required(self.escape.kind, kind)} | required
        else:  # what it requires was set with it, except in a new synthesizer's defaults
            required = {path: value for path, value in required.items() if path.startswith("synthesis.")}
        if escape != self.escape.kind or kind != self.synthesis.kind:
            changes = required | changes
        changes = self._fitted(kind, changes) | changes
        if kind != self.synthesis.kind:
            changes = {"synthesis": SYNTHESES[kind]().model_dump()} | changes
        return super().replaced(changes)

    def _fitted(self, synthesis: str, changes: dict[str, Any]) -> dict[str, Any]:
        """Warm-ups and changes of the threshold for a run of as many epochs and rounds as ``changes`` say."""
        length = {name: changes.get(name, getattr(self, name)) for name in ("epochs", "rounds")}
        if not all(isinstance(value, int) and value > 0 for value in length.values()):
            return {}  # which is refused later
        epochs = length["epochs"]
        fitted: dict[str, Any] = {"escape.warmup_epochs": _scaled(self.escape.warmup_epochs, epochs, self.epochs)}
        if synthesis == "nayer":
            if isinstance(self.synthesis, NAYERSpec):
                warmup = _scaled(self.synthesis.warmup_epochs, epochs, self.epochs)
            else:
                warmup = _scaled(NAYERSpec().warmup_epochs, epochs, NAYER_EPOCHS)
            fitted["synthesis.warmup_epochs"] = warmup
        if self.threshold_changes:
            shorter = self.model_copy(update=length)
            left = {when: value for when, value in self.thresholds_by_hand.items() if shorter._has_round(when)}
            fitted["threshold_changes"] = self.with_thresholds(left).threshold_changes
        return fitted


def _scaled(warmup: int, epochs: int, of: int) -> int:
    """The warm-up of a run of ``of`` epochs for one of ``epochs``: shorter in proportion, never longer.

    At least one epoch is left of it if the run has two, and at least one for what begins after it.
    """
    if epochs >= of or not warmup:
        return warmup
    return min(max(1, round(warmup * epochs / of)), epochs - 1)


def _read_change(entry: str) -> tuple[tuple[int, int], float]:
    """((epoch, round), threshold) of an entry of ``threshold_changes``."""
    match = THRESHOLD_AT.fullmatch(entry)
    try:
        threshold = float(match[3]) if match else math.nan
    except ValueError:
        threshold = math.nan
    if match is None or math.isnan(threshold) or threshold == -math.inf:
        raise PydanticCustomError(
            "threshold_change",
            "{entry}: expected EPOCH.ROUND:threshold=VALUE, as in 3.1:threshold=9.5",
            {"entry": entry[:80]},
        )
    return (int(match[1]), int(match[2])), threshold
