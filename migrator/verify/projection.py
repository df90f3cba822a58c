"""Two axes on which vectors can be drawn: the principal components of a sample, and where other vectors lie on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True)
class Axes:
    """The plane in which a sample is spread most."""

    centre: npt.NDArray[np.float64]
    """Of shape (dimension,)."""
    directions: npt.NDArray[np.float64]
    """Unit vectors, of shape (2, dimension); zeros where the sample has no second direction."""
    explained: tuple[float, float]
    """Share of the sample's variance along each, 0 to 1."""

    def place(self, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return where ``vectors`` of shape (records, dimension) lie, of shape (records, 2)."""
        found: npt.NDArray[np.float64] = (vectors.astype(np.float64) - self.centre) @ self.directions.T
        return found


def principal_axes(vectors: npt.NDArray[np.float32]) -> Axes:
    """Return the first two principal components of ``vectors``, of shape (records, dimension), at least one record and all numbers finite.

    The same vectors give the same axes: the sign of a direction, which is free, is such that its largest component is positive.
    """
    exact = vectors.astype(np.float64)  # the squares of large float32 components have no float32
    centre = exact.mean(axis=0)
    _, strengths, found = np.linalg.svd(exact - centre, full_matrices=False)
    directions = np.zeros((2, exact.shape[1]))
    shares = [0.0, 0.0]
    total = float((strengths**2).sum())
    for axis in range(min(2, len(strengths))):
        if strengths[axis] > strengths[0] * 1e-12:
            largest = found[axis][np.argmax(np.abs(found[axis]))]
            directions[axis] = found[axis] * np.sign(largest)
            shares[axis] = float(strengths[axis] ** 2 / total)
    return Axes(centre, directions, (shares[0], shares[1]))
