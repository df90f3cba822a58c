"""What stands beside an index: the rows of sidecars and docstores, joined with its vectors by position or by id."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from migrator.connectors.faiss.sidecars import metadata_row
from migrator.connectors.faiss.spool import KEYED_SCHEMA, KeyIndex, Spool
from migrator.errors import ConfigError
from migrator.model import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import numpy.typing as npt

    from migrator.connectors.faiss.spool import Row
    from migrator.model import IdType

_SIFTED = 256
"""Rows whose ids are looked up together."""


@dataclass(frozen=True)
class Records:
    """The records that rows are to be joined with."""

    count: int
    ids: Callable[[], Iterable[pa.Array]]
    """Gives their ids as text; may be called again."""
    named: Callable[[], bool]
    """Tells whether the ids are more than row numbers."""
    in_order: bool
    """Whether ``ids`` gives them in the order of positions."""


@dataclass
class Beside:
    """Rows beside an index. ``keys`` None: the n-th row belongs to the n-th vector; else rows are found by the vector's id."""

    name: str
    """The option or file, for errors."""
    spool: Spool
    keys: KeyIndex | None = None
    key_column: str = "id"
    renames: bool = False
    """Whether the rows' ``id`` is the record's id."""
    describes: bool = True
    """Whether the rows hold metadata."""
    id_type: IdType = "string"
    findings: tuple[Finding, ...] = ()

    def rows(self, places: npt.NDArray[np.int64], ids: pa.Array) -> pa.Table:
        """Return the rows (``id``, ``metadata``, ``error``) of the vectors at ``places`` whose ids so far are ``ids``."""
        if self.keys is None:
            return self.spool.take(places)
        found = self.spool.take(self.keys.find(ids))
        same = pc.fill_null(pc.equal(found.column(self.key_column).combine_chunks(), ids), fill_value=False)
        if pc.all(same).as_py() is not False:
            return found
        return pa.table({name: pc.if_else(same, found.column(name).combine_chunks(), None) for name in found.column_names})

    def close(self) -> None:
        self.spool.close()


def ids_beside(name: str, items: Iterable[str | int], count: int) -> Beside:
    """Return the ids of a sidecar. Raise ``ConfigError`` when there are not ``count`` of them."""
    state = {"integers": True}

    def rows() -> Iterator[Row]:
        for item in items:
            state["integers"] = state["integers"] and isinstance(item, int) and -(2**63) <= item < 2**63
            yield str(item), None, None

    spool = _counted(name, rows(), count)
    return Beside(name, spool, renames=True, describes=False, id_type="int64" if state["integers"] and count else "string")


def metadata_beside(name: str, read: Callable[[], Iterable[Any]], records: Records) -> Beside:
    """Return the rows of a metadata sidecar: joined by id where any ``id`` of theirs is a record's, else by position.

    Joined by id, ``id`` is the key and no metadata; else it is metadata like the rest. Where the ids are only row numbers, rows are
    joined by them only if theirs are exactly those: 1 to n beside positions 0 to n-1 must not shift every row. ``read`` yields
    the rows and may be called again. Raise ``ConfigError`` when rows joined by position are not as many as the records, or
    several rows have the id of one.
    """
    sieve = _Sieve(records)
    spool = Spool(sieve.through(read()))
    try:
        if not sieve.named:
            _check_length(name, sieve.total, records.count)
            return Beside(name, spool)
        joined = _joined(name, spool, sieve) if sieve.matched else None
    except BaseException:
        spool.close()
        raise
    if joined is not None:
        return joined
    spool.close()
    some = "the index stores no ids of its own, and the sidecar's are not exactly its row numbers"
    reason = some if sieve.matched else "none of the sidecar's ids is in the index"
    finding = Finding("info", "joined_by_position", f"metadata is joined by position: {reason}")
    return Beside(name, _counted(name, (metadata_row(item, keyed=False) for item in read()), records.count), findings=(finding,))


class _Sieve:
    """Lets those rows through that a join may need, so that a sidecar of far more rows than records takes no more room than one of as many."""

    def __init__(self, records: Records) -> None:
        self.records = records
        self.total = 0
        self.named = 0
        """Rows with an ``id`` of any type."""
        self.matched = 0
        """Rows with the id of a record, or its hash."""
        self.unmatchable = 0
        """Rows without an id that a record could have."""

    def through(self, items: Iterable[Any]) -> Iterator[Row]:
        known = None
        iterator = iter(items)
        while some := list(itertools.islice(iterator, _SIFTED)):
            self.total += len(some)
            self.named += sum(isinstance(item, dict) and item.get("id") is not None for item in some)
            if self.named and known is None:
                known = KeyIndex(self.records.ids())
            rows = [metadata_row(item, keyed=True) for item in some]
            found = known.find(pa.array([row[0] for row in rows], pa.string())) if known else itertools.repeat(-1)
            for row, at in zip(rows, found, strict=False):
                if row[0] is None:
                    self.unmatchable += 1
                    kept = self.unmatchable <= self.records.count
                else:
                    self.matched += int(at >= 0)
                    kept = at >= 0 and self.matched <= self.records.count + 1  # one more than fit proves that two have the same id
                if kept:
                    yield row


