"""NumPy files for the contract suite, written and read with numpy alone."""

from __future__ import annotations

import io
import json
import re
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import numpy as np

from tests.contract.parquet_harness import ParquetBucketHarness, ParquetFolderHarness

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from migrator.model import Metric


class _NumpyHarness:
    """How files are written and read, wherever they are."""

    def seed(self, batches: Sequence[pa.RecordBatch], *, metric: Metric) -> str:
        """Write folders as others do: ``ids.npy``, ``embeddings.npy``, text of dtype U, and a namespace file in every other folder."""
        folder = f"seeded-{uuid.uuid4().hex[:12]}"
        for number, batch in enumerate(batches):
            rows = batch.to_pylist()
            for namespace in dict.fromkeys(row["namespace"] for row in rows) or ["empty"]:
                chosen = [row for row in rows if row["namespace"] == namespace]
                name = quote(namespace, safe="") if namespace else "__default__"
                for column, array in _columns(chosen, batch.schema.field("values").type.list_size).items():
                    self.put(f"{folder}/{name}/{number:03}/{column}.npy" if number else f"{folder}/{name}/{column}.npy", _npy(array))
        endpoint = self.endpoint(folder)
        return f"{endpoint}{'&' if '?' in endpoint else '?'}metric={metric}"

    def read_back(self, endpoint: str) -> list[dict[str, object]]:
        found: list[dict[str, object]] = []
        files = self.objects(self.folder(endpoint))
        manifest = json.loads(files.pop("manifest.json", b'{"files": [], "columns": {}}'))
        assert {entry["path"] for entry in manifest["files"]} == files.keys()
        parts: dict[str, dict[str, Any]] = {}
        for path, content in files.items():
            folder, part, name = path.split("/")
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ-\d+", part)
            parts.setdefault(f"{folder}/{part}", {})[name] = np.load(io.BytesIO(content), allow_pickle=False)
        for path, columns in parts.items():
            listed = {entry["records"] for entry in manifest["files"] if entry["path"].startswith(f"{path}/")}
            assert listed == {len(columns["id.npy"])}
            folder = path.partition("/")[0]
            found += _records(columns, "" if folder == "__default__" else unquote(folder), manifest["dimension"])
        return found


def _columns(rows: list[dict[str, Any]], dimension: int) -> dict[str, np.ndarray]:
    ids = [row["id"] for row in rows]
    integers = bool(ids) and all(re.fullmatch(r"0|-?[1-9]\d{0,18}", name) for name in ids)
    columns = {"ids": np.array([int(name) for name in ids], np.int64) if integers else np.array(ids, str)}
    columns["embeddings"] = np.array([row["values"] for row in rows], np.float32).reshape(len(rows), dimension)
    columns["namespace"] = np.array([row["namespace"] for row in rows], str)
    if any(row["metadata"] for row in rows):
        columns["metadata"] = np.array([row["metadata"] or "{}" for row in rows])
    sparse = [row["sparse_values"] or {"indices": [], "values": []} for row in rows]
    if any(row["indices"] for row in sparse):
        columns["sparse.indptr"] = np.cumsum([0, *(len(row["indices"]) for row in sparse)])
        columns["sparse.indices"] = np.array([index for row in sparse for index in row["indices"]], np.uint32)
        columns["sparse.data"] = np.array([value for row in sparse for value in row["values"]], np.float32)
    return columns


def _records(columns: dict[str, Any], namespace: str, dimension: int) -> Iterator[dict[str, object]]:
    for row, name in enumerate(columns["id.npy"]):
        text = columns["metadata.npy"][row].decode() if "metadata.npy" in columns else "{}"
        yield {
            "id": name.decode() if isinstance(name, bytes) else str(name),
            "namespace": namespace,
            "values": columns["vector.npy"][row] if dimension else np.empty(0, np.float32),
            "sparse_values": _sparse(columns, row),
            "metadata": json.loads(text) or None,
        }


def _sparse(columns: dict[str, Any], row: int) -> dict[str, list[Any]] | None:
    if "sparse.indptr.npy" not in columns:
        return None
    start, end = columns["sparse.indptr.npy"][row : row + 2]
    if start == end:
        return None
    return {"indices": columns["sparse.indices.npy"][start:end].tolist(), "values": columns["sparse.data.npy"][start:end].tolist()}


def _npy(array: np.ndarray) -> bytes:
    sink = io.BytesIO()
    np.save(sink, array)
    return sink.getvalue()


class NumpyFolderHarness(_NumpyHarness, ParquetFolderHarness):
    """Folders on a disk."""

    name = "numpy"


class NumpyBucketHarness(_NumpyHarness, ParquetBucketHarness):
    """Prefixes of a real bucket."""

    name = "numpy-s3"

    def endpoint(self, folder: str) -> str:
        return ParquetBucketHarness.endpoint(self, folder).replace("parquet:", "numpy:", 1)
