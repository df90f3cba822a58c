"""From a source's rows to the records the target should hold: selection, filter, namespace and id rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from migrator.ascii_names import decode, encode
from migrator.filters import compile_filter
from migrator.records import empty_batch, parse_json
from migrator.routing import REJECT, Namespaces
from migrator.stamps import without_stamps
from migrator.validate import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import numpy.typing as npt

    from migrator.model import IdEncoding, Plan

    Fetch = Callable[[Sequence[str], str], pa.RecordBatch]

_NEEDS_ENCODING = r"[%\x00]|[^\x00-\x7F]"
"""For Arrow's RE2."""


@dataclass(frozen=True)
class Transform:
    """A plan's rules, compiled once and applied to every batch."""

    namespaces: frozenset[str] | None
    matches: Callable[[Mapping[str, Any]], bool] | None
    names: Namespaces = field(default_factory=Namespaces)
    ids: IdEncoding = "reject"
    unstamps: bool = True
    """Whether the marks of earlier runs are left out of the metadata: on the source's side always, on the target's never."""

    @property
    def routes(self) -> bool:
        """Whether records of several namespaces can meet in one, where their ids may be the same."""
        return self.names.routes

    @property
    def renames(self) -> bool:
        """Whether records may have another id or namespace afterwards."""
        return self.names.renames or self.ids != "reject"

    @property
    def needs_metadata(self) -> bool:
        """Whether selecting or routing a record takes its metadata."""
        return self.matches is not None or self.names.field is not None

    def in_namespaces(self, batch: pa.RecordBatch) -> npt.NDArray[np.bool_] | None:
        """Return which rows lie in a selected namespace, or None when all do."""
        if self.namespaces is None:
            return None
        mask: npt.NDArray[np.bool_] = pc.is_in(batch.column("namespace"), pa.array(sorted(self.namespaces), pa.string())).to_numpy(zero_copy_only=False)
        return None if mask.all() else mask

    def matching(self, batch: pa.RecordBatch) -> npt.NDArray[np.bool_] | None:
        """Return which rows match the filter, or None when all do."""
        if self.matches is None:
            return None
        mask = np.fromiter((self.matches(_metadata(text)) for text in batch.column("metadata").to_pylist()), np.bool_, len(batch))
        return None if mask.all() else mask

    def selected(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the rows in a selected namespace that match the filter."""
        for rule in (self.in_namespaces, self.matching):
            if (mask := rule(batch)) is not None:
                batch = batch.filter(pa.array(mask))
        return batch

    def unroutable(self, batch: pa.RecordBatch) -> list[Problem]:
        """Return the rows of a source's batch for which the rules have no id or no namespace in the target."""
        found: dict[int, Problem] = {}
        for problem in (*self._without_namespace(batch), *self._not_encoded(batch)):
            found.setdefault(problem.row, problem)
        return [found[row] for row in sorted(found)]

    def _without_namespace(self, batch: pa.RecordBatch) -> Iterator[Problem]:
        names = self.names
        if names.field is not None and names.missing == REJECT:
            for row, namespace in enumerate(self._routed(batch)):
                if namespace is None:
                    yield Problem(row, "namespace_missing", f"metadata.{names.field}", f"{names.field} names no namespace")
        if names.field is None and names.decodes:
            own = batch.column("namespace")
            faults = {name: names.fault(name) for name in pc.unique(own).to_pylist()}
            rows = enumerate(own.to_pylist()) if any(faults.values()) else ()
            yield from (Problem(row, "namespace_not_encoded", "namespace", faults[name]) for row, name in rows if faults[name])

    def _not_encoded(self, batch: pa.RecordBatch) -> Iterator[Problem]:
        if self.ids == "decode":
            for row, id_ in _suspects(batch.column("id")):
                if _decoded(id_) is None:
                    yield Problem(row, "id_not_encoded", "id", "no id is encoded like this one, so it cannot be decoded")

    def routable(self, batch: pa.RecordBatch) -> npt.NDArray[np.bool_] | None:
        """Return which rows have an id and a namespace in the target, or None when all do."""
        if not (problems := self.unroutable(batch)):
            return None
        mask = np.ones(len(batch), np.bool_)
        mask[[problem.row for problem in problems]] = False
        return mask

    def expected(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the records that count as they should be in the target: selected, those without a place there left out, routed."""
        return self.placed(self.selected(batch))

    def placed(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the rows that have a place in the target, routed."""
        return self.route(batch if (mask := self.routable(batch)) is None else batch.filter(pa.array(mask)))

    def route(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the batch with every record's id and namespace in the target; rows that are not ``routable`` keep what they had."""
        if self.unstamps:
            batch = without_stamps(batch)
        if self.names.renames:
            batch = _replaced(batch, "namespace", self._namespaces(batch))
        if self.ids != "reject" and pa.types.is_string(batch.schema.field("id").type):  # integers are ASCII
            batch = _replaced(batch, "id", _mapped(batch.column("id"), encode if self.ids == "percent" else _decoded))
        return batch

    def _namespaces(self, batch: pa.RecordBatch) -> pa.Array:
        column = batch.column("namespace")
        if self.names.field is None:
            coded = pc.dictionary_encode(column)
            return pa.array([self.names.own(name) for name in coded.dictionary.to_pylist()], pa.string()).take(coded.indices)
        return pa.array([own if name is None else name for name, own in zip(self._routed(batch), column.to_pylist(), strict=True)], pa.string())

    def _routed(self, batch: pa.RecordBatch) -> list[str | None]:
        rows = zip(batch.column("metadata").to_pylist(), batch.column("namespace").to_pylist(), strict=True)
        return [self.names.of_record(_metadata(text), namespace) for text, namespace in rows]

    def look_up(self, fetch: Fetch, ids: Sequence[str], namespaces: Iterable[str], dimension: int) -> pa.RecordBatch:
        """Return the records of a source's ``namespaces`` that get one of the target's ``ids``, routed. ``fetch`` is the source's, ``dimension`` too."""
        return self.placed(self.originals(fetch, ids, namespaces, dimension))

    def originals(self, fetch: Fetch, ids: Sequence[str], namespaces: Iterable[str], dimension: int) -> pa.RecordBatch:
        """Return the records of a source's ``namespaces`` that get one of the target's ``ids``, as the source has them."""
        wanted = [name for name in map(self._origin, ids) if name is not None]
        found = [fetch(wanted, namespace) for namespace in namespaces] if wanted else []
        return pa.concat_batches(found) if found else empty_batch(dimension)

    def target_id(self, id_: str) -> str:
        """Return what the record with the source's ``id_`` is called in the target; one that has no name there keeps its own."""
        return id_ if self.ids == "reject" else _mapped(pa.array([id_]), encode if self.ids == "percent" else _decoded)[0].as_py()

    def _origin(self, id_: str) -> str | None:
        """Return the source's id that becomes ``id_``, None when none does."""
        return id_ if self.ids == "reject" else encode(id_) if self.ids == "decode" else _decoded(id_)


def compile_transform(plan: Plan) -> Transform:
    """Return the rules of ``plan``. Raise ``ConfigError`` when its filter is none."""
    selection, mapping = plan.selection, plan.mapping
    return Transform(
        frozenset(selection.namespaces) if selection.namespaces is not None else None,
        compile_filter(selection.filter) if selection.filter is not None else None,
        Namespaces.of(mapping),
        mapping.id_encoding,
    )


def _metadata(text: str | None) -> Mapping[str, Any]:
    return parse_json(text) if text else {}


def _replaced(batch: pa.RecordBatch, name: str, column: pa.Array) -> pa.RecordBatch:
    position = batch.schema.get_field_index(name)
    return batch.set_column(position, batch.schema.field(position), column)


def _suspects(ids: pa.Array) -> list[tuple[int, str]]:
    """Return the ids whose spelling may not be themselves, with their rows."""
    if not pa.types.is_string(ids.type):
        return []
    rows = np.flatnonzero(pc.match_substring_regex(ids, _NEEDS_ENCODING).fill_null(fill_value=False).to_numpy(zero_copy_only=False))
    return list(zip(rows.tolist(), ids.take(pa.array(rows)).to_pylist(), strict=True))


def _mapped(ids: pa.Array, rename: Callable[[str], str | None]) -> pa.Array:
    """Return the ids renamed; those for which there is no name stay."""
    if not (suspects := _suspects(ids)):
        return ids
    texts = ids.to_pylist()
    for row, id_ in suspects:
        texts[row] = rename(id_) or id_
    return pa.array(texts, pa.string())


def _decoded(id_: str) -> str | None:
    try:
        return decode(id_)
    except ValueError:
        return None
