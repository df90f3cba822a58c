"""Judges records against what the target can hold. SDKs and permissive stores let these through; we do not."""

from __future__ import annotations

from collections import abc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from migrator.model import Rejected
from migrator.records import dump_json, matrix, parse_json, sparse_fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from migrator.model import Capabilities, Metric

_FLOAT64_EXACT = 1 << 53
_INT64_LIMIT = 1 << 63
_JSON_TEXT = r'"(?:[^"\\]|\\.)*"'
_WORTH_PARSING = r'null|:\{|[\[,][^"\]]|[:\[,]-?[0-9]{16}'
"""In canonical JSON whose texts are emptied: a null, an object, a list item that is no text, or a whole number of 16 digits and more."""


@dataclass(frozen=True)
class Problem:
    """Why one row of a batch cannot be copied."""

    row: int
    code: str
    field: str
    message: str


def problems(batch: pa.RecordBatch, capabilities: Capabilities, metric: Metric | None) -> list[Problem]:
    """Return the first problem of each row that the target cannot hold, in row order."""
    found: dict[int, Problem] = {}
    checks = (_ids(batch, capabilities), _values(batch, capabilities, metric), _sparse(batch, capabilities), _metadata(batch, capabilities))
    for check in checks:
        for problem in check:
            found.setdefault(problem.row, problem)
    return [found[row] for row in sorted(found)]


def reject(batch: pa.RecordBatch, found: list[Problem]) -> list[Rejected]:
    """Return the rejected records behind ``found``, with the raw record."""
    rejected = []
    for problem in found:
        record = batch.slice(problem.row, 1).to_pylist()[0]
        rejected.append(Rejected(record["namespace"], record["id"], problem.code, problem.field, problem.message, raw_record(record)))
    return rejected


def raw_record(record: abc.Mapping[str, Any]) -> str:
    """Return a record as JSON; components that JSON has no number for appear as text: ``"nan"``."""
    values = np.asarray(record["values"], np.float32)
    plain = {**record, "values": [float(x) if np.isfinite(x) else str(x) for x in values]}
    sparse = record.get("sparse_values")
    if sparse is not None:
        weights = sparse["values"]
        plain["sparse_values"] = {"indices": sparse["indices"], "values": weights and [x if x is None or np.isfinite(x) else str(x) for x in weights]}
    return dump_json(plain)


def _rows(mask: pa.Array | np.ndarray[Any, Any]) -> list[int]:
    flags = mask if isinstance(mask, np.ndarray) else mask.fill_null(fill_value=False).to_numpy(zero_copy_only=False)
    return [int(row) for row in np.flatnonzero(flags)]


def _ids(batch: pa.RecordBatch, capabilities: Capabilities) -> Iterator[Problem]:
    ids = batch.column("id")
    lengths = pc.binary_length(ids)
    shortest, longest = (bound.as_py() for bound in pc.min_max(lengths).values())
    if shortest == 0:
        yield from (Problem(row, "id_empty", "id", "the id is empty") for row in _rows(pc.equal(lengths, 0)))
    limit = capabilities.max_id_bytes
    if limit is not None and (longest or 0) > limit:
        for row in _rows(pc.greater(lengths, limit)):
            yield Problem(row, "id_too_long", "id", f"the id has {lengths[row].as_py()} bytes; the target takes {limit}")
    nul = pc.match_substring(ids, "\0")
    if pc.any(nul).as_py():
        yield from (Problem(row, "id_has_nul", "id", "the id contains a NUL character") for row in _rows(nul))
    if capabilities.ascii_ids:
        for row in _rows(pc.invert(pc.string_is_ascii(ids))):
            yield Problem(row, "id_not_ascii", "id", "the id is not ASCII, and the target takes ASCII ids only")
    yield from _namespaces(batch.column("namespace"), capabilities)


def _namespaces(names: pa.Array, capabilities: Capabilities) -> Iterator[Problem]:
    limit = capabilities.max_namespace_bytes
    if limit is not None:
        for row in _rows(pc.greater(pc.binary_length(names), limit)):
            yield Problem(row, "namespace_too_long", "namespace", f"the namespace has more than {limit} bytes")
    if capabilities.ascii_namespaces:
        for row in _rows(pc.or_(pc.invert(pc.string_is_ascii(names)), pc.match_substring(names, "\0"))):
            yield Problem(row, "namespace_not_ascii", "namespace", "the namespace is not ASCII, and the target takes ASCII namespaces only")


