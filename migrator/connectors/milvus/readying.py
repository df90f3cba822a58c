"""Making what was written ready: flushed, indexed, loaded, and all of it seen by queries."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from pymilvus.grpc_gen import common_pb2
from pymilvus.grpc_gen import milvus_pb2 as pb

from migrator.connectors.milvus.reading import ensure_loaded, is_loaded
from migrator.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable

    from migrator.connectors.milvus.layout import Layout
    from migrator.connectors.milvus.wire import Wire

STUCK_SECONDS = 3600.0
"""Building the index of one big segment shows no progress for long."""
_LONGEST_PAUSE = 0.25
"""Between two looks, each a call that costs a server next to nothing."""


def make_ready(wire: Wire, layout: Layout, *, imported: bool) -> None:
    """Return when every row of the collection is on disk, indexed and seen by queries. Safe twice.

    ``imported`` says that rows may have come by bulk insert, which a collection that is loaded already does not see by itself: seen on
    2.3.5, a query at Strong right after state Completed returned none of them. A refresh shows them without unloading what others search.
    Raise ``PermanentError`` when an index cannot be built, ``TransientError`` when nothing moves for an hour.
    """
    name = layout.collection
    answer = wire.call("Flush", pb.FlushRequest(collection_names=[name]), f"flush {name}")
    if not layout.lite:
        request = pb.GetFlushStateRequest(collection_name=name, flush_ts=answer.coll_flush_ts[name], segmentIDs=list(answer.coll_segIDs[name].data))
        _wait(partial(_unflushed, wire, name, request), f"flush {name}")
        _wait(partial(_unindexed, wire, name), f"index {name}")
    if imported and is_loaded(wire, name):
        wire.call("LoadCollection", pb.LoadCollectionRequest(collection_name=name, replica_number=1, refresh=True), f"show what was imported into {name}")
        _wait(partial(_unseen, wire, name), f"show what was imported into {name}")
    else:
        ensure_loaded(wire, layout)


def _unflushed(wire: Wire, name: str, request: Any) -> int:
    return 0 if wire.call("GetFlushState", request, f"flush {name}").flushed else 1


def _unindexed(wire: Wire, name: str) -> int:
    """Return how many rows wait to be indexed. Raise ``PermanentError`` when the build failed."""
    found = wire.call("DescribeIndex", pb.DescribeIndexRequest(collection_name=name), f"index {name}").index_descriptions
    for index in found:
        if index.state == common_pb2.IndexState.Failed:
            raise PermanentError(f"Milvus could not build the index of {name}: {index.index_state_fail_reason}", fix="choose another index_type=")
    return sum(max(index.pending_index_rows, index.total_rows - index.indexed_rows) for index in found)


def _unseen(wire: Wire, name: str) -> int:
    """Return how many percent of a refresh are left."""
    progress = int(wire.call("GetLoadingProgress", pb.GetLoadingProgressRequest(collection_name=name), f"load {name}").refresh_progress)
    return max(0, 100 - progress)


def _wait(remaining: Callable[[], int], what: str) -> None:
    """Wait until nothing remains. Raise ``TransientError`` when the number stays the same for ``STUCK_SECONDS``."""
    left, pause, end = remaining(), 0.05, time.monotonic() + STUCK_SECONDS
    while left:
        if time.monotonic() > end:
            raise TransientError(f"Milvus makes no progress ({what}, {left} left)", fix="look at the server, then resume")
        time.sleep(pause)
        pause = min(_LONGEST_PAUSE, pause * 1.5)
        before, left = left, remaining()
        if left != before:
            end = time.monotonic() + STUCK_SECONDS
