"""What can be read of a collection: one small protocol a verb."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from migrator.model import Chunk, Collection, Selection, Split


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


@runtime_checkable
class KeyScanner(Protocol):
    """A source that can list its ids much faster than it can read its records."""

    def keys(self, split: Split) -> Iterator[pa.RecordBatch]:
        """Yield ``id`` (string or int64) and ``namespace`` (string) of **every** row of ``split``, in the order of ``read``."""


@runtime_checkable
class Repeating(Protocol):
    """A source that may hold an id several times and shows only one of its records, so that reading cannot tell."""

    def repeated(self) -> Iterator[pa.RecordBatch]:
        """Yield ``id`` (string or int64) and ``namespace`` (string) of the records it holds more than once, often enough for a caller to stop."""


@runtime_checkable
class Locating(Protocol):
    """A source in which an id can be in one namespace only, so that records are found by their ids alone."""

    def locate(self, ids: Sequence[str]) -> pa.RecordBatch:
        """Return those of ``ids`` that exist, in whatever namespace."""


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
class Logged(Protocol):
    """A source that can tell that it was written to, although not what."""

    def positions(self, namespaces: Sequence[str]) -> Mapping[str, int] | None:
        """Return where the log of each of ``namespaces`` is, None when the store does not say. Another position later means that something was written."""


@runtime_checkable
class Searchable(Protocol):
    """A collection that answers nearest-neighbour queries."""

    def search(
        self, vectors: Sequence[Sequence[float]], top_k: int, namespace: str | None, filter_: Mapping[str, Any] | None = None
    ) -> list[list[tuple[str, float]]]:
        """Return for each query vector its ``top_k`` nearest as ``(id, score)``, best first, as the store's own search finds them.

        ``score`` is similarity for cosine and dotproduct, squared distance for euclidean; NaN where the store's can be turned into none of
        them. ``namespace`` None searches all. ``filter_`` is a metadata filter (``migrator.filters``): records that do not match are not
        searched. Raise ``ConfigError`` (``filter_unsupported``) where the store cannot search by it.
        """


@runtime_checkable
class Stampable(Protocol):
    """A source whose records can be marked as migrated, without writing anything else of them."""

    def stamp(self, ids: Sequence[str], namespace: str, metadata: Mapping[str, Any]) -> None:
        """Add the fields of ``metadata`` to those of ``ids`` that exist; their vectors and other fields stay untouched. Safe twice."""

    def unstamp(self, ids: Sequence[str], namespace: str, keys: Sequence[str]) -> None:
        """Remove the metadata fields ``keys`` from those of ``ids`` that exist, and nothing else. Safe twice."""
