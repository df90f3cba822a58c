"""What a connector offers: one small protocol a verb. A connector implements those it can honour.

A connector is a package or module with ``capabilities(endpoint=None) -> Capabilities``, ``open_source(endpoint) -> Source`` and/or
``open_target(endpoint) -> Target``, and ``examine(endpoint) -> Iterator[Step]``; ``migrator.connectors`` lists them by name.
Sources and targets are used from several threads at once and closed with ``close()``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from migrator.model import (
        Address,
        Bill,
        Capabilities,
        Chunk,
        Collection,
        Endpoint,
        Finding,
        LoadProgress,
        Move,
        Plan,
        PriceList,
        Selection,
        Split,
        Step,
        StoredFile,
    )


Known: TypeAlias = "Callable[[Sequence[str], str], npt.NDArray[np.bool_]]"
"""Ids of a source's namespace, and its name -> which of them the target holds, and need not be read."""


class Source(Protocol):
    """Reads a collection."""

    def describe(self) -> Collection:
        """Return what the collection holds, without reading its records where the store allows it."""

    def splits(self, selection: Selection, count: int, align: int = 1) -> Iterable[Split]:
        """Return about ``count`` disjoint splits that together cover every record of ``selection.namespaces``.

        Sources that split by row number cut at multiples of ``align`` rows, so that batches of that size come out full.
        The metadata filter of the selection is applied later, to the records.
        """

    def read(self, split: Split, cursor: str | None, records: int) -> Iterator[Chunk]:
        """Yield the rows of ``split`` in chunks of at most ``records`` rows, in the same order every time.

        ``cursor`` is that of an earlier chunk of the same split (whatever its size was): reading goes on just after it.
        None starts at the beginning. Rows that cannot be represented come in ``Chunk.rejected``, never dropped.
        """

    def fetch(self, ids: Sequence[str], namespace: str) -> pa.RecordBatch:
        """Return those of ``ids`` that exist in ``namespace``, in no particular order."""

    def close(self) -> None:
        """Release files, processes and connections. Safe twice."""


class Target(Protocol):
    """Writes a collection."""

    def prepare(self, collection: Collection, plan: Plan) -> None:
        """Create the target for ``collection``, or check that the one that exists fits. Safe twice.

        Raise ``PlanError`` naming the dimension, metric or schema that does not fit.
        """

    def write(self, batch: pa.RecordBatch, part: str) -> None:
        """Write ``batch``; durable on return. The same part again replaces what it wrote.

        ``part`` is ``<split>.<sequence>``: stores that upsert by id ignore it, file targets stage under that name.
        """

    def finish(self) -> None:
        """Flush, build indexes, load, publish manifests: whatever makes the collection ready. Safe twice."""

    def close(self) -> None:
        """Release files, processes and connections. Safe twice."""


@runtime_checkable
class Interruptible(Protocol):
    """A source or target whose requests can be ended from outside: a store that does not answer must not keep a run from stopping."""

    def interrupt(self) -> None:
        """End the requests under way, which then fail, and send no others. Safe twice, and from any thread at any time."""


@runtime_checkable
class KeyScanner(Protocol):
    """A source that can list its ids much faster than it can read its records."""

    def keys(self, split: Split) -> Iterator[pa.RecordBatch]:
        """Yield ``id`` (string or int64) and ``namespace`` (string) of **every** row of ``split``, in the order of ``read``."""


@runtime_checkable
class SelectiveReader(Protocol):
    """A source that need not read every record to say which there are."""

    def read_unknown(self, split: Split, cursor: str | None, records: int, known: Known) -> Iterator[Chunk]:
        """Yield what ``read`` does, except that records that are ``known`` may be named in ``Chunk.unread`` and not read."""


@runtime_checkable
class Versioned(Protocol):
    """A source that can tell, without being opened anew, whether it is still what it was."""

    def version_now(self) -> str:
        """Return what ``Collection.version`` would be if the source were opened now."""


@runtime_checkable
class Deletable(Protocol):
    """A target from which records can be removed."""

    def delete(self, ids: Sequence[str], namespace: str) -> None:
        """Remove ``ids`` from ``namespace``; ids that are not there are no error."""


@runtime_checkable
class Searchable(Protocol):
    """A collection that answers nearest-neighbour queries."""

    def search(self, vectors: Sequence[Sequence[float]], top_k: int, namespace: str | None) -> list[list[tuple[str, float]]]:
        """Return for each query vector its ``top_k`` nearest as ``(id, score)``, best first.

        ``score`` is the store's own: similarity for cosine and dotproduct, distance for euclidean. ``namespace`` None searches all.
        """


@runtime_checkable
class Claimable(Protocol):
    """A target that one run at a time may write, and that cannot tell by itself which."""

    def claim(self, run: str) -> None:
        """Say which run writes; called before ``prepare``, which raises ``RunBusyError`` when another does."""


