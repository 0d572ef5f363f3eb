"""The list of teachers as cards, and the view of one teacher."""

from __future__ import annotations

import streamlit as st

from atesc_core import figures
from atesc_core.errors import DomainError, StoreError, TeacherError
from atesc_core.figures.run_data import class_accuracies, robust_curves
from atesc_core.specs.run import SplitSpec
from atesc_core.teachers import TeacherCard
from atesc_core.teachers.batchnorm import BatchNormReport
from atesc_core.teachers.report import PREMISE_GAP, Report
from atesc_core.vocabulary import METRIC_MEANINGS, METRIC_NAMES, METRIC_ROLES, SETTING_DESCRIPTIONS, SETTING_NAMES
from pages.shared.data.domains import first_test_images
from pages.shared.data.reports import measuring, teacher_report
from pages.shared.data.store import run_store
from pages.shared.data.teachers import architecture, forget_cards, is_own
from pages.shared.state import url
from pages.shared.state.visitor import may_change
from pages.shared.ui import appearance, elements, formats
from pages.shared.ui.actions import action_button
from pages.shared.ui.batchnorm import FAR_DOTS, NO_BATCHNORM, real_images, with_reports
from pages.shared.ui.chart import chart
from pages.shared.ui.gallery import gallery

SPLIT = SplitSpec()  # settings of the attack on real validation images: the defaults of a run
IMAGES = 16  # images of each domain in the view of one teacher
ROLES: tuple[elements.Role, elements.Role] = ("id", "ood")
LIST_IMAGES = 6  # images of each domain in the list of teachers
BATCHNORM_MEANING = (
    "A synthesizer's $R_{BN}$ asks for images with the teacher's running statistics. Where these are half ID and "
    "half OOD, it asks for images halfway out of the domain."
)


# ── list of teachers ───────────────────────────────────────────────────────────────────────────────────────


def teacher_list(known: dict[str, TeacherCard]) -> None:
    """Draw a card for each teacher, one column per setting."""
    ordered = sorted(known.values(), key=lambda card: (card.image_side, card.kind != "SL", card.name))
    columns = {
        setting: cards_of_setting
        for setting in reversed(SETTING_NAMES)
        if (cards_of_setting := [card for card in ordered if card.setting == setting])
    }
    with st.container(key="shelf"):
        for (setting, of_setting), column in zip(columns.items(), st.columns(len(columns), gap="medium"), strict=True):
            with column:
                st.subheader(SETTING_NAMES[setting].capitalize(), anchor=False)
                elements.caption(SETTING_DESCRIPTIONS[setting])
                _sample_images(of_setting[0].pair, of_setting[0].image_side)
                for card in of_setting:
                    _card(card)


def _card(card: TeacherCard) -> None:
    with elements.card():
        elements.row(elements.bold(card.name), elements.chip(card.kind, card.kind))
        elements.tiles(*_accuracies(card))
        elements.caption(f"{card.arch} · {formats.count(card.parameters)} parameters · {card.image_side} px")
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.button(
                "Open", icon=":material/visibility:", key=f"open {card.name}", on_click=_open_teacher, args=(card.name,)
            )
            st.page_link(
                "distill/page.py", label="Distil", icon=":material/experiment:", query_params={"teacher": card.name}
            )


def _accuracies(card: TeacherCard) -> list[elements.Html]:
    tiles = []
    for metric, value in card.metrics.items():
        side = METRIC_ROLES[metric]
        tiles.append(
            elements.tile(
                "ID" if metric == "iacc" else METRIC_NAMES[metric],
                formats.per_cent(value),
                "%",
                role=side,
                measured_on=f"of {formats.count(card.test_images[side])} test images",
                help_text=f"Per cent {METRIC_MEANINGS[metric]}",
            )
        )
    return tiles


def _sample_images(pair: str, side: int) -> None:
    """Draw a row of test images of each domain, or why there are none."""
    try:
        of_both = first_test_images(pair, side, LIST_IMAGES)
    except DomainError as error:
        elements.caption(f"No images of {pair}: {error}.")
        return
    for role, images in zip(ROLES, of_both, strict=True):
        gallery(images, columns=LIST_IMAGES, roles=[role] * len(images))


def _open_teacher(name: str | None) -> None:
    url.set_parameter("teacher", name)
    url.set_parameter("spec", None)  # it belongs to the form next to the list


# ── one teacher ──────────────────────────────────────────────────────────────────────────────────────────


