"""Row groups into splits, and the batches of a split into chunks of the wanted size."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from migrator.connectors.parquet.decode import namespaces_of
from migrator.model import Chunk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from migrator.connectors.parquet.decode import Layout
    from migrator.model import Rejected


def joined(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join neighbouring row groups of a file into one run."""
    joined: list[dict[str, Any]] = []
    for run in runs:
        if joined and joined[-1]["path"] == run["path"] and joined[-1]["groups"][1] == run["groups"][0]:
            joined[-1] = {**joined[-1], "groups": [joined[-1]["groups"][0], run["groups"][1]], "rows": joined[-1]["rows"] + run["rows"]}
        else:
            joined.append(run)
    return joined


def grouped(pieces: Iterator[tuple[Layout, pa.RecordBatch]], most: int) -> Iterator[list[tuple[Layout, pa.RecordBatch]]]:
    """Yield lists of pieces of ``most`` rows together, the last of fewer; files smaller than a chunk are joined."""
    group: list[tuple[Layout, pa.RecordBatch]] = []
    room = most
    for layout, batch in pieces:
        while batch.num_rows:
            group.append((layout, batch.slice(0, room)))
            room -= group[-1][1].num_rows
            batch = batch.slice(group[-1][1].num_rows)  # noqa: PLW2901
            if not room:
                yield group
                group, room = [], most
    if group:
        yield group


def selected(batch: pa.RecordBatch, layout: Layout, wanted: list[str] | None) -> pa.RecordBatch:
    """Return the rows of ``batch`` whose namespace is wanted; None wants all."""
    if wanted is None or layout.columns.namespace is None:
        return batch
    return batch.filter(pc.is_in(namespaces_of(batch, layout, {}), pa.array(wanted, pa.string())))


def chunk(decoded: list[tuple[int, tuple[pa.RecordBatch, Any, tuple[Rejected, ...]]]], cursor: str, start: int) -> Chunk:
    """Join the pieces of a chunk; a single one is passed on as it is, without copying."""
    firsts = itertools.accumulate([count for count, _ in decoded], initial=start)
    batch = decoded[0][1][0] if len(decoded) == 1 else pa.concat_batches([piece for _, (piece, _, _) in decoded])
    rejected = tuple(refusal for _, (_, _, refused) in decoded for refusal in refused)
    places = np.concatenate([kept + first for first, (_, (_, kept, _)) in zip(firsts, decoded, strict=False)])
    chunk = Chunk(batch, cursor, start, None, rejected)
    return replace(chunk, rows=places) if rejected else chunk
