"""Reads the Parquet files of a bulk import as writes, one namespace after the other, holding them to the limits of an upsert."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from migrator.local_pinecone.engine import checks, naming
from migrator.local_pinecone.engine.errors import ApiError, invalid
from migrator.local_pinecone.engine.metadata import Metadata
from migrator.local_pinecone.engine.operations import Create, Put
from migrator.local_pinecone.engine.records import Record
from migrator.pinecone_protocol import limits, names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from migrator.local_pinecone.engine.imports import Import
    from migrator.local_pinecone.engine.index import Index
    from migrator.local_pinecone.engine.journal import Entry
    from migrator.local_pinecone.engine.records import Sparse

_COLUMNS = {"id", "values", "sparse_values", "metadata"}
_BATCH = 1000


class ImportStoppedError(Exception):
    """The import was cancelled."""


def read_import(index: Index, import_: Import, s3_options: Mapping[str, str]) -> list[Entry]:
    """Return the writes that make every namespace of the import; nothing is visible before all of it was read.

    Raise ``ApiError`` for what cannot be imported, ``ImportStoppedError`` when told to stop. Notes progress on ``import_``.
    """
    try:
        system, root = _place(import_.uri, s3_options)
        files = _files(system, root)
        _check_new(index, {space for space, _ in files})
        writes: list[Entry] = [(space, 1, Create()) for space in dict.fromkeys(space for space, _ in files)]
        for number, (space, path) in enumerate(files):
            for put in _puts(index, import_, system, path):
                if import_.stop.is_set():
                    raise ImportStoppedError
                writes.append((space, 1, put))
                import_.records_imported += len(put.ids)
            import_.percent_complete = 100.0 * (number + 1) / len(files)
    except (OSError, pa.ArrowException) as error:
        raise invalid(f"Unable to read {import_.uri}: {error}") from error
    return writes


def _place(uri: str, s3_options: Mapping[str, str]) -> tuple[fs.FileSystem, str]:
    if "://" not in uri:
        return fs.LocalFileSystem(), uri.rstrip("/")
    parts = urlsplit(uri)
    if parts.scheme == "s3":
        options: dict[str, Any] = dict(s3_options)
        return fs.S3FileSystem(**options), f"{parts.netloc}{unquote(parts.path)}".rstrip("/")
    if parts.scheme == "file":
        return fs.LocalFileSystem(), unquote(parts.path).rstrip("/")
    raise invalid(f"Unsupported import location {uri}: the local server reads s3:// and local folders")


def _files(system: fs.FileSystem, root: str) -> list[tuple[str, str]]:
    """Return ``(namespace, path)`` of every Parquet file one folder below ``root``."""
    found = []
    for info in system.get_file_info(fs.FileSelector(root, recursive=True)):
        inner = info.path[len(root) :].strip("/").split("/")
        if info.type == fs.FileType.File and info.base_name.endswith(".parquet"):
            if len(inner) != 2:
                raise invalid(f"{info.path} is not in a folder named after its namespace, directly below the import's URI")
            if info.size > limits.IMPORT_FILE_BYTES:
                raise invalid(f"{info.path} is larger than 10 GB")
            found.append((names.to_inner(inner[0]), info.path))
    if not found:
        raise invalid(f"No Parquet files found below {root}")
    if len(found) > limits.IMPORT_FILES:
        raise invalid(f"{len(found)} files exceed the limit of {limits.IMPORT_FILES} files an import")
    return sorted(found)


def _check_new(index: Index, spaces: set[str]) -> None:
    if len(spaces) > limits.IMPORT_NAMESPACES:
        raise invalid(f"{len(spaces)} namespaces exceed the limit of {limits.IMPORT_NAMESPACES} namespaces an import")
    for space in spaces:
        naming.check_namespace(space, ascii_only=index.settings.ascii_namespaces)
    with index.lock:
        index.settle()
        there = sorted(names.to_wire(space) for space in spaces if index.state.tables.get(space))
    if there:
        raise invalid(f"Cannot import into namespaces that exist already: {', '.join(there[:5])}")


def _puts(index: Index, import_: Import, system: fs.FileSystem, path: str) -> Iterator[Put]:
    with system.open_input_file(path) as stream:
        file = pq.ParquetFile(stream)
        strange = set(file.schema_arrow.names) - _COLUMNS
        if strange or "id" not in file.schema_arrow.names:
            raise invalid(f"{path} must have the columns id, values, sparse_values and metadata, and no others; found {file.schema_arrow.names}")
        for batch in file.iter_batches(_BATCH):
            yield _put(list(_records(batch, path, skip=import_.skip_bad_records)), index, skip=import_.skip_bad_records)


def _records(batch: pa.RecordBatch, path: str, *, skip: bool) -> Iterator[Record]:
    columns = {name: batch.column(name).to_pylist() if name != "values" else _rows(batch.column(name)) for name in batch.schema.names}
    for row in range(batch.num_rows):
        try:
            yield _record({name: column[row] for name, column in columns.items()})
        except (ApiError, orjson.JSONDecodeError, TypeError, ValueError) as error:
            if not skip:
                raise invalid(f"{path}: {error}") from error


def _rows(column: pa.Array) -> list[Any]:
    flat = np.asarray(column.flatten(), np.float32)
    ends = np.cumsum([0 if length is None else length for length in pa.compute.list_value_length(column).to_pylist()])
    return [flat[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)] if len(ends) else []


def _record(fields: dict[str, Any]) -> Record:
    if not isinstance(fields["id"], str):
        raise invalid(f"id must be a string, got {fields['id']!r}")
    values = fields.get("values")
    metadata = orjson.loads(fields["metadata"]) if fields.get("metadata") else None
    if metadata is not None and not isinstance(metadata, dict):
        raise invalid(f"metadata of {fields['id']} must be a JSON object")
    parsed = Metadata.from_json_object(metadata) if metadata else None
    return Record(fields["id"], None if values is None or not len(values) else values, _sparse(fields.get("sparse_values")), parsed)


def _sparse(value: Any) -> Sparse | None:
    if value is None:
        return None
    return np.asarray(value["indices"], np.uint32), np.asarray(value["values"], np.float32)


def _put(records: Sequence[Record], index: Index, *, skip: bool) -> Put:
    dimension = index.definition.dimension
    try:
        values = checks.check_upsert(records, 0, dimension) if records else None
    except ApiError:
        if not skip:
            raise
        records = [record for record in records if _is_good(record, dimension)]
        values = checks.check_upsert(records, 0, dimension) if records else None
    sparse = {position: record.sparse for position, record in enumerate(records) if record.sparse is not None}
    return Put([record.id for record in records], values, sparse, [record.metadata for record in records])


def _is_good(record: Record, dimension: int | None) -> bool:
    try:
        checks.check_upsert([record], 0, dimension)
    except ApiError:
        return False
    return True
