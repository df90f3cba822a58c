"""The limits the service holds a request to, and the words it refuses with. What passes here can be stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from migrator.local_pinecone.engine.errors import invalid, too_large
from migrator.pinecone_protocol import limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from migrator.local_pinecone.engine.records import Record, Sparse, Values

NON_ZERO = "Dense vectors must contain at least one non-zero value. Vector ID '{}' contains only zeros"


def check_upsert(records: Sequence[Record], request_bytes: int, dimension: int | None) -> Values | None:
    """Return the values of ``records`` as one new matrix of shape (records, dimension); None in a sparse index.

    Raise ``ApiError`` naming the first thing that is not acceptable; the service then stores none of the request.
    """
    if request_bytes > limits.UPSERT_BYTES:
        raise too_large(request_bytes, limits.UPSERT_BYTES)
    if not records:
        raise invalid("At least one vector must be provided")
    if len(records) > limits.UPSERT_RECORDS:
        raise invalid(f"Request contains {len(records)} vectors, which exceeds the limit of {limits.UPSERT_RECORDS} vectors per upsert")
    check_ids([record.id for record in records])
    for record in records:
        if record.sparse is not None:
            check_sparse(record.sparse, record.id)
    if dimension is None:
        _check_sparse_only(records)
        return None
    return _matrix(records, dimension)


def check_update(id_: str, values: Values | None, sparse: Sparse | None, dimension: int | None) -> None:
    """Raise ``ApiError`` unless these may become parts of the record ``id_``."""
    check_ids([id_])
    if values is not None:
        if dimension is None:
            raise invalid(f"Dense vectors are not supported in a sparse index. Vector ID '{id_}'")
        check_values(values, dimension, id_)
    if sparse is not None:
        check_sparse(sparse, id_)


def check_ids(ids: Sequence[str]) -> None:
    """Raise ``ApiError`` for an id that is empty, too long, not ASCII or holds a NUL."""
    lengths = list(map(len, ids))
    joined = "".join(ids)
    if min(lengths, default=1) > 0 and max(lengths, default=1) <= limits.ID_LENGTH and joined.isascii() and "\0" not in joined:
        return
    for id_ in ids:
        if not id_:
            raise invalid("Vector ID must not be empty")
        if not id_.isascii():
            shown = id_.encode("utf-8", "backslashreplace").decode()
            raise invalid(f"Vector ID must be ASCII, but got '{shown}'")
        if "\0" in id_:
            raise invalid("Vector ID must not contain null characters")
        if len(id_) > limits.ID_LENGTH:
            raise invalid(f"Vector ID length {len(id_)} exceeds the limit of {limits.ID_LENGTH} characters")


def check_values(values: Values, dimension: int, id_: str) -> None:
    """Raise ``ApiError`` unless ``values`` is a vector this index can hold."""
    if values.ndim != 1 or len(values) != dimension:
        raise invalid(f"Vector dimension {values.size} does not match the dimension of the index {dimension}")
    if not np.isfinite(values).all():
        raise invalid(f"Vector values must be finite numbers. Vector ID '{id_}' contains NaN or infinity")
    if not values.any():
        raise invalid(NON_ZERO.format(id_))


def check_sparse(sparse: Sparse, id_: str) -> None:
    """Raise ``ApiError`` unless indices and weights make a sparse vector."""
    indices, weights = sparse
    if len(indices) != len(weights):
        raise invalid(f"Sparse vector size mismatch: {len(indices)} indices and {len(weights)} values. Vector ID '{id_}'")
    if len(indices) == 0:
        raise invalid("Sparse vector must contain at least one value")
    if len(indices) > limits.SPARSE_VALUES:
        raise invalid(f"Sparse vector size {len(indices)} exceeds the maximum allowed size {limits.SPARSE_VALUES}. Vector ID '{id_}'")
    if not np.isfinite(weights).all():
        raise invalid(f"Sparse vector values must be finite numbers. Vector ID '{id_}' contains NaN or infinity")
    if len(np.unique(indices)) != len(indices):
        raise invalid(f"Sparse vector must not contain duplicate indices. Vector ID '{id_}'")


def _check_sparse_only(records: Sequence[Record]) -> None:
    for record in records:
        if record.values is not None and len(record.values):
            raise invalid(f"Dense vectors are not supported in a sparse index. Vector ID '{record.id}'")
        if record.sparse is None:
            raise invalid("Sparse vector must contain at least one value")


def _matrix(records: Sequence[Record], dimension: int) -> npt.NDArray[np.float32]:
    rows = [record.values for record in records]
    for row in rows:
        if row is None or len(row) != dimension:
            raise invalid(f"Vector dimension {0 if row is None else len(row)} does not match the dimension of the index {dimension}")
    block = np.concatenate(rows, dtype=np.float32).reshape(len(rows), dimension)  # type: ignore[arg-type] # None has left above
    lengths = squares(block)
    suspects = np.flatnonzero(~(lengths > 0) | ~np.isfinite(lengths))
    for row_number in suspects:  # squaring may overflow or vanish where the value does not
        check_values(block[row_number], dimension, records[int(row_number)].id)
    return block


def squares(block: Values) -> Values:
    """Return the squared length of every row."""
    lengths: Values = np.einsum("ij,ij->i", block, block)
    return lengths
