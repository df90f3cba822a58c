"""What the fields of a Milvus collection mean to us: key, vector, sparse vector, namespace, metadata."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pymilvus.grpc_gen import milvus_pb2 as pb

from migrator.connectors.milvus.aliases import own_name
from migrator.connectors.milvus.fieldtypes import SCALARS, SLOTS, Field, Type
from migrator.connectors.milvus.names import RESERVED_KEYS
from migrator.connectors.milvus.vectors import BY_TYPE
from migrator.errors import PermanentError, PlanError
from migrator.key_escape import KeyEscape
from migrator.model import Finding, IdType, Metric

if TYPE_CHECKING:
    from migrator.connectors.milvus.options import Settings
    from migrator.connectors.milvus.wire import Wire

__all__ = ["MARK", "MARKER", "METRICS", "METRIC_NAMES", "SCALARS", "SLOTS", "Field", "Layout", "Type", "describe_index", "exists", "mark", "read_layout"]

MARKER = "vector_migrator"
"""Property (Lite) or description (server) of a collection we made: its metadata keys are escaped."""
MARK = f"{MARKER}: metadata keys escaped with underscores"
METRICS: dict[str, Metric] = {"COSINE": "cosine", "IP": "dotproduct", "L2": "euclidean"}
METRIC_NAMES = {ours: theirs for theirs, ours in METRICS.items()}
_VECTORS = (*BY_TYPE, Type.SparseFloatVector, Type.ArrayOfVector)
_ROLES = re.compile(r"; (partition_key|namespace_field)=(\w+)")


@dataclass(frozen=True)
class Layout:
    """The roles of a collection's fields."""

    collection: str
    key: Field
    auto_id: bool
    vector: str | None
    """None for a collection of sparse vectors only."""
    vector_type: int
    dimension: int
    sparse: str | None
    namespace: Field | None
    """The field that holds the namespace in partition-key mode."""
    scalars: tuple[Field, ...]
    dynamic: bool
    marked: bool
    """Whether we made the collection, and escaped its metadata keys."""
    metric_name: str
    """Milvus's own."""
    index_type: str
    ignored: tuple[str, ...]
    """Vector fields that are not read."""
    functions: bool
    partition_key: str
    """The field that decides on the partition of a row, "" for none."""
    lite: bool
    in_field: bool
    """Whether namespaces are told by a field, not by partition or collection."""
    shards: int

    @property
    def metric(self) -> Metric | None:
        """None where it is none of our three, or there is no index yet."""
        return METRICS.get(self.metric_name)

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
        found = [
            Finding("lossy", "vector_field_left_out", f"the vector field {name!r} is not copied", fix=f"copy it in a run of its own with vector_field={name}")
            for name in self.ignored
        ]
        if self.metric_name and self.metric is None:
            message = f"the collection is searched by {self.metric_name}, which no other store has: a target gets cosine, or the metric its options name"
            found.append(Finding("info", "metric_outside", message, "choose metric= of the target by how it will be searched"))
        return tuple(found)


def mark(partition_key: str = "", namespace_field: str = "") -> str:
    """Return the mark of a collection we make; it names the roles of fields where the schema alone would say something else."""
    roles = f"; {partition_key=!s}" * bool(partition_key) + f"; {namespace_field=!s}" * bool(namespace_field)
    return MARK + roles


def exists(wire: Wire, collection: str) -> bool:
    """Return whether there is a collection of this very name. Raise ``PlanError`` when it is an alias: what is meant to be new would go into another one."""
    found = own_name(wire, collection)
    if found in {None, collection}:
        return found is not None
    message = f"the name {collection} is taken in Milvus at {wire.address}: it is an alias of {found}"
    raise PlanError(message, fix="remove the alias, or choose another name for the target", code="name_is_alias")


def read_layout(wire: Wire, collection: str, settings: Settings) -> Layout:
    """Return the layout of ``collection``. Raise ``PlanError`` when a field named by an option is not there or unfit."""
    answer = wire.call("DescribeCollection", pb.DescribeCollectionRequest(collection_name=collection), f"describe {collection}")
    fields = {field.name: field for field in answer.schema.fields}
    key = _key(fields, settings, collection)
    vector, sparse, ignored = _vectors(fields, settings, collection)
    namespace = _namespace(fields, settings, collection, dict(_ROLES.findall(_marks(answer))))
    roles = {key.name, vector, sparse, namespace.name if namespace else None, *ignored}
    metric_name, index_type = _index(wire, collection, vector or sparse)
    return Layout(
        collection=collection,
        key=_scalar(key),
        auto_id=key.autoID,
        vector=vector,
        vector_type=fields[vector].data_type if vector else Type.FloatVector,
        dimension=int(_param(fields[vector], "dim", "0")) if vector else 0,
        sparse=sparse,
        namespace=namespace,
        scalars=tuple(_scalar(field) for field in fields.values() if field.name not in roles and not field.is_dynamic),
        dynamic=answer.schema.enable_dynamic_field,
        marked=bool(_marks(answer)),
        metric_name=metric_name,
        index_type=index_type,
        ignored=ignored,
        functions=bool(answer.schema.functions),
        partition_key=next((field.name for field in fields.values() if field.is_partition_key), ""),
        lite=wire.lease is not None,
        in_field=settings.namespace_mode == "partition_key",
        shards=answer.shards_num,
    )


