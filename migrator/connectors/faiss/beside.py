"""What stands beside an index: the rows of sidecars and docstores, joined with its vectors by position or by id."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from migrator.connectors.faiss.spool import KEYED_SCHEMA, KeyIndex, Spool
from migrator.errors import ConfigError
from migrator.records import canonical_metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import numpy.typing as npt

    from migrator.connectors.faiss.spool import Row
    from migrator.model import Finding, IdType


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


def metadata_beside(name: str, read: Callable[[], Iterable[Any]], count: int, ids: Callable[[], Iterable[pa.Array]]) -> Beside:
    """Return the rows of a metadata sidecar, joined by id where their ``id`` values are exactly the record ids, else by position.

    Joined, ``id`` is the key and no metadata; else it is metadata like the rest. ``read`` yields the rows, ``ids`` the record ids
    in the order of positions; both may be called again. Raise ``ConfigError`` when there are not ``count`` rows.
    """
    spool = _counted(name, (_metadata_row(item, keyed=True) for item in read()), count)
    if spool.count and not any(batch.column("id").null_count for batch in spool.batches()):
        keys = KeyIndex(batch.column("id") for batch in spool.batches())
        if keys.unique and _same_ids(spool, keys, ids()):
            return Beside(name, spool, keys)
    elif all(batch.column("id").null_count == len(batch) for batch in spool.batches()):
        return Beside(name, spool)
    spool.close()
    return Beside(name, _counted(name, (_metadata_row(item, keyed=False) for item in read()), count))


def _same_ids(spool: Spool, keys: KeyIndex, ids: Iterable[pa.Array]) -> bool:
    """Return whether every record id is some row's. As both are equally many and the rows' differ, that makes them the same."""
    met = np.zeros(spool.count, np.bool_)
    for some in ids:
        found = keys.find(some)
        if (found < 0).any() or not pc.all(pc.equal(spool.take(found).column("id").combine_chunks(), some)).as_py():
            return False
        met[found] = True
    return bool(met.all())


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
    if spool.count == count:
        extra = sum(1 for _ in iterator)
        if not extra:
            return spool
        found = count + extra
    else:
        found = spool.count
    spool.close()
    raise ConfigError(
        f"{name} has {found} rows but the index has {count} vectors",
        fix="give the file that was written together with this index",
        code="wrong_length",
    )


def _metadata_row(item: Any, *, keyed: bool) -> Row:
    """Turn one row into an id, where it names one, and canonical metadata; ``keyed`` takes the id out of the metadata."""
    if isinstance(item, ValueError):
        return None, None, str(item)
    if item is None:
        return None, None, None
    if not isinstance(item, dict):
        return None, None, f"a row is a {type(item).__name__}, not an object"
    key = item.get("id")
    held: Any = item
    identifier = str(key) if keyed and isinstance(key, (str, int)) and not isinstance(key, bool) else None
    if identifier is not None:
        held = {name: value for name, value in item.items() if name != "id"}
    if set(held) == {"metadata"} and isinstance(held["metadata"], (dict, str, type(None))):
        held = held["metadata"]  # an envelope: {"id": …, "metadata": {…}}
    try:
        return identifier, canonical_metadata(held), None
    except ValueError as error:
        return identifier, None, str(error)
