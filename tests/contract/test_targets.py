"""What every target promises: durable writes, whole records, the same part twice is once, and refusals that change nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from migrator import endpoints
from migrator.connectors import connector
from migrator.errors import ConfigError, PlanError
from migrator.protocols import Deletable, PartKeeper, PartReader, Searchable
from tests.contract.kit import (
    abilities_of,
    assert_same,
    collection_of,
    hard_batch,
    plan_to,
    read_all,
    rows_of,
    source_of,
    target_of,
    write_all,
)
from tests.unit.batches import batch_of, numbered


@pytest.fixture
def endpoint(target_store):
    return target_store.new_target()


def test_written_is_there(target_store, endpoint):
    batches = [target_store.adapt(batch) for batch in (numbered(25), numbered(17, namespace="a", start=25), numbered(18, namespace="日本", start=42))]
    write_all(endpoint, batches)
    assert_same(target_store.read_back(endpoint), batches, target_store)
    with source_of(endpoint) as source:
        assert_same(read_all(source, 3), batches, target_store)
        found = source.describe()
        assert (found.dimension, found.metric, found.count) == (3, "cosine", 60)


def test_hard_records(target_store, endpoint):
    records = hard_batch(abilities_of(endpoint))
    write_all(endpoint, [records])
    assert_same(target_store.read_back(endpoint), [records], target_store)


def test_a_batch_of_several_namespaces(target_store, endpoint):
    names = ["", "a", "a", "日本", "", "with space", "a"]
    records = target_store.adapt(batch_of([{"id": f"r{place}", "values": [1, 2, place], "namespace": name} for place, name in enumerate(names)]))
    write_all(endpoint, [records])
    assert_same(target_store.read_back(endpoint), [records], target_store)


def test_one_id_in_two_namespaces(target_store, endpoint):
    if abilities_of(endpoint).ids_unique_across_namespaces:
        pytest.skip("the store says that it cannot")
    batches = [batch_of([{"id": "a", "values": [1, 2, 3], "namespace": name, "metadata": {"in": name}}]) for name in ("one", "two")]
    write_all(endpoint, batches)
    assert_same(target_store.read_back(endpoint), batches, target_store)


def test_parts_are_read_back_before_they_are_finished(target_store, endpoint):
    names = ["", "a", "日本", "a"]
    several = target_store.adapt(batch_of([{"id": f"n{place}", "values": [1, 2, place], "namespace": name} for place, name in enumerate(names)]))
    sparse = target_store.adapt(batch_of([{"id": "s", "values": [1, 2, 3], "sparse_values": {"indices": [9, 0], "values": [0.1, 2.5]}}, {"id": "t"}]))
    parts = [hard_batch(abilities_of(endpoint)), several, sparse]
    with target_of(endpoint) as target:
        if not isinstance(target, PartReader):
            pytest.skip("its records can be looked up by id")
        target.prepare(collection_of(parts, metric="dotproduct"), plan_to(endpoint))
        for number, batch in enumerate(parts):
            target.write(batch, f"s.{number}")
        for number, batch in enumerate(parts):
            assert_same([row for found in target.read_part(f"s.{number}") for row in rows_of(found)], [batch], target_store)
        target.write(numbered(2), "s.1")
        assert_same([row for found in target.read_part("s.1") for row in rows_of(found)], [numbered(2)], target_store)
        assert list(target.read_part("s.9")) == []


def test_integer_ids_are_exact(target_store, endpoint):
    ids = [-(2**63), -5, 0, 5, 2**53 + 1, 2**63 - 2]
    records = batch_of([{"id": str(number), "values": [1, 2, place]} for place, number in enumerate(ids)])
    write_all(endpoint, [records], id_type="int64")
    assert_same(target_store.read_back(endpoint), [records], target_store)
    with source_of(endpoint) as source:
        assert source.describe().id_type == ("int64" if "int64" in abilities_of(endpoint).id_types else "string")
        assert_same(read_all(source), [records], target_store)


def test_sparse_values(target_store, endpoint):
    records = target_store.adapt(
        batch_of(
            [
                {"id": "a", "values": [1, 2, 3], "sparse_values": {"indices": [0, 7, 2**31 - 2], "values": [0.1, 2.5, 1e-30]}},
                {"id": "b", "values": [1, 2, 3]},
            ]
        )
    )
    write_all(endpoint, [records], metric="dotproduct")
    assert_same(target_store.read_back(endpoint), [records], target_store)


def test_1536_dimensions(target_store, endpoint):
    vectors = np.random.default_rng(7).standard_normal((40, 1536), dtype=np.float32)
    records = batch_of([{"id": f"r{place}", "values": row} for place, row in enumerate(vectors)], 1536)
    write_all(endpoint, [records])
    assert_same(target_store.read_back(endpoint), [records], target_store)


def test_one_record(target_store, endpoint):
    write_all(endpoint, [numbered(1)])
    assert_same(target_store.read_back(endpoint), [numbered(1)], target_store)


def test_no_records(target_store, endpoint):
    write_all(endpoint, [numbered(0)])
    assert target_store.read_back(endpoint) == []
    with source_of(endpoint) as source:
        assert (source.describe().count, source.describe().dimension) == (0, 3)


def test_the_same_part_twice_is_once(target_store, endpoint):
    records = numbered(20)
    write_all(endpoint, [records])
    with target_of(endpoint) as target:
        target.prepare(collection_of([records]), plan_to(endpoint))
        target.write(records, "split.0")
        target.finish()
    assert_same(target_store.read_back(endpoint), [records], target_store)


def test_a_part_written_again_replaces_it(target_store, endpoint):
    old, new = numbered(10), batch_of([{"id": f"r{place}", "values": [9, 9, place], "metadata": {"new": place}} for place in range(10)])
    with target_of(endpoint) as target:
        target.prepare(collection_of([old, new]), plan_to(endpoint))
        target.write(old, "split.0")
        target.write(new, "split.0")
        target.finish()
    assert_same(target_store.read_back(endpoint), [new], target_store)


def test_an_id_written_again_replaces_the_whole_record(target_store, endpoint):
    old = batch_of([{"id": "a", "values": [1, 2, 3], "metadata": {"old": 1, "both": "x"}}, {"id": "b", "values": [1, 2, 3], "metadata": {"old": 1}}])
    new = batch_of([{"id": "a", "values": [4, 5, 6], "metadata": {"both": "y"}}, {"id": "b", "values": [4, 5, 6]}])
    with target_of(endpoint) as target:
        if isinstance(target, PartKeeper):
            pytest.skip("the store keeps parts, not ids")
        target.prepare(collection_of([old, new]), plan_to(endpoint))
        target.write(old, "split.0")
        target.write(new, "split.1")
        target.finish()
    assert_same(target_store.read_back(endpoint), [new], target_store)


def test_parts_no_checkpoint_covers_are_dropped(target_store, endpoint):
    kept, stray = numbered(10), numbered(10, start=5)
    with target_of(endpoint) as target:
        if not isinstance(target, PartKeeper):
            pytest.skip("the store replaces by id")
        target.prepare(collection_of([kept]), plan_to(endpoint))
        target.write(kept, "split.0")
        target.write(stray, "split.1")
        target.keep({"split.0": 10})
        target.finish()
    assert_same(target_store.read_back(endpoint), [kept], target_store)


@pytest.mark.parametrize(("dimension", "metric"), [(4, "cosine"), (3, "euclidean")])
def test_a_target_that_does_not_fit_is_refused_and_unchanged(target_store, endpoint, dimension, metric):
    records = numbered(5)
    write_all(endpoint, [records])
    other = batch_of([{"id": "x", "values": [1.0] * dimension}], dimension)
    with target_of(endpoint) as target, pytest.raises(PlanError) as caught:
        target.prepare(collection_of([other], metric=metric), plan_to(endpoint))
    assert caught.value.fix
    assert_same(target_store.read_back(endpoint), [records], target_store)


def test_prepare_finish_and_close_are_safe_twice(target_store, endpoint):
    records = numbered(8)
    with target_of(endpoint) as target:
        for _ in range(2):
            target.prepare(collection_of([records]), plan_to(endpoint))
        target.write(records, "split.0")
        for _ in range(2):
            target.finish()
        target.close()
    assert_same(target_store.read_back(endpoint), [records], target_store)


def test_another_connection_goes_on_where_one_stopped(target_store, endpoint):
    batches = [numbered(10), numbered(10, start=10)]
    for number, batch in enumerate(batches):
        with target_of(endpoint) as target:
            target.prepare(collection_of(batches), plan_to(endpoint))
            target.write(batch, f"split.{number}")
    with target_of(endpoint) as target:
        target.prepare(collection_of(batches), plan_to(endpoint))
        target.finish()
    assert_same(target_store.read_back(endpoint), batches, target_store)


def test_writes_from_several_threads(target_store, endpoint):
    batches = [numbered(30, start=30 * number) for number in range(8)]
    with target_of(endpoint) as target:
        target.prepare(collection_of(batches), plan_to(endpoint))
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda number: target.write(batches[number], f"split-{number % 3}.{number}"), range(8)))
        target.finish()
    assert_same(target_store.read_back(endpoint), batches, target_store)


def test_deleted_is_gone(target_store, endpoint):
    records = numbered(10)
    with target_of(endpoint) as target:
        if not isinstance(target, Deletable):
            pytest.skip("the store cannot delete")
        target.prepare(collection_of([records]), plan_to(endpoint))
        target.write(records, "split.0")
        target.delete(["r3", "r4", "no such id"], "")
        target.finish()
    assert_same(target_store.read_back(endpoint), [records.slice(0, 3), records.slice(5)], target_store)


@pytest.mark.parametrize("metric", ["cosine", "dotproduct", "euclidean"])
def test_nearest_first(endpoint, metric):
    records = batch_of([{"id": name, "values": values} for name, values in (("x", [1, 0, 0]), ("y", [0, 1, 0]), ("xy", [0.8, 0.6, 0]))])
    write_all(endpoint, [records], metric=metric)
    with source_of(endpoint) as source:
        if not isinstance(source, Searchable):
            pytest.skip("the store does not search")
        ((first, second),) = source.search([[1.0, 0.1, 0.0]], 2, None)
        assert [first[0], second[0]] == ["x", "xy"]
        assert first[1] < second[1] if metric == "euclidean" else first[1] > second[1]


def test_only_what_matches_is_searched(endpoint):
    abilities = abilities_of(endpoint)
    if not (abilities.searches and abilities.metadata):
        pytest.skip("the store does not search")
    metadata = [{"year": 1900}, {"year": 1910, "tags": ["x", "y"]}, {"tags": ["y"]}, {}]
    records = batch_of([{"id": f"r{place}", "values": [1, place, 1], "metadata": found} for place, found in enumerate(metadata)])
    write_all(endpoint, [records])
    with source_of(endpoint) as source:
        for filter_, names in (({"year": {"$gt": 1905}}, ["r1"]), ({"tags": "y"}, ["r1", "r2"]), ({"$or": [{"year": 1900}, {"tags": "x"}]}, ["r0", "r1"])):
            assert sorted(name for name, _ in source.search([[1.0, 0.0, 1.0]], 4, "", filter_)[0]) == names


def test_unknown_option_is_refused(endpoint):
    parsed = endpoints.parse(f"{endpoint}{'&' if '?' in endpoint else '?'}no_such_option=1")
    with pytest.raises(ConfigError, match="no_such_option"):
        connector(parsed.connector).open_target(parsed)
