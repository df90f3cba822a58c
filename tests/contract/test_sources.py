"""What every source promises: all records, once, unchanged, in one order, and from any cursor on."""

from __future__ import annotations

import numpy as np
import pytest

from migrator import endpoints
from migrator.connectors import connector
from migrator.errors import ConfigError
from migrator.protocols import KeyScanner
from tests.contract.kit import (
    abilities_of,
    assert_same,
    checked,
    comparable,
    hard_batch,
    read_all,
    rows_of,
    source_of,
    splits_of,
)
from tests.unit.batches import batch_of, numbered

NAMESPACES = ["", "a", "日本"]


@pytest.fixture
def batches():
    """60 records in three namespaces, in batches that do not fall together with anything else."""
    return [numbered(25), numbered(17, namespace="a", start=25), numbered(18, namespace="日本", start=42)]


@pytest.fixture
def seeded(source_store, batches):
    return source_store.seed(batches, metric="cosine")


def expected_namespaces(harness, batches):
    counts: dict[str, int] = {}
    for batch in batches:
        for namespace in harness.adapt(batch).column("namespace").to_pylist():
            counts[namespace] = counts.get(namespace, 0) + 1
    return counts


def test_describe(source_store, batches, seeded):
    with source_of(seeded) as source:
        found = source.describe()
    assert (found.dimension, found.metric, found.count) == (3, "cosine", 60)
    assert {name: count for name, count in found.namespaces.items() if count} == expected_namespaces(source_store, batches)
    assert found.lossless


@pytest.mark.parametrize("metric", ["cosine", "dotproduct", "euclidean"])
def test_metric(source_store, metric):
    if metric not in abilities_of(source_store.new_target() if source_store.can_read_back else source_store.seed([numbered(1)], metric="cosine")).metrics:
        pytest.skip("the store says it does not know the metric")
    with source_of(source_store.seed([numbered(2)], metric=metric)) as source:
        assert source.describe().metric == metric


@pytest.mark.parametrize("count", [1, 3, 8])
def test_splits_are_disjoint_and_cover(source_store, batches, seeded, count):
    with source_of(seeded) as source:
        splits = splits_of(source, count)
        assert len({split.id for split in splits}) == len(splits)
        assert [split.id for split in splits] == [split.id for split in splits_of(source, count)]
        assert_same(read_all(source, count), batches, source_store)
        for split in splits:
            read = sum(chunk.scanned for chunk in source.read(split, None, 7))
            assert split.records in (None, read)


def test_a_split_of_one_namespace_says_so(seeded):
    with source_of(seeded) as source:
        for split in splits_of(source, 8):
            names = {name for chunk in source.read(split, None, 100) for name in chunk.batch.column("namespace").to_pylist()}
            assert split.namespace is None or names <= {split.namespace}


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_order_does_not_depend_on_chunk_size(seeded, size):
    with source_of(seeded) as source:
        assert [row["id"] for row in read_all(source, 3, size)] == [row["id"] for row in read_all(source, 3, 10)]


def test_order_is_the_same_in_another_process(seeded):
    with source_of(seeded) as source, source_of(seeded) as another:
        splits = splits_of(source, 3)
        for split in splits:
            ids = [[row["id"] for chunk in side.read(split, None, 9) for row in rows_of(chunk.batch)] for side in (source, another)]
            assert ids[0] == ids[1]


def test_resume_from_every_cursor_gives_exactly_the_rest(seeded):
    with source_of(seeded) as source:
        for split in splits_of(source, 2):
            chunks = list(checked(source.read(split, None, 6), 6))
            ids = [[row["id"] for row in rows_of(chunk.batch)] for chunk in chunks]
            for place, chunk in enumerate(chunks):
                rest = checked(source.read(split, chunk.cursor, 4), 4, chunk.start + chunk.scanned)
                assert [row["id"] for later in rest for row in rows_of(later.batch)] == [name for later in ids[place + 1 :] for name in later]


def test_keys_are_those_read_in_order(seeded):
    with source_of(seeded) as source:
        if not isinstance(source, KeyScanner):
            pytest.skip("the source has no faster way to its keys")
        for split in splits_of(source, 3):
            keys = [(str(row["id"]), row["namespace"]) for batch in source.keys(split) for row in batch.to_pylist()]
            assert keys == [(row["id"], row["namespace"]) for chunk in source.read(split, None, 11) for row in rows_of(chunk.batch)]