def _marks(answer: Any) -> str:
    """Return the mark of a collection we made, "" for another: a server keeps it as description, Lite as property."""
    texts = (answer.schema.description, *(pair.value for pair in answer.properties if pair.key == MARKER))
    return next((text for text in texts if MARKER in text), "")


def _param(field: Any, name: str, default: str) -> str:
    return next((pair.value for pair in field.type_params if pair.key == name), default)


def _scalar(field: Any) -> Field:
    if field.data_type not in SCALARS:
        raise PlanError(
            f"field {field.name!r} has the type {Type.Name(field.data_type)}, which cannot be copied as metadata",
            fix="read a collection without it",
            code="unsupported_field",
        )
    length, capacity = int(_param(field, "max_length", "0")), int(_param(field, "max_capacity", "0"))
    return Field(field.name, field.data_type, length, getattr(field, "nullable", False), field.element_type, capacity)


def _key(fields: dict[str, Any], settings: Settings, collection: str) -> Any:
    key = next(field for field in fields.values() if field.is_primary_key)
    if settings.id_field and key.name != settings.id_field:
        raise PlanError(f"the primary key of {collection} is {key.name!r}, not {settings.id_field!r}", fix=f"use id_field={key.name}", code="wrong_field")
    return key


def _vectors(fields: dict[str, Any], settings: Settings, collection: str) -> tuple[str | None, str | None, tuple[str, ...]]:
    """Return the dense field, the sparse field and the vector fields left out."""
    dense = sorted((name for name, field in fields.items() if field.data_type in BY_TYPE), key=lambda name: fields[name].data_type != Type.FloatVector)
    sparse = [name for name, field in fields.items() if field.data_type == Type.SparseFloatVector and not field.is_function_output]
    every = [name for name, field in fields.items() if field.data_type in _VECTORS]
    vector = _chosen(settings.vector_field, dense, "vector_field", collection)
    chosen_sparse = _chosen(settings.sparse_field, sparse, "sparse_field", collection)
    if vector is None and chosen_sparse is None:
        kinds = ", ".join(f"{name} ({Type.Name(fields[name].data_type)})" for name in every) or "none"
        raise PlanError(
            f"collection {collection} has no vector field that can be copied; its vector fields: {kinds}",
            fix="copy it into one with a vector a row first",
            code="unsupported_field",
        )
    return vector, chosen_sparse, tuple(name for name in every if name not in {vector, chosen_sparse})


def _chosen(wanted: str, found: list[str], option: str, collection: str) -> str | None:
    if wanted and wanted not in found:
        raise PlanError(
            f"collection {collection} has no fitting field {wanted!r}", fix=f"use {option}= one of: {', '.join(found) or 'none'}", code="wrong_field"
        )
    return wanted or (found[0] if found else None)


def _namespace(fields: dict[str, Any], settings: Settings, collection: str, roles: dict[str, str]) -> Field | None:
    """Return the namespace field: the one the option or our own mark names, else a text partition key that is no metadata field."""
    if settings.namespace_mode != "partition_key":
        return None
    if settings.namespace_field or roles.get("namespace_field") in fields:
        name = settings.namespace_field or roles["namespace_field"]
        field = fields.get(name)
        if field is None or field.data_type != Type.VarChar:
            texts = ", ".join(name for name, field in fields.items() if field.data_type == Type.VarChar and not field.is_primary_key)
            raise PlanError(f"collection {collection} has no text field {name!r}", fix=f"use namespace_field= one of: {texts or 'none'}", code="wrong_field")
        return _scalar(field)
    metadata = {settings.partition_key, roles.get("partition_key")}
    keys = (field for field in fields.values() if field.is_partition_key and field.data_type == Type.VarChar and field.name not in metadata)
    return next((_scalar(field) for field in keys), None)


def describe_index(wire: Wire, collection: str, field: str | None) -> tuple[Metric | None, str]:
    """Return metric and type of the index on ``field``; (None, "") when it has none."""
    metric, kind = _index(wire, collection, field)
    return METRICS.get(metric), kind


def _index(wire: Wire, collection: str, field: str | None) -> tuple[str, str]:
    """Return the metric by Milvus's name and the type of the index on ``field``, each "" when it has none."""
    request = pb.DescribeIndexRequest(collection_name=collection, field_name=field or "")
    try:
        indexes = wire.call("DescribeIndex", request, "describe the index").index_descriptions
    except PermanentError as error:
        if error.code != "not_found":  # a collection without index answers 700, index not found
            raise
        return "", ""
    for index in indexes:
        if index.field_name == field:
            params = {pair.key: pair.value for pair in index.params}
            return params.get("metric_type", "").upper(), params.get("index_type", "")
    return "", ""
