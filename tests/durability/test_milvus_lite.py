"""Runs into Milvus Lite, killed at random: nothing lost, nothing doubled, read back with pymilvus."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.durability.torture import killed_at_least, torture, zygote

if TYPE_CHECKING:
    from pathlib import Path

RECORDS = 600
DIMENSION = 8
BATCH = 20
WRITING = ("milvus_write", "milvus_written")
ENDING = ("milvus_created",)
"""The last is met when the collection is made; in a later attempt it is not met at all."""
Rows = dict[str, tuple[list[float], int]]

# in a process of its own: the engine locks its file, and this process must not hold it when the next child opens it
READ_BACK = """
import json, sys
from pymilvus import MilvusClient
client = MilvusClient(sys.argv[1])
client.load_collection("target")
info = client.describe_collection("target")
names = [field["name"] for field in info["fields"]]
key = next(field["name"] for field in info["fields"] if field.get("is_primary"))
rows = []
for batch in iter(client.query_iterator("target", batch_size=500, filter="", output_fields=["*"]).next, []):
    rows += batch
print(json.dumps([key, [{k: ([float(x) for x in v] if k in ("values", "vector") else v) for k, v in row.items()} for row in rows]], default=str))
client.close()
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> tuple[str, Rows]:
    folder = tmp_path_factory.mktemp("source")
    values = np.random.default_rng(3).standard_normal((RECORDS, DIMENSION)).astype(np.float32)
    names, texts = [f"id-{n}" for n in range(RECORDS)], [json.dumps({"n": n}) for n in range(RECORDS)]
    pq.write_table(
        pa.table({"id": names, "values": pa.array(list(values), pa.list_(pa.float32())), "metadata": texts}), folder / "a.parquet", row_group_size=90
    )
    return f"parquet:{folder}", {name: (values[n].tolist(), n) for n, name in enumerate(names)}


def problems(path: Path, expected: Rows, answer: dict[str, Any]) -> list[str]:
    """Return everything that is wrong with a finished run, seen by pymilvus."""
    if answer["status"] != "proven":
        return [f"it ended {answer['status']}: {answer['error']}"]
    said = subprocess.run([sys.executable, "-c", READ_BACK, str(path)], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
    key, rows = json.loads(said.stdout.splitlines()[-1])
    wrong = [] if len(rows) == len(expected) else [f"{len(rows)} rows"]
    found = {row[key]: row for row in rows}
    wrong += [f"lost {name}" for name in expected.keys() - found.keys()] + [f"stray {name}" for name in found.keys() - expected.keys()]
    for name, (values, number) in expected.items():
        row = found.get(name, {})
        vector = next((value for value in row.values() if isinstance(value, list)), None)
        if vector != values or row.get("n") != number:
            wrong.append(f"changed {name}: {row}")
    return wrong[:5]


def kill(tmp_path: Path, source: tuple[str, Rows], kills: int) -> None:
    seed = int(os.environ.get("KILL_SEED") or random.SystemRandom().randrange(2**32))
    print(f"KILL_SEED={seed}")  # noqa: T201 - shown when the test fails, to repeat it
    endpoint, expected = source
    dice = random.Random(seed)
    with zygote("parquet", "milvus") as forks:

        def one_run(number: int) -> None:
            path = tmp_path / f"out{number}.db"
            job = {"home": str(tmp_path / f"home{number}"), "source": endpoint, "target": f"milvus:target?uri={path}", "batch": BATCH}
            ended = torture(forks, dice, job, WRITING, ENDING)
            assert problems(path, expected, ended) == [], f"run {number}, KILL_SEED={seed}"

        killed_at_least(forks, kills, one_run)
        print(f"{forks.kills} kills: {forks.where}")  # noqa: T201


@pytest.mark.slow
def test_killed_now_and_then_parquet_to_milvus_lite(tmp_path, source):
    kill(tmp_path, source, 6)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_killed_two_hundred_times_parquet_to_milvus_lite(tmp_path, source):
    kill(tmp_path, source, 200)
