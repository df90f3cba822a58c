"""Milvus's own bulk load of files it can read by itself: which way a server offers, and the one of servers before 2.4, over gRPC."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from pymilvus.grpc_gen import common_pb2
from pymilvus.grpc_gen import milvus_pb2 as pb

from migrator.connectors.milvus.import_files import server_paths
from migrator.connectors.milvus.import_reasons import failed, forgotten
from migrator.connectors.milvus.rest_import import RestImport
from migrator.errors import PermanentError, PlanError, TransientError
from migrator.model import LoadProgress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.connectors.milvus.options import Settings
    from migrator.connectors.milvus.reading import Place
    from migrator.connectors.milvus.wire import Wire

REST_SINCE = (2, 4)
STUCK_SECONDS = 900.0
"""rootCoord.importTaskExpiration: a task that shows nothing new for so long is not served any more."""
_FORGOTTEN = "key not found"
"""2.3.5's answer about a task it does not know, under a code that says nothing."""


class Importer(Protocol):
    """One way to have a server read files."""

    def start(self, place: Place, files: Sequence[str]) -> str:
        """Start to import ``files``, full addresses that make up one part, into ``place``; return the job."""

    def started(self, place: Place, files: Sequence[str]) -> list[str]:
        """Return the jobs of exactly these files into ``place`` that the server remembers, newest first."""

    def poll(self, job: str) -> LoadProgress:
        """Return how far ``job`` is. Raise ``PermanentError``: ``import_failed`` with the reason, ``not_found``."""


def importer_for(wire: Wire, settings: Settings) -> Importer:
    """Return the way the server offers. Raise ``PlanError`` for Milvus Lite, which has none."""
    if wire.lease is not None:
        raise PlanError("Milvus Lite has no bulk load", fix="use --route direct", code="not_supported")
    return RestImport(wire, settings) if wire.release >= REST_SINCE or settings.managed else BulkInsert(wire)


class BulkInsert:
    """Bulk insert of servers before 2.4. A task cannot be cancelled, and importing a file twice brings each row twice."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._seen: dict[str, tuple[tuple[int, str], float]] = {}

    def start(self, place: Place, files: Sequence[str]) -> str:
        request = pb.ImportRequest(collection_name=place.collection, partition_name=place.partition or "", files=server_paths(files))
        return str(self._wire.call("Import", request, f"bulk-insert into {place.collection}").tasks[0])

    def started(self, place: Place, files: Sequence[str]) -> list[str]:
        request = pb.ListImportTasksRequest(collection_name=place.collection)  # without a limit: all that are kept, a day by default
        wanted = ",".join(server_paths(files))
        found = []
        for task in self._wire.call("ListImportTasks", request, f"list the bulk inserts of {place.collection}").tasks:
            infos = {pair.key: pair.value for pair in task.infos}
            # collection and partition stay empty where a partition key decides
            elsewhere = place.partition and infos.get("partition") and infos["partition"] != place.partition
            if infos.get("files") == wanted and not elsewhere:
                found.append((task.create_ts, task.id))
        return [str(task) for _, task in sorted(found, reverse=True)]

    def poll(self, job: str) -> LoadProgress:
        try:
            found = self._wire.call("GetImportState", pb.GetImportStateRequest(task=int(job)), f"look at bulk insert {job}")
        except PermanentError as error:
            if _FORGOTTEN in error.message or error.code == "not_found":
                raise forgotten(job) from error
            raise
        infos = {pair.key: pair.value for pair in found.infos}
        if found.state in {common_pb2.ImportFailed, common_pb2.ImportFailedAndCleaned}:
            raise failed(job, infos.get("failed_reason", ""))
        done = found.state == common_pb2.ImportCompleted
        percent = infos.get("progress_percent") or "0"
        if not done:
            self._moves(job, found.state, percent)
        return LoadProgress(done, 1.0 if done else min(int(percent), 99) / 100, int(found.row_count))

    def _moves(self, job: str, state: int, percent: str) -> None:
        """Raise ``TransientError`` when ``job`` has looked the same for too long."""
        now = time.monotonic()
        looks, since = self._seen.get(job, ((-1, ""), now))
        if looks != (state, percent):
            self._seen[job] = (state, percent), now
        elif now - since > STUCK_SECONDS:
            doing = "waits for others to be served" if state == common_pb2.ImportPending else f"stays at {percent} %"
            raise TransientError(
                f"bulk insert {job} {doing} since {STUCK_SECONDS / 60:.0f} minutes", fix="look at the server's data nodes, then resume: it is watched again"
            )
