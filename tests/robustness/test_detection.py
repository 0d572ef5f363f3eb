from __future__ import annotations

import numpy as np
import pytest

from atesc_core.robustness.detection import auroc, rates, roc
from atesc_core.robustness.thresholds import SUGGESTIONS, otsu, suggest


def test_auroc_by_hand_counts_infinity_as_most_robust():
    assert auroc(np.array([1.0, 2.0]), np.array([3.0, np.inf])) == 1.0
    assert auroc(np.array([np.inf, 3.0]), np.array([1.0, 2.0])) == 0.0
    assert auroc(np.array([1.0, 3.0]), np.array([2.0, 2.0])) == 0.5


def test_auroc_of_nothing_is_a_clear_error():
    with pytest.raises(ValueError, match="0 ID and 2 OOD"):
        auroc(np.array([]), np.array([1.0, 2.0]))


@pytest.mark.parametrize("name", SUGGESTIONS)
def test_suggestions_fall_between_two_clear_groups(name):
    random = np.random.default_rng(0)
    scores = np.concatenate([random.normal(2, 0.3, 100), random.normal(10, 0.3, 100)])
    assert 2.5 < SUGGESTIONS[name](scores) < 9.5


def test_otsu_survives_images_that_never_flip():
    assert 2.0 <= otsu(np.array([1.0, 1.2, 1.1, np.inf, np.inf, 8.0])) <= 8.0


def test_roc_by_hand():
    curve = roc(np.array([1.0, 2.0, 2.0, np.inf]), np.array([False, False, True, True]))
    assert curve.thresholds.tolist() == [np.inf, 2.0, 1.0, -np.inf]
    assert curve.false_alarms.tolist() == [0.0, 0.0, 0.5, 1.0]
    assert curve.recall.tolist() == [0.0, 0.5, 1.0, 1.0]
    assert curve.auroc == 0.875  # of four pairs three are right and one is a tie


def test_auroc_is_that_of_scikit_learn():
    from sklearn.metrics import roc_auc_score

    random = np.random.default_rng(0)
    scores, is_ood = random.integers(0, 20, 300).astype(float), random.random(300) < 0.3
    assert roc(scores, is_ood).auroc == pytest.approx(roc_auc_score(is_ood, scores))


def test_rates_by_hand():
    found = rates([1.0, 3.0, 2.0, np.inf], [False, False, True, True], 2.0)
    assert (found.robust, found.precision, found.recall, found.false_alarms) == (2, 0.5, 0.5, 0.5)
    assert rates([1.0, 2.0], [False, True], 2.0).precision is None
    assert rates([1.0, 2.0], [False, False], 1.5).recall is None


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_share_leaves_that_share_fragile(share):
    scores = np.random.default_rng(0).random(1000)
    assert (scores <= suggest("share", scores, share)).mean() == pytest.approx(share, abs=1e-3)
