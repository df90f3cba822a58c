"""Which field of the source becomes which field of the target, and whether anything is lost on the way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from migrator.model import Collection, Plan

Row = dict[str, object]
VECTORS = {"float32": "FLOAT_VECTOR", "float16": "FLOAT16_VECTOR", "bfloat16": "BFLOAT16_VECTOR", "binary": "BINARY_VECTOR", "int8": "INT8_VECTOR"}


def rows(plan: Plan) -> list[Row]:
    """Return one row a field: ``source field, source type, target field, target type, lossless``."""
    collection = plan.collection
    if collection is None:
        return []
    lost = {finding.code for finding in plan.findings if finding.severity == "lossy"}
    target = {"milvus": _milvus, "pinecone": _pinecone}.get(plan.target.connector, _parquet)(plan, collection)
    found = [
        _row("id", collection.id_type, *target["id"], lossless=True),
        _row("values", f"float32[{collection.dimension}]", *target["values"], lossless=collection.lossless),
    ]
    if collection.sparse:
        found.append(_row("sparse_values", "sparse", *target["sparse_values"], lossless="sparse_lost" not in lost))
    found.append(_row("namespace", "string", *target["namespace"], lossless=True))
    columns = json.loads(plan.target.options.get("fields") or "{}") if plan.target.connector == "milvus" else {}
    for name, kind in collection.fields.items():
        place, held = ("*", columns[name]) if name in columns else target["metadata"]
        found.append(_row(f"metadata.{name}", kind, place.replace("*", name), held, lossless="metadata_lost" not in lost))
    return found


def _row(source: str, kind: str, target: str, held: str, *, lossless: bool) -> Row:
    return {"source field": source, "source type": kind, "target field": target, "target type": held, "lossless": lossless}


def _milvus(plan: Plan, collection: Collection) -> dict[str, tuple[str, str]]:
    options = plan.target.options
    places = {
        "partition_key": (options.get("namespace_field", "namespace"), "VARCHAR, partition key"),
        "partition": ("partition", "name of a partition"),
        "collection": ("collection", "name of a collection"),
    }
    key = "INT64" if options.get("id_type", collection.id_type) == "int64" else f"VARCHAR({options.get('id_length', 512)})"
    return {
        "id": (options.get("id_field", "id"), f"{key}, primary key"),
        "values": (options.get("vector_field", "vector"), f"{VECTORS[options.get('vector_type', 'float32')]}({collection.dimension})"),
        "sparse_values": (options.get("sparse_field", "sparse"), "SPARSE_FLOAT_VECTOR"),
        "namespace": places[options.get("namespace_mode", "partition_key")],
        "metadata": ("*", "dynamic field (JSON)"),
    }


def _pinecone(plan: Plan, collection: Collection) -> dict[str, tuple[str, str]]:
    spelling = ", percent-encoded where not ASCII" if plan.mapping.id_encoding == "percent" else ", ASCII"
    return {
        "id": ("id", f"string{spelling}"),
        "values": ("values", f"dense vector of {collection.dimension}"),
        "sparse_values": ("sparse_values", "sparse vector"),
        "namespace": ("namespace", "namespace"),
        "metadata": ("metadata.*", "string, number, boolean or list of strings"),
    }


def _parquet(_plan: Plan, collection: Collection) -> dict[str, tuple[str, str]]:
    return {
        "id": ("id", "string"),
        "values": ("values", f"fixed_size_list<float>[{collection.dimension}]"),
        "sparse_values": ("sparse_values", "struct<indices, values>"),
        "namespace": ("namespace", "string"),
        "metadata": ("metadata", "JSON text"),
    }
