"""Pairs: the table of named pairs, the choice of a pair or a new one, and sample images of both sides."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from atesc_core.domains import DOMAINS, PAIRS, PAPER, TRIGGER_NAMES, Pair, domain_classes, make_pair, pair_warnings
from atesc_core.errors import DomainError
from atesc_core.vocabulary import METRIC_MEANINGS, METRIC_NAMES, SETTING_DESCRIPTIONS, SETTING_METRIC, SETTING_NAMES
from pages.shared.data.domains import pair_samples, usable_domains
from pages.shared.state import url
from pages.shared.ui import elements
from pages.shared.ui.gallery import gallery
from pages.shared.ui.pair_picker import missing_downloads

ROLES: tuple[elements.Role, elements.Role] = ("id", "ood")
OWN = "own"  # option: a pair of the user's own


def preset_table() -> None:
    """Draw a table of the named pairs."""
    with elements.card("Named pairs", "the paper's, and those of this lab that need no download"):
        st.dataframe(
            pd.DataFrame([_row(pair) for pair in PAIRS.values()]), hide_index=True, height="content", key="named pairs"
        )


def _row(pair: Pair) -> dict[str, str]:
    ood = f"{pair.ood} + {pair.trigger}" if pair.trigger else pair.ood
    label = "" if pair.target is None else DOMAINS[pair.id].classes[pair.target]
    return {
        "pair": pair.name,
        "setting": SETTING_NAMES[pair.setting].capitalize(),
        "ID": pair.id,
        "OOD": ood,
        "OOD goes to": label,
        "measured by": METRIC_NAMES[pair.metric],
        "from": "paper" if pair.name in PAPER else "this lab",
        "to download": missing_downloads(pair) or "nothing",
    }


def pair_view() -> None:
    """Draw the choice of a pair, sample images of both sides, and the pair's name."""
    with elements.card("A pair", "an ID and an OOD domain, and what a teacher must do on OOD"):
        left, right = st.columns([2, 3], gap="medium")
        with left:
            pair = _choose_pair()
        with right:
            if pair and pair.missing:
                elements.problem(
                    f"{pair.name} cannot be used yet.",
                    f"To download: {missing_downloads(pair)}.",
                    "Press Download above, or make a pair of domains that are here.",
                )
            elif pair:
                _pair_card(pair)


def _choose_pair() -> Pair | None:
    """Draw the choice of a named pair or of two domains; return the pair, or None if it is not valid."""
    options = [OWN, *PAIRS]
    chosen = st.selectbox(
        "Pair",
        options,
        key="named",
        bind="query-params",
        format_func=lambda name: "one of my own" if name == OWN else name,
    )
    if chosen != OWN:
        elements.caption(_setting_text(PAIRS[chosen].setting))
        return PAIRS[chosen]
    setting = st.segmented_control(
        "Setting",
        list(SETTING_NAMES),
        required=True,
        format_func=lambda name: SETTING_NAMES[name].capitalize(),
        **url.bind_choice("setting", SETTING_NAMES, key="setting of a pair"),
    )
    elements.caption(_setting_text(setting))
    names = usable_domains()
    id_name = st.selectbox("ID domain", names, **_bind_to_link("id", names, "mnistm"))
    if setting == "backdoor":
        triggers = list(TRIGGER_NAMES)
        ood = st.selectbox("Trigger", triggers, **_bind_to_link("trigger", triggers, triggers[0]))
    else:
        others = [name for name in names if name != id_name]
        ood = st.selectbox(
            "OOD domain", others, **_bind_to_link("ood", others, "mnist" if "mnist" in others else others[0])
        )
    try:
        target = [] if setting == "close" else [_choose_target(id_name)]
        return make_pair(setting, id_name, ood, *target)
    except DomainError as error:
        elements.problem("This is no pair.", f"{error}.", "Change a domain or the setting.")
        return None


def _setting_text(setting: str) -> str:
    """Sentences that describe a setting and its metric."""
    metric = SETTING_METRIC[setting]
    return f"{SETTING_DESCRIPTIONS[setting]} Measured by {METRIC_NAMES[metric]}: per cent {METRIC_MEANINGS[metric]}."


def _choose_target(id_name: str) -> int:
    """Draw the choice of the label that OOD images shall get; return the label."""
    classes = domain_classes(id_name)
    target: int = st.selectbox(
        "OOD goes to class",
        range(len(classes)),
        format_func=classes.__getitem__,
        **_bind_to_link("target", range(len(classes)), 0, f"target in {id_name}"),
    )
    return target


def _bind_to_link(name: str, options: Sequence[Any], default: Any, key: str = "") -> dict[str, Any]:
    """Arguments of a select box for one part of the pair, whose value is in the link."""
    key = key or f"{name} of a pair"
    return url.bind_widget(name, url.read_choice(name, options, default), key=key, default=default, options=options)


def _pair_card(pair: Pair) -> None:
    """Draw sample images of both sides, the pair's name, and a link to load a teacher."""
    try:
        samples = pair_samples(pair)
    except DomainError as error:
        elements.problem("This pair cannot be shown.", f"{error}.", "Choose another.")
        return
    ood = f"{pair.ood} with {pair.trigger}" if pair.trigger else pair.ood
    for role, domain, images in zip(ROLES, (pair.id, ood), samples, strict=True):
        elements.row(elements.swatch(role), elements.muted(f"{domain}, a test image a class"))
        gallery(
            images, columns=5 if pair.trigger else 10, roles=[role] * len(images)
        )  # larger images, because a trigger is small
    for warning in pair_warnings(pair):
        elements.notice("warning", f"{warning}.", icon=":material/help:")
    elements.label("Its name, for the page Teachers and for --pair")
    st.code(pair.name, language=None, wrap_lines=True)
    st.code(
        f"atesc teachers add WEIGHTS NAME --kind NTL --pair {shlex.quote(pair.name)}", language="bash", wrap_lines=True
    )
    elements.page_button(
        "teachers/page.py",
        "Load a teacher of this pair",
        primary=True,
        icon=":material/upload_file:",
        query_params={"pair": pair.name},
    )
