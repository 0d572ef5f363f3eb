"""A figure, described: it round-trips, says what is wrong with it, and draws the same data wherever it is read."""

from __future__ import annotations

import io
import shlex

import numpy as np
import pandas as pd
import pytest
import yaml

from atesc_core.cli import figure as command
from atesc_core.domains.loading import load_pair
from atesc_core.errors import FigureNotReadyError, SpecError
from atesc_core.figures import FIGURES, Curve
from atesc_core.figures.export import files
from atesc_core.figures.export.recipe import PANEL_OPTIONS, Panel, PrintLayout, Recipe
from atesc_core.figures.panels import PANEL_BUILDERS
from atesc_core.figures.run_figures import draw_panel, draw_panels, recipe_provenance, write_recipe
from atesc_core.figures.sources import Sources, measuring_sources
from atesc_core.runs.students.files import load_student
from atesc_core.specs.run import RunSpec
from atesc_core.teachers.zoo import load_teacher
from atesc_core.training.evaluation import predict
from atesc_core.version import lab_version

TWO = Recipe(
    panels=(
        Panel(figure="scores", run="abcdefgh", epoch=1, score="margin", threshold=-0.5, label="NTL ‖ SL"),
        Panel(figure="embedding", run="abcdefgh", colour="class", method="PCA"),
    ),
    across=1,
    layout=PrintLayout(venue="ieee", columns=2, font="serif", dpi=600),
    formats=("pdf",),
)


@pytest.fixture
def sources(figures_lab):
    return measuring_sources(figures_lab.store)


def data(panel: Panel, sources) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(files.figure_csv(draw_panel(panel, sources))))


# ── the recipe ────────────────────────────────────────────────────────────────


def test_every_figure_of_a_run_has_its_options_and_its_drawing():
    assert set(PANEL_OPTIONS) == set(PANEL_BUILDERS) <= set(FIGURES)
    assert {name for options in PANEL_OPTIONS.values() for name in options} <= set(Panel.model_fields)


def test_a_recipe_round_trips_and_says_only_what_is_not_usual():
    assert Recipe.from_yaml(TWO.to_yaml()) == TWO
    plain = Recipe(panels=(Panel(figure="accuracy", run="abcdefgh"),))
    assert yaml.safe_load(plain.to_yaml()) == {"panels": [{"figure": "accuracy", "run": "abcdefgh"}]}
    assert Recipe.from_yaml(plain.to_yaml()) == plain


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "panels: [{figure: acuracy, run: abcdefgh}]",
            r"panels\.0\.figure: 'acuracy': expected one of accuracy, losses",
        ),
        (
            "panels: [{figure: accuracy, run: abcdefgh, epoch: 3}]",
            r"panels\.0\.epoch: 3: the figure accuracy takes no "
            "epoch; expected against",
        ),
        ("panels: [{figure: embedding, run: abcdefgh, method: TSNE}]", r"panels\.0\.method: 'TSNE': .*'PCA' or 'UMAP'"),
        ("panels: []", "panels: .*at least 1"),
        ("panels: [{figure: accuracy}]", r"panels\.0\.run: .*required"),
        ("layout: {dpi: 9000}\npanels: [{figure: accuracy, run: abcdefgh}]", r"layout\.dpi: 9000: .*1200"),
        ("panels: [{figure: accuracy, run: abcdefgh}]\nmood: good", "mood: 'good'"),
        ("panels: [", "recipe: not YAML"),
        ("just words", "Recipe: 'just words'"),
    ],
)
def test_what_is_wrong_in_a_recipe_is_named(text, said):
    with pytest.raises(SpecError, match=said):
        Recipe.from_yaml(text)


