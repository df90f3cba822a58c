"""What a connector is, and what beside reading and writing it may offer of a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import pyarrow as pa

    from migrator.model import (
        Address,
        Bill,
        Capabilities,
        Collection,
        ColumnRoles,
        Endpoint,
        LoadUnit,
        Move,
        Plan,
        PriceList,
        SampleStats,
        Step,
        StoredFile,
        TargetShape,
    )
    from migrator.protocols.reading import Source
    from migrator.protocols.writing import Shaper, Target


class Connector(Protocol):
    """The module-level functions of a connector."""

    def capabilities(self, endpoint: Endpoint | None = None) -> Capabilities:
        """Return what ``endpoint`` can do and hold, judged from its options alone; without one, what the store can do by default."""

    def open_source(self, endpoint: Endpoint) -> Source: ...
    def open_target(self, endpoint: Endpoint) -> Target: ...
    def examine(self, endpoint: Endpoint) -> Iterator[Step]:
        """Test the connection step by step, cheapest first; stop after the first failed step."""


@runtime_checkable
class FileStore(Protocol):
    """A connector whose collections are files."""

    def files(self, endpoint: Endpoint) -> Iterable[StoredFile]:
        """Return the files of a collection, with the checksums its manifest holds."""


@runtime_checkable
class Placing(Protocol):
    """A connector whose collections can be named in several ways."""

    def place(self, endpoint: Endpoint) -> str:
        """Return where ``endpoint`` lies: one text for one collection, whatever its options say beside. To compare only; it may hold a secret."""


@runtime_checkable
class Shaping(Protocol):
    """A connector whose new collections have a schema that options, source and server decide on."""

    def shape(self, endpoint: Endpoint, plan: Plan, collection: Collection, stats: SampleStats, batches: Sequence[pa.RecordBatch]) -> TargetShape:
        """Return what ``endpoint`` becomes when ``plan`` copies ``collection``. Nothing is written.

        ``batches`` are a sample of all namespaces as the plan routes them, ``stats`` what they show of each metadata key.
        """


@runtime_checkable
class StagingArea(Protocol):
    """A connector whose files another store's bulk load can read."""

    def address(self, endpoint: Endpoint) -> str:
        """Return where ``endpoint`` lies, as other programs name it (``s3://…``, ``file://…``). Raise ``ConfigError`` when it has no such name."""

    def server(self, endpoint: Endpoint) -> str:
        """Return the URL of the server that keeps ``endpoint``'s files, "" where its address alone leads to them."""

    def units(self, endpoint: Endpoint) -> Sequence[LoadUnit]:
        """Return what is to be loaded once ``endpoint`` is complete, a job each, in an order that stays."""

    def some_ids(self, endpoint: Endpoint, unit: LoadUnit) -> Sequence[str]:
        """Return ids of records in ``unit``, a few of many, by which a store can tell whether it holds them."""

    def columns(self, endpoint: Endpoint) -> ColumnRoles | None:
        """Return what the columns of ``endpoint``'s files hold, None where a bulk load needs no telling."""

    def hold(self, endpoint: Endpoint, run: str) -> Callable[[], None]:
        """Keep other runs from writing or loading ``endpoint``'s files until the function returned is called. Raise ``RunBusyError`` when one does."""

    def spells(self, namespace: str) -> bool:
        """Whether the folder of ``namespace`` is named exactly so, as a bulk load takes the folder's name for the namespace."""


@runtime_checkable
class BulkShaping(Protocol):
    """A connector whose store loads files with columns of its own kind."""

    def shaper(self, endpoint: Endpoint, collection: Collection, plan: Plan) -> Shaper:
        """Return how records of ``collection`` are to lie in files that ``endpoint`` loads: as its collection is, or else as it would be created.

        Where the store cannot be reached, the latter: files can be written before.
        """


@runtime_checkable
class Priced(Protocol):
    """A connector whose store charges for what is read, written and kept."""

    def price_list(self) -> PriceList:
        """Return the prices as far as they are known here."""

    def bill(self, move: Move) -> Bill:
        """Return what the store charges for ``move``, judged from its figures alone: no request is made."""


@runtime_checkable
class Switchable(Protocol):
    """A collection (what ``open_source`` returns) that applications reach by an address."""

    def address(self) -> Address:
        """Return how an application reaches this collection; no secrets, only the names of the variables that hold them."""


class Aliases(Protocol):
    """Other names for collections of one store, each moved from one collection to another at once."""

    @property
    def collection(self) -> str:
        """The name of the collection that was opened, its own whatever name it was opened by."""

    def leads_to(self, alias: str) -> str | None:
        """Return the collection ``alias`` leads to, None when there is no such alias. Raise ``ConfigError`` for what can be no alias here."""

    def point(self, alias: str, collection: str) -> None:
        """Let ``alias`` lead to ``collection`` from now on, made where there is none. Safe twice."""

    def drop(self, alias: str) -> None:
        """Remove ``alias``, never a collection. One that is gone is no error."""

    def address(self, alias: str) -> Address:
        """Return how an application reaches, by ``alias``, what it leads to."""


@runtime_checkable
class Aliased(Protocol):
    """A collection (what ``open_source`` returns) that applications can reach by an alias too."""

    def aliases(self) -> Aliases:
        """Return the aliases in the collection's store, usable while it is open."""


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
