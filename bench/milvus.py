"""The SDK alone against a real Milvus: ``python -m bench.milvus insert|bulk|read …`` prints its seconds as JSON."""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs
from pymilvus import Collection, DataType, MilvusClient, connections, utility

from bench.data import read_rows
from migrator import records
from migrator.connectors.numpy.npy import npy

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

warnings.simplefilter("ignore")


def _create(client: MilvusClient, name: str, dimension: int) -> None:
    schema = client.create_schema(enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
    index = client.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_collection(name, schema=schema)
    client.create_index(name, index)


def _ready(client: MilvusClient, name: str) -> None:
    client.flush(name)
    utility.wait_for_index_building_complete(name, using="bench")
    client.load_collection(name)


def insert(client: MilvusClient, name: str, rows: npt.NDArray[np.float32], *, threads: int, batch: int) -> float:
    """Insert columns of ``rows`` in a loop on ``threads``; flush, index, load."""
    started = time.perf_counter()
    _create(client, name, rows.shape[1])
    collection = Collection(name, using="bench")

    def send(start: int) -> None:
        part = rows[start : start + batch]
        collection.insert([np.arange(start, start + len(part)), part])

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(send, range(0, len(rows), batch)))
    _ready(client, name)
    return time.perf_counter() - started


def upload(storage: dict[str, str], rows: npt.NDArray[np.float32], prefix: str) -> list[str]:
    """Put ``rows`` into the bucket as one part of NumPy files; return their keys."""
    files = fs.S3FileSystem(
        access_key=storage["access_key"], secret_key=storage["secret_key"], endpoint_override=storage["endpoint"].removeprefix("http://"), scheme="http"
    )
    keys = []
    for column, array in (("id", np.arange(len(rows))), ("vector", rows)):
        keys.append(f"{prefix}/{column}.npy")
        with files.open_output_stream(f"{storage['bucket']}/{keys[-1]}") as stream:
            for piece in npy(array):
                stream.write(piece)
    return keys


def bulk(client: MilvusClient, name: str, keys: list[str], dimension: int) -> float:
    """Bulk-insert files that are there; flush, index, load."""
    started = time.perf_counter()
    _create(client, name, dimension)
    task = utility.do_bulk_insert(name, files=keys, using="bench")
    while (state := utility.get_bulk_insert_state(task, using="bench")).state_name not in {"Completed", "Failed"}:
        time.sleep(0.1)
    if state.state_name == "Failed":
        raise RuntimeError(state.failed_reason)
    _ready(client, name)
    return time.perf_counter() - started


def read(client: MilvusClient, name: str, rows: int, target: Path, threads: int = 2) -> float:
    """Read a collection of ids 0 to ``rows`` with the SDK's iterators on ``threads`` and write Parquet with pyarrow."""
    target.mkdir(parents=True)
    started = time.perf_counter()

    def export(part: int) -> None:
        low, high = rows * part // threads, rows * (part + 1) // threads
        pages = client.query_iterator(name, batch_size=5_000, filter=f"id >= {low} and id < {high}", output_fields=["id", "vector"])
        number = 0
        while page := pages.next():
            ids, vectors = [str(row["id"]) for row in page], np.array([row["vector"] for row in page], np.float32)
            pq.write_table(records_table(ids, vectors), target / f"{part}-{number}.parquet", compression="none", use_dictionary=False, write_statistics=False)
            number += 1

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(export, range(threads)))
    return time.perf_counter() - started


def records_table(ids: list[str], vectors: npt.NDArray[np.float32]) -> pa.Table:
    """Return the records as an export has them."""
    return pa.table([pa.array(ids), records.matrix_to_array(vectors)], names=["id", "values"])


def main() -> None:
    """Do one thing, chosen by the words given, with the server and the bucket that ``BENCH_SERVER`` names."""
    server = json.loads(os.environ["BENCH_SERVER"])
    verb, *words = sys.argv[1:]
    connections.connect("bench", uri=server["uri"], token=server["token"])
    client = MilvusClient(server["uri"], token=server["token"], dedicated=True)
    verbs: dict[str, Callable[..., Any]] = {
        "insert": lambda index, name, threads, batch: insert(client, name, read_rows(Path(index)), threads=int(threads), batch=int(batch)),
        "bulk": lambda index, name: bulk(client, name, upload(server, rows := read_rows(Path(index)), f"bench/{name}"), rows.shape[1]),
        "read": lambda name, rows, target: read(client, name, int(rows), Path(target)),
    }
    sys.stdout.write(json.dumps({"seconds": verbs[verb](*words)}))


if __name__ == "__main__":
    main()
