"""Import jobs of servers from 2.4 on and of Zilliz Cloud, over their REST interface: ``/v2/vectordb/jobs/import``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from migrator.connectors.milvus.import_files import server_paths
from migrator.connectors.milvus.import_reasons import failed, forgotten
from migrator.connectors.milvus.rest import Rest
from migrator.errors import PermanentError, TransientError
from migrator.model import LoadProgress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.connectors.milvus.options import Settings
    from migrator.connectors.milvus.reading import Place
    from migrator.connectors.milvus.wire import Wire

_JOBS = "/v2/vectordb/jobs/import/"
PAGE = 100
_FORGOTTEN = ("does not exist", "not found", "not exist")
_IN_PROTO = re.compile(r'paths:"((?:[^"\\]|\\.)*)"')


class RestImport:
    """Import jobs. A job cannot be cancelled, and importing a file twice brings each row twice."""

    def __init__(self, wire: Wire, settings: Settings) -> None:
        self._rest = Rest(wire, settings)
        self._settings = settings
        self._ours: dict[str, tuple[str, ...]] = {}
        """Files of the jobs this process started: a young job does not tell them."""

    def _paths(self, files: Sequence[str]) -> tuple[str, ...]:
        paths = server_paths(files)
        return tuple(sorted(files)) if self._settings.managed else paths

    def start(self, place: Place, files: Sequence[str]) -> str:
        paths = self._paths(files)
        body: dict[str, Any] = {"collectionName": place.collection}
        if place.partition:
            body["partitionName"] = place.partition
        if self._settings.managed:  # Zilliz Cloud reads the bucket with keys that it is told
            body |= {"objectUrls": [list(paths)], "accessKey": self._settings.access_key, "secretKey": self._settings.secret_key}
        else:
            body["files"] = [list(paths)]
        job = str(self._rest.post(_JOBS + "create", body, f"import into {place.collection}")["jobId"])
        self._ours[job] = paths
        return job

    def started(self, place: Place, files: Sequence[str]) -> list[str]:
        """Return the jobs of exactly these files. Raise ``TransientError`` while a job that another process started does not tell its files yet."""
        wanted = self._paths(files)
        return [job for job in self._listed(place.collection) if self._files(job) == wanted]

    def _listed(self, collection: str) -> list[str]:
        """Return all jobs of ``collection``: a server lists them at once, Zilliz Cloud a page at a time; newest first as far as ids tell."""
        found: list[str] = []
        for page in range(1, 10_000):
            body: dict[str, Any] = {"collectionName": collection} | ({"pageSize": PAGE, "currentPage": page} if self._settings.managed else {})
            records = self._rest.post(_JOBS + "list", body, f"list the imports into {collection}").get("records") or []
            found += [str(one["jobId"]) for one in records if one.get("collectionName", collection) == collection]
            if not self._settings.managed or len(records) < PAGE:
                break
        return sorted(found, key=lambda job: (len(job), job), reverse=True)

    def _files(self, job: str) -> tuple[str, ...]:
        if job in self._ours:
            return self._ours[job]
        found = self._described(job)
        paths = tuple(sorted(path for detail in found.get("details") or [] for path in _named(str(detail.get("fileName", "")))))
        if not paths and found.get("state") not in {"Completed", "Failed"}:  # it failed early, and brought nothing, or it is still young
            raise TransientError(f"import {job} does not say yet which files it reads", fix="wait until Milvus has begun with it, then resume")
        return paths

    def _described(self, job: str) -> dict[str, Any]:
        what = f"look at import {job}"
        try:
            try:
                return self._rest.post(_JOBS + "describe", {"jobId": job}, what)
            except PermanentError as error:
                if error.code != "not_supported":
                    raise
                return self._rest.post(_JOBS + "get_progress", {"jobId": job}, what)  # its name in the first releases of 2.4
        except PermanentError as error:
            if any(words in error.message for words in _FORGOTTEN):
                raise forgotten(job) from error
            raise

    def poll(self, job: str) -> LoadProgress:
        found = self._described(job)
        state = found.get("state")
        if state == "Failed":
            raise failed(job, str(found.get("reason") or ""))
        done = state == "Completed"
        percent = int(found.get("progress") or 0)
        return LoadProgress(done, 1.0 if done else min(percent, 99) / 100, int(found.get("importedRows") or 0))


def _named(file_name: str) -> list[str]:
    """Return the paths in a job's ``fileName``: ``id:4 paths:"a" paths:"b"`` from 2.4, ``[a b]`` from 2.5 on, or one plain path."""
    if "paths:" in file_name:
        return _IN_PROTO.findall(file_name)
    if file_name.startswith("[") and file_name.endswith("]"):
        return file_name[1:-1].split(" ")
    return [file_name] if file_name else []
