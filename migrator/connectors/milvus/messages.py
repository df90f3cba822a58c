"""Columns as protobuf messages, vectors as one copy of their bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pymilvus.grpc_gen import schema_pb2

from migrator.connectors.milvus.fieldtypes import SLOTS, Type
from migrator.connectors.milvus.vectors import field_data

if TYPE_CHECKING:
    from migrator.connectors.milvus.columns import Columns
    from migrator.connectors.milvus.fieldtypes import Field
    from migrator.connectors.milvus.layout import Layout


def fields_data(columns: Columns, layout: Layout) -> list[Any]:
    """Return the ``fields_data`` of an insert or upsert request."""
    found = [_keys(columns, layout)]
    if layout.vector and columns.values is not None:
        found.append(field_data(layout.vector, layout.vector_type, columns.values))
    if layout.sparse and columns.sparse is not None:
        found.append(_sparse(layout.sparse, columns.sparse))
    if layout.namespace and columns.namespaces is not None:
        data = schema_pb2.FieldData(type=Type.VarChar, field_name=layout.namespace.name)
        data.scalars.string_data.data.extend(columns.namespaces.to_pylist())
        found.append(data)
    found += [_scalar(scalar, columns.scalars[scalar.name]) for scalar in layout.scalars]
    if columns.dynamic is not None:
        data = schema_pb2.FieldData(type=Type.JSON, field_name="$meta", is_dynamic=True)
        data.scalars.json_data.data.extend((text or "{}").encode() for text in columns.dynamic.to_pylist())
        found.append(data)
    return found


def _keys(columns: Columns, layout: Layout) -> Any:
    data = schema_pb2.FieldData(type=layout.key.type, field_name=layout.key.name)
    slot = data.scalars.long_data if layout.id_type == "int64" else data.scalars.string_data
    slot.data.extend(columns.keys.to_pylist())
    return data


def _sparse(name: str, rows: list[bytes | None]) -> Any:
    data = schema_pb2.FieldData(type=Type.SparseFloatVector, field_name=name)
    array = data.vectors.sparse_float_vector
    array.contents.extend(row or b"" for row in rows)
    array.dim = max((int(np.frombuffer(row, "<u4")[::2].max()) + 1 for row in rows if row), default=1)
    data.vectors.dim = array.dim
    return data


def _scalar(scalar: Field, values: list[Any]) -> Any:
    data = schema_pb2.FieldData(type=scalar.type, field_name=scalar.name)
    if scalar.nullable:
        data.valid_data.extend(value is not None for value in values)
        values = [value for value in values if value is not None]  # nulls are left out of the data, as the SDK does
    if scalar.type == Type.Array:
        data.scalars.array_data.element_type = scalar.element
        for value in values:
            getattr(data.scalars.array_data.data.add(), SLOTS[scalar.element]).data.extend(value)
        return data
    getattr(data.scalars, SLOTS[scalar.type]).data.extend(values)
    return data
