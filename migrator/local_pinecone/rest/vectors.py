"""Between the data plane's JSON and the engine's records. Names are taken in camelCase and in the proto's own spelling, as the service does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from migrator.local_pinecone.engine import Metadata, Record
from migrator.local_pinecone.engine.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from migrator.local_pinecone.engine import Match
    from migrator.local_pinecone.engine.records import Sparse, Values

_MOST_INDEX = 2**32 - 1


def field(body: Mapping[str, Any], *spellings: str) -> Any:
    """Return a field by any of its names, None when it is not there."""
    for name in spellings:
        if body.get(name) is not None:
            return body[name]
    return None


def items(body: Mapping[str, Any], name: str) -> list[Any]:
    """Return a list field, empty when it is not there."""
    value = field(body, name)
    if value is not None and not isinstance(value, list):
        raise invalid(f"{name} must be a list")
    return value or []


def text(body: Mapping[str, Any], *spellings: str) -> str | None:
    """Return a string field, None when it is not there or empty."""
    value = field(body, *spellings)
    if value is not None and not isinstance(value, str):
        raise invalid(f"{spellings[0]} must be a string")
    return value or None


def flag(body: Mapping[str, Any], *spellings: str) -> bool:
    """Return a boolean field, False when it is not there."""
    value = field(body, *spellings)
    if value is not None and not isinstance(value, bool):
        raise invalid(f"{spellings[0]} must be true or false")
    return bool(value)


def whole_number(body: Mapping[str, Any], *spellings: str) -> int | None:
    """Return a whole number, None when it is not there."""
    value = field(body, *spellings)
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value)):
        raise invalid(f"{spellings[0]} must be a whole number")
    return None if value is None else int(value)


def filter_of(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the metadata filter, None when there is none; an empty one is a filter, and refused later."""
    value = field(body, "filter")
    if value is not None and not isinstance(value, dict):
        raise invalid("filter must be an object")
    return value


def record_of(vector: Any) -> Record:
    """Return the record a JSON vector is."""
    if not isinstance(vector, dict) or not isinstance(vector.get("id", ""), str):
        raise invalid("A vector must be an object whose id is a string")
    return Record(
        vector.get("id", ""),
        values_of(vector.get("values")),
        sparse_of(field(vector, "sparseValues", "sparse_values")),
        metadata_of(vector.get("metadata")),
    )


def values_of(numbers: Any) -> Values | None:
    """Return a list of numbers as float32, None for an absent or empty one."""
    if numbers is None or numbers == []:
        return None
    return _floats(numbers, "values")


def sparse_of(value: Any) -> Sparse | None:
    """Return a sparse vector, None when it is absent."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise invalid("sparseValues must be an object with indices and values")
    indices = np.array(value.get("indices") or [], dtype=None if value.get("indices") else np.int64)
    if indices.ndim != 1 or indices.dtype.kind not in "iu" or (len(indices) and (indices.min() < 0 or indices.max() > _MOST_INDEX)):
        raise invalid("Sparse indices must be whole numbers between 0 and 4294967295")
    return indices.astype(np.uint32), _floats(value.get("values") or [], "sparse values")


def metadata_of(value: Any) -> Metadata | None:
    """Return metadata, None for an absent or empty object."""
    if value is None or value == {}:
        return None
    if not isinstance(value, dict):
        raise invalid("metadata must be an object")
    return Metadata.from_json_object(value)


def shown(record: Record) -> dict[str, Any]:
    """Return a record as JSON shows it."""
    vector: dict[str, Any] = {"id": record.id, "values": [] if record.values is None else record.values}
    if record.sparse is not None:
        vector["sparseValues"] = {"indices": record.sparse[0], "values": record.sparse[1]}
    if record.metadata is not None:
        vector["metadata"] = record.metadata.fields
    return vector


def match(found: Match) -> dict[str, Any]:
    """Return a query's match as JSON shows it."""
    return {**shown(found.record), "score": np.float32(found.score)}


def _floats(numbers: Any, what: str) -> Values:
    if not isinstance(numbers, list):
        raise invalid(f"{what} must be a list of numbers")
    try:
        array = np.array(numbers) if numbers else np.empty(0)
    except ValueError:
        raise invalid(f"{what} must be a list of numbers") from None
    if array.ndim != 1 or array.dtype.kind not in "iuf":  # None, text or nested lists make other arrays
        raise invalid(f"{what} must be a list of numbers")
    with np.errstate(over="ignore"):  # beyond float32 a number becomes infinite, which is refused as such
        return array.astype(np.float32)
