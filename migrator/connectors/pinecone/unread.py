"""Reading only the records that are not known yet: the ids are listed, and those of them fetched."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from migrator.connectors.pinecone.wire import Fetched
from migrator.model import Chunk
from migrator.records import constant, empty_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from migrator.protocols import Known

LISTED = 10_000
"""Ids of a chunk at most."""


def read_unknown(
    listed: Iterable[Sequence[str]],
    namespace: str,
    known: Known,
    fetching: Callable[[str, Sequence[str]], list[Future[Fetched]]],
    *,
    dimension: int,
    start: int,
    records: int,
) -> Iterator[Chunk]:
    """Yield the ``listed`` ids as chunks of at most ``records`` records that are not known; ``start`` is the place of the first id in its split."""
    for ids in listed:
        unknown = np.flatnonzero(~known(ids, namespace))
        begin = 0
        for end in [*unknown[records::records].tolist(), len(ids)]:
            places = unknown[(unknown >= begin) & (unknown < end)].tolist()
            wanted = {ids[place]: start + place for place in places}
            found = [future.result() for future in fetching(namespace, list(wanted))] if wanted else []
            yield _chunk(ids[begin:end], namespace, wanted, found or [Fetched(empty_batch(dimension))], start + begin)
            begin = end
        start += len(ids)


def _chunk(ids: Sequence[str], namespace: str, wanted: Mapping[str, int], found: Sequence[Fetched], start: int) -> Chunk:
    """Return the answers for ``wanted``, id -> place in the split, and the others of ``ids`` by name, as one chunk."""
    batch = pa.concat_batches([part.batch for part in found])
    rejected = tuple(record for part in found for record in part.rejected)
    rows = np.array([wanted[name] for name in batch.column("id").to_pylist()], np.int64)
    names = [name for name in ids if name not in wanted]
    unread = pa.RecordBatch.from_arrays([pa.array(names, pa.string()), constant(namespace, len(names))], ["id", "namespace"])
    cursor = json.dumps({"after": ids[-1], "start": start + len(ids)})
    return Chunk(batch, cursor, start, rows, rejected, len(wanted) - len(batch) - len(rejected), unread)
