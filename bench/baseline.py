"""The bare libraries doing the same work: ``python -m bench.baseline parquet|milvus INDEX TARGET`` prints its seconds as JSON."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from pymilvus import DataType, MilvusClient

from bench.data import read_rows
from migrator import records

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

ROWS_PER_FILE = 10_000
ROWS_PER_INSERT = 1_000
PARQUET: dict[str, Any] = {"compression": "none", "use_dictionary": False, "write_statistics": False, "write_page_checksum": True}
"""What migrator.connectors.parquet writes with."""
VALUES = pa.list_(pa.field("item", pa.float32(), nullable=False))


def write_parquet(rows: npt.NDArray[np.float32], folder: Path) -> dict[str, float]:
    """Write ``rows`` with pyarrow alone: no reading, no staging, no checksums of files, no proof."""
    folder.mkdir(parents=True)
    started = time.perf_counter()
    for start in range(0, len(rows), ROWS_PER_FILE):
        part = rows[start : start + ROWS_PER_FILE]
        ids = pa.array([str(number) for number in range(start, start + len(part))])
        columns = [ids, records.matrix_to_array(part).cast(VALUES), pa.nulls(len(part), pa.string())]
        pq.write_table(pa.table(columns, names=["id", "values", "metadata"]), folder / f"{start}.parquet", **PARQUET)
    return {"seconds": time.perf_counter() - started}


def insert_into_milvus(rows: npt.NDArray[np.float32], uri: Path) -> dict[str, float]:
    """Insert ``rows`` with a bare pymilvus loop into a collection of the same shape, flush; then index and load."""
    client = MilvusClient(str(uri))
    schema = client.create_schema(enable_dynamic_field=True)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=rows.shape[1])
    started = time.perf_counter()
    client.create_collection("bench", schema=schema)
    for start in range(0, len(rows), ROWS_PER_INSERT):
        part = rows[start : start + ROWS_PER_INSERT]
        client.insert("bench", [{"id": start + position, "vector": row} for position, row in enumerate(part)])
    client.flush("bench")
    inserted = time.perf_counter() - started
    parameters = client.prepare_index_params()
    parameters.add_index("vector", index_type="FLAT", metric_type="L2")
    client.create_index("bench", parameters)
    client.load_collection("bench")
    ready = time.perf_counter() - started
    client.close()
    return {"seconds": inserted, "seconds_ready": ready}


def main() -> None:
    """Read the rows first, untimed, then do the work."""
    kind, index, target = sys.argv[1:]
    work = {"parquet": write_parquet, "milvus": insert_into_milvus}[kind]
    print(json.dumps(work(read_rows(Path(index)), Path(target))))


if __name__ == "__main__":
    main()
