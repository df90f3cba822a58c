"""Runs over Parquet files that change, lack ids, or are written by two runs at once."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from migrator.connectors import memory, parquet
from migrator.endpoints import parse
from migrator.errors import PlanError, RunBusyError, UnreadableSourceError
from migrator.model import Collection, Plan, Selection
from migrator.service import PlanOptions
from tests.runs.conftest import Ended, contents


def file(path, ids, groups=1):
    table = pa.table({"id": pa.array(ids, pa.string()), "values": pa.array([[float(n), 1.0] for n in range(len(ids))], pa.list_(pa.float32()))})
    pq.write_table(table, f"{path}.new", row_group_size=max(1, -(-len(ids) // groups)))
    Path(f"{path}.new").replace(path)  # at once, so that a run reading ahead meets the one or the other, never half of it


def names(letter, count):
    return [f"{letter}{n}" for n in range(count)]


@pytest.fixture
def dataset(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    file(folder / "a.parquet", names("a", 40), groups=4)
    file(folder / "b.parquet", names("b", 40), groups=4)
    return folder


def run_while(service, collections, source, change) -> Ended:
    """Copy ``source``, calling ``change`` before the first write."""
    plan = service.plan(source, "memory:target", PlanOptions(batch=10, workers=1))
    table = collections["target"] = memory.Table(plan.collection.dimension, plan.collection.metric or "cosine")
    table.on_write = lambda number, _batch: change() if number == 1 else None
    return Ended(service, service.start(plan))


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: file(folder / "b.parquet", names("c", 80), groups=8),
        lambda folder: file(folder / "b.parquet", names("c", 40), groups=4),
        lambda folder: file(folder / "c.parquet", names("c", 40)),
        lambda folder: os.utime(folder / "a.parquet"),
    ],
    ids=["more rows", "other rows", "another file", "touched"],
)
def test_a_source_that_changes_meanwhile_is_never_proven(service, collections, dataset, change):
    ended = run_while(service, collections, f"parquet:{dataset}", lambda: change(dataset))
    assert str(ended) == "incomplete"
    assert "source_changed" in [finding["code"] for finding in ended.result["findings"]]
    assert "changed" in ended.log


def test_a_file_with_fewer_row_groups_than_before_is_no_internal_error(dataset):
    with closing(parquet.open_source(parse(f"parquet:{dataset}"))) as source:
        (split,) = source.splits(Selection(), 1)
        file(dataset / "b.parquet", names("c", 5))
        with pytest.raises(UnreadableSourceError):
            list(source.read(split, None, 10))


@pytest.mark.parametrize("gone", [True, False])
def test_an_index_that_is_replaced_meanwhile_is_never_proven(service, collections, tmp_path, gone):
    path = tmp_path / "x.index"

    def write(seed):
        index = faiss.IndexFlatL2(2)
        index.add(np.random.default_rng(seed).normal(size=(50, 2)).astype(np.float32))
        faiss.write_index(index, f"{path}.new")
        Path(f"{path}.new").replace(path)

    write(1)
    ended = run_while(service, collections, f"faiss:{path}", path.unlink if gone else lambda: write(2))
    assert str(ended) in ("incomplete", "failed")
    assert str(ended) == "failed" or "source_changed" in [finding["code"] for finding in ended.result["findings"]]


def test_rows_without_an_id_are_rejected(service, collections, tmp_path):
    file(tmp_path / "x.parquet", ["a", None, "b", None, "b"])
    ended = Ended(service, service.start(service.plan(f"parquet:{tmp_path}/x.parquet", "memory:target", PlanOptions(on_duplicate="first"))))
    assert ended.counts == (5, 2, 2, 0, 1)
    assert {name for _, name in contents(collections["target"])} == {"a", "b"}
    assert {row["code"] for row in ended.status["rejected_sample"]} == {"missing_id"}


@pytest.fixture
def target(tmp_path):
    """Open a target of one folder, again and again."""
    endpoint = parse(f"parquet:{tmp_path}/out")
    opened = []

    def prepared(plan):
        opened.append(parquet.open_target(endpoint))
        opened[-1].prepare(Collection("c", 2, "cosine"), plan)
        return opened[-1]

    yield prepared
    for one in opened:
        one.close()


def test_a_folder_takes_one_run_at_a_time(target):
    plan = Plan(parse("memory:a"), parse("memory:b"))
    first = target(plan)
    with pytest.raises(RunBusyError, match="another run is at work"):
        target(plan)
    first.close()
    with closing(target(plan)) as again:
        again.finish()


@pytest.mark.parametrize("options", [{"new_only": True}, {"on_conflict": "skip"}, {"on_conflict": "fail"}])
def test_what_is_written_anew_cannot_be_added_to(service, dataset, tmp_path, options):
    plan = service.plan(f"parquet:{dataset}", f"parquet:{tmp_path}/out", PlanOptions(**options))
    with pytest.raises(PlanError, match="written anew"):
        service.start(plan)
    assert not (tmp_path / "out").exists()
