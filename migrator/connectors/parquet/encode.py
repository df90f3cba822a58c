"""Records as the bytes of a Parquet file, in the layout Pinecone's bulk import asks for.

Columns ``id`` (string), ``values`` (list<float32>), ``metadata`` (JSON text) and, only where a record has some,
``sparse_values``; no others (Pinecone, "Import records": other columns are refused). Without dictionaries, statistics and
compression float vectors are written twice as fast, and no larger; page checksums catch what a damaged disk flips.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from migrator import records
from migrator.connectors.parquet import vectors
from migrator.datasets.folders import by_namespace, check_namespaces, without_long_namespaces
from migrator.datasets.target import Piece

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from migrator.model import Collection, Plan, Rejected

COLUMNS = ("id", "values", "metadata", "sparse_values")
_FIELDS = (pa.field("id", pa.string(), nullable=False), pa.field("metadata", pa.string()))


@dataclass(frozen=True)
class ParquetFormat:
    """Each chunk and namespace as one Parquet file."""

    compression: str
    ending: str = ".parquet"

    def begin(self, collection: Collection, plan: Plan) -> Mapping[str, Any]:  # noqa: ARG002 (the columns are the same for all)
        """Return nothing: the columns' names say what they hold."""
        check_namespaces(collection)
        return {}

    def encode(self, batch: pa.RecordBatch) -> tuple[Iterator[Piece], list[Rejected]]:
        good, rejected = without_long_namespaces(batch)
        return (Piece(namespace, len(rows), {"parquet": as_parquet(rows, self.compression)}) for namespace, rows in by_namespace(good)), rejected


def as_parquet(batch: pa.RecordBatch, compression: str) -> list[pa.Buffer]:
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