def _values(batch: pa.RecordBatch, capabilities: Capabilities, metric: Metric | None) -> Iterator[Problem]:
    values = matrix(batch)
    if not values.size:
        return
    # everything at once first: only a batch with something wrong in it is looked at row by row
    if not np.isfinite(values).all():
        for row in np.flatnonzero(~np.isfinite(values).all(axis=1)):
            component = int(np.flatnonzero(~np.isfinite(values[row]))[0])
            yield Problem(int(row), "not_finite", "values", f"component {component} is {values[row][component]}")
    if metric == "cosine" and not capabilities.zero_vectors:
        yield from (
            Problem(int(row), "zero_vector", "values", "the vector is all zero, which cosine cannot compare") for row in np.flatnonzero(~values.any(axis=1))
        )


def _sparse(batch: pa.RecordBatch, capabilities: Capabilities) -> Iterator[Problem]:
    column = batch.column("sparse_values")
    if column.null_count == len(column):
        return
    for row in _rows(pc.is_valid(column)):
        if not capabilities.sparse:
            yield Problem(row, "sparse_not_supported", "sparse_values", "the target cannot hold sparse values")
        elif message := _sparse_fault(column[row].as_py()):
            yield Problem(row, "bad_sparse_values", "sparse_values", message)
        elif capabilities.max_sparse_values is not None and (count := len(column[row].as_py()["indices"])) > capabilities.max_sparse_values:
            message = f"the sparse vector has {count} values; the target takes {capabilities.max_sparse_values}"
            yield Problem(row, "too_many_sparse_values", "sparse_values", message)


def _sparse_fault(sparse: abc.Mapping[str, Any]) -> str:
    indices, weights = sparse["indices"], sparse["values"]
    if fault := sparse_fault(indices, weights):
        return fault
    if len(set(indices)) != len(indices):
        return "an index occurs twice"
    if not np.isfinite(np.asarray(weights, np.float32)).all():
        return "a weight is not a finite number"
    return ""


def _metadata(batch: pa.RecordBatch, capabilities: Capabilities) -> Iterator[Problem]:
    column = batch.column("metadata")
    if column.null_count == len(column):
        return
    limit = capabilities.max_metadata_bytes
    if limit is not None:
        lengths = pc.binary_length(column)
        for row in _rows(pc.greater(lengths, limit)):
            yield Problem(row, "metadata_too_large", "metadata", f"the metadata has {lengths[row].as_py()} bytes; the target takes {limit}")
    if not capabilities.metadata:
        yield from (Problem(row, "metadata_not_supported", "metadata", "the target cannot hold metadata") for row in _rows(pc.is_valid(column)))
    elif not _takes_anything(capabilities):
        # parsing every record's metadata is most of what judging costs; a look at its outline tells which to parse
        outlines = pc.replace_substring_regex(column, pattern=_JSON_TEXT, replacement='""')
        for row in _rows(pc.match_substring_regex(outlines, _WORTH_PARSING)):
            yield from _metadata_faults(row, parse_json(column[row].as_py()), capabilities)


def _takes_anything(capabilities: Capabilities) -> bool:
    integers, lists = capabilities.metadata_integers == "any", capabilities.list_metadata == "any"
    return capabilities.nested_metadata and capabilities.null_metadata_values and integers and lists


def _metadata_faults(row: int, metadata: abc.Mapping[str, Any], capabilities: Capabilities) -> Iterator[Problem]:
    for key, value in metadata.items():
        name = f"metadata.{key}"
        if value is None and not capabilities.null_metadata_values:
            yield Problem(row, "null_metadata", name, f"{key} is null, which the target cannot hold")
        if not capabilities.nested_metadata and (kind := _nested(value)):
            yield Problem(row, "nested_metadata", name, f"{key} is {kind}, which the target cannot hold")
        if isinstance(value, list) and capabilities.list_metadata == "strings" and not all(isinstance(item, str) for item in value):
            yield Problem(row, "list_not_strings", name, f"{key} is a list with items that are no strings, which the target cannot hold")
        if (number := _first_unsafe_integer(value, capabilities)) is not None:
            yield Problem(row, "integer_too_large", name, f"{key} holds {number}, which the target would round")


def _nested(value: Any) -> str:
    if isinstance(value, abc.Mapping):
        return "an object"
    inside = isinstance(value, list) and any(isinstance(item, (abc.Mapping, list)) for item in value)
    return "a list with lists or objects in it" if inside else ""


def _first_unsafe_integer(value: Any, capabilities: Capabilities) -> int | None:
    if isinstance(value, bool) or capabilities.metadata_integers == "any":
        return None
    if isinstance(value, int):
        fits = -_INT64_LIMIT <= value < _INT64_LIMIT if capabilities.metadata_integers == "int64" else _exact_as_float(value)
        return None if fits else value
    children = value.values() if isinstance(value, abc.Mapping) else value if isinstance(value, list) else ()
    return next((found for child in children if (found := _first_unsafe_integer(child, capabilities)) is not None), None)


def _exact_as_float(value: int) -> bool:
    try:
        return abs(value) <= _FLOAT64_EXACT or int(float(value)) == value
    except OverflowError:
        return False
