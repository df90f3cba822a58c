"""Rows as Milvus returns them, made into record batches without turning vectors into Python numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from migrator.connectors.milvus.fieldtypes import SLOTS, Type
from migrator.connectors.milvus.sparse import decode_sparse
from migrator.connectors.milvus.vectors import BY_TYPE, decode, raw_of
from migrator.errors import UnreadableSourceError
from migrator.model import DEFAULT_NAMESPACE, Rejected
from migrator.records import canonical_metadata, constant, integer_ids, make_batch, parse_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from migrator.connectors.milvus.layout import Layout


@dataclass
class Page:
    """Rows of one answer, column by column."""

    keys: pa.Array
    """int64 or string."""
    values: npt.NDArray[np.float32] | None = None
    no_vector: npt.NDArray[np.bool_] | None = None
    """Rows whose vector is null."""
    sparse: Sequence[bytes] | None = None
    namespaces: pa.Array | None = None
    scalars: dict[str, list[Any]] = field(default_factory=dict)
    dynamic: Sequence[Any] | None = None
    """JSON text or bytes, None where there is none."""

    def __len__(self) -> int:
        return len(self.keys)

    def slice(self, start: int, rows: int) -> Page:
        """Return ``rows`` rows from ``start``; the vectors stay shared."""
        end = start + rows
        return Page(
            self.keys.slice(start, rows),
            None if self.values is None else self.values[start:end],
            None if self.no_vector is None else self.no_vector[start:end],
            None if self.sparse is None else self.sparse[start:end],
            None if self.namespaces is None else self.namespaces.slice(start, rows),
            {name: column[start:end] for name, column in self.scalars.items()},
            None if self.dynamic is None else self.dynamic[start:end],
        )


def page_of(answer: Any, layout: Layout) -> Page:
    """Return the rows of a ``QueryResults`` message."""
    found = {data.field_name: data for data in answer.fields_data}
    if layout.key.name not in found:
        return Page(pa.array([], pa.int64() if layout.id_type == "int64" else pa.string()))
    page = Page(_keys(found[layout.key.name], layout))
    if layout.vector and layout.vector in found:
        page.values, page.no_vector = _vectors(found[layout.vector], len(page), layout)
    if layout.sparse and layout.sparse in found:
        page.sparse = list(found[layout.sparse].vectors.sparse_float_vector.contents)
    if layout.namespace and layout.namespace.name in found:
        page.namespaces = pa.array(scalar_values(found[layout.namespace.name]), pa.string()).fill_null(DEFAULT_NAMESPACE)
    page.scalars = {scalar.name: scalar_values(found[scalar.name]) for scalar in layout.scalars if scalar.name in found}
    if layout.dynamic and "$meta" in found:
        page.dynamic = list(found["$meta"].scalars.json_data.data)
    return page


def _keys(data: Any, layout: Layout) -> pa.Array:
    if layout.id_type == "int64":
        return pa.array(np.array(data.scalars.long_data.data, np.int64))
    return pa.array(list(data.scalars.string_data.data), pa.string())


def _vectors(data: Any, rows: int, layout: Layout) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_] | None]:
    """Return the matrix of ``data``, and which rows have no vector."""
    dimension, raw = layout.dimension, raw_of(data, layout.vector_type)
    valid = np.array(data.valid_data, bool) if data.valid_data else None
    size = dimension * BY_TYPE[layout.vector_type].bits // 8
    if valid is not None and len(raw) == int(valid.sum()) * size:  # null vectors are left out of the bytes
        matrix = np.zeros((rows, dimension), np.float32)
        matrix[valid] = decode(layout.vector_type, raw, dimension)
        return matrix, ~valid
    if len(raw) != rows * size:
        raise UnreadableSourceError(
            f"Milvus answered {len(raw)} bytes of vectors for {rows} records of {size}", fix="try again; if it stays, report it to Milvus"
        )
    return decode(layout.vector_type, raw, dimension), None if valid is None else ~valid


def scalar_values(data: Any) -> list[Any]:
    """Return the values of one scalar field, None where it is null."""
    if data.type == Type.Array:
        values: list[Any] = [_array(row) for row in data.scalars.array_data.data]
    else:
        values = list(getattr(data.scalars, SLOTS[data.type]).data)
    valid = list(data.valid_data)
    if not valid:
        return values
    if len(values) == len(valid):
        return [value if known else None for value, known in zip(values, valid, strict=True)]
    known_values = iter(values)  # some servers leave nulls out of the data
    return [next(known_values) if known else None for known in valid]


def _array(row: Any) -> list[Any]:
    kind = row.WhichOneof("data")
    return list(getattr(row, kind).data) if kind else []


def to_batch(page: Page, layout: Layout, namespace: str) -> tuple[pa.RecordBatch, tuple[Rejected, ...], npt.NDArray[np.int64] | None]:
    """Return the records of ``page``, those that are none with their reasons, and the positions of the records when some are missing.

    ``namespace`` is that of a collection or partition; where a field holds it, the field counts.
    """
    ids = integer_ids(page.keys.to_numpy(zero_copy_only=False)) if layout.id_type == "int64" else page.keys
    namespaces = page.namespaces if page.namespaces is not None else constant(namespace, len(page))
    metadata, problems = _metadata(page, layout)
    if page.no_vector is not None:
        problems |= {int(row): ("no_vector", "values", "its vector is null") for row in np.flatnonzero(page.no_vector)}
    # an answer without rows has no column of vectors either, and must go together with one that has
    values = page.values if page.values is not None else np.empty((len(page), 0 if len(page) else layout.dimension), np.float32)
    sparse = decode_sparse(page.sparse) if page.sparse is not None else None
    batch = make_batch(ids, values, namespace=namespaces, metadata=pa.array(metadata, pa.string()), sparse_values=sparse)
    if not problems:
        return batch, (), None
    rejected = tuple(
        Rejected(namespaces[row].as_py(), ids[row].as_py(), code, part, f"record {ids[row].as_py()!r}: {message}")
        for row, (code, part, message) in sorted(problems.items())
    )
    kept = np.array([row for row in range(len(page)) if row not in problems], np.int64)
    return batch.take(pa.array(kept)), rejected, kept


def _metadata(page: Page, layout: Layout) -> tuple[list[str | None], dict[int, tuple[str, str, str]]]:
    """Return canonical metadata a row, and code, field and message of each row whose metadata is no JSON object."""
    problems: dict[int, tuple[str, str, str]] = {}
    texts: list[str | None] = [None] * len(page)
    escape = layout.escape() if layout.marked else None
    for row in range(len(page)):
        raw = page.dynamic[row] if page.dynamic is not None else None
        if not page.scalars and (not raw or raw in (b"{}", "{}")):
            continue
        try:
            decoded = parse_json(raw) if raw else {}
            if escape is not None and decoded:
                decoded = {escape.unescape_key(key): value for key, value in decoded.items()}
            texts[row] = canonical_metadata((decoded or {}) | _declared(page, layout, row))
        except (ValueError, AttributeError, TypeError) as error:
            problems[row] = ("bad_metadata", "metadata", f"its metadata is not kept as a JSON object: {error}")
    return texts, problems


def _declared(page: Page, layout: Layout, row: int) -> dict[str, Any]:
    """Return the declared metadata fields of ``row``; a null field is an absent key."""
    record = {}
    for scalar in layout.scalars:
        value = page.scalars[scalar.name][row] if scalar.name in page.scalars else None
        if value is not None:
            record[scalar.name] = _json_value(value) if scalar.type == Type.JSON else value
    return record


def _json_value(raw: str | bytes) -> Any:
    """Return what a JSON field holds. Lite stores a JSON string without its quotes (Collection._build_wal_data_batch)."""
    try:
        return parse_json(raw)
    except ValueError:
        return raw.decode() if isinstance(raw, bytes) else raw