def test_selected_namespaces_only(source_store, batches, seeded):
    if len(expected_namespaces(source_store, batches)) == 1:
        pytest.skip("the store has no namespaces")
    with source_of(seeded) as source:
        chosen = [batches[0], batches[2]]
        assert_same(read_all(source, 3, namespaces=tuple(expected_namespaces(source_store, chosen))), chosen, source_store)
        assert read_all(source, 3, namespaces=("nowhere",)) == []


def test_first_namespace_empty(source_store):
    records = numbered(5, namespace="b")
    with source_of(source_store.seed([numbered(0), records], metric="cosine")) as source:
        assert source.describe().count == 5
        assert_same(read_all(source, 3), [records], source_store)


def test_fetch_existing_and_missing(source_store, batches, seeded):
    wanted = rows_of(source_store.adapt(batches[1]))[:3]
    with source_of(seeded) as source:
        namespace = wanted[0]["namespace"]
        found = source.fetch([*(row["id"] for row in wanted), "no such id", "-1"], namespace)
        assert comparable(rows_of(found)) == comparable(wanted)
        assert source.fetch(["no such id"], namespace).num_rows == 0
        if len(expected_namespaces(source_store, batches)) > 1:
            assert source.fetch([wanted[0]["id"]], "").num_rows == 0


def test_hard_records_come_out_unchanged(source_store):
    abilities = abilities_of(source_store.new_target() if source_store.can_read_back else source_store.seed([numbered(1)], metric="cosine"))
    records = hard_batch(abilities)
    with source_of(source_store.seed([records], metric="cosine")) as source:
        assert_same(read_all(source), [records], source_store)


def test_hard_ids_are_fetched(source_store):
    records = source_store.adapt(batch_of([{"id": name, "values": [1, 2, 3]} for name in ("it's", 'say "hi"', "back\\slash", "日本語", "a/b", "%41")]))
    with source_of(source_store.seed([records], metric="cosine")) as source:
        assert comparable(rows_of(source.fetch(records.column("id").to_pylist(), ""))) == comparable(rows_of(records))


def test_integer_ids_are_exact(source_store):
    ids = [0, 5, 2**53 + 1, 2**63 - 2] if source_store.name == "faiss" else [-(2**63), -5, 0, 5, 2**53 + 1, 2**63 - 2]
    records = batch_of([{"id": str(number), "values": [1, 2, place]} for place, number in enumerate(ids)])
    with source_of(source_store.seed([records], metric="euclidean")) as source:
        assert_same(read_all(source, 2), [records], source_store)
        assert source.fetch([source_store.adapt(records).column("id")[2].as_py()], "").num_rows == 1


def test_sparse_values(source_store):
    records = batch_of(
        [
            {"id": "a", "values": [1, 2, 3], "sparse_values": {"indices": [0, 7, 2**31 - 2], "values": [0.1, 2.5, 1e-30]}},
            {"id": "b", "values": [1, 2, 3], "sparse_values": {"indices": [5], "values": [1.0]}},
        ]
    )
    with source_of(source_store.seed([source_store.adapt(records)], metric="dotproduct")) as source:
        assert_same(read_all(source), [records], source_store)


def test_one_record(source_store):
    records = numbered(1)
    with source_of(source_store.seed([records], metric="cosine")) as source:
        assert_same(read_all(source, 8, 1), [records], source_store)


def test_no_records(source_store):
    with source_of(source_store.seed([numbered(0)], metric="cosine")) as source:
        assert source.describe().count == 0
        assert read_all(source, 8) == []
        assert source.fetch(["a"], "").num_rows == 0


def test_1536_dimensions(source_store):
    vectors = np.random.default_rng(7).standard_normal((40, 1536), dtype=np.float32)
    records = batch_of([{"id": f"r{place}", "values": row} for place, row in enumerate(vectors)], 1536)
    with source_of(source_store.seed([records], metric="cosine")) as source:
        assert source.describe().dimension == 1536
        assert_same(read_all(source, 3), [records], source_store)


def test_unknown_option_is_refused(seeded):
    endpoint = endpoints.parse(f"{seeded}{'&' if '?' in seeded else '?'}no_such_option=1")
    with pytest.raises(ConfigError, match="no_such_option"):
        connector(endpoint.connector).open_source(endpoint)


def test_examine_passes(seeded):
    endpoint = endpoints.parse(seeded)
    steps = list(connector(endpoint.connector).examine(endpoint))
    assert steps
    assert [step for step in steps if step.status == "failed"] == []


def test_close_twice_and_open_again(source_store, batches, seeded):
    for _ in range(2):
        with source_of(seeded) as source:
            chunks = source.read(splits_of(source)[0], None, 1)
            next(chunks)
            chunks.close()
            source.close()
    with source_of(seeded) as source:
        assert_same(read_all(source), batches, source_store)
