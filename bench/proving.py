"""Makes Parquet datasets, reads them without hashing, copies and proves them: ``python -m bench.proving make|read|copy|count ...`` prints JSON."""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from migrator import digest, records
from migrator.connectors import opened_source, opened_target
from migrator.endpoints import parse
from migrator.executors import local
from migrator.model import Collection, Plan, Selection

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    from migrator.digest import RowHashes
    from migrator.model import Split
    from migrator.protocols import PartKeeper, Source

ROWS_PER_FILE = 50_000
READ_RECORDS = 10_000
"""Rows a chunk, as a proof reads them."""
WORKERS = 2


def make(folder: str, count: int, dimension: int, changed: int, *, metadata: bool) -> dict[str, int]:
    """Write ``count`` records to ``folder``, the same for the same numbers, but for one component of ``changed`` records all over them."""
    endpoint, generator = parse(f"parquet:{folder}"), np.random.default_rng(count * dimension)
    other = {number * count // changed for number in range(changed)} if changed else set()
    sizes: dict[str, int] = {}
    with opened_target(endpoint) as target:
        target.prepare(Collection("bench", dimension, "cosine", namespaces={"": count}), Plan(endpoint, endpoint))
        for start in range(0, count, ROWS_PER_FILE):
            rows = range(start, min(count, start + ROWS_PER_FILE))
            values = generator.standard_normal((len(rows), dimension), np.float32)
            values[[row - start for row in rows if row in other], 0] += 1
            texts = [_metadata(row) for row in rows] if metadata else None
            part = f"rows-0.{len(sizes)}"
            target.write(records.make_batch([f"item-{row}" for row in rows], values, metadata=texts), part)
            sizes[part] = len(rows)
        keeper: PartKeeper = target  # type: ignore[assignment]
        keeper.keep(sizes)
        target.finish()
    return {"records": count}


def _metadata(row: int) -> str | None:
    return records.canonical_metadata({"group": row % 97, "title": f"item {row}", "year": 1900 + row % 120})


def read(*endpoints: str) -> dict[str, float]:
    """Read collections with the migrator's own reader, one after the other, as a proof does, and do nothing with what was read."""
    started, reading, rows = time.perf_counter(), 0.0, 0
    for endpoint in endpoints:
        with opened_source(parse(endpoint)) as source:
            source.describe()
            splits = list(source.splits(Selection(), WORKERS))
            began = time.perf_counter()
            found: list[int] = []
            local.run(_counting(source, found), splits, workers=WORKERS, stop=threading.Event(), poll=lambda: None)
            reading, rows = reading + time.perf_counter() - began, rows + sum(found)
    return {"seconds": time.perf_counter() - started, "reading": reading, "records": rows}


def _counting(source: Source, found: list[int]) -> Callable[[Split], None]:
    def count(split: Split) -> None:
        found.extend(len(chunk.batch) for chunk in source.read(split, None, READ_RECORDS))

    return count


def copy(source: str, target: str, *, digests: bool) -> dict[str, float]:
    """Copy and prove; without ``digests`` every hash is 0, so that all that hashing costs is gone, and everything else is done."""
    if not digests:
        digest.hash_rows = _no_hashes  # before the modules are loaded that import it by its name
    from migrator.service import Service  # noqa: PLC0415

    service = Service()
    run = service.start(service.plan(source, target))
    status = service.wait(run)
    if status["status"] != "proven":
        raise RuntimeError(f"the copy is {status['status']}, so its time means nothing: {status['error']}")
    phases: dict[str, float] = service.result(run)["phases"]
    return {"copying": phases["copying"], "processor": time.process_time()}


def _no_hashes(batch: pa.RecordBatch) -> RowHashes:
    return digest.RowHashes(np.zeros(len(batch), np.uint64), np.zeros((len(batch), 2), np.uint64))


def count(source: str, target: str) -> dict[str, Any]:
    """Compare two collections and count the records that were hashed: those beyond one reading of both sides are pass two's."""
    hashed, whole, lock = [0], digest.hash_rows, threading.Lock()

    def counted(batch: pa.RecordBatch) -> RowHashes:
        with lock:
            hashed[0] += len(batch)
        return whole(batch)

    digest.hash_rows = counted  # before the modules are loaded that import it by its name
    from migrator.service import Service  # noqa: PLC0415

    service = Service()
    run = service.start_verify_pair(source, target)
    service.wait(run)
    found = service.result(run)
    return {"hashed": hashed[0], "read": 2 * found["counts"]["scanned"], "differences": found["differences_total"], "seconds": found["phases"]["verifying"]}


def main() -> None:
    """Do what the arguments say."""
    what, *words = sys.argv[1:]
    if what == "make":
        folder, rows, dimension, metadata, changed = words
        said: dict[str, Any] = make(folder, int(rows), int(dimension), int(changed), metadata=metadata == "metadata")
    elif what == "copy":
        said = copy(words[0], words[1], digests=words[2] == "digests")
    else:
        said = {"read": read, "count": count}[what](*words)
    print(json.dumps(said))


if __name__ == "__main__":
    main()
