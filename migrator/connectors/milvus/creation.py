"""Creating the collection a copy needs, or checking that the one that exists will hold it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pymilvus.grpc_gen import common_pb2, schema_pb2
from pymilvus.grpc_gen import milvus_pb2 as pb

from migrator.connectors.milvus.design import Design, design, faults, metric_of, needs_namespace_field
from migrator.connectors.milvus.fieldtypes import Type, parse_type, same_type, spelt
from migrator.connectors.milvus.layout import MARKER, describe_index, mark, read_layout
from migrator.connectors.milvus.probe import probe_index
from migrator.connectors.milvus.vectors import BY_OPTION, BY_TYPE
from migrator.errors import PlanError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from migrator.connectors.milvus.fieldtypes import Field
    from migrator.connectors.milvus.layout import Layout
    from migrator.connectors.milvus.options import Settings
    from migrator.connectors.milvus.wire import Wire
    from migrator.model import Collection, Plan


def create(wire: Wire, name: str, collection: Collection, plan: Plan, settings: Settings) -> None:
    """Create ``name``. Raise ``PlanError`` for the first thing that stands in the way of what the options ask for."""
    wanted = design(collection, plan, settings, wire.release, lite=wire.lease is not None, product=wire.product)
    for code, message, fix in faults(wanted, collection, settings):
        raise PlanError(message, fix=fix, code=code)
    probe_index(wire, wanted)
    # where the key is a field of the metadata, or namespaces are in a field that is no key, only the mark can say so
    marked = mark(settings.partition_key, wanted.namespace.name if settings.partition_key and wanted.namespace else "")
    schema = _schema(wanted, name, marked)
    request = pb.CreateCollectionRequest(
        collection_name=name, schema=schema.SerializeToString(), shards_num=settings.shards, consistency_level=settings.consistency
    )
    if wire.lease is not None:  # Lite keeps no description, and a server may refuse properties it does not know
        request.properties.add(key=MARKER, value=marked)
    wire.call("CreateCollection", request, f"create {name}")


def _schema(wanted: Design, name: str, marked: str) -> Any:
    schema = schema_pb2.CollectionSchema(name=name, enable_dynamic_field=wanted.dynamic, description=marked)
    _add(schema, wanted.key).is_primary_key = True
    if wanted.vector:
        vector = schema.fields.add(name=wanted.vector, data_type=wanted.vector_type)
        vector.type_params.add(key="dim", value=str(wanted.dimension))
    if wanted.sparse:
        # a server has no nullable vectors and takes an empty sparse one instead; Lite refuses an empty one
        schema.fields.add(name=wanted.sparse, data_type=Type.SparseFloatVector, nullable=wanted.lite)
    for column in (*([wanted.namespace] if wanted.namespace else []), *wanted.columns):
        _add(schema, column).is_partition_key = column.name == wanted.partition_key
    return schema


def _add(schema: Any, column: Field) -> Any:
    field = schema.fields.add(name=column.name, data_type=column.type, nullable=column.nullable)
    if column.max_length:
        field.type_params.add(key="max_length", value=str(column.max_length))
    if column.type == Type.Array:
        field.element_type = column.element
        field.type_params.add(key="max_capacity", value=str(column.capacity))
    return field


def index(wire: Wire, layout: Layout, collection: Collection, plan: Plan, settings: Settings) -> None:
    """Create the indexes the collection lacks."""
    if layout.vector and not layout.index_type:
        settings = replace(settings, vector_type=BY_TYPE[layout.vector_type].option)
        wanted = design(collection, plan, settings, wire.release, lite=wire.lease is not None, product=wire.product)
        params = {"index_type": wanted.index_type, "metric_type": wanted.metric}
        own = wanted.index_params  # a server shows them one by one only if it got them so; Lite knows them as one JSON text only
        packed = {"params": json.dumps(own)} if layout.lite else {name: json.dumps(value) for name, value in own.items()}
        _create_index(wire, layout.collection, layout.vector, params | packed)
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
    if found := list(misfits(layout, collection, settings)):
        raise PlanError(f"collection {name} {'; and it '.join(message for _, message in found)}", fix="choose another collection name", code=found[0][0])
    if layout.namespace is None and layout.in_field and needs_namespace_field(collection, plan, settings):
        raise PlanError(
            f"collection {name} has no namespace field (a text partition key), the source has namespaces",
            fix="choose another collection, or name a text field with namespace_field=",
            code="no_namespace_field",
        )
    return layout


def misfits(layout: Layout, collection: Collection, settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield code and predicate for each way in which ``collection``, or what the options ask for, does not fit into ``layout``."""
    wanted = metric_of(collection, settings)
    if layout.dimension != collection.dimension:
        yield "dimension_differs", f"has {layout.dimension} dimensions, the source {collection.dimension}"
    elif settings.dimension and layout.dimension != settings.dimension:
        yield "dimension_differs", f"has {layout.dimension} dimensions, dimension={settings.dimension} is demanded"
    if layout.metric_name and layout.metric_name != wanted and (layout.metric is not None or settings.metric):
        yield "metric_differs", f"has the metric {layout.metric_name}, {'metric= asks for' if settings.metric else 'the source'} {wanted}"
    if layout.auto_id:
        yield "auto_id", "makes its own keys (auto_id), so the source's ids would be lost"
    if layout.id_type == "int64" and collection.id_type == "string" and settings.id_type != "int64":
        yield "id_type_differs", "has 64-bit integers as keys, the source's ids are text (id_type=int64 takes those that are whole numbers)"
    if collection.sparse and layout.sparse is None:
        yield "sparse_unsupported", "has no sparse vector field, the source has sparse vectors"
    if layout.functions:
        yield "unsupported_field", "computes fields itself (functions)"
    if layout.ignored:
        yield "vector_field_left_out", f"has vector fields a copy would leave empty: {', '.join(layout.ignored)}"
    yield from _other_fields(layout, settings)


def _other_fields(layout: Layout, settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield where the fields are others than the options name."""
    if settings.vector_type and layout.vector and BY_OPTION[settings.vector_type].type != layout.vector_type:
        yield "schema_differs", f"has {BY_TYPE[layout.vector_type].option} vectors in {layout.vector!r}, vector_type={settings.vector_type} is asked for"
    if settings.id_type and (settings.id_type == "int64") != (layout.id_type == "int64"):
        yield "schema_differs", f"has the primary key {layout.key.name!r} of type {layout.key.kind}, id_type={settings.id_type} is asked for"
    there = {scalar.name: scalar for scalar in layout.scalars}
    for name, text in (settings.fields or {}).items():
        wanted = parse_type(name, text)
        if name not in there:
            yield "schema_differs", f"has no field {name!r}, fields= asks for {spelt(wanted)}"
        elif not same_type(there[name], wanted):
            yield "schema_differs", f"has the field {name!r} of type {there[name].kind}, fields= asks for {spelt(wanted)}"
    if settings.partition_key and layout.partition_key != settings.partition_key:
        has = f"is partitioned by {layout.partition_key!r}" if layout.partition_key else "has no partition key"
        yield "schema_differs", f"{has}, partition_key={settings.partition_key} is asked for"
