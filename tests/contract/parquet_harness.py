"""Parquet for the contract suite: files on a disk, or objects in a real S3 reached with boto3, in the layout Pinecone documents."""

from __future__ import annotations

import io
import json
import os
import re
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.model import Metric
    from tests.google_store import GoogleStore
    from tests.servers import S3Server

ACCESS_VARIABLE, SECRET_VARIABLE = "MIGRATOR_TEST_S3_ACCESS", "MIGRATOR_TEST_S3_SECRET"


class _ParquetHarness:
    """What a disk and a bucket have in common."""

    can_seed = True
    can_read_back = True

    def put(self, path: str, content: bytes) -> None:
        raise NotImplementedError

    def objects(self, folder: str) -> dict[str, bytes]:
        """Return the files below ``folder`` by their relative path."""
        raise NotImplementedError

    def endpoint(self, folder: str) -> str:
        raise NotImplementedError

    def folder(self, endpoint: str) -> str:
        raise NotImplementedError

    def new_target(self) -> str:
        return self.endpoint(f"target-{uuid.uuid4().hex[:12]}")

    def seed(self, batches: Sequence[pa.RecordBatch], *, metric: Metric) -> str:
        folder = f"seeded-{uuid.uuid4().hex[:12]}"
        for number, batch in enumerate(batches):
            for namespace in dict.fromkeys(batch.column("namespace").to_pylist()) or ["empty"]:
                chosen = pa.array([name == namespace for name in batch.column("namespace").to_pylist()], pa.bool_())
                name = quote(namespace, safe="") if namespace else "__default__"
                self.put(f"{folder}/{name}/seeded-{number:03}.parquet", _file(batch.filter(chosen), fixed=bool(number % 2)))
        endpoint = self.endpoint(folder)
        return f"{endpoint}{'&' if '?' in endpoint else '?'}metric={metric}"

    def read_back(self, endpoint: str) -> list[dict[str, object]]:
        found: list[dict[str, object]] = []
        files = self.objects(self.folder(endpoint))
        listed = {entry["path"]: entry["records"] for entry in json.loads(files.pop("manifest.json", b'{"files": []}'))["files"]}
        assert listed.keys() == files.keys()
        for path, content in files.items():
            folder, name = path.split("/")
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ-\d+\.parquet", name)
            rows = pq.read_table(io.BytesIO(content), page_checksum_verification=True).to_pylist()
            assert len(rows) == listed[path]
            found += [_record(row, "" if folder == "__default__" else unquote(folder)) for row in rows]
        return found

    def adapt(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch


def _file(batch: pa.RecordBatch, *, fixed: bool) -> bytes:
    """Return a file as others write them: integer ids where all are, fixed-size or plain lists, several row groups."""
    table = pa.Table.from_batches([batch.drop_columns(["namespace"])])
    ids = table.column("id").to_pylist()
    if ids and all(re.fullmatch(r"0|-?[1-9]\d{0,18}", name) for name in ids):
        table = table.set_column(0, "id", pa.array([int(name) for name in ids], pa.int64()))
    if not fixed:
        table = table.set_column(1, "values", pa.array(table.column("values").to_pylist(), pa.list_(pa.float32())))
    if table.column("sparse_values").null_count == len(table):
        table = table.drop_columns(["sparse_values"])
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=7)
    return sink.getvalue()


def _record(row: dict[str, Any], namespace: str) -> dict[str, object]:
    assert row.keys() <= {"id", "values", "metadata", "sparse_values"}
    return {
        "id": row["id"],
        "namespace": namespace,
        "values": np.array(row["values"], np.float32),
        "sparse_values": row.get("sparse_values"),
        "metadata": None if row["metadata"] is None else json.loads(row["metadata"]),
    }


class ParquetFolderHarness(_ParquetHarness):
    """Folders on a disk."""

    name = "parquet"

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, path: str, content: bytes) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)

    def objects(self, folder: str) -> dict[str, bytes]:
        base = self.root / folder
        return {path.relative_to(base).as_posix(): path.read_bytes() for path in sorted(base.rglob("*")) if path.is_file()}

    def endpoint(self, folder: str) -> str:
        return f"{self.name}:{self.root / folder}"

    def folder(self, endpoint: str) -> str:
        return Path(endpoint.removeprefix(f"{self.name}:").partition("?")[0]).name


class ParquetBucketHarness(_ParquetHarness):
    """Prefixes of a real bucket."""

    name = "parquet-s3"

    def __init__(self, server: S3Server) -> None:
        self.server = server
        os.environ[ACCESS_VARIABLE], os.environ[SECRET_VARIABLE] = server.access_key, server.secret_key

    def put(self, path: str, content: bytes) -> None:
        self.server.client().put_object(Bucket=self.server.bucket, Key=path, Body=content)

    def objects(self, folder: str) -> dict[str, bytes]:
        client = self.server.client()
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=self.server.bucket, Prefix=f"{folder}/")
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
        return {key.removeprefix(f"{folder}/"): client.get_object(Bucket=self.server.bucket, Key=key)["Body"].read() for key in keys if not key.endswith("/")}

    def endpoint(self, folder: str) -> str:
        keys = f"access_key=env:{ACCESS_VARIABLE}&secret_key=env:{SECRET_VARIABLE}"
        return f"parquet:s3://{self.server.bucket}/{folder}?endpoint={self.server.endpoint}&region=us-east-1&{keys}"

    def folder(self, endpoint: str) -> str:
        return endpoint.partition("?")[0].rpartition("/")[2]


class ParquetGoogleHarness(_ParquetHarness):
    """Prefixes of a bucket that is reached by Google's protocol."""

    name = "parquet-gs"

    def __init__(self, server: GoogleStore) -> None:
        self.server = server

    def put(self, path: str, content: bytes) -> None:
        self.server.put(path, content)

    def objects(self, folder: str) -> dict[str, bytes]:
        return {name.removeprefix(f"{folder}/"): self.server.get(name) for name in self.server.names(f"{folder}/")}

    def endpoint(self, folder: str) -> str:
        return f"parquet:gs://{self.server.bucket}/{folder}?endpoint={self.server.endpoint}&anonymous=true"

    def folder(self, endpoint: str) -> str:
        return endpoint.partition("?")[0].rpartition("/")[2]
