"""What a connector offers: one small protocol a verb. A connector implements those it can honour.

A connector is a package or module with ``capabilities(endpoint=None) -> Capabilities``, ``open_source(endpoint) -> Source`` and/or
``open_target(endpoint) -> Target``, and ``examine(endpoint) -> Iterator[Step]``; ``migrator.connectors`` lists them by name.
Sources and targets are used from several threads at once and closed with ``close()``.
"""

from migrator.protocols.offering import (
    Aliased,
    Aliases,
    BulkShaping,
    Connector,
    Droppable,
    FileStore,
    Placing,
    Priced,
    Scalable,
    Shaping,
    StagingArea,
    Switchable,
)
from migrator.protocols.reading import KeyScanner, Known, Locating, Logged, Repeating, Searchable, SelectiveReader, Source, Stampable, Versioned
from migrator.protocols.writing import (
    BulkLoader,
    Claimable,
    Deletable,
    Holding,
    Interruptible,
    Lagging,
    PartKeeper,
    PartReader,
    Retractable,
    Shapeable,
    Shaper,
    Target,
)

__all__ = [
    "Aliased",
    "Aliases",
    "BulkLoader",
    "BulkShaping",
    "Claimable",
    "Connector",
    "Deletable",
    "Droppable",
    "FileStore",
    "Holding",
    "Interruptible",
    "KeyScanner",
    "Known",
    "Lagging",
    "Locating",
    "Logged",
    "PartKeeper",
    "PartReader",
    "Placing",
    "Priced",
    "Repeating",
    "Retractable",
    "Scalable",
    "Searchable",
    "SelectiveReader",
    "Shapeable",
    "Shaper",
    "Shaping",
    "Source",
    "StagingArea",
    "Stampable",
    "Switchable",
    "Target",
    "Versioned",
]
