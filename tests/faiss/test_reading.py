"""Splits, cursors, chunks, key scans and fetching: the same rows whatever the sizes and wherever reading stopped."""

from __future__ import annotations

import dataclasses
import os
import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from migrator.errors import ConfigError, UnreadableSourceError
from migrator.model import Selection
from migrator.protocols import KeyScanner
from migrator.records import matrix, schema, to_dicts
from tests.faiss.reading import opened, read_all, seed, vectors

COUNT = 331
KINDS = {"Flat": False, "IDMap,Flat": True, "IVF8,Flat": True, "IVF8,SQ8": True}


@pytest.fixture(scope="module", params=KINDS)
def source(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reading")
    ids = np.random.default_rng(5).permutation(5_000)[:COUNT] if KINDS[request.param] else None
    seed(folder / "a.index", request.param, vectors(COUNT), ids)
    with opened(f"faiss:{folder}/a.index") as source:
        yield source


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(splits=st.integers(1, 400), records=st.integers(1, 400), align=st.integers(1, 100))
def test_splits_cover_every_row_once_whatever_their_number(source, splits, records, align):
    made = list(source.splits(Selection(), splits, align))
    assert len({split.id for split in made}) == len(made)
    assert sum(split.records for split in made) == COUNT
    assert all(split.state["start"] % align == 0 for split in made)
    whole = read_all(source)
    parts = [record for split in made for chunk in source.read(split, None, records) for record in to_dicts(chunk.batch)]
    assert [record["id"] for record in parts] == [record["id"] for record in whole]
    assert [record["values"] for record in parts] == [record["values"] for record in whole]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=st.integers(1, COUNT + 5), after=st.integers(1, COUNT + 5), stop=st.integers(0, 20))
def test_reading_goes_on_from_any_cursor_with_another_chunk_size(source, before, after, stop):
    (split,) = source.splits(Selection(), 1)
    whole = [record["id"] for record in read_all(source)]
    first, cursor = [], None
    for number, chunk in enumerate(source.read(split, None, before)):
        first += chunk.batch.column("id").to_pylist()
        cursor = chunk.cursor
        if number == stop:
            break
    rest = [name for chunk in source.read(split, cursor, after) for name in chunk.batch.column("id").to_pylist()]
    assert first + rest == whole


def test_chunks_have_the_layout_of_records_and_say_where_they_start(source):
    (split,) = source.splits(Selection(), 1)
    chunks = list(source.read(split, None, 100))
    assert [chunk.batch.num_rows for chunk in chunks] == [100, 100, 100, 31]
    assert [chunk.start for chunk in chunks] == [0, 100, 200, 300]
    assert all(chunk.batch.schema.equals(schema(16)) for chunk in chunks)
    assert list(source.read(split, chunks[-1].cursor, 10)) == []


def test_keys_are_those_of_reading(source):
    assert isinstance(source, KeyScanner)
    for split in source.splits(Selection(), 4):
        keys = [str(name) for batch in source.keys(split) for name in batch.column("id").to_pylist()]
        read = [name for chunk in source.read(split, None, 50) for name in chunk.batch.column("id").to_pylist()]
        assert keys == read


def test_fetch_finds_those_that_exist(source):
    records = {record["id"]: record["values"] for record in read_all(source)}
    wanted = [*list(records)[::40], "-5", "no number"]
    found = to_dicts(source.fetch(wanted, ""))
    assert {record["id"]: record["values"] for record in found} == {name: records[name] for name in wanted if name in records}
    assert source.fetch(wanted, "elsewhere").num_rows == 0


def test_other_namespaces_are_empty(source):
    assert list(source.splits(Selection(namespaces=("x",)), 3)) == []
    assert len(list(source.splits(Selection(namespaces=("", "x")), 3))) == 3


