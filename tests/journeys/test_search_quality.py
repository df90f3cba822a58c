"""A peer's known trap: a perfect copy of an approximate source, called bad because the two do not answer alike. And its reverse."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

import faiss
import numpy as np
import pytest

from migrator.cli import main
from tests.contract.milvus_harness import TOKEN_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROWS, DIMENSION = 6_000, 32
CENTRES = np.random.default_rng(4).standard_normal((60, DIMENSION))
VECTORS = (CENTRES[np.arange(ROWS) % 60] + 0.6 * np.random.default_rng(5).standard_normal((ROWS, DIMENSION))).astype(np.float32)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, dict]]:
    monkeypatch.setenv("MIGRATOR_HOME", str(tmp_path / "home"))

    def run(*words: str) -> tuple[int, dict]:
        code = main([*words, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return run


def graph(path: Path) -> None:
    """Write an HNSW index of few links that finds about six of ten neighbours."""
    index = faiss.IndexHNSWFlat(DIMENSION, 6)
    index.hnsw.efConstruction, index.hnsw.efSearch = 16, 10
    index.add(VECTORS)
    faiss.write_index(index, str(path))


def test_an_approximate_source_and_an_exact_target_pass_with_both_recalls_shown(run, tmp_path):
    graph(tmp_path / "hnsw.index")
    code, copied = run("copy", f"faiss:{tmp_path}/hnsw.index", f"milvus:things?uri={tmp_path}/a.db&index_type=FLAT")
    assert (code, copied["verdict"]) == (0, "proven")
    code, found = run("search", copied["run"])
    assert (code, found["verdict"]) == (0, "pass")
    assert 0.4 < found["recall"]["source"]["mean"] < 0.75
    assert found["recall"]["target"]["mean"] == 1.0
    assert found["overlap"] < 0.75  # what such a tool takes for the verdict
    assert found["score_drift"]["max"] < 1e-3
    assert found["truth"] == {"records": ROWS, "read_from": "target"}


@pytest.mark.slow
@pytest.mark.server
def test_a_real_server_is_asked_with_filters(run, tmp_path, milvus_server, monkeypatch):
    monkeypatch.setenv(TOKEN_VARIABLE, milvus_server.token)
    graph(tmp_path / "hnsw.index")
    lines = "".join(json.dumps({"n": n, "tags": ["odd" if n % 2 else "even"]}) + "\n" for n in range(ROWS))
    (tmp_path / "metadata.jsonl").write_text(lines)
    target = f"milvus:t{uuid.uuid4().hex[:8]}?uri={milvus_server.uri}&token=env:{TOKEN_VARIABLE}&index_type=FLAT"
    code, copied = run("copy", f"faiss:{tmp_path}/hnsw.index?metadata={tmp_path}/metadata.jsonl", target)
    assert (code, copied["verdict"]) == (0, "proven")
    code, found = run("search", copied["run"])
    assert (code, found["recall"]["target"]["mean"], found["recall"]["source"]["mean"] < 0.75) == (0, 1.0, True)
    code, found = run("search", copied["run"], "--filter", '{"n": {"$lt": 3000}, "tags": {"$ne": "odd"}}')
    assert (code, found["recall"]["target"]["mean"]) == (0, 1.0), found["reason"]
    assert "Faiss index knows no metadata" in found["unsearchable"]["source"]
    assert found["findings"][0]["code"] == "source_unsearchable"


def test_an_approximate_target_of_an_exact_source_fails(run, tmp_path):
    flat = faiss.IndexFlatL2(DIMENSION)
    flat.add(VECTORS)
    faiss.write_index(flat, str(tmp_path / "flat.index"))
    options = 'index_type=HNSW&index_params={"M": 2, "efConstruction": 8}'  # two links a node leave most of it out of reach
    code, copied = run("copy", f"faiss:{tmp_path}/flat.index", f"milvus:things?uri={tmp_path}/b.db&{options}")
    assert (code, copied["verdict"]) == (0, "proven")
    code, found = run("search", copied["run"])
    assert (code, found["verdict"]) == (1, "fail"), found["reason"]
    assert found["recall"]["source"]["mean"] == 1.0
    assert found["recall"]["target"]["mean"] < 0.9
    code, status = run("status", copied["run"])
    assert status["status"] == "proven"
