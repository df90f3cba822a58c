"""Digests: free of order and of batches, and different for every difference that counts."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from migrator import digest, records, row_bytes
from tests.unit.batches import batch_of, numbered, rows

BASE = {
    "id": "a",
    "values": [1.0, -2.5, 0.0],
    "sparse_values": {"indices": [3, 9], "values": [0.5, 0.25]},
    "metadata": {"n": 1, "text": "x", "list": ["p", "q"], "nested": {"deep": 1.5}},
    "namespace": "ns",
}


def digest_of(*batches: pa.RecordBatch) -> digest.Digest:
    total = digest.Digest()
    for batch in batches:
        hashes = digest.hash_rows(batch)
        total.add(hashes, digest.namespace_digests(hashes, batch.column("namespace")))
    return total


def one_by_one(row: dict[str, object]) -> tuple[int, bytes]:
    """Return a record's key and hash, computed as the module's first lines say, from nothing but the record: ledgers hold such hashes."""
    key = seed = xxhash.xxh3_64_intdigest(str(row["id"]).encode(), xxhash.xxh3_64_intdigest(str(row["namespace"]).encode()))
    if (text := records.canonical_metadata(row["metadata"])) is not None:
        seed = xxhash.xxh3_64_intdigest(row_bytes.equal_numbers(text.encode()), seed)
    if (sparse := row["sparse_values"]) is not None:
        pairs = sorted(zip(sparse["indices"], sparse["values"], strict=True), key=lambda pair: pair[0])
        indices, weights = np.array([i for i, _ in pairs], np.uint32), np.array([w for _, w in pairs], np.float32)
        seed = xxhash.xxh3_64_intdigest(b"\0" + indices.tobytes() + weights.tobytes(), seed)
    return key, xxhash.xxh3_128_digest(np.array(row["values"], np.float32).tobytes(), seed)


def row_hash(row: dict[str, object]) -> bytes:
    return digest.hash_rows(batch_of([row])).rows.tobytes()


def same(left: digest.Digest, right: digest.Digest) -> bool:
    present = [{name: found for name, found in side.namespaces.items() if found.count} for side in (left, right)]
    assert (present[0] == present[1]) == (not len(left.differing_buckets(right)))
    assert (present[0] == present[1]) == (digest.fingerprint(left.namespaces) == digest.fingerprint(right.namespaces))
    return present[0] == present[1]


@given(st.lists(rows, max_size=12), st.randoms(use_true_random=False), st.lists(st.integers(0, 12), max_size=4))
def test_order_and_batches_do_not_matter(found, random, cuts):
    shuffled = list(found)
    random.shuffle(shuffled)
    bounds = sorted({0, len(found), *(cut for cut in cuts if cut <= len(found))})
    parts = [batch_of(shuffled[first:last]) for first, last in itertools.pairwise(bounds)]
    assert same(digest_of(batch_of(found)), digest_of(*parts))


@given(st.lists(rows, min_size=1, max_size=8), st.data())
def test_a_doubled_or_lost_record_is_noticed(found, data):
    place = data.draw(st.integers(0, len(found) - 1))
    whole = digest_of(batch_of(found))
    assert not same(whole, digest_of(batch_of([*found, found[place]])))
    assert not same(whole, digest_of(batch_of(found[:place] + found[place + 1 :])))


def test_every_bit_of_a_vector_counts():
    seen = {row_hash(BASE)}
    for component in range(3):
        for bit in range(32):
            values = np.array(BASE["values"], np.float32)
            values.view(np.uint32)[component] ^= np.uint32(1 << bit)
            batch = records.make_batch(
                ["a"],
                values.reshape(1, 3),
                namespace="ns",
                metadata=batch_of([BASE]).column("metadata"),
                sparse_values=batch_of([BASE]).column("sparse_values"),
            )
            seen.add(digest.hash_rows(batch).rows.tobytes())
    assert len(seen) == 97


@pytest.mark.parametrize(
    "change",
    [
        {"id": "b"},
        {"namespace": ""},
        {"namespace": "other"},
        {"metadata": None},
        {"metadata": {**BASE["metadata"], "n": 2}},
        {"metadata": {**BASE["metadata"], "n": "1"}},
        {"metadata": {**BASE["metadata"], "n": True}},
        {"metadata": {**BASE["metadata"], "list": ["q", "p"]}},
        {"metadata": {**BASE["metadata"], "nested": {"deep": 1.25}}},
        {"metadata": {**BASE["metadata"], "more": None}},
        {"sparse_values": None},
        {"sparse_values": {"indices": [3, 9], "values": [0.5, np.nextafter(np.float32(0.25), np.float32(1))]}},
        {"sparse_values": {"indices": [3, 10], "values": [0.5, 0.25]}},
        {"sparse_values": {"indices": [3, 9], "values": [0.25, 0.5]}},
        {"sparse_values": {"indices": [3], "values": [0.5]}},
    ],
    ids=repr,
)
def test_every_part_of_a_record_counts(change):
    assert row_hash({**BASE, **change}) != row_hash(BASE)


@pytest.mark.parametrize(
    ("left", "right"),
    [(1, 1.0), (0, -0.0), (1000, 1e3), ([1, 2], [1.0, 2.0]), ({"x": 5}, {"x": 5.0}), (10**22, 1e22), (2**60, float(2**60)), (-7, -7.0)],
    ids=repr,
)
def test_equal_numbers_are_equal_however_they_are_spelled(left, right):
    assert row_hash({**BASE, "metadata": {"v": left, "w": 1.5e-9}}) == row_hash({**BASE, "metadata": {"v": right, "w": 1.5e-9}})


@pytest.mark.parametrize(("left", "right"), [(2**53 + 1, float(2**53)), (1, True), (0, False), ("1", 1), ("1.0", "1"), (1.0000000000000002, 1)], ids=repr)
def test_unequal_values_stay_unequal(left, right):
    assert row_hash({**BASE, "metadata": {"v": left}}) != row_hash({**BASE, "metadata": {"v": right}})


def test_the_order_of_sparse_indices_does_not_count():
    assert row_hash({**BASE, "sparse_values": {"indices": [9, 3], "values": [0.25, 0.5]}}) == row_hash(BASE)


def test_the_same_bytes_as_metadata_and_as_sparse_values_are_two_things():
    text = '{"a":12}'
    (index,), (weight,) = np.frombuffer(text[:4].encode(), np.uint32), np.frombuffer(text[4:].encode(), np.float32)
    bare = {"id": "a", "values": [1.0, 2.0, 3.0]}
    assert row_hash({**bare, "metadata": {"a": 12}}) != row_hash({**bare, "sparse_values": {"indices": [int(index)], "values": [float(weight)]}})


def test_records_that_swap_their_ids_are_noticed():
    left, right = {**BASE, "id": "a"}, {**BASE, "id": "b", "values": [9.0, 9.0, 9.0]}
    assert not same(digest_of(batch_of([left, right])), digest_of(batch_of([{**left, "id": "b"}, {**right, "id": "a"}])))


def test_paired_sign_flips_do_not_cancel():
    # the weakness of a plain dot product as a hash
    left = [{"id": "a", "values": [1.0, 2.0, 3.0]}, {"id": "b", "values": [-1.0, 2.0, 3.0]}]
    right = [{"id": "a", "values": [-1.0, 2.0, 3.0]}, {"id": "b", "values": [1.0, 2.0, 3.0]}]
    assert not same(digest_of(batch_of(left)), digest_of(batch_of(right)))


def test_a_slice_hashes_like_the_rows_it_shows():
    batch = numbered(9)
    whole, part = digest.hash_rows(batch), digest.hash_rows(batch.slice(4, 3))
    assert (whole.rows[4:7] == part.rows).all()
    assert (whole.keys[4:7] == part.keys).all()


def test_records_without_dense_vectors_hash():
    batch = batch_of([{"id": "a", "sparse_values": {"indices": [1], "values": [1.0]}}, {"id": "b", "sparse_values": {"indices": [2], "values": [1.0]}}], 0)
    assert len({bytes(row) for row in digest.hash_rows(batch).rows}) == 2


spelled = st.sampled_from(["1.0", "-0", "0.10", "1e3", "a.0", "e", "1E", "-0.0", "x", "5"]) | st.floats(allow_nan=False, allow_infinity=False)
drawn = st.one_of(rows, st.builds(lambda row, value: {**row, "metadata": {"v": value, "w": [value]}}, rows, spelled))


@given(st.lists(drawn, min_size=1, max_size=12), st.data())
def test_a_batch_hashes_as_its_records_do_one_by_one(found, data):
    first = data.draw(st.integers(0, len(found) - 1))
    last = data.draw(st.integers(first + 1, len(found)))
    if data.draw(st.booleans()):
        found = [{**row, "namespace": found[0]["namespace"]} for row in found]
    hashes = digest.hash_rows(batch_of(found).slice(first, last - first))
    assert [(int(key), row.tobytes()) for key, row in zip(hashes.keys, hashes.rows, strict=True)] == [one_by_one(row) for row in found[first:last]]


@pytest.mark.parametrize("dimension", [0, 1, 3, 255, 256, 700])
@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 33])
def test_rows_of_any_length_hash_as_one_by_one(dimension, count):
    values = np.random.default_rng(dimension).standard_normal((count + 2, dimension), np.float32)
    batch = records.make_batch([f"r{place}" for place in range(count + 2)], values).slice(1, count)
    expected = [
        one_by_one({"id": f"r{place}", "namespace": "", "values": values[place], "metadata": None, "sparse_values": None})[1] for place in range(1, count + 1)
    ]
    assert [row.tobytes() for row in digest.hash_rows(batch).rows] == expected


def test_an_index_that_is_there_twice_keeps_the_order_of_its_weights():
    twice = {"indices": [9, 3, 9, 3], "values": [0.25, 0.5, 0.75, 1.0]}
    plain = {**BASE, "sparse_values": None}
    batch = batch_of([plain, {**BASE, "sparse_values": twice}, {**BASE, "sparse_values": {"indices": [], "values": []}}])
    expected = [None, b"\0" + np.array([3, 3, 9, 9], "<u4").tobytes() + np.array([0.5, 1.0, 0.25, 0.75], "<f4").tobytes(), b"\0"]
    assert row_bytes.sparse_bytes(batch.column("sparse_values")) == expected


def test_a_sparse_vector_that_is_none_is_no_hash():
    kind = records.SPARSE_TYPE
    with pytest.raises(ValueError, match="as many indices as values"):
        row_bytes.sparse_bytes(pa.array([{"indices": [1, 2], "values": [1.0]}], kind))
    with pytest.raises(ValueError, match="a null among its values"):
        row_bytes.sparse_bytes(pa.array([{"indices": [1], "values": [None]}], kind))


@pytest.mark.parametrize(("names", "only"), [(["a", "a"], "a"), (["", ""], ""), (["ab", "ba"], None), (["a", "aa", "a"], None), (["", "a"], None), ([], None)])
def test_the_only_name_of_a_column(names, only):
    assert row_bytes.only_name(pa.array(names, pa.string())) == only
    assert row_bytes.only_name(pa.array(["zz", *names, "b"], pa.string()).slice(1, len(names))) == only


def test_an_empty_batch_adds_nothing():
    assert same(digest_of(), digest_of(records.empty_batch(3)))


def test_namespace_digest_survives_json():
    found = digest_of(numbered(5, namespace="x")).namespaces["x"]
    assert digest.NamespaceDigest.from_json(found.to_json()) == found


def test_fingerprints_do_not_confuse_names_with_digests():
    one = digest_of(numbered(2, namespace="x"), numbered(2, namespace="y")).namespaces
    other = {"x": one["y"], "y": one["x"]}
    assert digest.fingerprint(one) != digest.fingerprint(other)
