"""Marks on the records of a source: set by updates of their metadata alone, taken off by writing records again without them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from migrator.connectors.pinecone.encode import packed
from migrator.connectors.pinecone.pace import Pace
from migrator.errors import PermanentError
from migrator.records import canonical_metadata, parse_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from concurrent.futures import ThreadPoolExecutor
    from typing import Any

    from migrator.connectors.pinecone.connection import Connection


def stamp(connection: Connection, pool: ThreadPoolExecutor, ids: Sequence[str], namespace: str, metadata: Mapping[str, Any]) -> None:
    """Add ``metadata`` to each record that exists. One update a record: it leaves vectors and other fields alone, whoever writes them meanwhile."""
    pace = connection.updating

    def one(record: str) -> None:
        try:
            pace.run(lambda: connection.plane.set_metadata(namespace, record, metadata))
        except PermanentError as error:
            if error.code != "not_found":  # deleted meanwhile
                raise

    for future in [pool.submit(one, record) for record in ids]:
        future.result()


def unstamp(connection: Connection, batch: pa.RecordBatch, namespace: str, keys: Sequence[str]) -> None:
    """Write those records of ``batch`` again that have any of ``keys``, without them: an update can add fields but not remove one."""
    metadata = [parse_json(text) if text else {} for text in batch.column("metadata").to_pylist()]
    marked = [row for row, fields in enumerate(metadata) if any(key in fields for key in keys)]
    if not marked:
        return
    cleaned = [canonical_metadata({name: value for name, value in metadata[row].items() if name not in keys}) for row in marked]
    position = batch.schema.get_field_index("metadata")
    rows = batch.take(pa.array(marked)).set_column(position, batch.schema.field(position), pa.array(cleaned, pa.string()))
    pace = Pace()
    for items in packed(connection.plane.encode(rows)):
        pace.run(lambda items=items: connection.plane.upsert(namespace, items), sum(size for *_, size in items))  # type: ignore[misc]
