"""Milvus keeps a primary key once over all namespaces: a record must never replace one of another namespace unnoticed."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pymilvus import MilvusClient

from migrator.cli import main
from tests.parameters import rest_slow

if TYPE_CHECKING:
    from pathlib import Path


def dataset(folder: Path, namespace: str, ids: list[str]) -> str:
    (folder / namespace).mkdir(parents=True)
    pq.write_table(pa.table({"id": ids, "values": [[float(len(namespace)), float(row)] for row in range(len(ids))]}), folder / namespace / "part.parquet")
    return f"parquet:{folder}?metric=euclidean"


def stored(path: Path) -> dict[str, str]:
    with closing(MilvusClient(str(path))) as client:
        client.load_collection("c")
        return {row["id"]: row["namespace"] for row in client.query("c", filter="", output_fields=["id", "namespace"], limit=100)}


@pytest.mark.parametrize("rule", rest_slow([["--new-only"], ["--on-conflict", "skip"], ["--on-conflict", "fail"]]))
def test_the_record_of_the_other_namespace_stays(rule: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("MIGRATOR_HOME", str(tmp_path / "home"))
    target = f"milvus:c?uri={tmp_path}/x.db"
    assert main(["copy", dataset(tmp_path / "first", "alpha", ["a", "b"]), target, "--json"]) == 0
    capsys.readouterr()

    code = main(["copy", dataset(tmp_path / "second", "beta", ["b", "c"]), target, "--json", *rule])
    answer = json.loads(capsys.readouterr().out)
    assert code != 0
    assert answer["verdict"] != "proven"
    assert stored(tmp_path / "x.db")["b"] == "alpha"
