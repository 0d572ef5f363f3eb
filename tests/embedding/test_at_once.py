"""What needs no other process: PCA, distances, names by content."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from atesc_core.embedding import PCAMap, distance_to_others, knn_distance, nearest
from atesc_core.embedding.features import content_hash


def test_importing_it_imports_nothing_heavy():
    heavy = "('umap', 'numba', 'torch', 'sklearn', 'scipy', 'streamlit')"
    code = f"import sys, atesc_core.embedding; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_pca_is_the_two_leading_directions(clusters):
    both = np.concatenate(clusters)
    found = PCAMap.fit(*clusters)
    _, _, directions = np.linalg.svd(both - both.mean(0), full_matrices=False)
    assert np.abs((found.directions * directions[:2]).sum(1)) == pytest.approx([1, 1], abs=1e-4)
    assert found.transform(both).mean(0) == pytest.approx([0, 0], abs=1e-4)
    assert sum(found.explained) > 0.9


def test_pca_is_deterministic_and_leaves_its_input(clusters):
    before = [part.copy() for part in clusters]
    first, second = PCAMap.fit(*clusters), PCAMap.fit(*clusters)
    assert np.array_equal(first.transform(clusters[0]), second.transform(clusters[0]))
    assert all(np.array_equal(*pair) for pair in zip(before, clusters, strict=True))


def test_knn_distances_are_exact():
    reference = [[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]]
    assert knn_distance([[0.0, 0.0], [3.0, 0.0]], reference, 1) == pytest.approx([0, 3])
    assert knn_distance([[0.0, 0.0]], reference, 2) == pytest.approx([2.5])
    assert knn_distance([[0.0, 0.0]], reference, 99) == pytest.approx([5])


@settings(deadline=None, max_examples=25)
@given(
    arrays.arrays(np.float32, (7, 3), elements=st.floats(-100, 100, width=32)),
    arrays.arrays(np.float32, (4, 3), elements=st.floats(-100, 100, width=32)),
    st.integers(1, 9),
)
def test_knn_distances_are_those_of_the_definition(reference, asked, neighbours):
    every = np.sqrt(((asked[:, None].astype(float) - reference[None]) ** 2).sum(-1))
    expected = np.sort(every, 1)[:, :neighbours].mean(1)
    assert knn_distance(asked, reference, neighbours) == pytest.approx(expected, abs=1e-4)


def test_the_nearest_come_first_with_their_distances():
    reference = [[6.0, 8.0], [0.0, 0.0], [3.0, 4.0], [30.0, 40.0]]
    places, distances = nearest([0.0, 0.0], reference, 3)
    assert places.tolist() == [1, 2, 0]
    assert distances.tolist() == [0, 5, 10]
    assert len(nearest([0.0, 0.0], reference, 99)[0]) == 4


def test_nothing_asked_is_nothing_answered():
    assert knn_distance(np.empty((0, 2)), [[0.0, 0.0]]).shape == (0,)


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ([1.0, 2.0], r"features: shape \(2,\); expected \(N, 2\)"),
        ([[1.0, 2.0, 3.0]], r"expected \(N, 2\)"),
        ([[1.0, np.nan]], "1 of 1 rows are not finite"),
    ],
)
def test_unusable_features_are_named(features, said):
    with pytest.raises(ValueError, match=said):
        knn_distance(features, [[0.0, 0.0]])
    with pytest.raises(ValueError, match="reference: 0 images"):
        knn_distance([[0.0, 0.0]], np.empty((0, 2)))


def test_a_name_is_of_the_numbers_and_the_settings():
    one, two = np.zeros((2, 3), np.float32), np.ones((2, 3), np.float32)
    name = content_hash(one, two, seed=0)
    assert name == content_hash(one.copy(), np.asfortranarray(two), seed=0)
    others = [
        content_hash(two, one, seed=0),
        content_hash(one, two, seed=1),
        content_hash(one.reshape(3, 2), two, seed=0),
    ]
    assert name not in others
    assert len(set(others)) == 3


@pytest.mark.parametrize("neighbours", [1, 10, 500])
def test_an_image_is_not_its_own_neighbour(clusters, neighbours):
    features = clusters[0][:60]
    every = np.linalg.norm(features[:, None] - features[None], axis=2)
    np.fill_diagonal(every, np.inf)
    expected = np.sort(every, axis=1)[:, : min(neighbours, 59)].mean(1)
    np.testing.assert_allclose(distance_to_others(features, neighbours), expected, rtol=1e-6)


def test_one_image_alone_has_no_others(clusters):
    with pytest.raises(ValueError, match="1 images; expected at least 2"):
        distance_to_others(clusters[0][:1])
