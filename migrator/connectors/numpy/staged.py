"""Reads back the files of a part that is staged and not yet published."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.connectors.numpy.columns import PartOpener
from migrator.connectors.numpy.decode import Layout, decode
from migrator.connectors.numpy.parts import ENDING, Dataset, Part, Stored
from migrator.datasets.failures import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from migrator.datasets.places import Place
    from migrator.datasets.staging import StagedFile
    from migrator.model import ColumnRoles

_ROWS = 10_000


def read_piece(place: Place, files: Sequence[StagedFile], dimension: int, roles: ColumnRoles) -> Iterator[pa.RecordBatch]:
    """Yield the records whose columns ``files`` hold. Raise ``UnreadableSourceError`` for a file that is damaged or holds what is no record."""
    first = files[0]
    stored = {file.ending.removesuffix(ENDING): Stored(file.path, file.bytes, file.written, file.sha256) for file in files}
    part = Part("", first.namespace, stored, first.records)
    columns = PartOpener(Dataset(place, (part,), roles, None)).open(part)
    layout = Layout(roles, dimension, first.namespace, place.show(first.path), 0)
    for start in range(0, first.records, _ROWS):
        decoded, _, rejected = decode(columns, start, min(start + _ROWS, first.records), layout)
        if rejected:
            raise unreadable(place.show(first.path), rejected[0].message)
        yield decoded
