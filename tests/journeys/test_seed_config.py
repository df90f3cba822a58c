"""A team's config.json of the Pinecone Index Migrator, run as it is on the local service; and what that tool did wrong with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pinecone import Pinecone, RetryConfig

from migrator.cli import main
from migrator.connectors import pinecone
from migrator.local_pinecone.server import running
from migrator.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ROOT = Path(__file__).parents[2]
SOURCE_KEY, TARGET_KEY = "canary-source-key", "canary-target-key"
DIMENSION = 8
RANDOM = np.random.default_rng(3)
Rows = list[dict[str, Any]]


class Indexes:
    """The official SDK's view of the local service, and what a record looks like in it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = Pinecone(api_key=SOURCE_KEY, host=url, retry_config=RetryConfig(max_retries=0))

    def create(self, name: str, metric: str = "cosine", *, pod: bool = False) -> None:
        kind = {"pod": {"environment": "us-east1-gcp", "pod_type": "p1.x1"}} if pod else {"serverless": {"cloud": "aws", "region": "us-east-1"}}
        body = {"name": name, "dimension": DIMENSION, "metric": metric, "spec": kind}
        httpx.post(f"{self.url}/indexes", json=body, headers={"Api-Key": SOURCE_KEY, "X-Pinecone-Api-Version": "2025-10"}).raise_for_status()

    def fill(self, name: str, rows: Rows, namespace: str = "") -> None:
        with self.client.index(name=name) as index:
            index.upsert(vectors=rows, namespace=namespace, show_progress=False)

    def delete(self, name: str, ids: Sequence[str], namespace: str = "") -> None:
        with self.client.index(name=name) as index:
            index.delete(ids=list(ids), namespace=namespace)

    def read(self, name: str, ids: Sequence[str], namespace: str = "") -> dict[str, Any]:
        with self.client.index(name=name) as index:
            found = index.fetch(ids=list(ids), namespace=namespace).vectors
        return {id_: (list(vector.values), vector.sparse_values and list(vector.sparse_values.values), vector.metadata or {}) for id_, vector in found.items()}

    def counts(self, name: str) -> dict[str, int]:
        with self.client.index(name=name) as index:
            spaces = index.describe_index_stats().namespaces
        return {"" if name == "__default__" else name: space.vector_count for name, space in spaces.items() if space.vector_count}


def rows(count: int, start: int = 0, **metadata: Any) -> Rows:
    values = RANDOM.normal(size=(count, DIMENSION)).astype(np.float32).astype(float)
    return [{"id": f"r{start + n}", "values": vector.tolist(), "metadata": {"n": start + n, **metadata}} for n, vector in enumerate(values)]


@pytest.fixture
def indexes(tmp_path, monkeypatch) -> Iterator[Indexes]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIGRATOR_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PINECONE_API_KEY", raising=False)
    with running() as server:
        monkeypatch.setenv("PINECONE_CONTROLLER_HOST", server.url)
        yield Indexes(server.url)