@runtime_checkable
class PartKeeper(Protocol):
    """A target that keeps what it is given by part and not by id, so that writing an id again does not replace it."""

    def keep(self, parts: Mapping[str, int]) -> None:
        """Drop whatever was written under other parts than those of ``parts``; called just before ``finish``.

        ``parts`` holds the records of each part that a checkpoint covers. Without this call a part written by a killed run, whose
        records the resumed run wrote under other names, would be there twice. Raise ``PermanentError`` when a part does not hold its records.
        """


@runtime_checkable
class Lagging(Protocol):
    """A target that shows a write some time after it acknowledged it."""

    def written(self, namespaces: Iterable[str]) -> None:
        """Say which namespaces the run wrote to, whichever process did it; called just before ``finish``, which waits until reads show all of it."""


@runtime_checkable
class FileStore(Protocol):
    """A connector whose collections are files."""

    def files(self, endpoint: Endpoint) -> Iterable[StoredFile]:
        """Return the files of a collection, with the checksums its manifest holds."""


@runtime_checkable
class Priced(Protocol):
    """A connector whose store charges for what is read, written and kept."""

    def price_list(self) -> PriceList:
        """Return the prices as far as they are known here."""

    def bill(self, move: Move) -> Bill:
        """Return what the store charges for ``move``, judged from its figures alone: no request is made."""


@runtime_checkable
class StagingArea(Protocol):
    """A connector whose files another store's bulk load can read."""

    def address(self, endpoint: Endpoint) -> str:
        """Return where ``endpoint`` lies, as other programs name it (``s3://…``, ``file://…``). Raise ``ConfigError`` when it has no such name."""

    def server(self, endpoint: Endpoint) -> str:
        """Return the URL of the server that keeps ``endpoint``'s files, "" where its address alone leads to them."""

    def spells(self, namespace: str) -> bool:
        """Whether the folder of ``namespace`` is named exactly so, as a bulk load takes the folder's name for the namespace."""


@runtime_checkable
class BulkLoader(Protocol):
    """A target that can load files by itself."""

    def loadable(self, uri: str, server: str) -> Sequence[Finding]:
        """Return what to know before this target loads from ``uri``, kept by ``server`` (``StagingArea.server``); it need not exist yet.

        Raise ``PlanError`` when it cannot, judged without writing anything.
        """

    def load(self, uri: str) -> str:
        """Start to load the files below ``uri`` and return the job's name."""

    def loads(self, uri: str) -> Sequence[str]:
        """Return the jobs ever started for ``uri``, newest first, failed ones included."""

    def poll(self, job: str) -> LoadProgress:
        """Return how far ``job`` is. Raise ``PermanentError``: ``import_failed`` with the store's reason, ``import_cancelled`` when somebody ended it."""

    def cancel(self, job: str) -> None:
        """Ask the store to end ``job``; one that is over stays what it is."""


@runtime_checkable
class Stampable(Protocol):
    """A source whose records can be marked as migrated, without writing anything else of them."""

    def stamp(self, ids: Sequence[str], namespace: str, metadata: Mapping[str, Any]) -> None:
        """Add the fields of ``metadata`` to those of ``ids`` that exist; their vectors and other fields stay untouched. Safe twice."""

    def unstamp(self, ids: Sequence[str], namespace: str, keys: Sequence[str]) -> None:
        """Remove the metadata fields ``keys`` from those of ``ids`` that exist, and nothing else. Safe twice."""


@runtime_checkable
class Switchable(Protocol):
    """A collection (what ``open_source`` returns) that applications reach by an address."""

    def address(self) -> Address:
        """Return how an application reaches this collection; no secrets, only the names of the variables that hold them."""


@runtime_checkable
class Scalable(Protocol):
    """A collection (what ``open_source`` returns) whose capacity can be changed."""

    def check_scale(self, options: Mapping[str, str]) -> None:
        """Raise the ``ConfigError`` that ``scale`` would, as far as it can be told without changing anything."""

    def scale(self, options: Mapping[str, str]) -> str:
        """Change what ``options`` name and return one sentence saying what was done. Raise ``ConfigError`` for an unknown one."""


@runtime_checkable
class Droppable(Protocol):
    """A collection (what ``open_source`` returns) that can be deleted for good."""

    def check_drop(self) -> None:
        """Raise the ``PermanentError`` that ``drop`` would, as far as it can be told without deleting anything."""

    def drop(self) -> None:
        """Delete the collection with everything in it. Raise ``PermanentError`` when it is protected. One that is gone is no error."""


class Connector(Protocol):
    """The module-level functions of a connector."""

    def capabilities(self, endpoint: Endpoint | None = None) -> Capabilities:
        """Return what ``endpoint`` can do and hold, judged from its options alone; without one, what the store can do by default."""

    def open_source(self, endpoint: Endpoint) -> Source: ...
    def open_target(self, endpoint: Endpoint) -> Target: ...
    def examine(self, endpoint: Endpoint) -> Iterator[Step]:
        """Test the connection step by step, cheapest first; stop after the first failed step."""
