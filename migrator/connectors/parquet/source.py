"""Reads a Parquet dataset: splits are runs of row groups, cursors row numbers."""

from __future__ import annotations

from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa
import pyarrow.compute as pc

from migrator import endpoints
from migrator.connectors.parquet import chunking, rows, sample
from migrator.connectors.parquet import columns as roles
from migrator.connectors.parquet.decode import Layout, decode, namespaces_of
from migrator.connectors.parquet.discover import find
from migrator.datasets.buckets import BUCKET_OPTIONS
from migrator.datasets.reading import KEYS_AT_ONCE, check_metric, first_of_each, version_now
from migrator.model import Chunk, Collection, Split

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from migrator.connectors.parquet.discover import DataFile, Dataset
    from migrator.connectors.parquet.rows import Footer
    from migrator.model import Endpoint, Metric, Selection

OPTIONS = BUCKET_OPTIONS | roles.OPTIONS | {"metric", "compression", "overwrite"}
"""With those of a target, which is read back with the endpoint it was written with."""


class ParquetSource:
    """The files an endpoint names, as one collection."""

    def __init__(self, endpoint: Endpoint) -> None:
        endpoints.check_options(endpoint, OPTIONS)
        check_metric(endpoint)
        self._options = endpoint.options
        self._name = endpoint.resource
        self._endpoint = endpoint
        self._opened: dict[str, Footer] = {}
        self.dataset: Dataset = find(endpoint)

    @cached_property
    def _footers(self) -> dict[str, Footer]:
        place, paths = self.dataset.place, [file.path for file in self.dataset.files]
        found = dict(zip(paths, rows.footers(place, paths), strict=True))
        for entry in self.dataset.manifest.files if self.dataset.manifest else ():
            rows.agree(place, entry, found[entry.path])
        return found

    def _footer(self, path: str) -> Footer:
        """Return one file's footer without reading all the others': a worker reads one split."""
        if path not in self._opened:
            self._opened[path] = rows.footer(self.dataset.place, path)
        return self._opened[path]

    @cached_property
    def _sample(self) -> sample.Sample:
        manifest = self.dataset.manifest
        return sample.take(self.dataset, self._footers, self._columns, None if manifest is None else manifest.run.dimension)

    def _columns(self, file: DataFile) -> roles.Columns:
        return roles.columns_of(self._footers[file.path].schema, self._options, self.dataset.place.show(file.path))

    @property
    def _filled(self) -> list[DataFile]:
        """The files with rows; all of them when none has any. Writers leave columns without a type in a file without rows."""
        return [file for file in self.dataset.files if self._footers[file.path].rows] or list(self.dataset.files)

    def describe(self) -> Collection:
        manifest = self.dataset.manifest
        known = [(self._footers[file.path].schema, self._columns(file)) for file in self._filled]
        id_types = {roles.id_type_of(schema, columns) for schema, columns in known}
        findings = [finding for schema, columns in known for finding in roles.findings_of(schema, columns, rounding=roles.agreed(self._options, self._sample))]
        metric = cast("Metric | None", self._options.get("metric") or (manifest.run.metric if manifest else None))
        return Collection(
            self._name if manifest is None else manifest.run.name,
            self._sample.dimension,
            metric,
            manifest.run.id_type if manifest else "int64" if id_types == {"int64"} else "string",
            self._counts(),
            self._sample.fields,
            kind="Parquet files",
            sparse=any(columns.sparse_values for _, columns in known),
            version=self.dataset.version,
            findings=(*self.dataset.findings, *dict.fromkeys(findings)),
        )

    def _counts(self) -> dict[str, int]:
        counts = Counter[str]()
        for file in self.dataset.files:
            footer = self._footers[file.path]
            if not footer.rows and self._options.get("namespace", "namespace") not in footer.schema.names:
                counts[file.namespace] += 0
        for file in self._filled:
            layout = self._layout(file)
            if layout.columns.namespace is None:
                counts[file.namespace] += self._footers[file.path].rows
                continue
            for batch in self._raw(file, [layout.columns.namespace]):
                found = pc.value_counts(namespaces_of(batch, layout, {}))
                counts.update({entry["values"].as_py(): entry["counts"].as_py() for entry in found})
        return dict(sorted(counts.items())) or {"": 0}

    def _raw(self, file: DataFile, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        footer = self._footers[file.path]
        return rows.batches(self.dataset.place, file.path, (0, len(footer.groups)), columns, most=KEYS_AT_ONCE)

    def _layout(self, file: DataFile) -> Layout:
        return Layout(self._columns(file), self._sample.dimension, file.namespace, rounding=roles.agreed(self._options, self._sample))

    def splits(self, selection: Selection, count: int, align: int = 1) -> Iterator[Split]:  # noqa: ARG002 (row groups cannot be cut)
        wanted = None if selection.namespaces is None else list(selection.namespaces)
        runs = [run for file in self._filled for run in self._runs(file, wanted)]
        share = sum(run["rows"] for run in runs) / max(1, count)
        groups: list[list[dict[str, Any]]] = []
        filled = 0
        for run in runs:
            if not groups or (filled >= share * len(groups) and len(groups) < count):
                groups.append([])
            groups[-1].append(run)
            filled += run["rows"]
        for number, members in enumerate(groups):
            yield self._split(number, chunking.joined(members), wanted)

    def _runs(self, file: DataFile, wanted: list[str] | None) -> Iterator[dict[str, Any]]:
        """Yield the row groups of a file that may hold records of ``wanted``, as plain data."""
        own = self._columns(file).namespace is None
        if own and wanted is not None and file.namespace not in wanted:
            return
        footer = self._footers[file.path]
        for number, count in enumerate(footer.groups):
            yield {"path": file.path, "namespace": file.namespace, "own": own, "groups": [number, number + 1], "rows": count, "row_bytes": footer.row_bytes}

    def _split(self, number: int, runs: list[dict[str, Any]], wanted: list[str] | None) -> Split:
        namespaces = {run["namespace"] for run in runs}
        single = next(iter(namespaces)) if len(namespaces) == 1 and all(run["own"] for run in runs) else None
        filtered = wanted if any(not run["own"] for run in runs) else None
        state = {"runs": runs, "namespaces": filtered, "dimension": self._sample.dimension, "rounding": roles.agreed(self._options, self._sample)}
        return Split(f"rows-{number}", single, state, None if filtered is not None else sum(run["rows"] for run in runs))

    def read(self, split: Split, cursor: str | None, records: int) -> Iterator[Chunk]:
        row, position = (int(part) for part in cursor.split(":")) if cursor else (0, 0)
        for pieces in chunking.grouped(self._pieces(split, row, records), records):
            row += sum(batch.num_rows for _, batch in pieces)
            chosen = [(layout, chunking.selected(batch, layout, split.state["namespaces"])) for layout, batch in pieces]
            decoded = [(batch.num_rows, decode(batch, layout)) for layout, batch in chosen if batch.num_rows]
            if decoded:
                piece = chunking.chunk(decoded, f"{row}:{position + sum(count for count, _ in decoded)}", position)
                position += piece.scanned
                yield piece

    def _pieces(self, split: Split, skip: int, wanted: int) -> Iterator[tuple[Layout, pa.RecordBatch]]:
        for run in split.state["runs"]:
            if skip >= run["rows"]:
                skip -= run["rows"]
                continue
            layout = self._run_layout(run, split)
            most = rows.rows_at_once(wanted, run["row_bytes"], layout.dimension)
            for batch in rows.batches(self.dataset.place, run["path"], tuple(run["groups"]), layout.columns.names(), most=most, skip=skip):
                yield layout, batch
            skip = 0

    def _run_layout(self, run: dict[str, Any], split: Split) -> Layout:
        columns = roles.columns_of(self._footer(run["path"]).schema, self._options, self.dataset.place.show(run["path"]))
        return Layout(columns, split.state["dimension"], run["namespace"], rounding=split.state["rounding"])

    def keys(self, split: Split) -> Iterator[pa.RecordBatch]:
        for run in split.state["runs"]:
            layout = self._run_layout(run, split)
            names = layout.columns.key_names()
            for raw in rows.batches(self.dataset.place, run["path"], tuple(run["groups"]), names, most=KEYS_AT_ONCE):
                batch = chunking.selected(raw, layout, split.state["namespaces"])
                yield pa.RecordBatch.from_arrays([_key(batch.column(layout.columns.id)), namespaces_of(batch, layout, {})], ["id", "namespace"])

    def fetch(self, ids: Sequence[str], namespace: str) -> pa.RecordBatch:
        wanted = pa.array(list(dict.fromkeys(ids)), pa.string())
        found = [batch for file in self._filled for batch in self._fetch(file, wanted, namespace)]
        return first_of_each(found, self._sample.dimension)

    def _fetch(self, file: DataFile, wanted: pa.Array, namespace: str) -> Iterator[pa.RecordBatch]:
        layout = self._layout(file)
        if layout.columns.namespace is None and file.namespace != namespace:
            return
        footer = self._footers[file.path]
        for number in range(len(footer.groups)):
            raw = rows.batches(self.dataset.place, file.path, (number, number + 1), layout.columns.key_names(), most=KEYS_AT_ONCE)
            if not any(pc.any(_hits(batch, layout, wanted, namespace)).as_py() for batch in raw):
                continue
            most = rows.rows_at_once(KEYS_AT_ONCE, footer.row_bytes, layout.dimension)
            for batch in rows.batches(self.dataset.place, file.path, (number, number + 1), layout.columns.names(), most=most):
                hits = batch.filter(_hits(batch, layout, wanted, namespace))
                if hits.num_rows:
                    yield decode(hits, layout)[0]

    def version_now(self) -> str:
        return version_now(lambda: find(self._endpoint).version)

    def close(self) -> None:
        """Do nothing: files are open only while they are read."""


def _hits(batch: pa.RecordBatch, layout: Layout, wanted: pa.Array, namespace: str) -> pa.Array:
    chosen = pc.is_in(pc.cast(batch.column(layout.columns.id), pa.string()), wanted)
    return pc.and_(chosen, pc.equal(namespaces_of(batch, layout, {}), namespace))


def _key(column: pa.Array) -> pa.Array:
    numeric = pa.types.is_integer(column.type) and not pa.types.is_uint64(column.type)
    return pc.cast(column, pa.int64() if numeric else pa.string())
