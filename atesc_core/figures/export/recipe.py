"""The description of a figure: its panels, their runs, and its print layout. It round-trips to YAML."""

from __future__ import annotations

import shlex
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from atesc_core.figures import theme
from atesc_core.figures.export.files import DPI_RANGE, FORMATS, Format, file_stem
from atesc_core.figures.export.venues import VENUES, FontName, VenueName
from atesc_core.specs.base import Spec, parse, setting
from atesc_core.specs.command import PROGRAM
from atesc_core.specs.text import parse_yaml

# The figures of a run, and the fields of Panel that each takes.
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
    "per_class": ("network",),
    "confusion": ("network", "domain"),
    "recalls": ("against",),
    "batchnorm": ("against",),
    "batchnorm_epochs": (),
}


class Panel(Spec):
    """One figure of a run. A field that the figure does not use must have its default."""

    figure: str = Field(description=f"What is drawn: {', '.join(PANEL_OPTIONS)}")
    run: str = Field(min_length=1, max_length=40, description="Id of the run")
    label: str = setting("", "What stands beside the panel's letter", "lab", max_length=80)
    epoch: int | None = setting(None, "Epoch of the synthetic images; the last one kept, unless named", "lab", ge=1)
    score: str | None = setting(
        None, "Which of the scores that the run keeps; its own, unless named", "lab", max_length=40
    )
    threshold: float | None = setting(
        None,
        "Threshold between fragile and robust; unless named the one in force at the end "
        "of that epoch, and for a score that is not the run's Otsu's threshold",
        "lab",
    )
    real: bool = setting(False, "Outlines of real validation images; the teacher is measured for them once", "lab")
    against: tuple[str, ...] = setting((), "Ids of runs to draw beside it", "lab", max_length=20)
    domain: Literal["id", "ood"] = setting("id", "Which validation images", "lab")
    network: Literal["student", "teacher"] = setting(
        "student", "Whose labels: those of the run's last student, or of its teacher", "lab"
    )
    method: Literal["PCA", "UMAP"] = setting("PCA", "PCA is there at once, UMAP takes a minute, once a teacher", "lab")
    colour: Literal["group", "score", "class", "domain"] = setting("group", "What colours synthetic images", "lab")
    ground: Literal["density", "points"] = setting("density", "How real images are drawn", "lab")

    @field_validator("figure")
    @classmethod
    def _known_figure(cls, name: str) -> str:
        if name not in PANEL_OPTIONS:
            raise PydanticCustomError("figure", "expected one of {names}", {"names": ", ".join(PANEL_OPTIONS)})
        return name

    @field_validator(
        "epoch", "score", "threshold", "real", "against", "domain", "network", "method", "colour", "ground"
    )
    @classmethod
    def _taken_by_figure(cls, value: Any, info: ValidationInfo) -> Any:
        figure = info.data.get("figure")
        if (
            figure in PANEL_OPTIONS
            and info.field_name not in PANEL_OPTIONS[figure]
            and value != cls.model_fields[str(info.field_name)].default
        ):
            raise PydanticCustomError(
                "option",
                "the figure {figure} takes no {name}; expected {options}",
                {"figure": figure, "name": info.field_name, "options": ", ".join(PANEL_OPTIONS[figure]) or "no option"},
            )
        return value


class PrintLayout(Spec):
    """How a figure is printed."""

    venue: VenueName = setting("icml", "Whose columns it must fit", "lab")
    columns: Literal[1, 2] = setting(1, "As wide as one column, or as the page", "lab")
    font: FontName = setting("sans", "Arimo, as wide as Arial, or Tinos, as wide as Times", "lab")
    font_pt: float = setting(theme.PRINT_FONT_PT, "Size of all text in points on paper", "lab", ge=4, le=24)
    height_in: float | None = setting(
        None, "Height in inches; the figure's own proportions, unless named", "lab", gt=0, le=11
    )
    dpi: int = setting(300, "Pixels to the inch, for PNG", "lab", ge=DPI_RANGE[0], le=DPI_RANGE[1])

    @property
    def width_in(self) -> float:
        """The width of the figure."""
        return VENUES[self.venue].width(self.columns)

    @property
    def text_width_in(self) -> float:
        """The width of the venue's text across the page."""
        return VENUES[self.venue].page_in

    def sheet_options(self) -> dict[str, Any]:
        """The arguments of ``draw_sheet``: all fields but the resolution."""
        return self.model_dump(exclude={"dpi"})


class Recipe(Spec):
    """A figure that can be made again: its panels and its print layout."""

    panels: tuple[Panel, ...] = Field(min_length=1, max_length=12, description="One, or several with a letter each")
    across: int = setting(2, "Panels in a row", "lab", ge=1, le=6)
    layout: PrintLayout = PrintLayout()
    formats: tuple[Format, ...] = setting(FORMATS, "Files to write, beside data (CSV) and origin (YAML)", "lab")

    @property
    def stem(self) -> str:
        """The name of its files without suffix: ``accuracy-abcd2345``."""
        names = dict.fromkeys(panel.figure for panel in self.panels)
        runs = dict.fromkeys(panel.run for panel in self.panels)
        return file_stem("-".join([*names, *runs]))[:120]

    @property
    def labels(self) -> tuple[str, ...]:
        """The texts next to the panels' letters."""
        return tuple(panel.label for panel in self.panels)

    def to_yaml(self) -> str:
        """YAML of the fields that differ from their defaults."""
        return yaml.safe_dump(self.sparse(), sort_keys=False, allow_unicode=True)

    @classmethod
    def from_yaml(cls, text: str) -> Recipe:
        """Read a recipe. Raises SpecError if the text is not a recipe."""
        return parse(cls, parse_yaml(text, "recipe"))

    @property
    def needs_file(self) -> bool:
        """Whether the command needs a recipe file, because two panels have different values of one option."""
        return any(len(values) > 1 for values in self._options().values())

    def command(self, out: str | None = None) -> str:
        """The command that makes the figure: with options if possible, else with the recipe's file."""
        if self.needs_file:
            return shlex.join([PROGRAM, "figure", f"{self.stem}.recipe.yaml", "--out", out or "."])
        first = self.panels[0]
        arguments = [PROGRAM, "figure", first.figure if len(self.panels) == 1 else "panels", "--run", first.run]
        if len(self.panels) > 1:
            for panel in self.panels:
                arguments += ["--of", panel.figure + f"@{panel.run}" * (panel.run != first.run)]
            for label in self.labels if any(self.labels) else ():
                arguments += ["--label", label]
            arguments += _option_arguments("across", self.across)
        fields = Panel.model_fields
        options = {name: value for name, [value] in self._options().items() if value != fields[name].default}
        options |= {"venue": self.layout.venue, "columns": self.layout.columns}
        options |= self.layout.model_dump(exclude_defaults=True)
        for name, value in options.items():
            arguments += _option_arguments(name, value)
        return shlex.join([*arguments, "--out", out or f"{self.stem}.pdf"])

    def _options(self) -> dict[str, list[Any]]:
        """Option -> its different values in the panels whose figures use it."""
        values: dict[str, list[Any]] = {}
        for panel in self.panels:
            for name in PANEL_OPTIONS[panel.figure]:
                if (value := getattr(panel, name)) not in values.setdefault(name, []):
                    values[name].append(value)
        return values


def _option_arguments(name: str, value: Any) -> list[str]:
    dashed = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{'' if value else 'no-'}{dashed}"]
    values = value if isinstance(value, tuple) else (value,)
    return [argument for item in values for argument in (f"--{dashed}", str(item).removesuffix(".0"))]