def test_a_name_from_a_recipe_never_becomes_a_path():
    assert Recipe(panels=(Panel(figure="accuracy", run="../../etc/x"),)).stem == "accuracy-..-..-etc-x"


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(panels=(Panel(figure="accuracy", run="abcdefgh", against=("bcdefghj", "cdefghjk")),)),
        Recipe(
            panels=(Panel(figure="scores", run="abcdefgh", epoch=2, score="kl", threshold=-0.1234567891, real=True),),
            layout=PrintLayout(venue="neurips", font="serif", font_pt=9, height_in=2.5, dpi=450),
        ),
        Recipe(
            panels=(Panel(figure="embedding", run="abcdefgh", method="UMAP", colour="score", ground="points"),),
            layout=PrintLayout(venue="cvpr", columns=2),
        ),
        Recipe(
            panels=(
                Panel(figure="scores", run="abcdefgh", epoch=2, label="min ε"),
                Panel(figure="class_sides", run="bcdefghj", epoch=2),
                Panel(figure="accuracy", run="abcdefgh"),
            ),
            across=3,
            layout=PrintLayout(venue="ieee", columns=2),
        ),
    ],
)
def test_the_command_that_is_shown_asks_for_this_very_figure(recipe, monkeypatch):
    from typer.testing import CliRunner

    from atesc_core import cli

    asked = []
    monkeypatch.setattr(command, "_write_figure", lambda recipe, out, runs_dir: asked.append(recipe))
    words = shlex.split(recipe.command())
    assert words[0] == "atesc"
    CliRunner().invoke(cli.app, words[1:], catch_exceptions=False)
    assert asked == [recipe]


def test_panels_are_made_again_from_the_recipes_file():
    assert TWO.command() == "atesc figure scores-embedding-abcdefgh.recipe.yaml --out ."


# ── what is drawn ─────────────────────────────────────────────────────────────


def test_accuracy_is_what_the_run_logged(figures_lab, sources):
    rows = data(Panel(figure="accuracy", run=figures_lab.atesc, against=(figures_lab.plain,)), sources)
    for run, name in ((figures_lab.atesc, "ATEsc, NTL teacher"), (figures_lab.plain, "plain, NTL teacher")):
        own = rows[(rows["run"] == name) & (rows["metric"] == "IAcc")]
        assert own["per cent of test images"].tolist() == figures_lab.store.epochs(run)["iacc"].tolist()


def test_recalls_are_what_the_runs_logged(figures_lab, sources):
    panel = Panel(figure="recalls", run=figures_lab.atesc, against=(figures_lab.plain, figures_lab.atesc))
    drawn = draw_panel(panel, sources).data[0]
    assert list(drawn.y) == ["ATEsc, NTL teacher", "plain, NTL teacher"]  # a run once
    for row, run in zip(drawn.z, (figures_lab.atesc, figures_lab.plain), strict=True):
        logged = figures_lab.store.recalls(run).by_label
        assert row.tolist() == pytest.approx([np.nan if recall is None else recall for recall in logged], nan_ok=True)


def test_rows_of_runs_of_one_name_stay_apart(figures_lab, sources, monkeypatch):
    monkeypatch.setattr("atesc_core.figures.panels.run_curve", lambda run, *_: Curve(pd.DataFrame(), "same"))
    drawn = draw_panel(Panel(figure="recalls", run=figures_lab.atesc, against=(figures_lab.plain,)), sources).data[0]
    assert list(drawn.y) == [f"same, {figures_lab.atesc}", f"same, {figures_lab.plain}"]


def test_images_between_id_and_ood_are_the_snapshots(figures_lab, sources):
    panel = Panel(figure="batchnorm_epochs", run=figures_lab.atesc)
    rows = data(panel, sources)
    report = sources.batchnorm("tiny")
    first = rows[rows["layer"] == report.layers[0]]
    places = [report.positions(figures_lab.store.snapshot(figures_lab.atesc, epoch).batchnorm) for epoch in (1, 2)]
    assert first["Epoch"].tolist() == [1, 2]
    assert first["Position"].tolist() == [position.mean[0] for position in places]


def test_the_teachers_statistics_are_drawn_once_a_kind(figures_lab, sources):
    rows = data(Panel(figure="batchnorm", run=figures_lab.atesc, against=(figures_lab.plain,)), sources)
    report = sources.batchnorm("tiny")
    mean = rows[rows["statistic"] == "running mean"]
    assert mean["Position"].tolist() == report.positions(report.running).mean.tolist()
    assert mean["module"].tolist() == list(report.layers)


