"""Principal components against a reference, and at the edges where a sample has no plane."""

from __future__ import annotations

import numpy as np
import pytest

from migrator.verify.projection import principal_axes


def test_the_axes_are_those_of_the_covariance():
    random = np.random.default_rng(5)
    vectors = (random.normal(size=(400, 12)) * np.linspace(9, 0.1, 12)).astype(np.float32)
    axes = principal_axes(vectors)
    values, directions = np.linalg.eigh(np.cov(vectors.astype(np.float64).T))
    for axis, rank in enumerate((-1, -2)):
        assert abs(axes.directions[axis] @ directions[:, rank]) == pytest.approx(1, abs=1e-9)
        assert axes.explained[axis] == pytest.approx(values[rank] / values.sum())
    placed = axes.place(vectors)
    assert placed.shape == (400, 2)
    assert np.cov(placed.T)[0, 1] == pytest.approx(0, abs=1e-9)


def test_the_same_vectors_give_the_same_picture():
    vectors = np.random.default_rng(6).normal(size=(50, 8)).astype(np.float32)
    assert np.array_equal(principal_axes(vectors).place(vectors), principal_axes(vectors.copy()).place(vectors))
    largest = [direction[np.argmax(np.abs(direction))] for direction in principal_axes(vectors).directions]
    assert min(largest) > 0


@pytest.mark.parametrize("vectors", [[[1.0, 2.0, 3.0]], [[1.0, 2.0]] * 5, [[4.0], [5.0]], [[3e38, -3e38], [-3e38, 3e38]]])
def test_a_sample_without_a_plane_has_places_all_the_same(vectors):
    matrix = np.array(vectors, np.float32)
    axes = principal_axes(matrix)
    placed = axes.place(matrix)
    assert placed.shape == (len(matrix), 2)
    assert np.isfinite(placed).all()
    assert not placed[:, 1].any()
    assert axes.explained[1] == 0