@pytest.fixture
def run(capsys) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Return a function that runs a configuration and returns the exit code and the answer."""

    def call(config: dict[str, Any], *words: str) -> tuple[int, dict[str, Any]]:
        Path("config.json").write_text(json.dumps(config), "utf-8")
        code = main(["run", "config.json", "--json", *words])
        captured = capsys.readouterr()
        assert "canary" not in captured.out + captured.err
        return code, json.loads(captured.out)

    return call


README = {
    "SOURCE_INDEX": "pods",
    "TARGET_INDEX": "serverless",
    "SOURCE_NAMESPACE": "",
    "DELTA_MODE": False,
    "VERIFY_MODE": True,
    "WRITE_TO_PARQUET": False,
    "RESET_MODE": False,
    "FILTER_TO_USE": '{ "migrated": { "$ne": true } }',
    "NAMESPACE_FROM_METADATA_FIELD": "category",
    "ITERATE_ALL_NAMESPACES": True,
}
KEYS = {"api_key": SOURCE_KEY, "api_key_dest": TARGET_KEY, "use_seperate_target_client": True}


def nothing_kept(home: Path) -> None:
    """Check that no file of the ledger, and no report, holds an API key."""
    for path in home.rglob("*"):
        if path.is_file():
            assert b"canary" not in path.read_bytes(), path


def test_the_readmes_example(indexes, run, monkeypatch, tmp_path):
    monkeypatch.setenv("PINECONE_API_KEY", SOURCE_KEY)
    indexes.create("pods", "dotproduct", pod=True)
    indexes.fill("pods", rows(150, category="news"), "first")
    indexes.fill("pods", rows(40, 200, category="日本"), "second")
    indexes.fill("pods", rows(30, 300), "second")
    indexes.fill("pods", rows(20, 400, category="中国"))
    sparse = [{**row, "sparse_values": {"indices": [1, 9], "values": [0.5, 0.25]}} for row in rows(10, 500, category="sparse")]
    indexes.fill("pods", sparse)
    stamp = {"migrated": True, "migrated_at": "2025-07-10T21:14:03.123Z"}
    indexes.fill("pods", rows(5, 600, category="news", **stamp))
    code, answer = run(README)
    assert (code, answer["verdict"]) == (0, "proven")
    assert answer["counts"] == {"scanned": 250, "copied": 250, "rejected": 0, "vanished": 0, "duplicate": 0}
    assert indexes.counts("serverless") == {"news": 150, "%E6%97%A5%E6%9C%AC": 40, "second": 30, "%E4%B8%AD%E5%9B%BD": 20, "sparse": 10}
    assert indexes.read("serverless", ["r500"], "sparse") == indexes.read("pods", ["r500"])
    assert indexes.read("serverless", ["r500"], "sparse")["r500"][1] == [0.5, 0.25]
    assert indexes.client.indexes.describe("serverless").schema.fields["_values"].metric == "dotproduct"
    assert indexes.counts("pods") == {"first": 150, "second": 70, "": 35}
    nothing_kept(tmp_path / "home")


def test_converted_it_does_the_same(indexes, monkeypatch, capsys):
    indexes.create("pods")
    indexes.fill("pods", rows(30, category="a"), "x")
    Path("config.json").write_text(json.dumps({**README, **KEYS}), "utf-8")
    assert main(["convert", "config.json", "-o", "plan.yaml"]) == 0
    assert "canary" not in Path("plan.yaml").read_text("utf-8")
    assert main(["run", "plan.yaml"]) == 2
    assert "PINECONE_API_KEY" in capsys.readouterr().err
    monkeypatch.setenv("PINECONE_API_KEY", SOURCE_KEY)
    monkeypatch.setenv("PINECONE_API_KEY_DEST", TARGET_KEY)
    assert main(["run", "plan.yaml"]) == 0
    assert indexes.counts("serverless") == {"a": 30}


def test_keys_in_the_file_are_kept_in_memory_only(indexes, run, tmp_path, monkeypatch):
    monkeypatch.setattr(pinecone, "SETTLING_SECONDS", 0.0)  # the local service shows at once what is written
    indexes.create("pods")
    indexes.fill("pods", rows(30), "en")
    config = {**KEYS, "source_index": "pods", "target_index": "new", "source_namespace": "en", "target_namespace": "english", "create_target": True}
    code, answer = run({**config, "target_cloud": "gcp", "target_region": "europe-west4"})
    assert (code, answer["verdict"], indexes.counts("new")) == (0, "proven", {"english": 30})
    assert indexes.client.indexes.describe("new").deployment.region == "europe-west4"
    nothing_kept(tmp_path / "home")
    verified, answer = run({**config, "verify_only": True})
    assert (verified, answer["verdict"]) == (0, "proven")
    indexes.fill("new", [{**rows(1)[0], "id": "r7"}], "english")
    verified, answer = run({**config, "verify_only": True})
    assert (verified, answer["verdict"], [row["id"] for row in answer["differences"]]) == (1, "differs", ["r7"])


def test_no_index_is_made_where_none_is_wanted(indexes, run):
    indexes.create("pods")
    indexes.fill("pods", rows(3))
    code, answer = run({**KEYS, "source_index": "pods", "target_index": "new", "create_target": False})
    assert (code, answer["error"]["code"]) == (2, "not_found")
    assert not indexes.client.indexes.exists("new")


def test_the_old_tools_stamps_are_taken_off_and_nothing_else(indexes, run):
    indexes.create("pods")
    marked = [{"migrated": True, "migrated_at": moment} for moment in ("2025-07-10T21:14:03.123456", "2025-07-10T21:14:03.123Z", "2025-07-10T21:14:03")]
    own = {"migrated": True, "migrated_at": "yesterday"}
    plain = rows(4)
    plain[0]["sparse_values"] = {"indices": [3], "values": [0.5]}
    stamped = [{**row, "metadata": row["metadata"] | mark} for row, mark in zip(plain, [*marked, own], strict=True)]
    indexes.fill("pods", stamped, "en")
    before = indexes.read("pods", ["r0", "r1", "r2", "r3"], "en")
    code, answer = run({**KEYS, "source_index": "pods", "source_namespace": "en", "reset_migration_flags": True})
    assert (code, answer) == (0, {"reset": 3, "namespaces": {"en": 3}})
    after = indexes.read("pods", ["r0", "r1", "r2", "r3"], "en")
    assert {id_: record[:2] for id_, record in after.items()} == {id_: record[:2] for id_, record in before.items()}
    assert {id_: record[2] for id_, record in after.items()} == {"r0": {"n": 0}, "r1": {"n": 1}, "r2": {"n": 2}, "r3": {"n": 3, **own}}


def test_parquet_a_folder_a_namespace_and_on_into_the_target(indexes, run, capsys):
    indexes.create("pods")
    indexes.fill("pods", rows(30), "en")
    indexes.fill("pods", rows(20, 100), "de")
    config = {**KEYS, "source_index": "pods", "target_index": "new", "iterate_over_namespaces": True, "use_source_as_target_namespace": True}
    code, answer = run({**config, "write_to_parquet": True, "parquet_write_back_batch_size": 500})
    assert (code, answer["verdict"]) == (0, "proven")
    assert sorted(path.parent.name for path in Path("pods-parquet").rglob("*.parquet")) == ["de", "en"]
    assert main(["copy", "parquet:./pods-parquet?metric=cosine", "pinecone:new?api_key=env:PINECONE_API_KEY"]) == 0
    assert indexes.counts("new") == {"en": 30, "de": 20}


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


def test_delta_mode_follows_until_it_is_stopped(indexes, tmp_path):
    indexes.create("pods")
    indexes.fill("pods", rows(60), "en")
    delta = {"delta_mode": True, "delta_delay_between_runs": True, "delta_delay_duration": "0.2", "use_filter": True, "filter_to_use": README["FILTER_TO_USE"]}
    config = {**KEYS, **delta, "source_index": "pods", "target_index": "new", "iterate_over_namespaces": True}
    Path("config.json").write_text(json.dumps(config), "utf-8")
    words = [sys.executable, "-m", "migrator", "run", "config.json", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (
        subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process,
        closing(Service(tmp_path / "home")) as service,
    ):
        try:
            until(lambda: any(run["status"] == "running" and service.status(run["run"])["follow"]["passes"] for run in service.runs()))
            (run,) = [found["run"] for found in service.runs()]
            indexes.fill("pods", rows(5, 1_000), "en")
            indexes.fill("pods", rows(1), "en")
            until(lambda: set(indexes.read("new", ["r1004"], "en")) == {"r1004"})
            until(lambda: indexes.read("new", ["r0"], "en") == indexes.read("pods", ["r0"], "en"))
            service.finish_following(run)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, json.loads(out)["verdict"]) == (0, "proven"), err
    assert indexes.counts("new") == {"en": 65} == indexes.counts("pods")
    assert "migrated" not in indexes.read("pods", ["r5"], "en")["r5"][2]
    assert "canary" not in out + err
    nothing_kept(tmp_path / "home")


def test_chinese_ids_and_namespaces_into_pinecone_and_out_again(indexes, monkeypatch, capsys):
    monkeypatch.setenv("PINECONE_API_KEY", SOURCE_KEY)
    ids = ["日本", "plain", "50% off", "%E6%97%A5", "é" * 80]
    pq.write_table(
        pa.table({"id": ids, "values": [[n + 1.0] * DIMENSION for n in range(len(ids))], "namespace": ["东京", "", "b c", "50%", "%E4%B8%9C"]}),
        "in.parquet",
    )
    assert main(["copy", "parquet:in.parquet?metric=cosine", "pinecone:new"]) == 2
    assert "--id-encoding percent" in capsys.readouterr().err
    assert main(["copy", "parquet:in.parquet?metric=cosine", "pinecone:new", "--id-encoding", "percent"]) == 0
    assert indexes.counts("new") == {"%E4%B8%9C%E4%BA%AC": 1, "": 1, "b c": 1, "50%": 1, "%25E4%25B8%259C": 1}
    assert set(indexes.read("new", ["%E6%97%A5%E6%9C%AC"], "%E4%B8%9C%E4%BA%AC")) == {"%E6%97%A5%E6%9C%AC"}
    assert main(["verify", "parquet:in.parquet?metric=cosine", "pinecone:new", "--id-encoding", "percent"]) == 0
    assert main(["copy", "pinecone:new", "parquet:out", "--id-encoding", "decode"]) == 0
    assert main(["verify", "parquet:in.parquet?metric=cosine", "parquet:out?metric=cosine"]) == 0
