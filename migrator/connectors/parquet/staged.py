"""Reads back the files of a part that is staged and not yet published."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.connectors.parquet import columns as roles
from migrator.connectors.parquet import rows
from migrator.connectors.parquet.decode import Layout, decode
from migrator.datasets.failures import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from migrator.datasets.places import Place
    from migrator.datasets.staging import StagedFile
    from migrator.model import Collection

_ROWS = 10_000


def read_piece(place: Place, files: Sequence[StagedFile], collection: Collection) -> Iterator[pa.RecordBatch]:
    """Yield the records of ``files``. Raise ``UnreadableSourceError`` for a file that is damaged or holds what is no record."""
    for file in files:
        found = rows.footer(place, file.path)
        layout = Layout(roles.columns_of(found.schema, {}, place.show(file.path)), collection.dimension, file.namespace, rounding=())
        most = rows.rows_at_once(_ROWS, found.row_bytes, collection.dimension)
        for batch in rows.batches(place, file.path, (0, len(found.groups)), layout.columns.names(), most=most):
            decoded, _, rejected = decode(batch, layout)
            if rejected:
                raise unreadable(place.show(file.path), rejected[0].message)
            yield decoded
