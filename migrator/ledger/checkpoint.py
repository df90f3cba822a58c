"""What is recorded of a chunk once it is in the target, and where a split stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from migrator.digest import NamespaceDigest
    from migrator.model import Counts, Rejected, Split


@dataclass(frozen=True)
class Held:
    """An occurrence of an id that the source holds more than once."""

    key: str
    """Identifies the id within the target, hex."""
    hash: str
    """128-bit hash of the record, hex."""
    winner: bool
    """Whether this occurrence is the one that was written."""
    namespace: str
    id: str
    raw: str | None


@dataclass(frozen=True)
class Checkpoint:
    """One chunk, durably written to the target: what it held and where reading goes on."""

    split_id: str
    sequence: int
    cursor: str
    read: int
    """Rows read in the selected namespaces, whether the filter matched them or not."""
    counts: Counts
    digests: Mapping[str, NamespaceDigest]
    """Of what was written, per target namespace."""
    rejected: Sequence[Rejected] = ()
    held: Sequence[Held] = ()
    seconds: float = 0.0
    """How long the write took."""
    verified: int = 0
    """Records that were read back from the target before this was recorded, and found as they were written; 0 where none were asked for."""


@dataclass(frozen=True)
class SplitProgress:
    """Where a split stands."""

    split: Split
    position: int
    sequence: int
    cursor: str | None
    done: bool
    counts: Counts
