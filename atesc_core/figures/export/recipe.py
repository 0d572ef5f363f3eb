"""A figure, described: what is drawn of which run, and how it is printed. It round-trips to YAML."""

from __future__ import annotations

import shlex
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from atesc_core.errors import SpecError
from atesc_core.figures import theme
from atesc_core.figures.export.files import DPI_RANGE, FORMATS, Format, file_stem
from atesc_core.figures.export.venues import VENUES
from atesc_core.specs.base import Spec, parse, setting
from atesc_core.specs.command import LAB

# The figures of a run, and what each leaves open: names of Panel's fields.
PANEL_OPTIONS: dict[str, tuple[str, ...]] = {
    "accuracy": ("against",),
    "losses_generator": (),
    "losses_student": (),
    "fragile_share": (),
    "scores": ("epoch", "score", "threshold", "real"),
    "class_sides": ("epoch", "score", "threshold"),
    "contact_sheet": ("epoch", "score", "threshold"),
    "embedding": ("epoch", "score", "threshold", "method", "colour", "ground"),
    "drift": ("against",),
    "robust_share": (),
    "roc": ("epoch", "score"),
    "per_class": (),
    "confusion": ("domain",),
}


class Panel(Spec):
    """One figure of a run. A field that the figure does not take must keep its default."""

    figure: str = Field(description=f"What is drawn: {', '.join(PANEL_OPTIONS)}")
    run: str = Field(min_length=1, max_length=40, description="Id of the run")
    label: str = setting("", "What stands beside the panel's letter", "lab", max_length=80)
    epoch: int | None = setting(None, "Epoch of the synthetic images; the last one kept, unless named", "lab", ge=1)
    score: str | None = setting(
        None, "Which of the scores that the run keeps; its own, unless named", "lab", max_length=40
    )
    threshold: float | None = setting(
        None,
        "Line between fragile and robust; unless named the one in force at the end "
        "of that epoch, and for a score that is not the run's Otsu's threshold",
        "lab",
    )
    real: bool = setting(False, "Outlines of real test images; the teacher is measured for them once", "lab")
    against: tuple[str, ...] = setting((), "Ids of runs to draw beside it", "lab", max_length=20)
    domain: Literal["id", "ood"] = setting("id", "Which test images", "lab")
    method: Literal["PCA", "UMAP"] = setting("PCA", "PCA is there at once, UMAP takes a minute, once a teacher", "lab")
    colour: Literal["group", "score", "class", "domain"] = setting("group", "What colours synthetic images", "lab")
    ground: Literal["density", "points"] = setting("density", "How real images are drawn", "lab")

    @field_validator("figure")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in PANEL_OPTIONS:
            raise PydanticCustomError("figure", "expected one of {names}", {"names": ", ".join(PANEL_OPTIONS)})
        return name

    @field_validator("epoch", "score", "threshold", "real", "against", "domain", "method", "colour", "ground")
    @classmethod
    def _taken(cls, value: Any, info: ValidationInfo) -> Any:
        figure = info.data.get("figure")
        if (
            figure in PANEL_OPTIONS
            and info.field_name not in PANEL_OPTIONS[figure]
            and value != cls.model_fields[info.field_name].default
        ):
            raise PydanticCustomError(
                "option",
                "the figure {figure} takes no {name}; expected {options}",
                {"figure": figure, "name": info.field_name, "options": ", ".join(PANEL_OPTIONS[figure]) or "no option"},
            )
        return value


class PrintLayout(Spec):
    """How it is printed."""

    venue: Literal["icml", "neurips", "cvpr", "ieee"] = setting("icml", "Whose columns it must fit", "lab")
    columns: Literal[1, 2] = setting(1, "As wide as one column, or as the page", "lab")
    font: Literal["sans", "serif"] = setting("sans", "Arimo, as wide as Arial, or Tinos, as wide as Times", "lab")
    font_pt: float = setting(theme.PRINT_FONT_PT, "Size of all text in points on paper", "lab", ge=4, le=24)
    height_in: float | None = setting(
        None, "Height in inches; the figure's own proportions, unless named", "lab", gt=0, le=11
    )
    dpi: int = setting(300, "Pixels to the inch, for PNG", "lab", ge=DPI_RANGE[0], le=DPI_RANGE[1])

    @property
    def width_in(self) -> float:
        return VENUES[self.venue].width(self.columns)

    @property
    def sheet_in(self) -> float:
        """The width of the venue's text."""
        return VENUES[self.venue].two

    def layout(self) -> dict[str, Any]:
        """As the export takes it, but for the pixels."""
        return self.model_dump(exclude={"dpi"})


class Recipe(Spec):
    """A figure that can be made again: its panels and its paper."""

    panels: tuple[Panel, ...] = Field(min_length=1, max_length=12, description="One, or several with a letter each")
    across: int = setting(2, "Panels in a row", "lab", ge=1, le=6)
    paper: PrintLayout = PrintLayout()
    formats: tuple[Format, ...] = setting(FORMATS, "Files to write, beside data (CSV) and origin (YAML)", "lab")

    @property
    def stem(self) -> str:
        """What its files are called: ``accuracy-abcd2345``."""
        names = dict.fromkeys(panel.figure for panel in self.panels)
        runs = dict.fromkeys(panel.run for panel in self.panels)
        return file_stem("-".join([*names, *runs]))[:120]

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(panel.label for panel in self.panels)

    def to_yaml(self) -> str:
        """Only what differs from the defaults."""
        return yaml.safe_dump(self.sparse(), sort_keys=False, allow_unicode=True)

    @classmethod
    def from_yaml(cls, text: str) -> Recipe:
        """Raises SpecError where the text is no recipe."""
        try:
            values = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise SpecError(f"recipe: not YAML ({' '.join(str(error).split())})") from None
        return parse(cls, values)

    @property
    def needs_file(self) -> bool:
        """Whether no command says it all: two panels take one option at two values."""
        return any(len(values) > 1 for values in self._options().values())

    def command(self, out: str | None = None) -> str:
        """What to type to get it: by options where they can say it, else from the recipe's file."""
        if self.needs_file:
            return shlex.join([*LAB, "figure", f"{self.stem}.recipe.yaml", "--out", out or "."])
        first = self.panels[0]
        words = [*LAB, "figure", first.figure if len(self.panels) == 1 else "panels", "--run", first.run]
        if len(self.panels) > 1:
            for panel in self.panels:
                words += ["--of", panel.figure + f"@{panel.run}" * (panel.run != first.run)]
            for label in self.labels if any(self.labels) else ():
                words += ["--label", label]
            words += _option_words("across", self.across)
        usual = Panel.model_fields
        options = {name: value for name, [value] in self._options().items() if value != usual[name].default}
        options |= {"venue": self.paper.venue, "columns": self.paper.columns}
        options |= self.paper.model_dump(exclude_defaults=True)
        for name, value in options.items():
            words += _option_words(name, value)
        return shlex.join([*words, "--out", out or f"{self.stem}.pdf"])

    def _options(self) -> dict[str, list[Any]]:
        """Option -> the values, each once, that panels have whose figures take it."""
        found: dict[str, list[Any]] = {}
        for panel in self.panels:
            for name in PANEL_OPTIONS[panel.figure]:
                if (value := getattr(panel, name)) not in found.setdefault(name, []):
                    found[name].append(value)
        return found


def _option_words(name: str, value: Any) -> list[str]:
    dashed = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{'' if value else 'no-'}{dashed}"]
    values = value if isinstance(value, tuple) else (value,)
    return [word for one in values for word in (f"--{dashed}", str(one).removesuffix(".0"))]
