"""The figure and the table of a study's results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from atesc_core.figures.evidence import evidence
from atesc_core.vocabulary import SETTING_NAMES, SYNTHESIZER_NAMES
from pages.shared.ui import appearance, elements
from pages.shared.ui.chart import chart

if TYPE_CHECKING:
    import pandas as pd

STUDIES = ("offline", "paper")
KINDS = ("NTL", "SL")
ALL = "all"


@dataclass(frozen=True)
class Choice:
    """The part of a study to show; ``setting`` and ``kind`` may be ``all``."""

    study: str
    synthesizer: str
    setting: str
    kind: str

    def select(self, runs: pd.DataFrame) -> pd.DataFrame:
        """The runs of this part."""
        values = {"synthesizer": self.synthesizer, "setting": self.setting, "kind": self.kind}
        for column, value in values.items():
            if value != ALL:
                runs = runs[runs[column] == value]
        return runs


def run_count() -> int:
    """Number of finished runs in all studies."""
    return _read(*_file())[0]


def available_studies() -> list[str]:
    """Names of the studies with a finished run; ``offline`` if there is none."""
    runs = _read(*_file())[1]
    return [name for name in STUDIES if runs[name]["iacc"].notna().any()] or ["offline"]


def choose(studies: list[str]) -> Choice:
    """Draw the controls, and return the user's choice."""
    study = studies[0]
    if len(studies) > 1:
        study = st.segmented_control(
            "Pairs",
            studies,
            default=study,
            required=True,
            key="study",
            bind="query-params",
            help="offline: the shipped teachers, quick preset; paper: the paper's pairs, full preset.",
        )
    synthesizer = st.segmented_control(
        "Synthesizer",
        list(SYNTHESIZER_NAMES),
        default="dfq",
        required=True,
        format_func=lambda name: SYNTHESIZER_NAMES.get(name, name),
        key="synthesizer",
        bind="query-params",
    )
    setting = st.segmented_control(
        "Setting",
        [ALL, *SETTING_NAMES],
        default=ALL,
        required=True,
        key="setting",
        format_func=lambda name: SETTING_NAMES.get(name, name),
        bind="query-params",
    )
    kind = st.segmented_control(
        "Teacher", [ALL, *KINDS], default=ALL, required=True, key="teacher", bind="query-params"
    )
    # An empty parameter of a link is a widget without a value.
    return Choice(study, synthesizer or "dfq", setting or ALL, kind or ALL)


def evidence_view(choice: Choice) -> None:
    """Draw the figure and the table."""
    from atesc_core.study import summary, summary_table

    _, frames, provenance = _read(*_file())
    runs = choice.select(frames[choice.study])
    finished = int(runs["iacc"].notna().sum())
    note = f"{finished} of {len(runs)} runs · last epoch · mean ± sd over seeds"
    with elements.card(SYNTHESIZER_NAMES[choice.synthesizer], note):
        if finished:
            chart(
                evidence(runs, appearance.mode()),
                key="evidence",
                revision=str(choice),
                height=380,
                label=f"IAcc and the OOD metric by form, {SYNTHESIZER_NAMES[choice.synthesizer]}",
            )
        else:
            elements.caption(f"Not run yet. In a terminal: atesc study {choice.study}")
    texts = summary_table(summary(runs)).drop(columns="synthesizer")
    st.dataframe(
        texts[[*texts.columns.drop("pair"), "pair"]],
        hide_index=True,
        height="content",
        column_config={
            name: st.column_config.TextColumn(width=170) for name in map(str, texts.columns) if "against" in name
        },
    )
    elements.caption(
        "Against plain: mean difference on the same seeds, with the p of a two-sided paired t-test over n "
        "seeds; no test with fewer than three. So few seeds make p a guide, and it is not corrected for the "
        "number of comparisons."
    )
    elements.caption(f"All rows: {provenance}")


def _file() -> tuple[str, int]:
    """Path of the file with the rows, and its modification time in ns (0 without a file)."""
    from atesc_core.study import rows

    return str(rows.ROWS), rows.ROWS.stat().st_mtime_ns if rows.ROWS.exists() else 0


@st.cache_data(max_entries=2, show_spinner="Reading the rows …")
def _read(file: str, modified: int) -> tuple[int, dict[str, pd.DataFrame], str]:
    """Number of finished runs, the results table of each study, and a sentence on devices and versions."""
    from pathlib import Path

    from atesc_core.study import plan, provenance_sentence, read_rows, results

    rows = read_rows(Path(file))
    frames = {name: results(plan.STUDIES[name].plan(plan.STUDIES[name].seeds), rows) for name in STUDIES}
    return len(rows), frames, provenance_sentence(list(rows.values()))
