"""Creating the collection a copy needs, or checking that the one that exists will hold it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol

from pymilvus.grpc_gen import common_pb2, schema_pb2
from pymilvus.grpc_gen import milvus_pb2 as pb

from migrator.connectors.milvus.layout import MARK, MARKER, METRIC_NAMES, Type, describe_index, read_layout
from migrator.connectors.milvus.names import RESERVED_KEYS
from migrator.connectors.milvus.options import MAX_NAME, NAME
from migrator.errors import PlanError
from migrator.model import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from migrator.connectors.milvus.layout import Layout
    from migrator.connectors.milvus.options import Settings
    from migrator.connectors.milvus.wire import Wire
    from migrator.model import Collection, Plan

MAX_DIMENSION = 32_768
NAMESPACE_LENGTH = 1024
TEXT_LENGTH = 65_535
"""Milvus Limits: the longest VARCHAR. It reserves nothing."""
_TYPES = {
    **dict.fromkeys(("bool", "boolean"), Type.Bool),
    **dict.fromkeys(("string", "str", "text", "large_string"), Type.VarChar),
    **dict.fromkeys(("int", "integer", "int64"), Type.Int64),
    **dict.fromkeys(("int8",), Type.Int8),
    **dict.fromkeys(("int16",), Type.Int16),
    **dict.fromkeys(("int32",), Type.Int32),
    **dict.fromkeys(("float", "double", "float64"), Type.Double),
    **dict.fromkeys(("object", "dict", "json", "struct"), Type.JSON),
}
"""The fields that give back what sources call a value of these types, exactly."""


class Server(Protocol):
    """What of a connection decides on a schema."""

    @property
    def release(self) -> tuple[int, int]: ...
    @property
    def product(self) -> str: ...
    @property
    def lease(self) -> object | None:
        """Not None for Milvus Lite."""


def create(wire: Wire, name: str, collection: Collection, plan: Plan, settings: Settings) -> None:
    """Create ``name`` with its index, and load it, so that it can be read from the first record on."""
    schema = schema_of(wire, name, collection, plan, settings)
    request = pb.CreateCollectionRequest(
        collection_name=name, schema=schema.SerializeToString(), shards_num=settings.shards, consistency_level=settings.consistency
    )
    if wire.lease is not None:  # Lite keeps no description, and a server may refuse properties it does not know
        request.properties.add(key=MARKER, value=MARK)
    wire.call("CreateCollection", request, f"create {name}")


def schema_of(server: Server, name: str, collection: Collection, plan: Plan, settings: Settings) -> Any:
    """Return the ``CollectionSchema`` that a collection for ``collection`` gets on ``server``. Raise ``PlanError`` for what it cannot hold."""
    if collection.dimension > MAX_DIMENSION:
        raise PlanError(f"{collection.dimension} dimensions are more than the {MAX_DIMENSION} Milvus takes", fix="choose another target")
    schema = schema_pb2.CollectionSchema(name=name, enable_dynamic_field=settings.dynamic, description=MARK)
    key = schema.fields.add(name=settings.id_field or "id", is_primary_key=True)
    key.data_type = Type.Int64 if collection.id_type == "int64" else Type.VarChar
    if collection.id_type != "int64":
        key.type_params.add(key="max_length", value=str(settings.id_length))
    if collection.dimension:
        vector = schema.fields.add(name=settings.vector_field or "vector", data_type=Type.FloatVector)
        vector.type_params.add(key="dim", value=str(collection.dimension))
    if collection.sparse:
        _add_sparse(server, schema, settings)
    if settings.namespace_mode == "partition_key" and needs_namespace_field(collection, plan, settings):
        field = schema.fields.add(name=settings.namespace_field or "namespace", data_type=Type.VarChar, is_partition_key=True)
        field.type_params.add(key="max_length", value=str(NAMESPACE_LENGTH))
    if not settings.dynamic:
        _add_columns(server, schema, collection)
    taken = [field.name for field in schema.fields]
    for field in taken:
        if taken.count(field) > 1:
            raise PlanError(
                f"two fields of the new collection would be called {field!r}", fix="rename one with id_field=, vector_field=, sparse_field= or namespace_field="
            )
    return schema


def needs_namespace_field(collection: Collection, plan: Plan, settings: Settings) -> bool:
    """Return whether records can be in another namespace than the default one."""
    if settings.mode_given or settings.namespace_field or plan.mapping.namespace_from is not None:
        return True
    if plan.mapping.target_namespace is not None:
        return plan.mapping.target_namespace != DEFAULT_NAMESPACE
    return any(name != DEFAULT_NAMESPACE for name in collection.namespaces)


def _add_sparse(server: Server, schema: Any, settings: Settings) -> None:
    if server.release < (2, 4):
        raise PlanError(
            f"the source has sparse vectors, and {server.product} has none (they came with Milvus 2.4)",
            fix="use a newer server or Milvus Lite",
            code="sparse_unsupported",
        )
    # a server has no nullable vectors and takes an empty sparse one instead; Lite refuses an empty one
    schema.fields.add(name=settings.sparse_field or "sparse", data_type=Type.SparseFloatVector, nullable=server.lease is not None)


def _add_columns(server: Server, schema: Any, collection: Collection) -> None:
    """Add one typed field for each metadata field the source declares."""
    if not collection.fields:
        raise PlanError("dynamic=false needs the source to declare its metadata fields, and it declares none", fix="leave dynamic=false out")
    nullable = server.release >= (2, 5)
    for name, kind in collection.fields.items():
        if not NAME.fullmatch(name) or len(name) > MAX_NAME or name in RESERVED_KEYS:
            raise PlanError(f"the metadata field {name!r} cannot be the name of a Milvus field", fix="leave dynamic=false out, or rename it", code="bad_name")
        data_type = _TYPES.get(kind)
        if data_type is None:
            raise PlanError(
                f"no Milvus field holds values of metadata field {name!r}, {kind}, exactly", fix="leave dynamic=false out", code="unsupported_field"
            )
        field = schema.fields.add(name=name, data_type=data_type, nullable=nullable)
        if data_type == Type.VarChar:
            field.type_params.add(key="max_length", value=str(TEXT_LENGTH))


def index(wire: Wire, layout: Layout, collection: Collection, settings: Settings) -> None:
    """Create the indexes the collection lacks."""
    if layout.vector and not layout.index_type:
        # Lite: FLAT. Its AUTOINDEX took 28 s to build for 50,000 x 384, and then a vector did not find itself first.
        kind = settings.index_type or ("FLAT" if wire.lease is not None else "AUTOINDEX")
        metric = METRIC_NAMES[collection.metric or "cosine"]
        params = {"index_type": kind, "metric_type": metric} | ({"params": json.dumps(settings.index_params)} if settings.index_params else {})
        _create_index(wire, layout.collection, layout.vector, params)
    if layout.sparse and not describe_index(wire, layout.collection, layout.sparse)[1]:
        _create_index(wire, layout.collection, layout.sparse, {"index_type": "SPARSE_INVERTED_INDEX", "metric_type": "IP"})


def _create_index(wire: Wire, collection: str, field: str, params: dict[str, str]) -> None:
    request = pb.CreateIndexRequest(
        collection_name=collection,
        field_name=field,
        index_name=field,
        extra_params=[common_pb2.KeyValuePair(key=key, value=value) for key, value in params.items()],
    )
    wire.call("CreateIndex", request, f"index {field} of {collection} with {params['index_type']}")


def checked_layout(wire: Wire, name: str, collection: Collection, plan: Plan, settings: Settings) -> Layout:
    """Return the layout of existing collection ``name``. Raise ``PlanError`` naming what does not fit."""
    layout = read_layout(wire, name, settings)
    for code, message in _misfits(layout, collection):
        raise PlanError(f"collection {name} {message}", fix="choose another collection name", code=code)
    if layout.namespace is None and layout.in_field and needs_namespace_field(collection, plan, settings):
        raise PlanError(
            f"collection {name} has no namespace field (a text partition key), the source has namespaces",
            fix="choose another collection, or name a text field with namespace_field=",
            code="no_namespace_field",
        )
    return layout


def _misfits(layout: Layout, collection: Collection) -> Iterator[tuple[str, str]]:
    """Yield code and predicate for each way in which ``collection`` does not fit into ``layout``."""
    wanted = collection.metric or "cosine"
    if layout.dimension != collection.dimension:
        yield "dimension_differs", f"has {layout.dimension} dimensions, the source {collection.dimension}"
    if layout.metric is not None and layout.metric != wanted:
        yield "metric_differs", f"has the metric {METRIC_NAMES[layout.metric]}, the source {METRIC_NAMES[wanted]}"
    if layout.auto_id:
        yield "auto_id", "makes its own keys (auto_id), so the source's ids would be lost"
    if layout.id_type == "int64" and collection.id_type == "string":
        yield "id_type_differs", "has 64-bit integers as keys, the source's ids are text"
    if collection.sparse and layout.sparse is None:
        yield "sparse_unsupported", "has no sparse vector field, the source has sparse vectors"
    if layout.functions:
        yield "unsupported_field", "computes fields itself (functions)"
    if layout.ignored:
        yield "vector_field_left_out", f"has vector fields a copy would leave empty: {', '.join(layout.ignored)}"