def test_a_teacher_whose_batchnorm_is_not_measured_is_named(figures_lab, sources):
    page = Sources(figures_lab.store, sources.cards, *[lambda *asked: None] * 3)
    for name in ("batchnorm", "batchnorm_epochs"):
        with pytest.raises(FigureNotReadyError, match=f"'tiny' are not measured.*'{name}'"):
            draw_panel(Panel(figure=name, run=figures_lab.atesc), page)


def test_scores_are_split_where_the_run_did_unless_told_otherwise(figures_lab, sources):
    values = figures_lab.store.snapshot(figures_lab.atesc, 2).scores["min_eps"]
    for panel, line in (
        (Panel(figure="scores", run=figures_lab.atesc), 4.0),
        (Panel(figure="scores", run=figures_lab.atesc, threshold=1.5), 1.5),
    ):
        counted = data(panel, sources).groupby("group")["images"].sum()
        assert counted["fragile"] == (values <= line).sum()
        assert counted.sum() == len(values) == 16


def test_an_epoch_is_the_one_that_is_asked_for(figures_lab, sources):
    first, last = (
        data(Panel(figure="scores", run=figures_lab.atesc, score="margin", epoch=epoch), sources) for epoch in (1, None)
    )
    assert not first.equals(last)
    assert last.equals(data(Panel(figure="scores", run=figures_lab.atesc, score="margin", epoch=2), sources))


def test_the_embedding_holds_every_synthetic_image_at_its_place(figures_lab, sources):
    from atesc_core.embedding import PCAMap

    rows = data(Panel(figure="embedding", run=figures_lab.atesc), sources)
    report = sources.report("tiny", figures_lab.store.get(figures_lab.atesc).spec.split, False)
    shown = figures_lab.store.snapshot(figures_lab.atesc, 2)
    places = PCAMap.fit(report.id.features, report.ood.features).transform(shown.features)
    rows = rows.sort_values("id")
    np.testing.assert_allclose(rows[["PCA 1 (a.u.)", "PCA 2 (a.u.)"]].to_numpy(), places, rtol=1e-6)
    assert rows["fragile"].tolist() == shown.fragile.tolist()


def test_the_drift_of_each_run_is_measured_in_its_own_teachers_space(figures_lab, sources):
    from atesc_core.embedding import knn_distance

    rows = data(Panel(figure="drift", run=figures_lab.atesc, against=(figures_lab.plain,)), sources)
    report = sources.report("tiny", figures_lab.store.get(figures_lab.atesc).spec.split, False)
    for run, escape in ((figures_lab.atesc, "atesc"), (figures_lab.plain, "none")):
        own = rows[(rows["escape"] == escape) & (rows["images"] == "synthetic")]
        assert own["Epoch"].tolist() == figures_lab.store.snapshot_epochs(run)
        for epoch, share in zip(own["Epoch"], own["per cent of synthetic images"], strict=True):
            seen = figures_lab.store.snapshot(run, epoch).features
            to_id, to_ood = (knn_distance(seen, side.features) for side in (report.id, report.ood))
            assert share == 100 * np.mean([theirs < ours for ours, theirs in zip(to_id, to_ood, strict=True)])


@pytest.mark.parametrize(
    ("name", "what", "when"),
    [
        *((name, "synthetic images", "epoch 1") for name in ("scores", "class_sides", "contact_sheet", "embedding")),
        ("drift", "synthetic images", "epoch 1"),
        ("accuracy", "accuracies", "epoch 1"),
        ("recalls", "recalls", "epoch 1"),
        *((name, "rounds", "round 1") for name in ("losses_generator", "losses_student", "fragile_share")),
    ],
)
def test_a_run_without_data_says_what_its_figure_waits_for(figures_lab, sources, name, what, when):
    """The curves of a run that waits were drawn empty, and offered to be downloaded."""
    why = f"run: {figures_lab.waiting} .queued, epoch 0 of 2. has no {what} yet, which '{name}' shows; expected after "
    with pytest.raises(FigureNotReadyError, match=why + when):
        draw_panel(Panel(figure=name, run=figures_lab.waiting), sources)


