"""What is decided of a collection, in Milvus's words: for the preview of a copy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from migrator.connectors.milvus.fieldtypes import Type
from migrator.connectors.milvus.vectors import BY_TYPE
from migrator.connectors.milvus.wanted import CONSISTENCY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from migrator.connectors.milvus.layout import Layout
    from migrator.connectors.milvus.options import Settings
    from migrator.model import Collection

_METRICS = {
    "COSINE": "vectors stored as they are",
    "IP": "Faiss's inner product",
    "L2": "squared, as Faiss's L2",
    "HAMMING": "differing bits",
    "JACCARD": "common bits",
}
_VECTORS = {Type.FloatVector: "FLOAT_VECTOR", Type.Float16Vector: "FLOAT16_VECTOR", Type.BFloat16Vector: "BFLOAT16_VECTOR"}
_VECTORS |= {Type.BinaryVector: "BINARY_VECTOR", Type.Int8Vector: "INT8_VECTOR"}
_LEVELS = {number: name for name, number in CONSISTENCY.items()}


def facts_of(layout: Layout, settings: Settings, collection: Collection, index_params: Mapping[str, Any]) -> dict[str, str]:
    """Return what else than the metadata is decided: ``name -> value``, in the order to show it in."""
    key = "INT64" if layout.id_type == "int64" else f"VARCHAR({layout.key.max_length})"
    found = {"collection": layout.collection, "primary key": f"{layout.key.name}: {key}"}
    if layout.vector:
        found["vectors"] = f"{layout.vector}: {_VECTORS[layout.vector_type]}({layout.dimension}), {BY_TYPE[layout.vector_type].option}"
        index = layout.index_type or settings.index_type or "none yet"
        params = ", ".join(f"{name}={value}" for name, value in index_params.items())
        found["index"] = f"{index} ({params})" if params else index
        found["metric"] = _metric(layout, collection)
    if layout.sparse:
        found["sparse vectors"] = f"{layout.sparse}: SPARSE_FLOAT_VECTOR, metric IP"
    found["namespaces"] = f"field {layout.namespace.name}" if layout.namespace else _WITHOUT_FIELD[settings.namespace_mode]
    found["partition key"] = layout.partition_key or "none"
    found["dynamic field"] = "yes" if layout.dynamic else "no"
    found["shards"] = str(layout.shards)
    found["consistency"] = _LEVELS[settings.consistency]
    return found


_WITHOUT_FIELD = {"partition_key": "the default one only", "partition": "a partition each", "collection": "a collection each"}


def _metric(layout: Layout, collection: Collection) -> str:
    name = layout.metric_name or "none yet"
    source = f"the source's {collection.metric}" if collection.metric else "the source records none"
    return f"{name} ({source}; {_METRICS[name]})" if name in _METRICS else name
