"""Which column of a file plays which part, and what of them cannot be carried over exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyarrow import types

from migrator import endpoints
from migrator.errors import ConfigError
from migrator.model import Endpoint, Finding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from migrator.connectors.parquet.sample import Sample

ID_NAMES = ("id", "_id", "ids")
VALUES_NAMES = ("values", "vector", "embedding", "embeddings", "emb", "vectors")
OPTIONS = frozenset({"id", "values", "metadata", "namespace", "sparse_values", "round"})
"""Endpoint options that name a column; and ``round``, whether numbers that are no float32 are rounded."""
NUMBERS = ("values", "sparse_values")
"""The parts whose numbers become float32."""
_FLOAT32_EXACT = 1 << 24
"""Up to here float32 holds every whole number."""
_INDEX_LEVEL = "__index_level_0__"
"""pandas writes a frame's row numbers under this name."""


@dataclass(frozen=True)
class Columns:
    """The columns of one file by the part they play."""

    id: str
    values: str | None
    """None where records have sparse values only."""
    metadata: str | None
    namespace: str | None
    sparse_values: str | None
    others: tuple[str, ...]
    """Columns that become metadata fields."""
    left_out: tuple[str, ...]
    """Columns of types that JSON has no word for."""

    def names(self) -> list[str]:
        """Return the columns to read."""
        return [name for name in (self.id, self.values, self.metadata, self.namespace, self.sparse_values, *self.others) if name is not None]

    def key_names(self) -> list[str]:
        return [self.id] if self.namespace is None else [self.id, self.namespace]


def columns_of(schema: pa.Schema, options: Mapping[str, str], shown: str) -> Columns:
    """Return the parts the columns of ``schema`` play. Raise ``ConfigError`` naming what is missing in the file ``shown``."""
    twice = [name for name in schema.names if schema.names.count(name) > 1]
    if twice:
        raise ConfigError(f"{shown} has two columns called {twice[0]!r}", fix="rename one of them", code="bad_columns")
    id_ = _named(schema, options, "id", ID_NAMES, shown)
    values = _named(schema, options, "values", VALUES_NAMES, shown)
    metadata = _named(schema, options, "metadata", ("metadata",), shown)
    namespace = _named(schema, options, "namespace", ("namespace",), shown)
    sparse_values = _named(schema, options, "sparse_values", ("sparse_values",), shown)
    if id_ is None:
        raise _missing("id", "id=COLUMN", schema, shown)
    if values is None and sparse_values is None:
        raise _missing("values", "values=COLUMN", schema, shown)
    _check_types(schema, id_, values, shown)
    rest = [name for name in schema.names if name not in {id_, values, metadata, namespace, sparse_values, _INDEX_LEVEL}]
    left_out = tuple(name for name in rest if not _expressible(schema.field(name).type))
    return Columns(id_, values, metadata, namespace, sparse_values, tuple(name for name in rest if name not in left_out), left_out)


def _named(schema: pa.Schema, options: Mapping[str, str], part: str, names: tuple[str, ...], shown: str) -> str | None:
    wanted = options.get(part)
    if wanted is not None:
        if wanted not in schema.names:
            raise _missing(wanted, f"{part}=COLUMN", schema, shown)
        return wanted
    found = [name for name in names if name in schema.names]
    if len(found) > 1 and found[0] != part:
        raise ConfigError(f"{shown} has the columns {' and '.join(found)}, either could be the {part}", fix=f"choose with {part}=", code="bad_columns")
    return found[0] if found else None


def _missing(name: str, option: str, schema: pa.Schema, shown: str) -> ConfigError:
    have = ", ".join(schema.names[:20])
    return ConfigError(f"{shown} has no column {name!r}", fix=f"name it with {option}; the file has: {have}", code="bad_columns")


def _check_types(schema: pa.Schema, id_: str, values: str | None, shown: str) -> None:
    kind = schema.field(id_).type
    kind = kind.value_type if types.is_dictionary(kind) else kind
    # a file without rows may have columns without a type; in one with rows each row is rejected for what it lacks
    if not (types.is_integer(kind) or _is_text(kind) or types.is_null(kind)):
        raise ConfigError(f"column {id_!r} of {shown} holds {kind}, ids are text or whole numbers", fix="choose another with id=", code="bad_columns")
    if values is None or types.is_null(schema.field(values).type):
        return
    kind = schema.field(values).type
    if not is_list(kind) or not (types.is_floating(kind.value_type) or types.is_integer(kind.value_type)):
        raise ConfigError(f"column {values!r} of {shown} holds {kind}, vectors are lists of numbers", fix="choose another with values=", code="bad_columns")


