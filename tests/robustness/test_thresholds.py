"""Thresholds without real data: two groups only where the scores show two, and a defined answer to every input."""

from __future__ import annotations

import math

import numpy as np
import pytest

from atesc_core.robustness.thresholds import MIN_IMAGES, SUGGESTIONS, at_share, auto, mixture, otsu, suggest

UNIMODAL = {
    "uniform": lambda random, n: random.random(n),
    "normal": lambda random, n: random.standard_normal(n),
    "exponential": lambda random, n: random.standard_exponential(n),
    "gamma 2": lambda random, n: random.gamma(2, size=n),
    "gamma 0.5": lambda random, n: random.gamma(0.5, size=n),
    "lognormal": lambda random, n: random.lognormal(size=n),
    "Student's t, 3": lambda random, n: random.standard_t(3, n),
    "min ε on its grid": lambda random, n: np.ceil(random.gamma(2, 1.5, n) * 4) / 4,
    "few values": lambda random, n: np.ceil(random.gamma(2, 0.3, n) * 4) / 4,
}


@pytest.mark.parametrize("images", [MIN_IMAGES, 512, 2000])
@pytest.mark.parametrize("shape", UNIMODAL)
def test_one_group_is_called_one(shape, images):
    random = np.random.default_rng(0)
    one = [auto(UNIMODAL[shape](random, images)) == math.inf for _ in range(60)]
    assert np.mean(one) >= 0.95


@pytest.mark.parametrize("images", [256, 512, 2000])
@pytest.mark.parametrize("share", [0.05, 0.1, 0.3, 0.5, 0.9])
def test_two_separated_groups_are_found(share, images):
    """Groups of spread 1 and 0.7, six apart: the threshold lies between them, whichever is the smaller."""
    random, upper = np.random.default_rng(0), round(share * images)
    for _ in range(20):
        scores = np.append(random.standard_normal(images - upper), 6 + 0.7 * random.standard_normal(upper))
        assert 2 < auto(random.permutation(scores)) < 5


@pytest.mark.parametrize("share", [0.06, 0.3, 0.8])
def test_images_that_no_attack_changes_are_a_second_group(share):
    scores = np.ceil(np.random.default_rng(0).gamma(2, 1.5, 512) * 4) / 4
    scores[: round(share * 512)] = np.inf
    assert auto(scores) == scores[np.isfinite(scores)].max()


def test_a_few_images_that_no_attack_changes_are_no_group():
    scores = np.random.default_rng(0).gamma(2, 1.5, 512)
    scores[:5] = np.inf
    assert auto(scores) == math.inf


def test_too_few_images_are_one_group():
    random = np.random.default_rng(0)
    scores = np.append(random.normal(0, 1, MIN_IMAGES // 2), random.normal(20, 1, MIN_IMAGES // 2))
    assert 4 < auto(scores) < 16
    assert auto(scores[1:]) == math.inf
    assert mixture(scores[1:]) == math.inf


def test_scaled_and_shifted_scores_have_the_scaled_and_shifted_threshold():
    random = np.random.default_rng(0)
    scores = np.append(random.normal(0, 1, 300), random.normal(8, 1, 100))
    assert auto(1e-3 * scores - 5) == pytest.approx(1e-3 * auto(scores) - 5)


def test_the_automatic_threshold_depends_on_the_scores_alone():
    scores = np.append(np.random.default_rng(0).normal(0, 1, 300), np.random.default_rng(1).normal(8, 1, 100))
    assert auto(scores) == auto(scores[::-1]) == suggest("auto", scores, 0.5)


@pytest.mark.parametrize("rule", SUGGESTIONS)
def test_every_rule_answers_every_input(rule):
    constant = suggest(rule, np.full(300, 2.0), 0.5)
    assert constant >= 2  # all fragile
    assert suggest(rule, np.full(300, np.inf), 0.5) == math.inf
    assert suggest(rule, [], 0.5) == math.inf
    assert not math.isnan(suggest(rule, [1.0], 0.5))
    assert not math.isnan(suggest(rule, [1.0, 1.0, 3.0, np.inf], 0.5))


def test_two_values_are_two_groups():
    assert 1 <= auto(np.repeat([1.0, 5.0], 150)) < 5
    assert auto(np.repeat([1.0, np.inf], 150)) == 1


def test_a_mixture_answers_one_group_where_one_gaussian_suffices():
    random = np.random.default_rng(0)
    assert all(mixture(random.standard_normal(512)) == math.inf for _ in range(10))
    assert 2 < mixture(np.append(random.standard_normal(400), random.normal(6, 1, 100))) < 4


def test_otsus_cut_and_a_given_share():
    assert otsu([1.0, 1.2, 5.0, np.inf]) == pytest.approx(3.1)
    assert at_share([1.0, 2.0, 3.0, np.inf], 0.5) == pytest.approx(2.5)
