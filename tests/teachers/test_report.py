"""The report of a teacher: what it says agrees with what was measured by other ways, and it lasts on disk."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from atesc_core.domains.loading import PairData, load_pair
from atesc_core.errors import TeacherError
from atesc_core.robustness.attack import flips
from atesc_core.robustness.scores import SCORES
from atesc_core.specs.run import SplitSpec
from atesc_core.teachers import list_teachers
from atesc_core.teachers.measurement import Measurement, measure
from atesc_core.teachers.report import Report, report_file
from atesc_core.teachers.zoo import Teacher, load_teacher
from atesc_core.training.evaluation import Evaluator

CPU = torch.device("cpu")
SPLIT = SplitSpec(steps=2)
EPSILONS = (1.0, 8.0)


@pytest.fixture(scope="module")
def teacher() -> Teacher:
    return load_teacher("mnistm-fashion-ntl")


@pytest.fixture(scope="module")
def data(teacher: Teacher) -> PairData:
    return load_pair(teacher.card.pair, teacher.card.image_side)


@pytest.fixture(scope="module")
def steps(teacher: Teacher, data: PairData) -> list[Measurement]:
    return list(measure(teacher, data, SPLIT, CPU, images=60, epsilons=EPSILONS))


@pytest.fixture(scope="module")
def whole(steps: list[Measurement]) -> Report:
    return steps[-1].report


def test_accuracies_are_the_evaluators(whole: Report, teacher: Teacher, data: PairData):
    expected = Evaluator(data, CPU, "validation")(teacher.model).metrics
    assert 100 * whole.hits("id").mean() == pytest.approx(expected["iacc"])
    assert 100 * whole.hits("ood").mean() == pytest.approx(expected["olacc"])
    assert (whole.metric, whole.target) == ("olacc", 0)


def test_confusion_counts_every_image_once(whole: Report, data: PairData):
    for domain, images in (("id", data.id.validation), ("ood", data.ood.validation)):
        counts = whole.confusion(domain)
        np.testing.assert_array_equal(counts.sum(1), np.bincount(images.labels, minlength=10))
    assert np.trace(whole.confusion("id")) == whole.hits("id").sum()


def test_attacked_images_come_with_features_and_scores(whole: Report, teacher: Teacher, data: PairData):
    x = data.ood.validation.images[:60]
    np.testing.assert_array_equal(whole.ood.images, (x * 255).round().byte().numpy())
    np.testing.assert_allclose(whole.ood.features, teacher.model.features(x).numpy(), atol=1e-5)
    for name in (*SCORES, "oracle"):
        assert whole.ood.score(name).shape == (60,)
    assert 0.5 < whole.auroc("min_eps") <= 1


def test_scores_are_those_of_their_own_image(whole: Report, teacher: Teacher, data: PairData):
    for side, images in ((whole.id, data.id.validation.images), (whole.ood, data.ood.validation.images)):
        expected = SCORES["confidence"](teacher.model, images[:60], SPLIT, torch.Generator())
        np.testing.assert_allclose(side.score("confidence"), expected.numpy(), atol=1e-4)
        labels = side.predicted[:60]
        np.testing.assert_array_equal(
            side.min_eps > EPSILONS[0],
            ~flips(teacher.model, images[:60], torch.tensor(labels), EPSILONS[0], SPLIT.steps).numpy(),
        )


def test_both_domains_are_in_every_batch_that_is_scored(teacher: Teacher, data: PairData, monkeypatch):
    """A mixture fitted to each domain apart would say nothing of the one against the other."""
    batches: list[torch.Tensor] = []
    monkeypatch.setattr("atesc_core.teachers.measurement.BATCH_SIZE", 16)
    monkeypatch.setattr(
        "atesc_core.teachers.measurement.all_scores",
        lambda model, x, split, random: batches.append(x) or {"min_eps": x.mean((1, 2, 3))},
    )
    *_, last = measure(teacher, data, SPLIT, CPU, images=20, epsilons=())
    assert [len(batch) for batch in batches] == [14, 13, 13]
    id_images = data.id.validation.images[:20].flatten(1)
    for batch in batches:
        of_id = sum((image == id_images).all(1).any() for image in batch.flatten(1))
        assert 0.4 < of_id / len(batch) < 0.6
    np.testing.assert_array_equal(last.report.ood.min_eps, data.ood.validation.images[:20].mean((1, 2, 3)).numpy())


def test_the_oracle_tells_real_domains_apart_and_was_fitted_on_other_images(whole: Report):
    assert whole.auroc("oracle") > 0.95
    assert (whole.oracle(whole.ood.features) > 0).mean() > 0.9
    assert (whole.oracle(whole.id.features) < 0).mean() > 0.9


def test_robust_share_falls_with_epsilon_and_the_gap_is_where_it_says(whole: Report):
    for side in (whole.id, whole.ood):
        assert side.robust_share[0] >= side.robust_share[1]
    epsilon, gap = whole.widest_gap()
    at = EPSILONS.index(epsilon)
    assert gap == pytest.approx(whole.ood.robust_share[at] - whole.id.robust_share[at])


@pytest.mark.parametrize(
    ("id_shares", "ood_shares", "expected"),
    [
        ((90, 60, 30, 0), (95, 90, 80, 10), (2.0, 8.0)),
        ((90, 60, 30, 0), (95, 90, 80, 5), (2.0, 4.0)),
        ((90, 60, 30, 0), (95, 65, 40, 0), (4.0, 4.0)),
        ((80, 60, 60, 0), (90, 65, 90, 20), (4.0, 8.0)),  # of two ranges the one with the widest gap
        ((90, 60, 30, 0), (99, 69, 39, 9), None),
        ((95, 90, 80, 10), (90, 60, 30, 0), None),  # less robust than ID
    ],
)
def test_where_the_premise_of_a_split_holds(whole: Report, id_shares, ood_shares, expected):
    sides = {
        name: replace(getattr(whole, name), robust_share=np.array(shares, float))
        for name, shares in (("id", id_shares), ("ood", ood_shares))
    }
    report = replace(whole, **sides, epsilons=np.array([1.0, 2.0, 4.0, 8.0]))
    assert report.premise_range() == expected


@pytest.mark.parametrize("name", [card.name for card in list_teachers() if card.kind == "NTL"])
def test_shipped_ntl_teachers_meet_the_premise_of_a_split(name: str):
    """The teachers of versions before 0.2.0 did not: in close set OOD images were no more robust than ID images."""
    teacher = load_teacher(name)
    data = load_pair(teacher.card.pair, teacher.card.image_side)
    report = list(measure(teacher, data, SplitSpec(), CPU, images=100, epsilons=[2.0, 4.0]))[-1].report
    assert report.premise_range() == (2.0, 4.0)


def test_labels_come_before_the_attacks_and_progress_ends_at_1(steps: list[Measurement]):
    shares = [step.share for step in steps]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0, 1)
    early = next(step.report for step in steps if step.report is not None)
    assert not early.attacked
    assert len(early.id.predicted) == 1000
    assert steps[-1].report.attacked


def test_a_saved_report_is_the_same_report(whole: Report, tmp_path: Path):
    path = tmp_path / "cache" / "report.npz"
    whole.save(path)
    loaded = Report.load(path)
    for domain in ("id", "ood"):
        here, there = getattr(whole, domain), getattr(loaded, domain)
        assert there.scores.keys() == here.scores.keys()
        for name in ("labels", "predicted", "confidence", "images", "features", "robust_share"):
            np.testing.assert_array_equal(getattr(there, name), getattr(here, name), strict=True)
        for name, values in here.scores.items():
            np.testing.assert_array_equal(there.score(name), values, strict=True)
    np.testing.assert_array_equal(loaded.oracle(whole.id.features), whole.id.score("oracle"))
    assert loaded.id_classes == whole.id_classes
    assert [p.name for p in path.parent.iterdir()] == ["report.npz"]  # nothing half-written is left


def test_its_file_is_named_by_what_it_depends_on(tmp_path: Path):
    here = report_file(tmp_path, "mnistm-fashion-ntl", SPLIT)
    assert here.parent == tmp_path / "cache"
    assert report_file(tmp_path, "mnistm-fashion-ntl", SplitSpec(steps=3)) != here
    assert report_file(tmp_path, "mnistm-fashion-sl", SPLIT) != here
    assert report_file(tmp_path, "mnistm-fashion-ntl", SplitSpec(steps=2, threshold=5.0, score="kl")) == here


@pytest.mark.parametrize("name", ["none-such", "../mnistm-fashion-ntl", ""])
def test_an_unknown_teacher_has_no_report(tmp_path: Path, name: str):
    with pytest.raises(TeacherError, match="is not known"):
        report_file(tmp_path, name, SPLIT)


def test_the_command_says_in_one_line_what_is_wrong(tmp_path: Path):
    ended = subprocess.run(
        [sys.executable, "-m", "atesc_core.teachers.measurement", "none-such", "--runs-dir", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert ended.returncode != 0
    assert "'none-such' is not known" in ended.stderr.splitlines()[-1]
