"""A million records with one of each fault: found, classified, named, repaired, green; and nothing else is touched."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from migrator import records
from migrator.connectors.memory.table import to_batch
from migrator.service import PlanOptions
from tests.runs.conftest import Ended
from tests.unit.batches import batch_of

ROWS = 1_000_000
BATCH = 100_000


def million(first: int) -> pa.RecordBatch:
    values = np.random.default_rng(first).standard_normal((BATCH, 8), dtype=np.float32)
    numbers = range(first, first + BATCH)
    metadata = pa.array([f'{{"n":{n},"tag":"t{n % 7}"}}' for n in numbers], pa.string())
    sparse = [{"indices": [n % 1000, 1000], "values": [0.5, 0.25]} if n % 10 == 0 else None for n in numbers]
    return records.make_batch([f"v{n}" for n in numbers], values, metadata=metadata, sparse_values=sparse)


@pytest.mark.slow
def test_one_of_each_fault_in_a_million(seed, service, collections):
    seed("source", *map(million, range(0, ROWS, BATCH)), dimension=8)
    run = service.start(service.plan("memory:source", "memory:target", PlanOptions(batch=10_000)))
    assert service.wait(run)["status"] == "proven"
    target = collections["target"]
    before = len(target.live())

    def change(name: str, **fields) -> None:
        place = target.places["", name]
        target.rows[place] = dataclasses.replace(target.rows[place], **fields)

    bit = target.rows[target.places["", "v234567"]].values.copy()
    bit.view(np.uint32)[5] ^= 1
    change("v234567", values=bit)
    change("v345678", metadata='{"n":345678.0,"tag":"t4"}')  # the same number, spelt otherwise (345678 % 7 is 4)
    change("v456780", sparse_values={"indices": [780, 1000], "values": [0.5, 0.25000003]})
    change("v567890", metadata='{"n":567890,"tag":"other"}')
    target.delete(["v123456"], "")
    target.append(batch_of([{"id": "stray", "values": [1.0] * 8}], 8))
    target.append(to_batch([target.rows[target.places["", "v678901"]]], 8))

    service.start_verify(run)
    service.wait(run)
    ended = Ended(service, run)
    assert str(ended) == "differs"
    assert {row["id"]: (row["class"], tuple(row["fields"])) for row in ended.result["differences"]} == {
        "v123456": ("missing", ()),
        "stray": ("extra", ()),
        "v234567": ("changed", ("values",)),
        "v456780": ("changed", ("sparse_values",)),
        "v567890": ("changed", ("metadata.tag",)),
        "v678901": ("duplicate", ()),
    }
    service.repairs.start(run, delete_extra=True)
    service.wait(run)
    ended = Ended(service, run)
    assert str(ended) == "proven"
    (repair,) = ended.result["repairs"]
    assert (repair["copied"], repair["deleted"] >= 1) == (5, True)
    assert len(target.live()) == before
