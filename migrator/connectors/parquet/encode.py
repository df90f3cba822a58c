"""Records as the bytes of a Parquet file, in the layout Pinecone's bulk import asks for.

Columns ``id`` (string), ``values`` (list<float32>), ``metadata`` (JSON text) and, only where a record has some,
``sparse_values``; no others (Pinecone, "Import records": other columns are refused). Without dictionaries, statistics and
compression float vectors are written twice as fast, and no larger; page checksums catch what a damaged disk flips.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from migrator import records
from migrator.connectors.parquet import vectors

if TYPE_CHECKING:
    from collections.abc import Iterator

COLUMNS = ("id", "values", "metadata", "sparse_values")
_FIELDS = (pa.field("id", pa.string(), nullable=False), pa.field("metadata", pa.string()))


def by_namespace(batch: pa.RecordBatch) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Yield each namespace of ``batch`` with its records, which keep their order."""
    column = batch.column("namespace")
    for namespace in pc.unique(column).to_pylist():
        chosen = pc.equal(column, pa.scalar(namespace, pa.string()))
        yield namespace, batch if pc.all(chosen).as_py() else batch.filter(chosen)


def encode(batch: pa.RecordBatch, compression: str) -> list[pa.Buffer]:
    """Return the records of one namespace as the bytes of a Parquet file, in pieces that share the batch's memory."""
    columns, fields = [batch.column("id"), batch.column("metadata")], list(_FIELDS)
    if batch.column("sparse_values").null_count < batch.num_rows:
        columns.append(batch.column("sparse_values"))
        fields.append(pa.field("sparse_values", records.SPARSE_TYPE))
    sink = pa.BufferOutputStream()
    pq.write_table(
        pa.Table.from_arrays(columns, schema=pa.schema(fields)),
        sink,
        compression=compression,
        row_group_size=batch.num_rows,
        use_dictionary=False,
        write_statistics=False,
        write_page_checksum=True,
    )
    fields.insert(1, vectors.FIELD)
    return vectors.insert(sink.getvalue(), records.matrix(batch), pa.schema(fields), compression)
