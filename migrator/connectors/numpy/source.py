"""Reads a dataset of NumPy files: splits are runs of rows of its parts, cursors row numbers."""

from __future__ import annotations

import itertools
from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from migrator import endpoints, records
from migrator.connectors.numpy import decode
from migrator.connectors.numpy.columns import PartOpener
from migrator.connectors.numpy.parts import find
from migrator.datasets.buckets import BUCKET_OPTIONS
from migrator.datasets.reading import KEYS_AT_ONCE, check_metric, first_of_each, version_now
from migrator.model import Chunk, Collection, Finding, Split

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from migrator.connectors.numpy.parts import Dataset, Part
    from migrator.model import Endpoint, Metric, Selection

OPTIONS = BUCKET_OPTIONS | {"id", "values", "sparse", "namespace", "metadata", "metric", "overwrite"}
_SAMPLED = 100


class NumpySource:
    """The files an endpoint names, as one collection."""

    def __init__(self, endpoint: Endpoint) -> None:
        endpoints.check_options(endpoint, OPTIONS)
        check_metric(endpoint)
        self._endpoint = endpoint
        self.dataset: Dataset = find(endpoint)
        self._opener = PartOpener(self.dataset)

    @cached_property
    def _rows(self) -> dict[str, int]:
        """Rows of each part."""
        name = self.dataset.roles.id or self.dataset.roles.values or ""
        return {part.path: part.records if part.records is not None else len(self._opener.open(part, frozenset({name}))[name]) for part in self.dataset.parts}

    def rows_of(self, part: Part) -> int:
        """Return how many records ``part`` holds."""
        return self._rows[part.path]

    def some_ids(self, path: str) -> list[str]:
        """Return the ids of the first, the middle and the last record of the part at ``path``."""
        part = self._parts[path]
        rows = range(self._rows[path])
        found = [next(self._keys(part, row, row + 1, None)).column("id")[0].as_py() for row in {0, len(rows) // 2, len(rows) - 1} if row in rows]
        return [str(name) for name in found]

    @cached_property
    def _firsts(self) -> dict[str, int]:
        """Number of each part's first row."""
        return dict(zip(self._rows, itertools.accumulate(self._rows.values(), initial=0), strict=False))

    @cached_property
    def _dimension(self) -> int:
        name = self.dataset.roles.values
        if self.dataset.manifest is not None:
            return self.dataset.manifest.run.dimension
        vectors = next((self._opener.open(part, frozenset({name}))[name] for part in self.dataset.parts if name in part.files), None) if name else None
        return int(vectors.shape[1]) if vectors is not None and vectors.ndim == 2 else 0

    def _layout(self, part: Part) -> decode.Layout:
        return decode.Layout(self.dataset.roles, self._dimension, part.namespace, self.dataset.place.show(part.path), self._firsts[part.path])

    def describe(self) -> Collection:
        manifest, roles = self.dataset.manifest, self.dataset.roles
        integers = not roles.id or all(self._opener.open(part, frozenset({roles.id}))[roles.id].dtype.kind in "iu" for part in self.dataset.parts)
        metric = cast("Metric | None", self._endpoint.options.get("metric") or (manifest.run.metric if manifest else None))
        return Collection(
            manifest.run.name if manifest else self._endpoint.resource,
            self._dimension,
            metric,
            manifest.run.id_type if manifest else "int64" if integers else "string",
            self._counts(),
            self._fields(),
            kind="NumPy files",
            sparse=roles.sparse_values is not None and any(f"{roles.sparse_values}.indptr" in part.files for part in self.dataset.parts),
            version=self.dataset.version,
            findings=tuple(self._findings()),
        )

    def _counts(self) -> dict[str, int]:
        counts = Counter[str]()
        for part in self.dataset.parts:
            if self.dataset.roles.namespace not in part.files:
                counts[part.namespace] += self._rows[part.path]
                continue
            for batch in self._keys(part, 0, self._rows[part.path], None):
                found = pc.value_counts(batch.column("namespace"))
                counts.update({entry["values"].as_py(): entry["counts"].as_py() for entry in found})
        return dict(sorted(counts.items())) or {"": 0}

    def _fields(self) -> dict[str, str]:
        """Return the metadata fields of the first rows of each part, with the type of the first value."""
        kinds: dict[str, str] = {}
        for part in self.dataset.parts[:_SAMPLED]:
            batch, _, _ = decode.decode(self._opener.open(part), 0, min(_SAMPLED, self._rows[part.path]), self._layout(part))
            for record in records.to_dicts(batch.select(["id", "metadata"])):
                for name, value in (record["metadata"] or {}).items():
                    kinds.setdefault(name, _KINDS.get(type(value), "object"))
        return kinds

    def _findings(self) -> Iterator[Finding]:
        name = self.dataset.roles.values
        for part in self.dataset.parts if self.dataset.manifest is None else ():
            kind = self._opener.open(part, frozenset({name}))[name].dtype if name in part.files and name else None
            if kind is not None and kind.str[1:] not in decode.EXACT:
                message = f"{self.dataset.place.show(part.path)}/{name}.npy holds {kind}, and vectors are copied as float32"
                yield Finding("lossy", "values_rounded", message, "store them as float32")
                return

    def splits(self, selection: Selection, count: int, align: int = 1) -> Iterator[Split]:
        wanted = None if selection.namespaces is None else sorted(set(selection.namespaces))
        parts = [part for part in self.dataset.parts if self._may_hold(part, wanted)]
        rows = sum(self._rows[part.path] for part in parts)
        ends = sorted({*(rows * number // count // align * align for number in range(1, count)), rows} - {0})
        groups = [list(self._runs(parts, start, end)) for start, end in itertools.pairwise([0, *ends])]
        mixed = wanted is not None and any(self.dataset.roles.namespace in part.files for part in parts)
        for number, members in enumerate(groups):
            held = sum(run["end"] - run["start"] for run in members)
            yield Split(f"rows-{number}", self._single(members), {"runs": members, "namespaces": wanted if mixed else None}, None if mixed else held)

    def _single(self, runs: list[dict[str, Any]]) -> str | None:
        """Return the one namespace all of ``runs`` lie in, None when there are several or their columns say it."""
        parts = [self._parts[run["path"]] for run in runs]
        names = {None if self.dataset.roles.namespace in part.files else part.namespace for part in parts}
        return next(iter(names)) if len(names) == 1 else None

    def _may_hold(self, part: Part, wanted: Sequence[str] | None) -> bool:
        return wanted is None or self.dataset.roles.namespace in part.files or part.namespace in wanted

    def _runs(self, parts: Sequence[Part], start: int, end: int) -> Iterator[dict[str, Any]]:
        """Yield where rows ``start`` to ``end`` of ``parts`` together lie, as plain data."""
        first = 0
        for part in parts:
            last = first + self._rows[part.path]
            if max(first, start) < min(last, end):
                yield {"path": part.path, "start": max(first, start) - first, "end": min(last, end) - first}
            first = last

    @cached_property
    def _parts(self) -> dict[str, Part]:
        return {part.path: part for part in self.dataset.parts}

    def read(self, split: Split, cursor: str | None, records: int) -> Iterator[Chunk]:
        row, position = (int(number) for number in cursor.split(":")) if cursor else (0, 0)
        skip = row
        for run in split.state["runs"]:
            part = self._parts[run["path"]]
            for start in range(run["start"], run["end"], records):
                end = min(start + records, run["end"])
                if skip >= end - start:
                    skip -= end - start
                    continue
                row, start, skip = row + end - start - skip, start + skip, 0  # noqa: PLW2901
                batch, kept, rejected = decode.decode(self._opener.open(part), start, end, self._layout(part))
                batch, kept, rejected = _selected(batch, kept, rejected, split.state["namespaces"])
                piece = Chunk(batch, f"{row}:{position + len(kept) + len(rejected)}", position, kept + position if rejected else None, rejected)
                position += len(kept) + len(rejected)
                if piece.scanned:
                    yield piece

    def keys(self, split: Split) -> Iterator[pa.RecordBatch]:
        for run in split.state["runs"]:
            yield from self._keys(self._parts[run["path"]], run["start"], run["end"], split.state["namespaces"])

    def _keys(self, part: Part, start: int, end: int, wanted: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        names = frozenset(name for name in (self.dataset.roles.id, self.dataset.roles.namespace) if name and name in part.files)
        columns = self._opener.open(part, names) if names else {}
        for first in range(start, end, KEYS_AT_ONCE):
            ids, namespaces = decode.keys(columns, first, min(first + KEYS_AT_ONCE, end), self._layout(part))
            batch = pa.RecordBatch.from_arrays([ids, namespaces], ["id", "namespace"])
            yield batch if wanted is None else batch.filter(pc.is_in(namespaces, pa.array(wanted, pa.string())))

    def fetch(self, ids: Sequence[str], namespace: str) -> pa.RecordBatch:
        wanted = pa.array(list(dict.fromkeys(ids)), pa.string())
        found = []
        for part in self.dataset.parts:
            if not self._may_hold(part, [namespace]):
                continue
            start = 0
            for keys in self._keys(part, 0, self._rows[part.path], None):
                hits = pc.and_(pc.is_in(keys.column("id"), wanted), pc.equal(keys.column("namespace"), namespace))
                if pc.any(hits).as_py():
                    batch, _, _ = decode.decode(self._opener.open(part), start, start + len(keys), self._layout(part))
                    found.append(batch.filter(pc.and_(pc.is_in(batch.column("id"), wanted), pc.equal(batch.column("namespace"), namespace))))
                start += len(keys)
        return first_of_each(found, self._dimension)

    def version_now(self) -> str:
        return version_now(lambda: find(self._endpoint).version)

    def close(self) -> None:
        """Do nothing: files are mapped only while they are read."""


_KINDS = {bool: "bool", int: "int", float: "float", str: "string", list: "list"}


def _selected(batch: pa.RecordBatch, kept: Any, rejected: Any, wanted: Sequence[str] | None) -> tuple[pa.RecordBatch, Any, Any]:
    if wanted is None:
        return batch, kept, rejected
    mask = pc.is_in(batch.column("namespace"), pa.array(wanted, pa.string()))
    chosen = tuple(record for record in rejected if record.namespace in wanted)
    return batch.filter(mask), np.arange(pc.sum(mask).as_py() or 0), chosen
