"""Runs into a Parquet folder, killed at random: nothing lost, nothing doubled, the same as if nothing had happened."""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.durability.torture import PIPELINE, killed_at_least, torture, zygote

if TYPE_CHECKING:
    from pathlib import Path

RECORDS = 3_000
DIMENSION = 8
BATCH = 50
WRITING = ("dataset.file_staged", "dataset.part_staged")
ENDING = ("dataset.publication_written", "dataset.file_moved", "dataset.manifest_written")
Rows = dict[tuple[str, str], tuple[bytes, str | None]]


def vectors() -> np.ndarray:
    return np.random.default_rng(7).standard_normal((RECORDS, DIMENSION)).astype(np.float32)


@pytest.fixture(scope="module")
def parquet_source(tmp_path_factory) -> tuple[str, Rows]:
    """A dataset of two namespaces in several files, written with pyarrow."""
    folder, values, expected = tmp_path_factory.mktemp("source"), vectors(), {}
    for number, namespace in enumerate(("one", "two", "one")):
        places = range(number * 1000, (number + 1) * 1000)
        names, texts = [f"id-{place}" for place in places], [json.dumps({"n": place}, separators=(",", ":")) for place in places]
        (folder / namespace).mkdir(exist_ok=True)
        table = pa.table({"id": names, "values": pa.array(list(values[places]), pa.list_(pa.float32())), "metadata": texts})
        pq.write_table(table, folder / namespace / f"{number}.parquet", row_group_size=170)
        expected |= {(namespace, name): (values[place].tobytes(), text) for name, text, place in zip(names, texts, places, strict=True)}
    return f"parquet:{folder}", expected


@pytest.fixture(scope="module")
def faiss_source(tmp_path_factory) -> tuple[str, Rows]:
    path, values = tmp_path_factory.mktemp("faiss") / "flat.index", vectors()
    index = faiss.IndexFlatL2(DIMENSION)
    index.add(values)
    faiss.write_index(index, str(path))
    return f"faiss:{path}", {("", str(place)): (values[place].tobytes(), None) for place in range(RECORDS)}


def read_back(folder: Path) -> tuple[Counter[tuple[str, str]], Rows, list[str]]:
    """Return how often each record is there, every record, and the files, without our code."""
    seen: Counter[tuple[str, str]] = Counter()
    found: Rows = {}
    paths = sorted(folder.rglob("*"))
    names = [path.relative_to(folder).as_posix() for path in paths if path.is_file()]
    for path in paths:
        if path.suffix != ".parquet":
            continue
        namespace = "" if path.parent.name == "__default__" else path.parent.name
        for row in pq.read_table(path, partitioning=None).to_pylist():
            seen[namespace, row["id"]] += 1
            found[namespace, row["id"]] = (np.asarray(row["values"], np.float32).tobytes(), row["metadata"])
    return seen, found, names


def problems(folder: Path, expected: Rows, answer: dict[str, Any]) -> list[str]:
    """Return everything that is wrong with a finished run."""
    if answer["status"] != "proven":
        return [f"it ended {answer['status']}: {answer['error']}"]
    seen, found, names = read_back(folder)
    wrong = [f"lost {name}" for name in expected.keys() - found.keys()] + [f"stray {name}" for name in found.keys() - expected.keys()]
    wrong += [f"there {count} times: {name}" for name, count in seen.items() if count != 1]
    wrong += [f"changed {name}" for name, row in found.items() if name in expected and expected[name] != row]
    wrong += [f"left behind {name}" for name in names if "_staging" in name or name.endswith(".tmp")]
    return wrong[:20]


def kill(tmp_path: Path, source: tuple[str, Rows], connectors: tuple[str, ...], kills: int) -> None:
    seed = int(os.environ.get("KILL_SEED") or random.SystemRandom().randrange(2**32))
    print(f"KILL_SEED={seed}")  # noqa: T201 - shown when the test fails, to repeat it
    endpoint, expected = source
    dice = random.Random(seed)
    with zygote(*connectors) as forks:
        whole = tmp_path / "undisturbed"
        answer = forks.attempt(home=str(tmp_path / "home"), source=endpoint, target=f"parquet:{whole}", batch=BATCH, failpoint="")
        assert problems(whole, expected, answer) == []

        def one_run(number: int) -> None:
            folder = tmp_path / f"out{number}"
            job = {"home": str(tmp_path / f"home{number}"), "source": endpoint, "target": f"parquet:{folder}", "batch": BATCH}
            ended = torture(forks, dice, job, WRITING, ENDING)
            assert problems(folder, expected, ended) == [], f"run {number}, KILL_SEED={seed}"
            assert len(read_back(folder)[2]) == len(read_back(whole)[2])

        killed_at_least(forks, kills, one_run)
        print(f"{forks.kills} kills: {forks.where}")  # noqa: T201
    assert forks.where.keys() >= set(PIPELINE) or kills < 100


def test_killed_now_and_then_parquet_to_parquet(tmp_path, parquet_source):
    kill(tmp_path, parquet_source, ("parquet",), 8)


@pytest.mark.slow
def test_killed_now_and_then_faiss_to_parquet(tmp_path, faiss_source):
    kill(tmp_path, faiss_source, ("parquet", "faiss"), 10)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_two_hundred_times_parquet_to_parquet(tmp_path, parquet_source):
    kill(tmp_path, parquet_source, ("parquet",), 200)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_two_hundred_times_faiss_to_parquet(tmp_path, faiss_source):
    kill(tmp_path, faiss_source, ("parquet", "faiss"), 200)
