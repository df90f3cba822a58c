"""What can be written to a collection: one small protocol a verb."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import pyarrow as pa

    from migrator.model import Collection, ColumnRoles, Finding, LoadProgress, LoadUnit, Plan, Rejected


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
class Deletable(Protocol):
    """A target from which records can be removed."""

    def delete(self, ids: Sequence[str], namespace: str) -> None:
        """Remove ``ids`` from ``namespace``; ids that are not there are no error."""


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
class PartReader(Protocol):
    """A target in which nothing can be looked up before it is finished, but which can read back what was written as one part."""

    def read_part(self, part: str) -> Iterator[pa.RecordBatch]:
        """Yield the records of ``part`` as they are kept now. Raise ``UnreadableSourceError`` or ``PermanentError`` when they are damaged or gone."""


@runtime_checkable
class Retractable(Protocol):
    """A target made of files, from which what one run published can be taken away again."""

    def published(self, plan: Plan) -> Sequence[str]:
        """Return the files that are there of what a run of ``plan`` published."""

    def retract(self, plan: Plan) -> tuple[int, Sequence[str]]:
        """Remove what a run of ``plan`` published or staged; return how many published files that were, and those left because they changed since.

        Safe twice. Raise ``RunBusyError`` or ``PermanentError`` when another run is at work there.
        """


@runtime_checkable
class Lagging(Protocol):
    """A target that shows a write some time after it acknowledged it."""

    def written(self, namespaces: Iterable[str]) -> None:
        """Say which namespaces the run wrote to, whichever process did it; called just before ``finish``, which waits until reads show all of it."""


class Shaper(Protocol):
    """Turns records into the columns that a store's own bulk load takes."""

    @property
    def roles(self) -> ColumnRoles:
        """What the columns hold."""

    def shape(self, batch: pa.RecordBatch) -> tuple[Sequence[tuple[str, pa.RecordBatch]], Sequence[Rejected]]:
        """Return the columns of ``batch`` by the namespace that their folder is to have, and the records that the store cannot hold."""


@runtime_checkable
class Shapeable(Protocol):
    """A target made of files that can be written in another store's columns."""

    def shape_with(self, shaper: Shaper) -> None:
        """Write the columns of ``shaper``; called before ``prepare``."""


@runtime_checkable
class BulkLoader(Protocol):
    """A target that can load files by itself."""

    def loadable(self, uri: str, server: str) -> Sequence[Finding]:
        """Return what to know before this target loads from ``uri``, kept by ``server`` (``StagingArea.server``); it need not exist yet.

        Raise ``PlanError`` when it cannot, judged without writing anything.
        """

    def load(self, unit: LoadUnit) -> str:
        """Start to load ``unit`` and return the job's name."""

    def loads(self, unit: LoadUnit) -> Sequence[str]:
        """Return the jobs ever started for just ``unit``, newest first, failed ones included."""

    def poll(self, job: str) -> LoadProgress:
        """Return how far ``job`` is. Raise ``PermanentError``: ``import_failed`` with the store's reason, ``import_cancelled`` when somebody ended it."""

    def cancel(self, job: str) -> None:
        """Ask the store to end ``job``; one that is over stays what it is."""


@runtime_checkable
class Holding(Protocol):
    """A bulk loader that can tell without its jobs, which it forgets, whether a unit was loaded."""

    def holds(self, unit: LoadUnit, ids: Sequence[str]) -> bool:
        """Return whether any of ``ids`` is where ``unit`` is loaded to."""
