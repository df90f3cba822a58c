"""Records as the bytes of a Parquet file, in the layout Pinecone's bulk import asks for.

Columns ``id`` (string), ``values`` (list<float32>), ``metadata`` (JSON text) and, only where a record has some,
``sparse_values``; no others (Pinecone, "Import records": other columns are refused). Without dictionaries, statistics and
compression float vectors are written twice as fast, and no larger; page checksums catch what a damaged disk flips.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from migrator import records

if TYPE_CHECKING:
    from collections.abc import Iterator

COLUMNS = ("id", "values", "metadata", "sparse_values")
_VALUES = pa.list_(pa.field("item", pa.float32(), nullable=False))
_MOST_COMPONENTS = 2**30
"""List offsets are 32-bit: longer batches are laid out in pieces."""


def by_namespace(batch: pa.RecordBatch) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yield each namespace of ``batch`` with its records, which keep their order."""
    column = batch.column("namespace")
    for namespace in pc.unique(column).to_pylist():
        chosen = pc.equal(column, pa.scalar(namespace, pa.string()))
        yield namespace, batch if pc.all(chosen).as_py() else batch.filter(chosen)


def encode(batch: pa.RecordBatch, compression: str) -> pa.Buffer:
    """Return the records of one namespace as a Parquet file's bytes."""
    sparse = batch.column("sparse_values").null_count < batch.num_rows
    step = max(1, _MOST_COMPONENTS // max(1, records.dimension_of(batch)))
    pieces = [_laid_out(batch.slice(first, step), sparse=sparse) for first in range(0, batch.num_rows, step)]
    sink = pa.BufferOutputStream()
    pq.write_table(
        pa.Table.from_batches(pieces),
        sink,
        compression=compression,
        use_dictionary=False,
        write_statistics=False,
        write_page_checksum=True,
    )
    return sink.getvalue()


def _laid_out(batch: pa.RecordBatch, *, sparse: bool) -> pa.RecordBatch:
    columns = [batch.column("id"), _lists(batch), batch.column("metadata")]
    fields = [pa.field("id", pa.string(), nullable=False), pa.field("values", _VALUES, nullable=False), pa.field("metadata", pa.string())]
    if sparse:
        columns.append(batch.column("sparse_values"))
        fields.append(pa.field("sparse_values", records.SPARSE_TYPE))
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields))


def _lists(batch: pa.RecordBatch) -> pa.Array:
    """Return ``values`` as variable-size lists over the same memory."""
    column = batch.column("values")
    dimension = column.type.list_size
    offsets = np.arange(len(column) + 1, dtype=np.int32) * np.int32(dimension)
    return pa.Array.from_buffers(_VALUES, len(column), [None, pa.py_buffer(offsets)], children=[column.flatten()])
