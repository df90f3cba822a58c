"""Every kind of index: read bit for bit where it holds the vectors, with a finding where it does not, refused by name where it cannot."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
import pytest

from migrator.connectors import faiss as connector
from migrator.endpoints import parse
from migrator.errors import ConfigError, UnreadableSourceError
from tests.faiss.reading import by_id, opened, read_all, seed, vectors
from tests.parameters import rest_slow

COUNT = 700
DATA = Path(__file__).parents[1] / "data"

EXACT = ["Flat", "HNSW8,Flat", "NSG8,Flat", "Flat,RFlat", "SQ8,RFlat", "IVF8,Flat,RFlat", "IVF8,PQ4x4fs,RFlat", "IVF8(IVF4,Flat),Flat"]
EXACT_WITH_IDS = ["IDMap,Flat", "IDMap,HNSW8,Flat", "IDMap2,Flat", "IVF8,Flat", "IDMap,IVF8,Flat", "IDMap2,HNSW8,Flat", "IDMap,SQ8,RFlat"]
# kind -> largest relative error of a right decoder on standard normal data; reading other rows' vectors would give about 1.4
LOSSY = {
    "SQ8": 0.02, "SQfp16": 0.001, "PQ8x4": 0.6, "IVF8,PQ8x4": 0.6, "IVF8,SQ8": 0.02, "HNSW8,SQ8": 0.02, "IVF8,SQfp16": 0.001, "RQ4x4": 0.95, "IVF8,RQ4x4": 0.95,
    "LSQ4x4": 1.1, "PRQ2x2x4": 0.95, "IVF8,PRQ2x2x4": 0.95, "LSHt": 1.2, "PCA8,IVF8,Flat": 0.95, "PCA16,Flat": 1e-5, "PCAW16,Flat": 1e-5,
    "PCAR16,IVF4,Flat": 1e-5,
    "RR16,Flat": 1e-5, "RR32,Flat": 1e-5, "OPQ4_16,PQ4x4": 0.95, "Pad32,Flat": 1e-6, "IDMap,SQ8": 0.02, "IDMap,PCA16,Flat": 1e-5, "PCA16,IDMap,Flat": 1e-5,
}  # fmt: skip


@pytest.mark.parametrize("metric", rest_slow([faiss.METRIC_L2, faiss.METRIC_INNER_PRODUCT]))
@pytest.mark.parametrize("kind", EXACT + EXACT_WITH_IDS)
def test_exact_kinds_are_read_bit_for_bit(tmp_path, kind, metric):
    values = vectors(COUNT)
    ids = np.random.default_rng(3).permutation(10_000)[:COUNT] * 7 - 5_000 if kind in EXACT_WITH_IDS else None
    seed(tmp_path / "a.index", kind, values, ids, metric)
    with opened(f"faiss:{tmp_path}/a.index") as source:
        found, collection = by_id(source), source.describe()
    names = map(str, range(COUNT) if ids is None else ids.tolist())
    assert {name: value.tobytes() for name, value in found.items()} == {name: value.tobytes() for name, value in zip(names, values, strict=True)}
    assert collection.lossless
    assert collection.unique_ids
    assert (collection.id_type, collection.dimension, collection.count) == ("int64", 16, COUNT)
    assert collection.metric == ("euclidean" if metric == faiss.METRIC_L2 else "dotproduct")


@pytest.mark.parametrize(("kind", "error"), rest_slow(LOSSY.items(), 4))
def test_lossy_kinds_are_decoded_row_by_row_and_said_to_be_lossy(tmp_path, kind, error):
    values = vectors(COUNT)
    ids = np.random.default_rng(4).permutation(COUNT) + 50 if "IVF" in kind or "IDMap" in kind else None
    seed(tmp_path / "a.index", kind, values, ids)
    with opened(f"faiss:{tmp_path}/a.index") as source:
        found, collection = by_id(source), source.describe()
    ordered = np.stack([found[str(name)] for name in (range(COUNT) if ids is None else ids.tolist())])
    assert np.linalg.norm(ordered - values) / np.linalg.norm(values) <= error
    (finding,) = [finding for finding in collection.findings if finding.severity == "lossy"]
    assert finding.code == "lossy_index"
    assert f"bytes of the {16 * 4} of a vector" in finding.message
    assert not collection.lossless


@pytest.mark.parametrize("kind", rest_slow(["IVF8,SQ8", "PRQ2x2x4", "IVF8,PQ8x4", "IVF8,RQ4x4", "PCA8,IVF8,SQ8", "OPQ4_16,IVF8,PQ4x4"], 2))
def test_decoding_agrees_with_faiss_reconstructing(tmp_path, kind):
    values = vectors(300)
    seed(tmp_path / "a.index", kind, values)
    index = faiss.read_index(str(tmp_path / "a.index"))
    if "IVF" in kind:
        faiss.extract_index_ivf(index).make_direct_map()
    expected = np.stack([index.reconstruct(row) for row in range(300)])
    with opened(f"faiss:{tmp_path}/a.index") as source:
        found = by_id(source)
    np.testing.assert_allclose(np.stack([found[str(row)] for row in range(300)]), expected, atol=1e-5)


def test_normalised_vectors_are_read_as_they_are_kept(tmp_path):
    values = vectors(50)
    seed(tmp_path / "a.index", "L2norm,Flat", values)
    with opened(f"faiss:{tmp_path}/a.index") as source:
        found = np.stack([record["values"] for record in read_all(source)])
        assert "lengths the vectors had" in source.describe().findings[0].message
    np.testing.assert_allclose(found, values / np.linalg.norm(values, axis=1, keepdims=True), rtol=1e-6)


@pytest.mark.parametrize(
    ("kind", "named", "reason"),
    [
        ("PQ4x4fs", "IndexPQFastScan", "fast-scan"),
        ("IVF8,PQ4x4fs", "IndexIVFPQFastScan", "fast-scan"),
        ("IVF8,FlatDedup", "IndexIVFFlatDedup", "equal vectors once"),
        ("IVF8,RaBitQ", "IndexIVFRaBitQ", "no way"),
        ("ITQ8,LSH", "ITQTransform", "cannot be undone"),
    ],
)
def test_kinds_without_a_way_back_are_refused_by_name(tmp_path, kind, named, reason):
    seed(tmp_path / "a.index", kind, vectors(COUNT))
    with pytest.raises(UnreadableSourceError, match=reason) as caught, opened(f"faiss:{tmp_path}/a.index"):
        pass
    assert named in caught.value.message
    assert f"{tmp_path}/a.index" in caught.value.message
    assert caught.value.fix


def test_binary_indexes_are_refused(tmp_path):
    index = faiss.IndexBinaryFlat(64)
    index.add(np.zeros((3, 8), np.uint8))
    faiss.write_index_binary(index, str(tmp_path / "b.index"))
    with pytest.raises(UnreadableSourceError, match=r"binary index \(IBxF\).*float32"), opened(f"faiss:{tmp_path}/b.index"):
        pass


@pytest.mark.parametrize("metric", [faiss.METRIC_L1, faiss.METRIC_Linf, faiss.METRIC_Jaccard])
def test_metrics_no_other_store_has_are_said(tmp_path, metric):
    seed(tmp_path / "a.index", "Flat", vectors(5), metric=metric)
    with opened(f"faiss:{tmp_path}/a.index") as source:
        assert source.describe().metric is None
        assert [finding.code for finding in source.describe().findings] == ["other_metric"]
    with opened(f"faiss:{tmp_path}/a.index?metric=euclidean") as source:
        assert source.describe().metric == "euclidean"


def test_unit_vectors_by_inner_product_may_be_cosine(tmp_path):
    values = vectors(50)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    seed(tmp_path / "a.index", "Flat", values, metric=faiss.METRIC_INNER_PRODUCT)
    with opened(f"faiss:{tmp_path}/a.index") as source:
        assert [finding.code for finding in source.describe().findings] == ["inner_product_of_unit_vectors"]
    with opened(f"faiss:{tmp_path}/a.index?metric=cosine") as source:
        assert source.describe().metric == "cosine"
        assert not source.describe().findings


def test_vectors_faiss_dropped_on_adding_are_counted(tmp_path):
    values = vectors(100)
    values[[3, 50]] = np.nan
    index = faiss.index_factory(16, "IVF4,Flat")
    index.train(vectors(100))
    index.add(values)
    faiss.write_index(index, str(tmp_path / "a.index"))
    with opened(f"faiss:{tmp_path}/a.index") as source:
        collection = source.describe()
        assert len(read_all(source)) == collection.count == 98
    assert "counts 100 vectors but stores 98" in collection.findings[0].message


def test_odd_floats_come_through_bit_for_bit(tmp_path):
    values = vectors(64)
    values.view(np.uint32)[0, :8] = [0x7FC00001, 0xFFC12345, 0x7F800000, 0xFF800000, 0x80000000, 1, 0x80000001, 0x7F800001]
    seed(tmp_path / "a.index", "Flat", values)
    with opened(f"faiss:{tmp_path}/a.index") as source:
        found = by_id(source)
    assert found["0"].tobytes() == values[0].tobytes()


def test_repeated_and_negative_stored_ids_are_kept_and_not_called_unique(tmp_path):
    seed(tmp_path / "a.index", "IDMap,Flat", vectors(4), np.array([-1, 7, 7, -(2**63)]))
    with opened(f"faiss:{tmp_path}/a.index") as source:
        assert [record["id"] for record in read_all(source)] == ["-1", "7", "7", "-9223372036854775808"]
        assert not source.describe().unique_ids
        assert source.fetch(["7"], "").num_rows == 2


def test_removed_vectors_are_gone(tmp_path):
    values = vectors(10)
    index = faiss.index_factory(16, "IDMap,Flat")
    index.add_with_ids(values, np.arange(100, 110))
    index.remove_ids(np.array([103, 109]))
    faiss.write_index(index, str(tmp_path / "a.index"))
    with opened(f"faiss:{tmp_path}/a.index") as source:
        found = by_id(source)
    assert found.keys() == {str(name) for name in range(100, 110)} - {"103", "109"}
    assert all((found[name] == values[int(name) - 100]).all() for name in found)


@pytest.mark.parametrize("kind", ["Flat", "IDMap,Flat", "IDMap2,Flat", "HNSW8,Flat", "Flat,RFlat"])
def test_an_empty_index_is_an_empty_collection(tmp_path, kind):
    faiss.write_index(faiss.index_factory(8, kind), str(tmp_path / "a.index"))
    with opened(f"faiss:{tmp_path}/a.index") as source:
        assert source.describe().count == 0
        assert read_all(source) == []
        assert source.fetch(["0"], "").num_rows == 0


def test_an_id_map_inside_another_is_refused(tmp_path):
    flat = faiss.IndexFlatL2(4)
    inner = faiss.IndexIDMap(flat)
    outer = faiss.IndexIDMap(inner)
    flat.add(np.zeros((2, 4), np.float32))
    for level in (inner, outer):
        faiss.copy_array_to_vector(np.array([5, 6], np.int64), level.id_map)
        level.ntotal = 2
    faiss.write_index(outer, str(tmp_path / "a.index"))
    with pytest.raises(UnreadableSourceError, match="one id map stands inside another"), opened(f"faiss:{tmp_path}/a.index"):
        pass


@pytest.mark.parametrize("name", ["flat", "flat_ip", "idmap", "idmap2", "ivfflat", "hnsw", "refine"])
def test_files_of_faiss_1_7_are_read_bit_for_bit(name):
    values = np.load(DATA / "faiss_1_7" / "vectors.npy")
    with opened(f"faiss:{DATA}/faiss_1_7/{name}.index") as source:
        found, collection = by_id(source), source.describe()
    first = 1_000 if name.startswith(("idmap", "ivf")) else 0
    assert {key: value.tobytes() for key, value in found.items()} == {str(first + row): value.tobytes() for row, value in enumerate(values)}
    assert collection.metric == ("dotproduct" if name == "flat_ip" else "euclidean")


@pytest.mark.parametrize("name", ["sq8", "ivfpq"])
def test_lossy_files_of_faiss_1_7_are_decoded(name):
    values = np.load(DATA / "faiss_1_7" / "vectors.npy")
    with opened(f"faiss:{DATA}/faiss_1_7/{name}.index") as source:
        found = by_id(source)
        assert not source.describe().lossless
    ordered = np.stack([found[str(1_000 + row if name == "ivfpq" else row)] for row in range(120)])
    assert np.linalg.norm(ordered - values) / np.linalg.norm(values) < 0.8


def test_faiss_is_no_target():
    assert not connector.capabilities().writes
    with pytest.raises(ConfigError, match="read only") as caught:
        connector.open_target(parse("faiss:./x.index"))
    assert "parquet" in caught.value.fix
