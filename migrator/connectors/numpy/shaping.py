"""How records lie in NumPy files when no other store decides it: a folder a namespace; id, vector, sparse values and metadata as JSON."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from migrator.connectors.numpy import npy
from migrator.connectors.numpy.staged import read_piece
from migrator.datasets.folders import by_namespace, check_namespaces, without_long_namespaces
from migrator.datasets.target import DatasetTarget, Piece
from migrator.model import ColumnRoles, Rejected
from migrator.records import dimension_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from migrator.datasets.places import Place
    from migrator.datasets.staging import StagedFile
    from migrator.model import Collection, Plan
    from migrator.protocols import Shaper

_SLACK_BYTES = 16 << 20
_WASTE = 2.0
"""Text of fixed width is as wide as the longest: beyond this many times what it needs, long and short texts go to different files."""


@dataclass(frozen=True)
class PlainShaper:
    """Records as they are, integer ids as integers."""

    collection: Collection

    @property
    def roles(self) -> ColumnRoles:
        return ColumnRoles("id", "vector" if self.collection.dimension else None, "sparse" if self.collection.sparse else None, metadata="metadata")

    def shape(self, batch: pa.RecordBatch) -> tuple[Sequence[tuple[str, pa.RecordBatch]], Sequence[Rejected]]:
        good, rejected = without_long_namespaces(batch)
        return [(namespace, self._columns(rows)) for namespace, rows in by_namespace(good)], rejected

    def _columns(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        ids = rows.column("id")
        found = {"id": pc.cast(ids, pa.int64()) if self.collection.id_type == "int64" else ids}
        if dimension_of(rows):
            found["vector"] = rows.column("values")
        if rows.column("sparse_values").null_count < len(rows):
            found["sparse"] = rows.column("sparse_values")
        if rows.column("metadata").null_count < len(rows):
            found["metadata"] = rows.column("metadata").fill_null("{}")
        return pa.RecordBatch.from_pydict(found)


@dataclass
class NumpyFormat:
    """Each piece as a folder with a file a column."""

    shaper: Shaper | None = None
    """Another store's; None until ``begin`` takes the plain one."""
    ending: str = field(default=".npy", init=False)

    def begin(self, collection: Collection, plan: Plan) -> Mapping[str, Any]:  # noqa: ARG002 (the collection has been mapped)
        if self.shaper is None:
            check_namespaces(collection)
            self.shaper = PlainShaper(collection)
        return self.shaper.roles.to_json()

    def encode(self, batch: pa.RecordBatch) -> tuple[Iterator[Piece], list[Rejected]]:
        if self.shaper is None:  # pragma: no cover - the target begins first
            raise RuntimeError("the format was not begun")
        batch, unstorable = _without_padding(batch, "id", "namespace")
        shaped, rejected = self.shaper.shape(batch)
        kept = []
        for namespace, rows in shaped:
            good, refused = _without_padded_fields(namespace, rows, self.shaper.roles)
            kept.append((namespace, good))
            unstorable += refused
        return _pieces(kept), [*unstorable, *rejected]


class NumpyTarget(DatasetTarget):
    """A dataset of NumPy files, in plain columns or another store's."""

    def __init__(self, place: Place, *, overwrite: bool) -> None:
        self._numpy = NumpyFormat()
        super().__init__(place, self._numpy, self._read_piece, overwrite=overwrite)

    def shape_with(self, shaper: Shaper) -> None:
        self._numpy.shaper = shaper

    def _read_piece(self, place: Place, files: Sequence[StagedFile], collection: Collection) -> Iterator[pa.RecordBatch]:
        if self._numpy.shaper is None:  # pragma: no cover - the target begins first
            raise RuntimeError("the format was not begun")
        return read_piece(place, files, collection.dimension, self._numpy.shaper.roles)


def _without_padding(batch: pa.RecordBatch, *names: str) -> tuple[pa.RecordBatch, list[Rejected]]:
    """Return the records whose texts come back from files of fixed width, and the others: NUL is what fills them up."""
    padded = functools.reduce(pc.or_, (pc.match_substring(batch.column(name), "\0") for name in names))
    if not pc.any(padded).as_py():
        return batch, []
    message = "it holds NUL, which NumPy's text files take for padding"
    rows = batch.select(["namespace", "id"]).filter(padded).to_pylist()
    rejected = [Rejected(row["namespace"], row["id"], "nul_in_text", "id", f"record {row['id']!r}: {message}") for row in rows]
    return batch.filter(pc.invert(padded)), rejected


def _without_padded_fields(namespace: str, rows: pa.RecordBatch, roles: ColumnRoles) -> tuple[pa.RecordBatch, list[Rejected]]:
    """Return the rows without those that have NUL in a text field of its own column."""
    rejected: list[Rejected] = []
    for name in roles.fields:
        if not pa.types.is_string(rows.column(name).type) or not pc.any(padded := pc.match_substring(rows.column(name), "\0")).as_py():
            continue
        for row in rows.filter(padded).select([column for column in (roles.id, roles.namespace) if column]).to_pylist():
            where, who = row.get(roles.namespace, namespace), str(row[roles.id])
            message = f"record {who!r}: its metadata {name!r} holds NUL, which NumPy's text files take for padding"
            rejected.append(Rejected(where, who, "nul_in_text", f"metadata.{name}", message))
        rows = rows.filter(pc.invert(padded))
    return rows, rejected


def _pieces(shaped: Sequence[tuple[str, pa.RecordBatch]]) -> Iterator[Piece]:
    numbers: dict[str, int] = {}
    for namespace, rows in ((namespace, rows) for namespace, rows in shaped if len(rows)):
        for chosen in _of_like_width(rows):
            number = numbers[namespace] = numbers.get(namespace, -1) + 1
            files = dict(part for name in chosen.schema.names for part in npy.files_of(name, chosen.column(name)))
            yield Piece(namespace, len(chosen), files, number)


def _of_like_width(rows: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Yield ``rows``, those with long texts for themselves where one long text would make all of them wide."""
    lengths = [pc.fill_null(pc.binary_length(column), 0) for column in rows.columns if pa.types.is_string(column.type)]
    padded = sum(len(rows) * pc.max(one).as_py() for one in lengths)
    needed = sum(pc.sum(one).as_py() for one in lengths)
    if padded <= _SLACK_BYTES + _WASTE * needed:
        yield rows
        return
    widest = max(lengths, key=lambda one: len(rows) * pc.max(one).as_py() - pc.sum(one).as_py())
    long = pc.greater(widest, pa.scalar(pc.max(widest).as_py() // 2, widest.type))
    yield from _of_like_width(rows.filter(pc.invert(long)))
    yield from _of_like_width(rows.filter(long))