def is_list(kind: pa.DataType) -> bool:
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _is_text(kind: pa.DataType) -> bool:
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _expressible(kind: pa.DataType) -> bool:
    """Whether JSON can hold the values of a type, as itself, as ISO 8601 text, or as base64 text."""
    if types.is_dictionary(kind) or is_list(kind):
        return _expressible(kind.value_type)
    if types.is_struct(kind):
        return all(_expressible(kind.field(place).type) for place in range(kind.num_fields))
    if types.is_map(kind):
        return _is_text(kind.key_type) and _expressible(kind.item_type)
    tests = (types.is_null, types.is_boolean, types.is_integer, types.is_floating, types.is_decimal, types.is_date, types.is_time, types.is_timestamp)
    return _is_text(kind) or is_binary(kind) or any(test(kind) for test in tests)


def is_binary(kind: pa.DataType) -> bool:
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind))


def exact(kind: pa.DataType) -> bool:
    """Return whether every value of an element type is a float32."""
    return bool(types.is_null(kind) or types.is_float32(kind) or types.is_float16(kind) or (types.is_integer(kind) and kind.bit_width <= 16))


def changed_by_rounding(numbers: Any, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Return for each row whether conversion to float32 changed a component."""
    if not np.issubdtype(numbers.dtype, np.integer):
        return np.asarray(((vectors != numbers) & ~np.isnan(numbers)).any(axis=1), np.bool_)
    if not numbers.size or max(-int(numbers.min()), int(numbers.max())) <= _FLOAT32_EXACT:
        return np.zeros(len(numbers), np.bool_)
    # whole numbers are compared as such: numpy would compare them as float64, which holds those up to 2**53 only
    bounds = np.iinfo(numbers.dtype)
    fits = (vectors >= float(bounds.min)) & (vectors < float(bounds.max + 1))
    back = np.where(fits, vectors, np.float32(0)).astype(numbers.dtype)
    return np.asarray((~fits | (back != numbers)).any(axis=1), np.bool_)


def weights_type(kind: pa.DataType) -> pa.DataType | None:
    """Return the type of the weights in a column of sparse values; None when ``kind`` is no form of them that we know."""
    if types.is_map(kind):
        index, weight = kind.key_type, kind.item_type
    elif types.is_struct(kind) and sorted(field.name for field in kind) == ["indices", "values"]:
        if not all(is_list(field.type) for field in kind):
            return None
        index, weight = kind.field("indices").type.value_type, kind.field("values").type.value_type
    else:
        return None
    # lists that are all empty have elements of no type
    numbers = types.is_floating(weight) or types.is_integer(weight) or types.is_null(weight)
    return weight if numbers and (types.is_integer(index) or types.is_null(index)) else None


def _inexact(schema: pa.Schema, columns: Columns) -> dict[str, tuple[str, pa.DataType]]:
    """Return the parts whose types hold more than float32 does, each with its column and that type."""
    found = {}
    if columns.values is not None and is_list(kind := schema.field(columns.values).type) and not exact(kind.value_type):
        found["values"] = (columns.values, kind.value_type)
    if columns.sparse_values is not None:
        weight = weights_type(schema.field(columns.sparse_values).type)
        if weight is not None and not exact(weight):
            found["sparse_values"] = (columns.sparse_values, weight)
    return found


def agreed(options: Mapping[str, str], sample: Sample) -> list[str]:
    """Return the parts whose numbers are rounded: as ``round`` says, else those where the sample needs it, which the plan tells."""
    if not options.get("round"):
        return list(sample.rounding)
    return list(NUMBERS) if endpoints.flag(Endpoint("parquet", "", options), "round") else []


def id_type_of(schema: pa.Schema, columns: Columns) -> str:
    """Return ``int64`` for whole-number ids that fit, else ``string``."""
    kind = schema.field(columns.id).type
    return "int64" if types.is_integer(kind) and not types.is_uint64(kind) else "string"


def findings_of(schema: pa.Schema, columns: Columns, *, rounding: Sequence[str]) -> list[Finding]:
    """Return what cannot be carried over as it is. ``rounding`` names the parts whose numbers are rounded."""
    found = []
    for part, (name, kind) in _inexact(schema, columns).items():
        if part in rounding:
            found.append(Finding("lossy", f"{part}_rounded", f"{name} holds {kind} values, which are rounded to float32"))
        else:
            message = f"{name} holds {kind} values; records with any that is no float32 are rejected"
            found.append(Finding("info", f"{part}_converted", message, "round=true on the source rounds them instead"))
    for name in (*columns.left_out, *columns.others):
        kind = schema.field(name).type
        if name in columns.left_out:
            found.append(Finding("lossy", "column_left_out", f"column {name!r} of type {kind} has no form in JSON and is left out"))
        elif is_binary(kind):
            found.append(Finding("info", "binary_as_base64", f"column {name!r} holds bytes and becomes base64 text in the metadata"))
    return found