def teacher_view(card: TeacherCard, known: dict[str, TeacherCard]) -> None:
    """Draw the view of one teacher: numbers, images, robustness, confusions, and how it was trained."""
    title, back, other, distil = st.columns([5, 1.8, 2, 2.2], vertical_alignment="bottom")
    with title:
        elements.header(card.name)
    back.button("All teachers", icon=":material/arrow_back:", on_click=_open_teacher, args=(None,), width="stretch")
    counterpart = _counterpart(card, known)
    if counterpart:
        other.button(
            f"{counterpart.kind} counterpart",
            icon=":material/compare_arrows:",
            on_click=_open_teacher,
            args=(counterpart.name,),
            width="stretch",
            help=f"{counterpart.name}: same pair, same images, trained the other way",
        )
    with distil:
        elements.page_button(
            "distill/page.py",
            "Distil this teacher",
            primary=True,
            icon=":material/experiment:",
            width="stretch",
            query_params={"teacher": card.name},
        )
    setting = SETTING_NAMES[card.setting].capitalize()
    elements.row(
        elements.teacher_chip(card.kind), elements.bold(setting), elements.muted(SETTING_DESCRIPTIONS[card.setting])
    )

    report = teacher_report(card.name, SPLIT)
    _number_tiles(card, report)
    measuring(card.name, SPLIT, report)
    if report is not None:
        _image_cards(report)
    _batchnorm_card(card, counterpart)
    if report is not None:
        left, right = st.columns(2)
        with left:
            _working_range(report)
        metrics = f"IAcc and {METRIC_NAMES[report.metric]} of real validation images"
        with right, elements.card("By true class", metrics, height="stretch"):
            figure = figures.per_class(class_accuracies(report), appearance.mode(), report.metric)
            chart(figure, f"class {card.name}", height=380)
        _confusions(card, report)
    _provenance(card)
    if is_own(card.name):
        _delete_button(card.name)


def _counterpart(card: TeacherCard, known: dict[str, TeacherCard]) -> TeacherCard | None:
    """The teacher of the other kind with the same pair and image side."""
    return next(
        (
            other
            for other in known.values()
            if other.kind != card.kind and (other.pair, other.image_side) == (card.pair, card.image_side)
        ),
        None,
    )


def _number_tiles(card: TeacherCard, report: Report | None) -> None:
    tiles = _accuracies(card)
    if report is not None and report.attacked:
        epsilon, gap = report.widest_gap()
        images = f"{len(report.id.min_eps)} ID, {len(report.ood.min_eps)} OOD validation images"
        tiles.append(
            elements.tile(
                "AUROC",
                f"{report.auroc('min_eps'):.3f}",
                measured_on=images,
                help_text=("Of min ε as a detector of OOD: how often an OOD image is more robust than an ID image"),
            )
        )
        tiles.append(
            elements.tile(
                "Widest gap",
                f"{gap:.1f}",
                "points",
                measured_on=f"at ε = {epsilon:g}/255 · {images}",
                help_text=("OOD robust share minus ID robust share, where the difference is largest"),
            )
        )
    premise = ""
    if report is not None and report.attacked and card.kind == "NTL":
        premise = _premise(report)
    tiles.append(
        elements.tile("Parameters", formats.count(card.parameters), measured_on=f"{card.arch} · {card.image_side} px")
    )
    elements.tiles(*tiles)
    if premise:
        elements.caption(premise)
    if not architecture(card.arch).batch_norm:
        elements.caption(architecture(card.arch).description)


def _premise(report: Report) -> str:
    """Whether OOD images are more robust than ID images, which splitting by robustness relies on, as a sentence."""
    between = report.premise_range()
    if between is None:
        return (
            "ATEsc's premise does not hold: at no ε are OOD images more robust than ID images by "
            f"{PREMISE_GAP:g} points."
        )
    low, high = between
    span = f"at ε = {low:g}/255" if low == high else f"from ε = {low:g} to {high:g}/255"
    return (
        f"ATEsc's premise holds {span}: OOD images are more robust than ID images, by at least {PREMISE_GAP:g} points."
    )


def _image_cards(report: Report) -> None:
    """Draw validation images of both domains, with the teacher's labels."""
    for domain, column in zip(ROLES, st.columns(2), strict=True):
        title = f"{domain.upper()} validation images"
        side, names = getattr(report, domain), getattr(report, f"{domain}_classes")
        predicted = [report.id_classes[label] for label in side.predicted[:IMAGES]]
        true_classes = [names[label] for label in side.labels[:IMAGES]]
        confidence = side.confidence[:IMAGES]
        titles = [
            f"is {true_class}, given {label}, {100 * probability:.1f} % sure"
            for true_class, label, probability in zip(true_classes, predicted, confidence, strict=True)
        ]
        with (
            column,
            elements.card(title, f"the teacher's label below · the first {len(true_classes)} of {len(side.labels)}"),
        ):
            gallery(
                side.images[:IMAGES], columns=8, roles=[domain] * len(true_classes), captions=predicted, titles=titles
            )