def _joined(name: str, spool: Spool, sieve: _Sieve) -> Beside | None:
    """Return the sifted rows joined by id, None where position is right. Raise ``ConfigError`` for several rows of one id."""
    records = sieve.records
    whole = sieve.total == spool.count == records.count
    if whole and records.in_order and _agree(spool, records.ids()):
        return Beside(name, spool)
    named = records.named()
    if not named and (sieve.unmatchable or not whole):
        return None
    held = _with_ids(spool) if sieve.unmatchable else spool
    keys = KeyIndex(batch.column("id") for batch in held.batches())
    if named and not keys.unique:
        twice = next(text for some in records.ids() for text in some.to_pylist() if len(keys.all(text)) > 1)
        raise ConfigError(
            f"{name} has more than one row with the id {twice}",
            fix="keep one row for each id, or rename its column id to join rows by position",
            code="ambiguous_rows",
        )
    missing, used = _met(held, keys, records.ids())
    if not used or not (named or (keys.unique and used == records.count)):
        return None
    return Beside(name, held, keys, findings=_unmatched(name, missing, records.count, sieve.total - used, sieve.total))


def _unmatched(name: str, missing: int, count: int, unused: int, total: int) -> tuple[Finding, ...]:
    if not (missing or unused):
        return ()
    text = (
        f"metadata is joined by id: {missing} of {count} records have no row in {name} and are copied without metadata; "
        f"{unused} of its {total} rows have the id of no record and are not used"
    )
    both = bool(missing and unused)  # rows of their own may be what the records lack
    return (Finding("lossy" if both else "info", "rows_unmatched", text, "correct the ids of the sidecar, or accept the loss" if both else ""),)


def _agree(spool: Spool, ids: Iterable[pa.Array]) -> bool:
    """Return whether every row stands at the position of the record it names. A row that cannot be read does not object."""
    at = 0
    for some in ids:
        rows = spool.rows(at, at + len(some))
        same = pc.fill_null(pc.equal(rows.column("id").combine_chunks(), some), fill_value=False)
        broken = pc.and_(pc.is_null(rows.column("id")), pc.is_valid(rows.column("error"))).combine_chunks()
        if not pc.all(pc.or_(same, broken)).as_py():
            return False
        at += len(some)
    return True


def _with_ids(spool: Spool) -> Spool:
    """Return the rows that have an id, and close ``spool``."""
    try:
        some = (batch.filter(pc.is_valid(batch.column("id"))) for batch in spool.batches())
        return Spool(row for batch in some for row in zip(*(column.to_pylist() for column in batch.columns), strict=True))
    finally:
        spool.close()


def _met(spool: Spool, keys: KeyIndex, ids: Iterable[pa.Array]) -> tuple[int, int]:
    """Return how many records no row names, and how many rows name a record."""
    met, missing = np.zeros(spool.count, np.bool_), 0
    for some in ids:
        found = keys.find(some)
        at = found[found >= 0]
        same = pc.equal(spool.take(at).column("id").combine_chunks(), some.filter(pa.array(found >= 0))).to_numpy(zero_copy_only=False)
        missing += len(some) - int(same.sum())
        met[at[same]] = True
    return missing, int(met.sum())


def docstore_beside(name: str, rows: Iterable[Row], count: int) -> Beside:
    """Return the ids and metadata of a docstore, by position. Raise ``ConfigError`` when there are not ``count`` of them."""
    return Beside(name, _counted(name, rows, count), renames=True)


def keyed_beside(name: str, rows: Iterable[tuple[str, str | None, str | None, str | None]]) -> Beside:
    """Return rows found by the id stored in the index: each is ``(stored id, id, metadata, error)``."""
    spool = Spool(rows, KEYED_SCHEMA)
    keys = KeyIndex(batch.column("key") for batch in spool.batches())
    return Beside(name, spool, keys, key_column="key", renames=True)


def _counted(name: str, rows: Iterable[Row], count: int) -> Spool:
    iterator = iter(rows)
    spool = Spool(itertools.islice(iterator, count))
    try:
        _check_length(name, spool.count + sum(1 for _ in iterator), count)
    except BaseException:
        spool.close()
        raise
    return spool


def _check_length(name: str, found: int, count: int) -> None:
    if found != count:
        raise ConfigError(
            f"{name} has {found} rows but the index has {count} vectors",
            fix="give the file that was written together with this index",
            code="wrong_length",
        )
