"""The main job from the command line: each lossless kind of index, bit-exact in Milvus Lite, read back with pymilvus alone."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

import faiss
import numpy as np
import pytest
from pymilvus import MilvusClient

from migrator.cli import main
from tests.parameters import rest_slow

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROWS, DIMENSION = 1_200, 24
VECTORS = np.random.default_rng(7).normal(size=(ROWS, DIMENSION)).astype(np.float32)
VECTORS[0, :3] = [-0.0, np.float32(1e-45), 1e17]  # larger ones overflow L2, and Faiss then stores them in no list
OWN_IDS = np.random.default_rng(8).permutation(10 * ROWS)[:ROWS].astype(np.int64) - 5 * ROWS
POSITIONS = np.arange(ROWS, dtype=np.int64)


def plain(index: faiss.Index) -> faiss.Index:
    index.add(VECTORS)
    return index


def with_ids(index: faiss.Index) -> faiss.Index:
    index.add_with_ids(VECTORS, OWN_IDS)
    return index


def inverted_lists() -> faiss.Index:
    index = faiss.index_factory(DIMENSION, "IVF16,Flat")
    index.train(VECTORS[1:])
    return with_ids(index)


def refined() -> faiss.Index:
    index = faiss.index_factory(DIMENSION, "SQ8,RFlat")
    index.train(VECTORS[1:])
    return plain(index)


KINDS: dict[str, tuple[Callable[[], faiss.Index], np.ndarray]] = {
    "Flat-L2": (lambda: plain(faiss.IndexFlatL2(DIMENSION)), POSITIONS),
    "Flat-IP": (lambda: plain(faiss.IndexFlatIP(DIMENSION)), POSITIONS),
    "IDMap": (lambda: with_ids(faiss.IndexIDMap(faiss.IndexFlatL2(DIMENSION))), OWN_IDS),
    "IDMap2": (lambda: with_ids(faiss.IndexIDMap2(faiss.IndexFlatIP(DIMENSION))), OWN_IDS),
    "IVFFlat": (inverted_lists, OWN_IDS),
    "HNSWFlat": (lambda: plain(faiss.IndexHNSWFlat(DIMENSION, 8)), POSITIONS),
    "RefineFlat": (refined, POSITIONS),
}


@pytest.mark.parametrize("kind", rest_slow(KINDS, 2))
def test_copied_bit_by_bit_and_proven(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("MIGRATOR_HOME", str(tmp_path / "home"))
    build, ids = KINDS[kind]
    faiss.write_index(build(), str(tmp_path / "x.index"))
    source, target = f"faiss:{tmp_path}/x.index", f"milvus:copied?uri={tmp_path}/x.db"

    assert main(["copy", source, target, "--json"]) == 0
    copied = json.loads(capsys.readouterr().out)
    assert copied["verdict"] == "proven"
    assert copied["counts"] == {"scanned": ROWS, "copied": ROWS, "rejected": 0, "vanished": 0, "duplicate": 0}

    with closing(MilvusClient(str(tmp_path / "x.db"))) as client:
        client.load_collection("copied")
        found = read_all(client)
    assert sorted(found) == sorted(ids.tolist())
    for row, number in enumerate(ids.tolist()):
        assert found[number].tobytes() == VECTORS[row].tobytes(), f"record {number}"

    assert main(["verify", source, target, "--json"]) == 0
    proof = json.loads(capsys.readouterr().out)
    assert (proof["verdict"], proof["differences"]) == ("proven", [])


def read_all(client: MilvusClient) -> dict[int, np.ndarray]:
    pages = client.query_iterator("copied", batch_size=500, output_fields=["id", "vector"])
    found: dict[int, np.ndarray] = {}
    while page := pages.next():
        for row in page:
            assert row["id"] not in found
            found[row["id"]] = np.asarray(row["vector"], np.float32)
    return found


def test_a_changed_bit_in_the_target_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("MIGRATOR_HOME", str(tmp_path / "home"))
    faiss.write_index(with_ids(faiss.IndexIDMap(faiss.IndexFlatL2(DIMENSION))), str(tmp_path / "x.index"))
    assert main(["copy", f"faiss:{tmp_path}/x.index", f"milvus:copied?uri={tmp_path}/x.db", "--json"]) == 0
    run = json.loads(capsys.readouterr().out)["run"]
    victim, lost = int(OWN_IDS[500]), int(OWN_IDS[501])
    altered = VECTORS[500].copy()
    altered.view(np.uint32)[5] ^= 1
    with closing(MilvusClient(str(tmp_path / "x.db"))) as client:
        client.upsert("copied", [{"id": victim, "vector": altered}])
        client.delete("copied", ids=[lost])
        client.flush("copied")

    assert main(["verify", run, "--json"]) == 1
    proof = json.loads(capsys.readouterr().out)
    assert proof["verdict"] == "differs"
    found = {row["id"]: (row["class"], row["fields"]) for row in proof["differences"]}
    assert found == {str(victim): ("changed", ["values"]), str(lost): ("missing", [])}