def _batchnorm_card(card: TeacherCard, counterpart: TeacherCard | None) -> None:
    """Draw where the running statistics of the teacher and of its counterpart lie between ID and OOD."""
    shown = {teacher.name: teacher for teacher in (card, counterpart) if teacher}

    def draw(reports: dict[str, BatchNormReport]) -> None:
        if (own := reports.get(card.name)) is None:
            return
        if not own.layers:
            elements.caption(NO_BATCHNORM)
            return
        measured = [(shown[name], report) for name, report in reports.items() if report.layers]
        lines = [
            figures.TeacherLine(teacher.kind, report.layers, report.positions(report.running))
            for teacher, report in measured
        ]
        chart(figures.batchnorm(lines, appearance.mode()), f"batchnorm {card.name}", height=360)
        elements.tiles(*(_position_tile(teacher, report) for teacher, report in measured))
        st.markdown(BATCHNORM_MEANING)
        elements.caption(f"Real images: {real_images(own.id_images, own.ood_images)}. {FAR_DOTS}")

    with elements.card(figures.title("batchnorm"), "running mean and variance of each layer"):
        with_reports(f"batchnorm of {card.name}", list(shown), draw)


def _position_tile(card: TeacherCard, report: BatchNormReport) -> elements.Html:
    mean = report.positions(report.running).mean
    return elements.tile(
        f"{card.kind} teacher, last layer",
        figures.format_position(mean[-1]),
        role=card.kind,
        measured_on=f"0 is ID, 1 is OOD · {len(report.layers)} layers",
        help_text="Position of the running mean of the last BatchNorm layer between real ID and OOD images",
    )


def _working_range(report: Report) -> None:
    with elements.card("Robust share against ε", f"PGD, {SPLIT.steps} steps", height="stretch"):
        if not report.attacked:
            elements.caption("Comes with the measurement above.")
            return
        epsilon, _ = report.widest_gap()
        images = {"id": len(report.id.min_eps), "ood": len(report.ood.min_eps)}
        figure = figures.robust_share(
            robust_curves(report), appearance.mode(), report.auroc("min_eps"), epsilon, images
        )
        chart(figure, "robust share", height=340)
        elements.caption(
            f"A threshold works where the curves part: widest at ε = {epsilon:g}/255. First {images['id']} ID "
            f"and {images['ood']} OOD validation images."
        )


def _confusions(card: TeacherCard, report: Report) -> None:
    for domain, column in zip(("id", "ood"), st.columns(2), strict=True):
        images = formats.measured_on(f"{domain.upper()} validation", len(getattr(report, domain).labels))
        with column, elements.card(f"Confusion on {domain.upper()}", images):
            figure = figures.confusion(
                report.confusion(domain),
                appearance.mode(),
                rows=getattr(report, f"{domain}_classes"),
                columns=report.id_classes,
                domain=domain,
            )
            chart(figure, f"confusion {domain} {card.name}", height=400)


def _provenance(card: TeacherCard) -> None:
    with elements.hidden_when_presenting("made"), st.expander("How it was made", icon=":material/construction:"):
        if card.recipe is None:
            elements.caption("A file of your own: it did not say how it was trained.")
            return
        if card.command:
            st.code(card.command, language="bash")
        st.code("\n".join(f"{name}: {value}" for name, value in card.recipe.model_dump().items()), language="yaml")


def _delete_button(name: str) -> None:
    """Draw a button that deletes a teacher that was loaded or trained here, or why it cannot be deleted."""
    runs = len(run_store().runs_of_teacher(name))
    with (
        elements.hidden_when_presenting("delete"),
        st.popover("Delete", icon=":material/delete:", disabled=not may_change()),
    ):
        if runs:
            uses, those = ("run uses", "it") if runs == 1 else ("runs use", "those")
            elements.caption(f"{formats.count(runs)} {uses} this teacher. Delete {those} first, on Storage.")
        else:
            elements.caption("Its card and its weights. This cannot be undone.")
        action_button(
            "Delete for good", type="primary", disabled=bool(runs), key=f"delete {name}", on_click=_delete, args=(name,)
        )
    deletion_problem()


def deletion_problem() -> None:
    """Draw why the last deletion failed, or what it left; nothing if all went well."""
    if problem := st.session_state.pop("teacher not deleted", None):
        elements.notice("error", problem, icon=":material/error:")


def _delete(name: str) -> None:
    try:
        run_store().delete_teacher(name)
    except (TeacherError, StoreError) as error:  # a run of it began meanwhile, or another visitor deleted it
        st.session_state["teacher not deleted"] = f"{error}."
        forget_cards()  # it may be gone
        return
    forget_cards()
    _open_teacher(None)
