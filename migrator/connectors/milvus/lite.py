"""Milvus Lite in this process: one engine a file, shared by every source and target that names it, released by the last."""

from __future__ import annotations

import gc
import logging
import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from migrator.connectors.milvus.failures import lite_cannot_open

if TYPE_CHECKING:
    from pathlib import Path

# the engine logs every refused call with a traceback; each becomes an error of ours, so nothing is lost by not printing it
logging.getLogger("milvus_lite").addHandler(logging.NullHandler())

_lock = threading.RLock()
_open: dict[str, _Engine] = {}


@dataclass
class _Engine:
    path: str
    target: str
    owned: bool
    """False when a ``MilvusClient`` of this process had the file open before us: then closing it is not ours to do."""
    users: int = 0
    writing: threading.RLock = field(default_factory=threading.RLock)


class Lease:
    """One user's hold on an open Milvus Lite file."""

    def __init__(self, engine: _Engine) -> None:
        self._engine = engine
        self._held = True

    @property
    def target(self) -> str:
        """``host:port`` of the engine's gRPC server."""
        return self._engine.target

    @property
    def path(self) -> str:
        """The file, absolute."""
        return self._engine.path

    @property
    def writing(self) -> threading.RLock:
        """Hold it while writing: the engine's collections take one writer at a time (milvus_lite.adapter.grpc.server)."""
        return self._engine.writing

    def database(self) -> Any:
        """Return the engine itself, a ``milvus_lite.MilvusLite``, or None where this version hides it."""
        return _database(self._engine.path)

    def give_back(self) -> None:
        """End the hold; the last one closes the file and with it the lock on it. Safe twice."""
        with _lock:
            if not self._held:
                return
            self._held = False
            self._engine.users -= 1
            if self._engine.users:
                return
            del _open[self._engine.path]
            if self._engine.owned:
                _manager().release_server(self._engine.path)
                gc.collect()  # it keeps every row in memory, in cycles of references: the next opening would keep them once more


def borrow(path: Path) -> Lease:
    """Open the Milvus Lite file ``path`` (created when missing) or join those who have it open.

    Raise ``ConnectorError`` when another process has it, or it is no Milvus Lite file.
    """
    name = os.path.abspath(path)  # noqa: PTH100 (the name the SDK knows the file by: links stay)
    with _lock:
        engine = _open.get(name)
        if engine is None:
            engine = _open[name] = _start(name, path)
        engine.users += 1
        return Lease(engine)


def _manager() -> Any:
    from milvus_lite.server_manager import server_manager_instance  # noqa: PLC0415 (imports faiss and pyarrow.parquet: only for Lite)

    return server_manager_instance


def _start(name: str, path: Path) -> _Engine:
    owned = _database(name) is None
    with _Reason("milvus_lite.server_manager") as reason:
        uri = _manager().start_and_get_uri(name)
    if uri is None:
        raise lite_cannot_open(path, reason.error)
    return _Engine(name, uri.removeprefix("http://"), owned)


def _database(name: str) -> Any:
    entry = getattr(_manager(), "_servers", {}).get(name)
    return entry[1] if entry else None


class _Reason(logging.Handler):
    """Why opening failed: the manager returns None and only logs the exception, with a traceback nobody should see."""

    def __init__(self, logger: str) -> None:
        super().__init__()
        self.error: BaseException | None = None
        self._logger = logging.getLogger(logger)

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1]:
            self.error = record.exc_info[1]

    def __enter__(self) -> Self:
        self._propagated = self._logger.propagate
        self._logger.propagate = False
        self._logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)
        self._logger.propagate = self._propagated
