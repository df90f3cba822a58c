"""The demo's data: built whole or not at all, once, and saying what the shipped file says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import faiss
import numpy as np
import pyarrow.parquet as pq
import pytest

from demo import build as demo
from migrator import endpoints

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    demo.build(folder)
    return folder


def test_the_index_holds_the_shipped_vectors_bit_for_bit(built: Path) -> None:
    index = faiss.read_index(str(built / "source" / demo.INDEX))
    shipped = np.stack(pq.read_table(demo.PASSAGES)["values"].to_numpy())
    assert np.array_equal(index.reconstruct_n(0, index.ntotal).view(np.uint32), shipped.astype(np.float32).view(np.uint32))


def test_the_sidecars_stand_in_the_order_of_the_index(built: Path) -> None:
    table = pq.read_table(demo.PASSAGES)
    assert json.loads((built / "source" / demo.IDS).read_text("utf-8")) == table["id"].to_pylist()
    lines = (built / "source" / demo.METADATA).read_text("utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [json.loads(text) for text in table["metadata"].to_pylist()]
    assert len({json.loads(line)[demo.NAMESPACE_FIELD] for line in lines}) == 8


def test_building_again_changes_nothing(built: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in (built / "source").iterdir()}
    demo.build(built)
    assert {path.name: path.stat().st_mtime_ns for path in (built / "source").iterdir()} == before


def test_a_damaged_build_is_replaced(built: Path, tmp_path: Path) -> None:
    source = demo.build(tmp_path)
    (source / demo.IDS).write_text("[]", "utf-8")
    demo.build(tmp_path)
    assert (source / demo.IDS).read_bytes() == (built / "source" / demo.IDS).read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_an_interrupted_build_leaves_nothing_that_looks_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(faiss, "write_index", full_disk)
    with pytest.raises(OSError, match="No space"):
        demo.build(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_endpoints_can_be_parsed_whatever_the_folder_is_called(tmp_path: Path) -> None:
    folder = tmp_path / "a & b?c=d é"
    source, target = (endpoints.parse(text) for text in demo.endpoints(folder))
    assert source.connector == "faiss"
    assert source.resource == str(folder / "source" / demo.INDEX)
    assert source.options == {"ids": str(folder / "source" / demo.IDS), "metadata": str(folder / "source" / demo.METADATA), "metric": "cosine"}
    assert (target.connector, target.resource, target.options) == ("milvus", "sotu", {"uri": str(folder / "demo.db")})


def test_the_shipped_answers_are_the_exact_ones() -> None:
    table = pq.read_table(demo.PASSAGES)
    passages, ids = np.stack(table["values"].to_numpy()).astype(np.float64), table["id"].to_pylist()
    shipped = json.loads(demo.QUESTIONS.read_text("utf-8"))
    for question, item in zip(demo.questions(), shipped, strict=True):
        best = np.argsort(-(passages @ question.vector.astype(np.float64)), kind="stable")[:10]
        assert [ids[position] for position in best] == [answer["id"] for answer in item["top10"]]
