"""What the fields of a Milvus collection mean to us: key, vector, sparse vector, namespace, metadata."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pymilvus.grpc_gen import milvus_pb2 as pb
from pymilvus.grpc_gen import schema_pb2

from migrator.connectors.milvus.names import RESERVED_KEYS
from migrator.errors import PermanentError, PlanError
from migrator.key_escape import KeyEscape
from migrator.model import Finding, IdType, Metric

if TYPE_CHECKING:
    from migrator.connectors.milvus.options import Settings
    from migrator.connectors.milvus.wire import Wire

Type = schema_pb2.DataType
SLOTS = {
    Type.Bool: "bool_data",
    Type.Int8: "int_data",
    Type.Int16: "int_data",
    Type.Int32: "int_data",
    Type.Int64: "long_data",
    Type.Float: "float_data",
    Type.Double: "double_data",
    Type.VarChar: "string_data",
    Type.JSON: "json_data",
}
"""Where a scalar column's values lie in a protobuf message (schema.proto, ScalarField)."""
MARKER = "vector_migrator"
"""Property (Lite) or description (server) of a collection we made: its metadata keys are escaped."""
MARK = f"{MARKER}: metadata keys escaped with underscores"
METRICS: dict[str, Metric] = {"COSINE": "cosine", "IP": "dotproduct", "L2": "euclidean"}
METRIC_NAMES = {ours: theirs for theirs, ours in METRICS.items()}
SCALARS = {
    Type.Bool: "bool",
    Type.Int8: "int8",
    Type.Int16: "int16",
    Type.Int32: "int32",
    Type.Int64: "int64",
    Type.Float: "float",
    Type.Double: "double",
    Type.VarChar: "string",
    Type.JSON: "json",
    Type.Array: "array",
}
_VECTORS = (Type.FloatVector, Type.SparseFloatVector, Type.BinaryVector, Type.Float16Vector, Type.BFloat16Vector, 105, 106)


@dataclass(frozen=True)
class Field:
    """One scalar field."""

    name: str
    type: int
    max_length: int = 0
    nullable: bool = False
    element: int = 0
    """Type of an array's elements."""


