"""Runs that read every batch back, killed around that: each batch is counted once, and none without its checkpoint."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.durability.torture import torture, zygote
from tests.parameters import rest_slow

RECORDS, BATCH = 400, 20
KILLS = ("read_back", "before_commit", "after_commit", "after_write", "read_back:3")


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("source")
    values = np.random.default_rng(1).standard_normal((RECORDS, 4)).astype(np.float32)
    pq.write_table(pa.table({"id": [f"i{n}" for n in range(RECORDS)], "values": pa.array(list(values), pa.list_(pa.float32()))}), folder / "a.parquet")
    return f"parquet:{folder}"


def job_of(source, folder, kind):
    target = {"milvus": f"milvus:t?uri={folder}/t.db"}.get(kind, f"{kind}:{folder}/out")
    return {"home": str(folder / "home"), "source": source, "target": target, "batch": BATCH, "workers": 1, "verify_batches": True}


@pytest.mark.parametrize("kind", rest_slow(["milvus", "parquet", "numpy"]))
def test_a_kill_neither_loses_nor_doubles_a_count(source, tmp_path, kind):
    with zygote("parquet", kind) as forks:
        job = job_of(source, tmp_path, kind)
        for name in KILLS:
            assert forks.attempt(**job, failpoint=name)["code"] == 137, name
        ended = forks.attempt(**job, failpoint="")
    assert (ended["status"], ended["error"]) == ("proven", None)
    assert ended["verified"] == {"batches": RECORDS // BATCH, "records": RECORDS, "differences": 0}


@pytest.mark.parametrize("seed", rest_slow(range(4)))
def test_kills_at_random(source, tmp_path, seed):
    with zygote("parquet") as forks:
        ended = torture(forks, random.Random(seed), job_of(source, tmp_path, "parquet"), ("read_back",), ())
    assert (ended["status"], ended["error"]) == ("proven", None), f"seed {seed}"
    assert ended["verified"] == {"batches": RECORDS // BATCH, "records": RECORDS, "differences": 0}
