"""Turns stored codes back into float32 vectors: the quantizer's decoder first, then every transformation in reverse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import faiss
import numpy as np

from migrator.connectors.faiss.worker.index import FLAT

if TYPE_CHECKING:
    import numpy.typing as npt

    from migrator.connectors.faiss.worker.index import Loaded

_ORTHONORMAL = 1e-4  # how far float32 rotations are from orthonormal, with room


def decode(loaded: Loaded, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Return the vectors of ``rows`` (reading order), shape (rows, dimension). Raise ``RuntimeError`` or ``ValueError`` where they cannot be decoded.

    Never ``reconstruct_n``: with ids of one's own it returns other vectors or ends the process.
    """
    if len(rows) and (rows.min() < 0 or rows.max() >= loaded.extents.count):
        raise RuntimeError("rows outside the index were asked for")
    codes, lists = _gather(loaded, rows)
    vectors = _decoded(loaded, codes, lists)
    for step in reversed(loaded.steps):
        vectors = _undone(step, np.ascontiguousarray(vectors))
    return np.ascontiguousarray(vectors, np.float32)


def _undone(step: Any, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return what ``step`` was given to make ``vectors``, as near as it can be had."""
    if not isinstance(step, faiss.LinearTransform):
        return np.asarray(step.reverse_transform(vectors), np.float32)
    # not reverse_transform: a whitening PCA read from a file claims to be orthonormal, and is undone wrongly without a word
    matrix = faiss.vector_to_array(step.A).reshape(step.d_out, step.d_in).astype(np.float64)
    shift = faiss.vector_to_array(step.b).astype(np.float64) if step.have_bias else 0.0
    return np.asarray((vectors - shift) @ _inverse(matrix).T, np.float32)


def _inverse(matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the transpose of a rotation or projection, the pseudo-inverse of anything else."""
    short = matrix if len(matrix) <= matrix.shape[1] else matrix.T
    if np.abs(short @ short.T - np.eye(len(short))).max() < _ORTHONORMAL:
        return matrix.T
    return np.asarray(np.linalg.pinv(matrix), np.float64)


def _gather(loaded: Loaded, rows: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Return an aligned copy of the codes of ``rows`` and the inverted list of each (0 where there are none)."""
    extents = loaded.extents
    codes = np.empty((len(rows), loaded.code_size), np.uint8)
    lists = np.zeros(len(rows), np.int64)
    at = 0
    for run, first, count in extents.pieces(rows):
        begin = int(extents.codes[run]) + first * loaded.code_size
        codes[at : at + count] = loaded.view[begin : begin + count * loaded.code_size].reshape(count, loaded.code_size)
        if loaded.lists is not None:
            lists[at : at + count] = loaded.lists[run]
        at += count
    return codes, lists


def _decoded(loaded: Loaded, codes: npt.NDArray[np.uint8], lists: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    leaf, name = loaded.leaf, type(loaded.leaf).__name__
    if name in FLAT | {"IndexIVFFlat"}:
        return codes.view(np.float32)
    if loaded.lists is None:
        return np.asarray(leaf.sa_decode(codes), np.float32)
    prefix = leaf.coarse_code_size()  # IndexIVF::encode_listno: the list's number, little-endian, before each code
    numbers = lists.astype("<i8").view(np.uint8).reshape(len(lists), 8)[:, :prefix]
    return np.asarray(leaf.sa_decode(np.concatenate([numbers, codes], axis=1)), np.float32)
