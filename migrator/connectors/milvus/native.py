"""The schema of a collection as options that make another like it: what a copy from Milvus to Milvus keeps unless told otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.connectors.milvus.vectors import BY_TYPE
from migrator.records import dump_json

if TYPE_CHECKING:
    from migrator.connectors.milvus.layout import Layout


def native_options(layout: Layout) -> dict[str, str]:
    """Return the options that make a new collection with the fields of ``layout``."""
    found = {"id_field": layout.key.name, "vector_field": layout.vector or "", "sparse_field": layout.sparse or ""}
    if layout.key.max_length:
        found["id_length"] = str(layout.key.max_length)
    if layout.vector:
        found["vector_type"] = BY_TYPE[layout.vector_type].option
    if layout.metric is None:
        found["metric"] = layout.metric_name
    if layout.namespace:
        found["namespace_field"] = layout.namespace.name
    if layout.scalars:
        found["fields"] = dump_json({field.name: field.kind + ("" if field.nullable else " not null") for field in layout.scalars})
    if not layout.dynamic:
        found["dynamic"] = "false"
    return {name: value for name, value in found.items() if value}
