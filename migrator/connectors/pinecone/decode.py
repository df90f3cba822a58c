"""Records on their way in: from the messages of a fetch to a record batch, vectors as the bytes they came in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from migrator.connectors.pinecone.metadata import to_json
from migrator.connectors.pinecone.wire import Fetched
from migrator.model import Rejected
from migrator.pinecone_protocol.messages import MESSAGES, canonical, floats
from migrator.records import canonical_metadata, make_batch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_FetchResponse: Any = MESSAGES["FetchResponse"]
_Row = tuple[str, bytes, str | None, "dict[str, Any] | None"]
"""Id, values, metadata, sparse values."""


def decode_fetched(wire: bytes, ids: Sequence[str], namespace: str, dimension: int) -> Fetched:
    """Return the records of a serialized ``FetchResponse`` in the order of ``ids``."""
    found = _vectors(_FetchResponse.FromString(wire))
    if any(len(values) != 4 * dimension for _, values in found.values()):
        # floats may travel unpacked or in pieces, which the raw message loses
        found = _vectors(canonical(_FetchResponse, wire))
    rows: list[_Row] = []
    rejected: list[Rejected] = []
    for name in ids:
        vector, values = found.get(name, (None, b""))
        if vector is None:
            continue
        if len(values) != 4 * dimension:
            rejected.append(_wrong_dimension(namespace, name, len(values) // 4, dimension))
            continue
        try:
            rows.append((name, values, _metadata(vector.metadata), _sparse(vector)))
        except ValueError as error:
            rejected.append(Rejected(namespace, name, "bad_metadata", "metadata", f"the metadata cannot be read: {error}"))
    return _assembled(rows, namespace, dimension, rejected)


def _vectors(response: Any) -> dict[str, tuple[Any, bytes]]:
    """Return each vector by id, with its values: every access to those would copy them again."""
    return {entry.key: (vector := entry.value, vector.values) for entry in response.vectors}


def decode_plain(vectors: Mapping[str, Any], ids: Sequence[str], namespace: str, dimension: int) -> Fetched:
    """Return the records of the SDK's ``FetchResponse.vectors`` in the order of ``ids``."""
    rows, rejected = [], []
    for name in ids:
        vector = vectors.get(name)
        if vector is None:
            continue
        if len(vector.values) != dimension:
            rejected.append(_wrong_dimension(namespace, name, len(vector.values), dimension))
            continue
        sparse = vector.sparse_values
        parts = {"indices": list(sparse.indices), "values": list(sparse.values)} if sparse is not None and len(sparse.indices) else None
        rows.append((name, np.asarray(vector.values, "<f4").tobytes(), canonical_metadata(vector.metadata), parts))
    return _assembled(rows, namespace, dimension, rejected)


def _assembled(rows: Sequence[_Row], namespace: str, dimension: int, rejected: list[Rejected]) -> Fetched:
    values = np.frombuffer(b"".join(row[1] for row in rows), np.float32).reshape(len(rows), dimension)
    sparse = [row[3] for row in rows]
    batch = make_batch(
        [row[0] for row in rows],
        values,
        namespace=namespace,
        metadata=[row[2] for row in rows],
        sparse_values=sparse if any(sparse) else None,
    )
    return Fetched(batch, tuple(rejected))


def _metadata(struct: bytes) -> str | None:
    text = to_json(struct) if struct else None
    return None if text == "{}" else text


def _sparse(vector: Any) -> dict[str, Any] | None:
    if not vector.HasField("sparse_values") or not vector.sparse_values.indices:
        return None
    return {"indices": list(vector.sparse_values.indices), "values": floats(vector.sparse_values.values).tolist()}


def _wrong_dimension(namespace: str, name: str, got: int, wanted: int) -> Rejected:
    return Rejected(namespace, name, "wrong_dimension", "values", f"the vector has {got} dimensions, the index {wanted}")