@dataclass(frozen=True)
class Layout:
    """The roles of a collection's fields."""

    collection: str
    key: Field
    auto_id: bool
    vector: str | None
    """None for a collection of sparse vectors only."""
    dimension: int
    sparse: str | None
    namespace: Field | None
    """The field that holds the namespace in partition-key mode."""
    scalars: tuple[Field, ...]
    dynamic: bool
    marked: bool
    """Whether we made the collection, and escaped its metadata keys."""
    metric: Metric | None
    index_type: str
    ignored: tuple[str, ...]
    """Vector fields that are not read."""
    functions: bool
    partition_key: bool
    """Whether a field decides on the partition of a row."""
    lite: bool
    in_field: bool
    """Whether namespaces are told by a field, not by partition or collection."""
    shards: int

    @property
    def id_type(self) -> IdType:
        return "int64" if self.key.type == Type.Int64 else "string"

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of all fields we read or write, without the dynamic one."""
        named = [self.key.name, self.vector, self.sparse, self.namespace.name if self.namespace else None]
        return tuple(name for name in (*named, *(scalar.name for scalar in self.scalars)) if name)

    @property
    def output(self) -> list[str]:
        """What a query must return to make records of."""
        return [*self.fields, *(["$meta"] if self.dynamic else [])]

    def escape(self) -> KeyEscape:
        """Return the renaming of metadata keys this collection needs."""
        return KeyEscape({*self.fields, *self.ignored, *RESERVED_KEYS})

    def findings(self) -> tuple[Finding, ...]:
        """Return what reading this collection leaves out."""
        return tuple(
            Finding("lossy", "vector_field_left_out", f"the vector field {name!r} is not copied", fix=f"copy it in a run of its own with vector_field={name}")
            for name in self.ignored
        )


def exists(wire: Wire, collection: str) -> bool:
    """Return whether ``collection`` exists."""
    request = pb.ShowCollectionsRequest()
    return collection in wire.call("ShowCollections", request, "list the collections").collection_names


def read_layout(wire: Wire, collection: str, settings: Settings) -> Layout:
    """Return the layout of ``collection``. Raise ``PlanError`` when a field named by an option is not there or unfit."""
    answer = wire.call("DescribeCollection", pb.DescribeCollectionRequest(collection_name=collection), f"describe {collection}")
    layout = layout_of(answer.schema, collection, settings, lite=wire.lease is not None)
    metric, index_type = describe_index(wire, collection, layout.vector or layout.sparse)
    marked = layout.marked or any(pair.key == MARKER for pair in answer.properties)
    return replace(layout, marked=marked, metric=metric, index_type=index_type, shards=answer.shards_num)


def layout_of(proto: Any, collection: str, settings: Settings, *, lite: bool) -> Layout:
    """Return the layout of a ``CollectionSchema`` as far as it says: no index, no shards."""
    fields = {field.name: field for field in proto.fields}
    key = _key(fields, settings, collection)
    vector, sparse, ignored = _vectors(fields, settings, collection)
    namespace = _namespace(fields, settings, collection)
    roles = {key.name, vector, sparse, namespace.name if namespace else None, *ignored}
    return Layout(
        collection=collection,
        key=_scalar(key),
        auto_id=key.autoID,
        vector=vector,
        dimension=int(_param(fields[vector], "dim", "0")) if vector else 0,
        sparse=sparse,
        namespace=namespace,
        scalars=tuple(_scalar(field) for field in proto.fields if field.name not in roles and not field.is_dynamic),
        dynamic=proto.enable_dynamic_field,
        marked=MARKER in proto.description,
        metric=None,
        index_type="",
        ignored=ignored,
        functions=bool(proto.functions),
        partition_key=any(field.is_partition_key for field in proto.fields),
        lite=lite,
        in_field=settings.namespace_mode == "partition_key",
        shards=settings.shards,
    )


def _param(field: Any, name: str, default: str) -> str:
    return next((pair.value for pair in field.type_params if pair.key == name), default)


def _scalar(field: Any) -> Field:
    if field.data_type not in SCALARS:
        raise PlanError(
            f"field {field.name!r} has the type {Type.Name(field.data_type)}, which cannot be copied as metadata",
            fix="read a collection without it",
            code="unsupported_field",
        )
    length = int(_param(field, "max_length", "0"))
    return Field(field.name, field.data_type, length, getattr(field, "nullable", False), field.element_type)


def _key(fields: dict[str, Any], settings: Settings, collection: str) -> Any:
    key = next(field for field in fields.values() if field.is_primary_key)
    if settings.id_field and key.name != settings.id_field:
        raise PlanError(f"the primary key of {collection} is {key.name!r}, not {settings.id_field!r}", fix=f"use id_field={key.name}", code="wrong_field")
    return key


def _vectors(fields: dict[str, Any], settings: Settings, collection: str) -> tuple[str | None, str | None, tuple[str, ...]]:
    """Return the dense field, the sparse field and the vector fields left out."""
    dense = [name for name, field in fields.items() if field.data_type == Type.FloatVector]
    sparse = [name for name, field in fields.items() if field.data_type == Type.SparseFloatVector and not field.is_function_output]
    every = [name for name, field in fields.items() if field.data_type in _VECTORS]
    vector = _chosen(settings.vector_field, dense, "vector_field", collection)
    chosen_sparse = _chosen(settings.sparse_field, sparse, "sparse_field", collection)
    if vector is None and chosen_sparse is None:
        kinds = ", ".join(f"{name} ({Type.Name(fields[name].data_type)})" for name in every) or "none"
        raise PlanError(
            f"collection {collection} has no FLOAT_VECTOR field; its vector fields: {kinds}",
            fix="copy it into one with float32 vectors first",
            code="unsupported_field",
        )
    return vector, chosen_sparse, tuple(name for name in every if name not in {vector, chosen_sparse})


def _chosen(wanted: str, found: list[str], option: str, collection: str) -> str | None:
    if wanted and wanted not in found:
        raise PlanError(
            f"collection {collection} has no fitting field {wanted!r}", fix=f"use {option}= one of: {', '.join(found) or 'none'}", code="wrong_field"
        )
    return wanted or (found[0] if found else None)


def _namespace(fields: dict[str, Any], settings: Settings, collection: str) -> Field | None:
    """Return the namespace field: the one the option names, else a text partition key."""
    if settings.namespace_mode != "partition_key":
        return None
    if settings.namespace_field:
        field = fields.get(settings.namespace_field)
        if field is None or field.data_type != Type.VarChar:
            texts = ", ".join(name for name, field in fields.items() if field.data_type == Type.VarChar and not field.is_primary_key)
            raise PlanError(
                f"collection {collection} has no text field {settings.namespace_field!r}",
                fix=f"use namespace_field= one of: {texts or 'none'}",
                code="wrong_field",
            )
        return _scalar(field)
    return next((_scalar(field) for field in fields.values() if field.is_partition_key and field.data_type == Type.VarChar), None)


def describe_index(wire: Wire, collection: str, field: str | None) -> tuple[Metric | None, str]:
    """Return metric and type of the index on ``field``; (None, "") when it has none."""
    request = pb.DescribeIndexRequest(collection_name=collection, field_name=field or "")
    try:
        indexes = wire.call("DescribeIndex", request, "describe the index").index_descriptions
    except PermanentError as error:
        if error.code != "not_found":  # a collection without index answers 700, index not found
            raise
        return None, ""
    for index in indexes:
        if index.field_name == field:
            params = {pair.key: pair.value for pair in index.params}
            return METRICS.get(params.get("metric_type", "").upper()), params.get("index_type", "")
    return None, ""
