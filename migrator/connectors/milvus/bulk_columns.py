"""Records as the columns that Milvus's bulk insert reads: those of the collection that is there, or of the one that would be created."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from migrator.connectors.milvus.columns import split_batch
from migrator.connectors.milvus.design import design, faults
from migrator.connectors.milvus.fieldtypes import Type
from migrator.connectors.milvus.layout import exists, read_layout
from migrator.connectors.milvus.options import read_options
from migrator.connectors.milvus.vectors import BY_TYPE
from migrator.connectors.milvus.wire import Wire
from migrator.datasets.folders import by_namespace
from migrator.errors import PlanError, TransientError
from migrator.model import DEFAULT_NAMESPACE, ColumnRoles, Rejected
from migrator.records import matrix_to_array

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.connectors.milvus.columns import Columns
    from migrator.connectors.milvus.design import Release
    from migrator.connectors.milvus.layout import Layout
    from migrator.connectors.milvus.options import Settings
    from migrator.model import Collection, Endpoint, Plan

DYNAMIC = "$meta"
_ARROW = {
    Type.Bool: pa.bool_(),
    Type.Int8: pa.int8(),
    Type.Int16: pa.int16(),
    Type.Int32: pa.int32(),
    Type.Int64: pa.int64(),
    Type.Float: pa.float32(),
    Type.Double: pa.float64(),
    Type.VarChar: pa.string(),
    Type.JSON: pa.string(),
}
"""What a NumPy file holds for a field; arrays have none (seen refused by 2.3.5)."""


_UNSEEN = (2, 3), "a Milvus server that could not be reached"
"""The oldest release that is served: what files for it hold, others load as well."""


@dataclass(frozen=True)
class MilvusShaper:
    """The columns of one collection."""

    layout: Layout
    by_folder: bool
    """Whether the folder of a part says its namespace: a partition, or a collection of its own."""

    @property
    def roles(self) -> ColumnRoles:
        layout = self.layout
        return ColumnRoles(
            id=layout.key.name,
            values=layout.vector,
            namespace=layout.namespace.name if layout.namespace else None,
            metadata=DYNAMIC if layout.dynamic else None,
            fields=tuple(scalar.name for scalar in layout.scalars),
            reserved=layout.escape().taken if layout.marked else (),
        )

    def shape(self, batch: pa.RecordBatch) -> tuple[Sequence[tuple[str, pa.RecordBatch]], Sequence[Rejected]]:
        groups = by_namespace(batch) if self.by_folder else [(DEFAULT_NAMESPACE, batch)]
        shaped: list[tuple[str, pa.RecordBatch]] = []
        rejected: list[Rejected] = []
        for namespace, rows in groups:
            columns, refused = split_batch(rows, self.layout)
            rejected += refused
            if len(columns):
                shaped.append((namespace, self._arrow(columns)))
        return shaped, rejected

    def _arrow(self, columns: Columns) -> pa.RecordBatch:
        layout = self.layout
        found: dict[str, Any] = {layout.key.name: columns.keys}
        if layout.vector and columns.values is not None:
            found[layout.vector] = matrix_to_array(columns.values)
        if layout.namespace:
            found[layout.namespace.name] = columns.namespaces
        for scalar in layout.scalars:
            values = [value.decode() if isinstance(value, bytes) else value for value in columns.scalars[scalar.name]]
            found[scalar.name] = pa.array(values, _ARROW[scalar.type])
        if columns.dynamic is not None and columns.dynamic.null_count < len(columns.dynamic):
            found[DYNAMIC] = columns.dynamic.fill_null("{}")
        return pa.RecordBatch.from_pydict(found)


def shaper(endpoint: Endpoint, collection: Collection, plan: Plan) -> MilvusShaper:
    """Return how records of ``collection`` lie in files that ``endpoint`` loads. Raise ``PlanError`` for fields that NumPy files cannot hold."""
    settings = read_options(endpoint)
    found, server = _known(settings, _UNSEEN)
    if found is None:
        release, product = server
        wanted = design(collection, plan, settings, release, lite=False, product=product)
        for code, message, fix in faults(wanted, collection, settings):
            raise PlanError(message, fix=fix, code=code)
        found = wanted.layout(settings.collection, settings)
    _check(found)
    return MilvusShaper(found, settings.namespace_mode != "partition_key")


def _known(settings: Settings, unseen: tuple[Release, str]) -> tuple[Layout | None, tuple[Release, str]]:
    """Return the layout of the collection if it is there, and the server's release and name; ``unseen`` where nobody answers."""
    try:
        with closing(Wire(settings)) as wire:
            layout = read_layout(wire, settings.collection, settings) if exists(wire, settings.collection) else None
            return layout, (wire.release, wire.product)
    except TransientError:  # files can be written before the server is there
        return None, unseen


def _check(layout: Layout) -> None:
    if layout.sparse is not None:
        message = f"collection {layout.collection} has sparse vectors, which its bulk insert does not read from NumPy files"
        raise PlanError(message, fix="use --route direct", code="sparse_unsupported")
    if layout.vector and layout.vector_type != Type.FloatVector:
        message = f"collection {layout.collection} has {BY_TYPE[layout.vector_type].option} vectors, and staged files hold float32"
        raise PlanError(message, fix="use --route direct", code="vector_type_unsupported")
    for scalar in layout.scalars:
        if scalar.type not in _ARROW or scalar.nullable:
            what = "can be null" if scalar.nullable else "is an array"
            message = f"field {scalar.name!r} of collection {layout.collection} {what}, which NumPy files cannot say"
            raise PlanError(message, fix="use --route direct", code="unsupported_field")