def test_threads_read_the_same_at_once(source):
    splits = list(source.splits(Selection(), 4))
    expected = [np.concatenate([matrix(chunk.batch) for chunk in source.read(split, None, 20)]) for split in splits]
    found: dict[int, np.ndarray] = {}

    def read(number):
        found[number] = np.concatenate([matrix(chunk.batch) for chunk in source.read(splits[number], None, 7)])

    threads = [threading.Thread(target=read, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert all((found[number] == expected[number]).all() for number in range(4))


def test_closing_twice_is_safe(tmp_path):
    seed(tmp_path / "a.index", "SQ8", vectors(10))
    with opened(f"faiss:{tmp_path}/a.index") as source:
        read_all(source)
        source.close()


def test_a_split_of_another_file_is_refused(tmp_path):
    seed(tmp_path / "a.index", "Flat", vectors(10))
    with opened(f"faiss:{tmp_path}/a.index") as source:
        (old,) = source.splits(Selection(), 1)
        version = source.describe().version
    seed(tmp_path / "a.index", "Flat", vectors(10, seed=2))
    with opened(f"faiss:{tmp_path}/a.index") as source:
        assert source.describe().version != version
        with pytest.raises(ConfigError, match="not what it was"):
            next(source.read(old, None, 10))


def test_a_copy_of_the_file_has_the_same_version(tmp_path):
    seed(tmp_path / "a.index", "Flat", vectors(10))
    (tmp_path / "b.index").write_bytes((tmp_path / "a.index").read_bytes())
    with opened(f"faiss:{tmp_path}/a.index") as one, opened(f"faiss:{tmp_path}/b.index") as other:
        assert one.describe().version == other.describe().version
        assert [split.id for split in one.splits(Selection(), 3)] == [split.id for split in other.splits(Selection(), 3)]


@pytest.mark.parametrize("harm", ["cut", "written"])
def test_a_file_changed_while_it_is_read_is_noticed(tmp_path, harm):
    path = seed(tmp_path / "a.index", "Flat", vectors(5_000))
    with opened(f"faiss:{path}") as source:
        (split,) = source.splits(Selection(), 1)
        reading = source.read(split, None, 1_000)
        next(reading)
        if harm == "cut":
            os.truncate(path, 90_000)
        else:
            with path.open("r+b") as file:
                file.seek(200_000)
                file.write(b"\0" * 64)
            os.utime(path, ns=(1, 1))
        with pytest.raises(UnreadableSourceError, match=r"shorter|changed"):
            list(reading)


def test_shards_are_one_collection_in_natural_order(tmp_path):
    values = vectors(30)
    for number, start in ((10, 20), (9, 10), (1, 0)):
        seed(tmp_path / f"part{number}.index", "Flat", values[start : start + 10])
    with opened(f"faiss:{tmp_path}") as source:
        records = read_all(source, splits=4, records=7)
        assert [record["id"] for record in records] == [str(row) for row in range(30)]
        assert np.array_equal(np.array([record["values"] for record in records], np.float32), values)
        assert source.describe().unique_ids
        assert "3 shards" in source.describe().kind


def test_shards_keep_their_own_ids(tmp_path):
    values = vectors(20)
    seed(tmp_path / "a.faiss", "IDMap,Flat", values[:10], np.arange(10) + 100)
    seed(tmp_path / "b.faiss", "IDMap,Flat", values[10:], np.arange(10) + 105)
    with opened(f"faiss:{tmp_path}") as source:
        assert [record["id"] for record in read_all(source)] == [str(name) for name in [*range(100, 110), *range(105, 115)]]
        assert not source.describe().unique_ids


def test_shards_must_be_alike(tmp_path):
    seed(tmp_path / "a.index", "Flat", vectors(10))
    seed(tmp_path / "b.index", "Flat", vectors(10, dimension=8))
    with pytest.raises(UnreadableSourceError, match="dimension is 8, not 16"), opened(f"faiss:{tmp_path}"):
        pass


def test_splits_are_plain_data(source):
    import json  # noqa: PLC0415

    for split in source.splits(Selection(), 2):
        assert json.loads(json.dumps(dataclasses.asdict(split)))["state"] == dict(split.state)
