"""Folders of .npy files that others wrote, and dumps that are not what their manifest says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from migrator.errors import ConfigError, PermanentError, RejectedRecordsError, UnreadableSourceError
from migrator.model import Selection
from tests.contract.kit import collection_of, plan_to, read_all, source_of, target_of, write_all
from tests.unit.batches import batch_of

ROWS = np.arange(12, dtype=np.float32).reshape(4, 3)


@pytest.fixture
def folder(tmp_path):
    """Write arrays as files of one folder, which may be one of several, and return the dataset's endpoint."""

    def write(part="", **columns):
        (tmp_path / part).mkdir(parents=True, exist_ok=True)
        for name, array in columns.items():
            np.save(tmp_path / part / f"{name}.npy", array)
        return f"numpy:{tmp_path}"

    return write


def records(text):
    with source_of(text) as source:
        return read_all(source)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", ["<f4", ">f4", "<f8", "<f2", "<i2"])
def test_vectors_of_any_number_and_order_are_read(folder, kind, order):
    text = folder(ids=np.arange(4), embeddings=np.asarray(ROWS, kind, order=order))
    assert [row["values"].tolist() for row in records(text)] == ROWS.tolist()
    with source_of(text) as source:
        found = source.describe()
    assert (found.dimension, found.id_type, found.namespaces) == (3, "int64", {"": 4})
    assert found.lossless == (kind[1:] in {"f4", "f2", "i2"})


def test_vectors_alone_get_their_row_numbers_as_ids(folder):
    folder("a", vectors=ROWS)
    text = folder("b", vectors=ROWS)
    found = [(row["id"], row["namespace"]) for row in records(text)]
    assert found == [("0", "a"), ("1", "a"), ("2", "a"), ("3", "a"), ("4", "b"), ("5", "b"), ("6", "b"), ("7", "b")]


def test_other_columns_are_metadata(folder):
    text = folder(
        id=np.array(["a", "b", "c", "d"]), data=ROWS, year=np.arange(4), title=np.array(["é", "", "x", "y"]), meta=np.array(['{"z":1}', "{}", "{}", "{}"])
    )
    assert [row["metadata"] for row in records(text)][:2] == [{"year": 0, "title": "é", "z": 1}, {"year": 1, "title": ""}]


def test_metadata_that_is_no_json_rejects_its_record_alone(folder):
    text = folder(id=np.arange(4), vector=ROWS, metadata=np.array(["{}", "{", "[1]", '{"a":1}']))
    with source_of(text) as source:
        chunks = [chunk for split in source.splits(Selection(), 1) for chunk in source.read(split, None, 10)]
    assert [name for chunk in chunks for name in chunk.batch.column("id").to_pylist()] == ["0", "3"]
    assert [(record.id, record.code) for chunk in chunks for record in chunk.rejected] == [("1", "bad_metadata"), ("2", "bad_metadata")]


def test_names_can_be_given(folder):
    text = folder(key=np.array(["a", "b", "c", "d"]), points=ROWS, tenant=np.array(["x", "x", "y", ""]))
    with pytest.raises(ConfigError, match="no file known to hold vectors") as error:
        records(text)
    assert "points" in error.value.fix
    found = records(f"{text}?id=key&values=points&namespace=tenant")
    assert [(row["id"], row["namespace"]) for row in found] == [("a", "x"), ("b", "x"), ("c", "y"), ("d", "")]
    with pytest.raises(ConfigError, match="has no file nothing"):
        records(f"{text}?values=nothing")


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"id": np.arange(3), "vector": ROWS}, "rows where"),
        ({"id": np.arange(4), "vector": ROWS.reshape(2, 2, 3)}, "rows where|no vectors"),
        ({"id": np.arange(4), "vector": np.array(["a", "b", "c", "d"])}, "no vectors"),
        ({"id": np.arange(4, dtype=np.float64), "vector": ROWS}, "no 64-bit integers"),
        ({"id": np.array([2**63, 1, 2, 3], np.uint64), "vector": ROWS}, "no 64-bit integers"),
        ({"id": np.array([b"\xff", b"a", b"b", b"c"]), "vector": ROWS}, "UTF-8"),
        ({"id": np.arange(4), "vector": np.float32(3)}, "no rows"),
    ],
)
def test_what_is_no_column_of_records_is_named(folder, columns, said):
    text = folder(**columns)
    with pytest.raises(UnreadableSourceError, match=said):
        records(text)


@pytest.mark.parametrize("lacking", ["ids", "vectors"])
def test_a_folder_without_a_file_the_others_have_is_named(folder, lacking):
    folder("a", ids=np.arange(4), vectors=ROWS)
    text = folder("b", **{name: array for name, array in {"ids": np.arange(4), "vectors": ROWS}.items() if name != lacking})
    with pytest.raises(UnreadableSourceError, match=f"b has no {lacking}.npy, as other folders have"):
        records(text)


