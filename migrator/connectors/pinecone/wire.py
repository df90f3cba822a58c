"""What a data plane does, whichever way its requests travel: the interface that gRPC and REST both offer here."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from migrator.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pyarrow as pa

    from migrator.model import Rejected

Item = tuple[str, Any, int]
"""One record ready to be sent: its id, its encoded form, and the bytes that takes in a request."""


@dataclass(frozen=True)
class Stats:
    """The statistics of an index."""

    namespaces: Mapping[str, int]
    """Records in each namespace; "" is the default one."""
    dimension: int
    metric: str
    """"" when the index does not say."""


@dataclass(frozen=True)
class Fetched:
    """Records that were asked for by id."""

    batch: pa.RecordBatch
    """In the order of the ids."""
    rejected: tuple[Rejected, ...] = ()
    """Records that cannot be brought into the batch."""


class DataPlane(Protocol):
    """One index's data plane. All methods raise our errors only, and may be called from several threads."""

    transport: str
    """``gRPC`` or ``REST``."""
    fetch_ids: int
    """Ids worth asking for in one request."""
    marks: Marks

    def stats(self, filter_: Mapping[str, Any] | None = None) -> Stats:
        """Return how many records there are; with a filter (pods only) how many match it."""

    def list_page(self, namespace: str, token: str | None) -> tuple[list[str], str | None]:
        """Return up to 100 ids, in bitwise order, and the token of the next page."""

    def fetch(self, namespace: str, ids: Sequence[str]) -> Fetched:
        """Return those of ``ids`` that exist."""

    def query(
        self, namespace: str, vector: Sequence[float], top_k: int, *, filter_: Mapping[str, Any] | None = None, sparse: bool = False
    ) -> list[tuple[str, float]]:
        """Return the nearest as (id, score). ``sparse`` searches with index 0 alone, in an index that has no dense vectors."""

    def encode(self, batch: pa.RecordBatch) -> list[Item]:
        """Return each record as it will be sent."""

    def upsert(self, namespace: str, items: Sequence[Item]) -> int:
        """Send one request and return how many records the index says it took."""

    def delete(self, namespace: str, ids: Sequence[str]) -> None:
        """Delete up to 1,000 ids; those that do not exist are no error."""

    def set_metadata(self, namespace: str, record: str, fields: Mapping[str, Any]) -> None:
        """Add or overwrite metadata fields of one record; everything else of it stays."""

    def indexed(self, namespace: str) -> int | None:
        """Return up to which log position reads see the writes, None when the index does not say."""

    def close(self) -> None:
        """Close the connections. Safe twice."""


class Marks:
    """The log position of the last write in each namespace: a read sees a write once it reports a position as high."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.written: dict[str, int | None] = {}
        """None where the index named no position."""
        self.seen: dict[str, int] = {}
        """Positions that reads were seen to have come to."""
        self._least: dict[str, int] = {}
        """Positions that no later write can be before, as long as nothing was deleted: the log of a namespace that was emptied may begin anew."""

    def writing(self, namespace: str, *, deletes: bool = False) -> Callable[[Mapping[str, str]], None]:
        """Return what takes the headers of the answer to a write that is sent from now on.

        It raises ``PermanentError`` when that write has a place in the log before another that was answered by now: logs only grow.
        """
        with self._lock:
            before = self._least.get(namespace, 0)

        def wrote(headers: Mapping[str, str]) -> None:
            self.wrote(namespace, headers, before)
            if deletes:
                with self._lock:
                    self._least.pop(namespace, None)
                    self.seen.pop(namespace, None)

        return wrote

    def wrote(self, namespace: str, headers: Mapping[str, str], before: int = 0) -> None:
        """Note a write. Raise ``PermanentError`` when its position is lower than ``before``."""
        position = lsn(headers, "x-pinecone-request-lsn", "x-pinecone-lsn-committed")
        if position is not None:
            self.check(namespace, position, before)
        with self._lock:
            known = self.written.get(namespace)
            self.written[namespace] = position if known is None else max(known, position or 0)
            self._least[namespace] = max(self._least.get(namespace, 0), position or 0)

    @staticmethod
    def check(namespace: str, position: int, before: int) -> None:
        """Raise ``PermanentError`` when the log of ``namespace`` is at ``position`` after it was at ``before``."""
        if position < before:
            what = f"namespace {namespace!r} was deleted, or its index made anew, while records were written to it"
            message = f"{what}: its log went from {before:,} back to {position:,}"
            raise PermanentError(message, fix="copy anew, as another run", code="target_gone")


def lsn(headers: Mapping[str, str], *names: str) -> int | None:
    """Return the first log position that ``headers`` have under one of ``names``."""
    for name in names:
        text = headers.get(name, "")
        if text.isdecimal():
            return int(text)
    return None
