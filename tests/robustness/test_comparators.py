"""The scores that attack nothing, on logits known by hand: the teacher gives back the image's first pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture

from atesc_core.errors import SpecError
from atesc_core.robustness.scores import SCORES, all_scores, high_component
from atesc_core.robustness.split import fragile
from atesc_core.specs.run import RunSpec, SplitSpec

LOGITS = torch.tensor([[2.0, 0.0, 0.0], [0.0, 0.0, 5.0], [0.0, 1.0, 0.0]])
X = LOGITS.view(3, 3, 1, 1)


def teacher(x: torch.Tensor) -> torch.Tensor:
    return x.flatten(1)


def score(name: str, x: torch.Tensor = X, seed: int = 0) -> torch.Tensor:
    return SCORES[name](teacher, x, SplitSpec(score=name), torch.Generator().manual_seed(seed))


def test_confidence_is_the_log_odds_of_the_label():
    sure = LOGITS.softmax(1).amax(1)
    assert torch.allclose(score("confidence"), (sure / (1 - sure)).log(), atol=1e-5)
    assert score("confidence", 1e3 * X).isfinite().all()  # a probability would be 1, and its odds infinite


def test_energy_is_the_log_sum_of_exponentials():
    assert torch.allclose(score("energy"), LOGITS.exp().sum(1).log())


def test_random_follows_its_generator_alone():
    x = torch.zeros(4000, 3, 1, 1)
    first = score("random", x)
    assert torch.equal(first, score("random", x + 1))
    assert not torch.equal(first, score("random", x, seed=1))
    assert first.mean() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("share", [0.2, 0.7])
def test_random_matches_a_rate(share):
    x, generator = torch.zeros(4000, 3, 1, 1), torch.Generator().manual_seed(0)
    is_fragile = fragile(teacher, x, teacher(x).argmax(1), SplitSpec(score="random"), share, generator)
    assert is_fragile.float().mean() == pytest.approx(share, abs=0.03)


def test_gmm_calls_sure_images_clean():
    sure, unsure = torch.tensor([[9.0, 0.0, 0.0]]).repeat(20, 1), torch.tensor([[0.3, 0.2, 0.1]]).repeat(7, 1)
    found = score("gmm", torch.cat([sure, unsure]).view(27, 3, 1, 1))
    assert (found[:20] < 0.01).all()
    assert (found[20:] > 0.99).all()


def test_the_mixture_is_that_of_scikit_learn():
    random = np.random.default_rng(0)
    values = np.concatenate([random.normal(0.1, 0.05, 200), random.normal(0.8, 0.1, 100)])
    values = (values - values.min()) / np.ptp(values)
    fit = GaussianMixture(2, max_iter=10, tol=1e-2, reg_covar=5e-4, random_state=0).fit(values[:, None])
    expected = fit.predict_proba(values[:, None])[:, fit.means_[:, 0].argmax()]
    assert np.abs(high_component(torch.tensor(values, dtype=torch.float32)).numpy() - expected).max() < 0.02


@pytest.mark.parametrize("values", [torch.zeros(5), torch.ones(1)])
def test_a_mixture_of_equal_values_calls_all_low(values):
    assert (high_component(values) < 1e-3).all()


def test_a_comparator_takes_no_randomness_from_the_scores_before_it():
    """So that runs and reports made before there were comparators keep their numbers."""
    split, x = SplitSpec(steps=2), torch.rand(8, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    weight = torch.randn(3, 12, generator=torch.Generator().manual_seed(1))
    linear = lambda images: images.flatten(1) @ weight.T  # noqa: E731
    every = all_scores(linear, x, split, torch.Generator().manual_seed(2))
    generator = torch.Generator().manual_seed(2)
    for name in ("min_eps", "margin", "kl"):
        assert torch.equal(every[name], SCORES[name](linear, x, split, generator))


def test_the_oracle_cannot_split_a_run():
    assert "oracle" not in SCORES
    with pytest.raises(SpecError, match="split.score: 'oracle'"):
        RunSpec(teacher="t").replaced({"split.score": "oracle"})