def test_a_part_of_one_column_is_a_folder_like_the_others(tmp_path):
    batch = batch_of([{"id": "a", "values": []}, {"id": "b", "values": []}], dimension=0)
    text = f"numpy:{tmp_path}"
    write_all(text, [batch])
    assert [path.name for path in tmp_path.rglob("*.npy")] == ["id.npy"]
    assert [row["id"] for row in records(text)] == ["a", "b"]


def test_pickled_objects_are_never_opened(folder, tmp_path):
    text = folder(id=np.arange(4), vector=ROWS)
    np.save(tmp_path / "extra.npy", np.array([{"a": 1}] * 4, object), allow_pickle=True)
    with pytest.raises(UnreadableSourceError, match="not a NumPy file"):
        records(text)


def test_a_file_cut_short_is_named(folder, tmp_path):
    text = folder(id=np.arange(4), vector=ROWS)
    path = tmp_path / "vector.npy"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(UnreadableSourceError, match=r"vector\.npy"):
        records(text)


def test_an_empty_folder_is_no_dataset(tmp_path):
    with pytest.raises(PermanentError, match=r"no \.npy files"):
        records(f"numpy:{tmp_path}")


@pytest.fixture
def dump(tmp_path):
    """Dump a few records and return endpoint and folder of the part."""
    text = f"numpy:{tmp_path / 'dump'}"
    write_all(text, [batch_of([{"id": f"r{number}", "values": [number, 1, 2], "metadata": {"n": number}} for number in range(20)])])
    return text, next(path for path in Path(tmp_path, "dump").rglob("vector.npy")).parent


def test_a_flipped_bit_is_found(dump):
    text, part = dump
    raw = bytearray((part / "vector.npy").read_bytes())
    raw[-3] ^= 1
    (part / "vector.npy").write_bytes(raw)
    with pytest.raises(UnreadableSourceError, match="SHA-256"):
        records(text)


def test_a_missing_file_is_found(dump):
    text, part = dump
    (part / "metadata.npy").unlink()
    with pytest.raises(UnreadableSourceError, match="is missing"):
        records(text)


def test_a_dump_that_is_not_finished_is_no_source(tmp_path):
    text = f"numpy:{tmp_path / 'dump'}"
    with target_of(text) as target:
        batch = batch_of([{"id": "a", "values": [1, 2, 3]}])
        target.prepare(collection_of([batch]), plan_to(text))
        target.write(batch, "s.0")
    with pytest.raises(UnreadableSourceError, match="not finished"):
        records(text)


def test_a_manifest_of_parquet_files_is_named(dump, tmp_path):
    text, _ = dump
    path = tmp_path / "dump" / "manifest.json"
    content = json.loads(path.read_text())
    del content["columns"]
    path.write_text(json.dumps(content))
    with pytest.raises(UnreadableSourceError, match="columns"):
        records(text)


def test_records_with_nul_in_their_id_are_rejected_alone(tmp_path):
    text = f"numpy:{tmp_path / 'dump'}"
    batch = batch_of([{"id": name, "values": [1, 2, 3]} for name in ("a", "b\0", "c\0d", "e")])
    with target_of(text) as target:
        target.prepare(collection_of([batch]), plan_to(text))
        with pytest.raises(RejectedRecordsError) as error:
            target.write(batch, "s.0")
        target.finish()
    assert [record.id for record in error.value.rejected] == ["b\0", "c\0d"]
    assert [row["id"] for row in records(text)] == ["a", "e"]


def test_one_long_text_does_not_make_all_of_them_wide(tmp_path):
    long = "x" * 60_000
    rows = [{"id": f"r{number}", "values": [1, 2, 3], "metadata": {"t": long if number == 7 else "short"}} for number in range(3_000)]
    text = f"numpy:{tmp_path / 'dump'}"
    write_all(text, [batch_of(rows)])
    assert sum(path.stat().st_size for path in Path(tmp_path, "dump").rglob("*.npy")) < 1_000_000
    assert {row["id"]: row["metadata"]["t"] for row in records(text)} == {row["id"]: row["metadata"]["t"] for row in rows}


def test_dtype_u_ids_with_integers_stay_text(folder):
    text = folder(id=np.array(["007", "7", "a", "b"]), vector=ROWS)
    assert [row["id"] for row in records(text)] == ["007", "7", "a", "b"]


def test_seen_again_with_another_count_of_splits(folder):
    for part in "abc":
        folder(part, id=np.array([f"{part}{number}" for number in range(4)]), vector=ROWS)
    text = folder("d", id=np.array(["d0", "d1", "d2", "d3"]), vector=ROWS)
    with source_of(text) as source:
        for count in (1, 2, 3, 5, 16, 40):
            splits = list(source.splits(Selection(), count))
            ids = [name for split in splits for chunk in source.read(split, None, 3) for name in chunk.batch.column("id").to_pylist()]
            assert sorted(ids) == sorted(f"{part}{number}" for part in "abcd" for number in range(4))
            assert sum(split.records for split in splits) == 16
        assert set(source.some_ids("b")) == {"b0", "b2", "b3"}