def test_a_score_that_is_not_kept_is_named(figures_lab, sources):
    with pytest.raises(ValueError, match="score: 'luck' is not kept .*expected one of min_eps, margin, kl"):
        draw_panel(Panel(figure="scores", run=figures_lab.atesc, score="luck"), sources)


def test_what_is_not_measured_is_not_waited_for_on_a_page(figures_lab):
    page = Sources(figures_lab.store, measuring_sources(figures_lab.store).cards, *[lambda *asked: None] * 3)
    with pytest.raises(
        FigureNotReadyError, match="teacher: 'tiny' is not measured on real validation images yet; 'confusion'"
    ):
        draw_panel(Panel(figure="confusion", run=figures_lab.atesc), page)


def test_accuracy_by_class_and_confusion_are_the_students_unless_the_teachers_are_asked_for(figures_lab, sources):
    """Under a caption of the run, both showed its teacher's."""
    run = figures_lab.store.get_distillation(figures_lab.atesc)
    card = sources.cards()[run.spec.teacher]
    validation = load_pair(card.pair, card.image_side).id.validation
    networks = {
        "student": load_student(figures_lab.store, run.id, run.epochs),
        "teacher": load_teacher(card.name, figures_lab.store.runs_dir).model,
    }
    for name, network in networks.items():
        given = predict(network, validation.images).argmax(1)
        counts = np.zeros((10, 10))
        np.add.at(counts, (validation.labels.numpy(), given.numpy()), 1)
        figure = draw_panel(Panel(figure="confusion", run=run.id, network=name), sources)
        np.testing.assert_array_equal(figure.data[0].customdata, counts)
        assert figure.layout.xaxis.title.text == f"Label of the {name} (% of each true class)"
        bars = draw_panel(Panel(figure="per_class", run=run.id, network=name), sources)
        recalls = 100 * counts.diagonal() / counts.sum(1)
        np.testing.assert_allclose(bars.data[0].x, recalls)
        assert bars.layout.annotations[0].text.startswith(f"{name.capitalize()}, ID <b>")


# ── the files ─────────────────────────────────────────────────────────────────


def test_a_recipe_gives_the_same_data_again_and_all_its_files(figures_lab, sources, tmp_path):
    recipe = Recipe(
        panels=(
            Panel(figure="accuracy", run=figures_lab.atesc),
            Panel(figure="fragile_share", run=figures_lab.plain),
            Panel(figure="class_sides", run=figures_lab.atesc, threshold=2.0),
        ),
        formats=("svg",),
    )
    shown = files.figure_csv(draw_panels(recipe, sources))
    again = Recipe.from_yaml(recipe.to_yaml())
    written = {path.suffix: path for path in write_recipe(again, measuring_sources(figures_lab.store), tmp_path)}
    assert set(written) == {".csv", ".yaml", ".svg"}
    assert written[".csv"].read_text() == shown

    told = yaml.safe_load(written[".yaml"].read_text())
    run = figures_lab.store.get(figures_lab.atesc)
    assert RunSpec.model_validate(told["spec"]) == run.spec
    assert told["device"] == run.device
    assert told["command"].startswith("atesc distill --teacher tiny ")
    assert told["made_by"] == f"lab {lab_version()}"
    assert told["figure_command"] == recipe.command()
    assert Recipe.model_validate(told["recipe"]) == recipe
    assert [other["run"] for other in told["other_runs"]] == [figures_lab.plain]
    assert set(told["versions"]) >= {"python", "torch", "plotly", "kaleido"}


def test_the_origin_of_a_run_that_goes_on_says_so(figures_lab, sources):
    panel = Panel(figure="per_class", run=figures_lab.waiting, network="teacher")
    told = recipe_provenance(Recipe(panels=(panel,)), [draw_panel(panel, sources)], figures_lab.store)
    assert (told["status"], told["epochs_done"], told["made_by"]) == ("queued", 0, None)
