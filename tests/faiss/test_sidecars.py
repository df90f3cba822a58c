"""Ids and metadata beside an index: every kind of file, joined by position or by id; wrong ones named, bad rows kept apart."""

from __future__ import annotations

import json
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from migrator.errors import ConfigError, MigratorError, UnreadableSourceError
from migrator.model import Selection
from tests.faiss.reading import opened, read_all, seed, vectors
from tests.parameters import rest_slow

COUNT = 10
NAMES = [f"doc-{row}é" for row in range(COUNT)]
NUMBERS = [10**18 + row for row in range(COUNT)]


@pytest.fixture
def index(tmp_path):
    return seed(tmp_path / "a.index", "Flat", vectors(COUNT))


def write_ids(path, ids):
    if path.suffix == ".npy":
        np.save(path, np.array(ids))
    elif path.suffix == ".json":
        path.write_text(json.dumps(ids))
    elif path.suffix == ".parquet":
        pq.write_table(pa.table({"other": list(range(len(ids))), "id": ids}), path)
    elif path.suffix == ".csv":
        path.write_text("name,id\n" + "".join(f'"x,{row}",{name}\n' for row, name in enumerate(ids)), encoding="utf-8")
    else:
        path.write_text("".join(f"{name}\n" for name in ids), encoding="utf-8")


@pytest.mark.parametrize("suffix", ["npy", "json", "csv", "txt", "parquet"])
@pytest.mark.parametrize(("ids", "kind"), [(NAMES, "string"), (NUMBERS, "int64")])
def test_ids_of_every_kind_of_file(tmp_path, index, suffix, ids, kind):
    write_ids(tmp_path / f"ids.{suffix}", ids)
    with opened(f"faiss:{index}?ids={tmp_path}/ids.{suffix}") as source:
        assert [record["id"] for record in read_all(source, splits=3, records=2)] == [str(name) for name in ids]
        assert source.describe().id_type == kind
        keys = [name for split in source.splits(Selection(), 3) for batch in source.keys(split) for name in batch.column("id").to_pylist()]
        assert keys == [str(name) for name in ids]
        assert source.fetch([str(ids[4])], "").column("values").to_pylist() == [vectors(COUNT)[4].tolist()]


def test_ids_that_only_look_like_numbers_stay_text(tmp_path, index):
    (tmp_path / "ids.txt").write_text("".join(f"00{row}\n" for row in range(COUNT)))
    with opened(f"faiss:{index}?ids={tmp_path}/ids.txt") as source:
        assert source.describe().id_type == "string"
        assert read_all(source)[3]["id"] == "003"


@pytest.mark.parametrize("option", ["ids", "metadata"])
@pytest.mark.parametrize("count", [0, COUNT - 1, COUNT + 1, COUNT + 9])
def test_another_length_is_an_error_naming_both(tmp_path, index, option, count):
    (tmp_path / "side.json").write_text(json.dumps(["x" if option == "ids" else {"a": 1}] * count))
    with (
        pytest.raises(ConfigError, match=f"{option}=.*side.json has {count} rows but the index has {COUNT} vectors"),
        opened(f"faiss:{index}?{option}={tmp_path}/side.json"),
    ):
        pass


@pytest.mark.parametrize("option", ["ids", "metadata"])
@pytest.mark.parametrize("suffix", ["json", "csv", "parquet"])
def test_a_missing_sidecar_is_named(tmp_path, index, option, suffix):
    with pytest.raises(ConfigError, match=f"gone.{suffix} cannot be opened") as caught, opened(f"faiss:{index}?{option}={tmp_path}/gone.{suffix}"):
        pass
    assert caught.value.fix


@pytest.mark.parametrize("option", ["ids", "metadata"])
@pytest.mark.parametrize("suffix", rest_slow(["json", "parquet", "npy", "csv", "jsonl", "xlsx"], 2))
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x93NUMPY\x01\x00v\x00{'descr': '<i8', 'shape': (10,",
        b"\x93NUMPY\x01\x00\x06\x00('''\n  ",
        b"PAR1garbagePAR1",
        b"\xff\xfe\x00[1,",
        b"[1, 2",
        b"[" * 200_000,
        b'"',
    ],
)
def test_garbage_gives_one_error_and_no_traceback(tmp_path, index, option, suffix, content):
    (tmp_path / f"bad.{suffix}").write_bytes(content)
    with pytest.raises(MigratorError, match=f"{option}=.*bad.{suffix}") as caught, opened(f"faiss:{index}?{option}={tmp_path}/bad.{suffix}"):
        pass
    assert caught.value.fix
    assert caught.value.exit_code == 2


def test_pickled_ids_in_npy_are_not_unpickled(tmp_path, index):
    np.save(tmp_path / "ids.npy", np.array([{"a": 1}] * COUNT, object), allow_pickle=True)
    with pytest.raises(UnreadableSourceError, match="holds object"), opened(f"faiss:{index}?ids={tmp_path}/ids.npy"):
        pass


ROWS = [{"n": row, "half": row / 2, "name": f"näme {row}", "tags": ["a", "b"]} for row in range(COUNT)]


@pytest.mark.parametrize("suffix", ["jsonl", "ndjson", "json", "parquet", "csv"])
def test_metadata_of_every_kind_of_file(tmp_path, index, suffix):
    rows = ROWS if suffix != "csv" else [{key: value for key, value in row.items() if key != "tags"} for row in ROWS]
    path = tmp_path / f"meta.{suffix}"
    if suffix == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=3)
    elif suffix == "csv":
        path.write_text("n,half,name\n" + "".join(f"{row['n']},{row['half']},{row['name']}\n" for row in rows), encoding="utf-8")
    elif suffix == "json":
        path.write_text(json.dumps(rows, indent=1))
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with opened(f"faiss:{index}?metadata={path}") as source:
        assert [record["metadata"] for record in read_all(source, splits=2, records=3)] == rows
        assert source.describe().fields["name"] == "string"
        assert source.describe().unique_ids


def test_numbers_keep_their_kind_and_size(tmp_path, index):
    rows = [{"big": 2**70 + row, "one": 1, "one_point": 1.0, "empty": None} for row in range(COUNT)]
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with opened(f"faiss:{index}?metadata={tmp_path}/m.jsonl") as source:
        found = [record["metadata"] for record in read_all(source)]
    assert [repr(row) for row in found] == [repr(dict(sorted(row.items()))) for row in rows]


def test_empty_cells_of_tables_are_absent_keys(tmp_path, index):
    pq.write_table(pa.table({"a": [None if row % 2 else row for row in range(COUNT)]}), tmp_path / "m.parquet")
    with opened(f"faiss:{index}?metadata={tmp_path}/m.parquet") as source:
        assert [record["metadata"] for record in read_all(source)] == [None if row % 2 else {"a": row} for row in range(COUNT)]


def test_columns_of_a_csv_file_are_numbers_only_where_every_cell_is(tmp_path, index):
    cells = {"code": "007", "whole": "12", "part": "1.5", "mixed": "3", "flag": "true", "day": "2024-01-02", "empty": ""}
    lines = [",".join(cells)] + [",".join(cells.values())] * (COUNT - 1) + ['"a,b",,2,x,false,"two\nlines",']
    (tmp_path / "m.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    with opened(f"faiss:{index}?metadata={tmp_path}/m.csv") as source:
        found = [record["metadata"] for record in read_all(source)]
    assert found[0] == {"code": "007", "whole": 12, "part": 1.5, "mixed": "3", "flag": True, "day": "2024-01-02", "empty": ""}
    assert found[-1] == {"code": "a,b", "part": 2.0, "mixed": "x", "flag": False, "day": "two\nlines", "empty": ""}


@pytest.mark.parametrize("bad", ["{broken", '{"a": NaN}', '["list"]', '"text"', '{"a": "\\ud800"}', "[" * 100_000])
def test_a_bad_row_is_rejected_with_its_number_and_the_others_are_read(tmp_path, index, bad):
    lines = [json.dumps(row) for row in ROWS]
    lines[6] = bad
    (tmp_path / "m.jsonl").write_text("\n".join(lines) + "\n\n")
    with opened(f"faiss:{index}?metadata={tmp_path}/m.jsonl") as source:
        (split,) = source.splits(Selection(), 1)
        chunks = list(source.read(split, None, 4))
    assert [chunk.scanned for chunk in chunks] == [4, 4, 2]
    (rejected,) = chunks[1].rejected
    assert (rejected.id, rejected.code, rejected.field) == ("6", "bad_metadata", "metadata")
    assert "row 7" in rejected.message
    assert chunks[1].rows.tolist() == [4, 5, 7]
    assert chunks[1].batch.column("id").to_pylist() == ["4", "5", "7"]
    assert chunks[1].batch.column("values").to_pylist() == vectors(COUNT)[[4, 5, 7]].tolist()
    assert chunks[2].rows is None


@pytest.mark.parametrize("kind", ["Flat", "IDMap,Flat", "IVF4,Flat", "IDMap,IVF4,Flat"])
def test_rows_are_joined_by_id_where_their_ids_are_the_records(tmp_path, kind):
    ids = np.random.default_rng(6).permutation(1_000)[:COUNT] if "I" in kind else None
    seed(tmp_path / "b.index", kind, vectors(COUNT), ids)
    names = list(range(COUNT)) if ids is None else ids.tolist()
    rows = [{"id": name, "n": f"of {name}"} for name in reversed(names)]
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with opened(f"faiss:{tmp_path}/b.index?metadata={tmp_path}/m.jsonl") as source:
        found = {record["id"]: record["metadata"] for record in read_all(source, records=3)}
    assert found == {str(name): {"n": f"of {name}"} for name in names}


def test_rows_are_joined_by_ids_of_a_sidecar_and_envelopes_are_opened(tmp_path, index):
    write_ids(tmp_path / "ids.json", NAMES)
    rows = [{"id": name, "metadata": {"of": name}} for name in NAMES[::-1]]
    (tmp_path / "m.json").write_text(json.dumps(rows))
    with opened(f"faiss:{index}?ids={tmp_path}/ids.json&metadata={tmp_path}/m.json") as source:
        assert [(record["id"], record["metadata"]) for record in read_all(source)] == [(name, {"of": name}) for name in NAMES]


def test_an_id_that_names_no_record_is_metadata_by_position(tmp_path, index):
    rows = [{"id": f"chapter {row // 2}", "n": row} for row in range(COUNT)]
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with opened(f"faiss:{index}?metadata={tmp_path}/m.jsonl") as source:
        assert [record["metadata"] for record in read_all(source)] == rows


@pytest.mark.parametrize("kind", ["IVF4,Flat", "IVF4,SQ8"])
def test_positions_of_an_ivf_index_are_its_stored_ids(tmp_path, kind):
    seed(tmp_path / "b.index", kind, vectors(COUNT * 20))
    (tmp_path / "ids.json").write_text(json.dumps([f"n{row}" for row in range(COUNT * 20)]))
    (tmp_path / "m.jsonl").write_text("".join(f'{{"row": {row}}}\n' for row in range(COUNT * 20)))
    with opened(f"faiss:{tmp_path}/b.index?ids={tmp_path}/ids.json&metadata={tmp_path}/m.jsonl") as source:
        records = read_all(source, records=33)
    assert [record["id"] for record in records] == [f"n{row}" for row in range(COUNT * 20)]
    assert [record["metadata"]["row"] for record in records] == list(range(COUNT * 20))
    assert np.abs(np.array([record["values"] for record in records]) - vectors(COUNT * 20)).max() < (1e-9 if kind == "IVF4,Flat" else 0.1)


def test_an_ivf_index_with_other_ids_has_no_positions(tmp_path):
    seed(tmp_path / "b.index", "IVF4,Flat", vectors(COUNT), np.arange(COUNT) + 1)
    write_ids(tmp_path / "ids.json", NAMES)
    with pytest.raises(ConfigError, match="not the positions 0 to n-1"), opened(f"faiss:{tmp_path}/b.index?ids={tmp_path}/ids.json"):
        pass


def test_ids_of_an_id_map_are_replaced_by_position(tmp_path):
    seed(tmp_path / "b.index", "IDMap,Flat", vectors(COUNT), np.arange(COUNT) + 77)
    write_ids(tmp_path / "ids.json", NAMES)
    with opened(f"faiss:{tmp_path}/b.index?ids={tmp_path}/ids.json") as source:
        assert [record["id"] for record in read_all(source)] == NAMES


def test_sidecars_run_across_shards(tmp_path):
    (tmp_path / "parts").mkdir()
    for number in range(2):
        seed(tmp_path / "parts" / f"p{number}.index", "Flat", vectors(COUNT)[number * 5 : number * 5 + 5])
    write_ids(tmp_path / "ids.json", NAMES)
    with opened(f"faiss:{tmp_path}/parts?ids={tmp_path}/ids.json") as source:
        assert [record["id"] for record in read_all(source)] == NAMES


@pytest.mark.parametrize("options", ["id=x", "metric=manhattan", "timeout=soon", "timeout=0"])
def test_wrong_options_are_named(index, options):
    with pytest.raises(ConfigError, match=options.partition("=")[0]) as caught, opened(f"faiss:{index}?{options}"):
        pass
    assert caught.value.fix


def test_a_large_sidecar_stays_out_of_memory_and_in_order(tmp_path):
    count = 30_000
    seed(tmp_path / "b.index", "Flat", vectors(count, dimension=4))
    (tmp_path / "m.json").write_text("[" + ",\n ".join(json.dumps({"row": row, "text": "x" * (row % 200)}) for row in range(count)) + "]\n")
    with opened(f"faiss:{tmp_path}/b.index?metadata={tmp_path}/m.json") as source:
        assert [record["metadata"]["row"] for record in read_all(source, splits=3, records=4_097)] == list(range(count))


LONG = [1234567890123456787, 1234567890123456788, 1234567890123456789]


def write_rows(path, rows):
    """Write ``rows``, which all have the same keys, as the kind of file that ``path`` names."""
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".csv":
        path.write_text(",".join(rows[0]) + "\n" + "".join(",".join(str(value) for value in row.values()) + "\n" for row in rows), encoding="utf-8")
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def joined(folder, ids, rows, suffix, kind="IDMap,Flat"):
    """Return the metadata of each record of an index with ``ids`` beside ``rows``, and the findings about that."""
    seed(folder / "b.index", kind, vectors(len(ids)), np.array(ids))
    write_rows(folder / f"m.{suffix}", rows)
    with opened(f"faiss:{folder}/b.index?metadata={folder}/m.{suffix}") as source:
        return [(record["id"], record["metadata"]) for record in read_all(source, records=2)], source.describe().findings


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_rows_are_joined_by_long_ids(tmp_path, suffix):
    rows = [{"id": name, "title": f"of {name}"} for name in LONG[::-1]]
    found, findings = joined(tmp_path, LONG, rows, suffix)
    assert found == [(str(name), {"title": f"of {name}"}) for name in LONG]
    assert not findings


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1234567890123456789", "1234567890123456788", "5"], [1234567890123456789, 1234567890123456788, 5]),
        (["-9223372036854775808", "9223372036854775807", ""], [-(2**63), 2**63 - 1, None]),
        ([str(2**70), str(-(2**90)), "0"], [2**70, -(2**90), 0]),
        ([str(2**70), "1.5", "0"], [str(2**70), "1.5", "0"]),
        (["0.30000000000000004", "1.10", "-1e3"], [0.30000000000000004, 1.1, -1000.0]),
        (["0.1234567890123456789", "1", "2"], ["0.1234567890123456789", "1", "2"]),
        (["9007199254740993.0", "1", "2"], ["9007199254740993.0", "1", "2"]),
        (["1e400", "1", "2"], ["1e400", "1", "2"]),
        (["1e-400", "1", "2"], ["1e-400", "1", "2"]),
        (["1e99999999999999999999", "1", "2"], ["1e99999999999999999999", "1", "2"]),
        (["7" * 5_000, "1", "2"], ["7" * 5_000, "1", "2"]),
        (["+5", "1", "2"], ["+5", "1", "2"]),
        (["1_000", "1", "2"], ["1_000", "1", "2"]),
    ],
)
def test_numbers_of_a_csv_file_are_exact(tmp_path, cells, values):
    seed(tmp_path / "b.index", "Flat", vectors(3))
    (tmp_path / "m.csv").write_text("name,cell\n" + "".join(f"x,{cell}\n" for cell in cells))
    with opened(f"faiss:{tmp_path}/b.index?metadata={tmp_path}/m.csv") as source:
        found = [record["metadata"].get("cell") for record in read_all(source)]
    assert [repr(value) for value in found] == [repr(value) for value in values]


def test_a_csv_file_may_begin_with_a_byte_order_mark(tmp_path):
    seed(tmp_path / "b.index", "IDMap,Flat", vectors(2), np.array([7, 8]))
    (tmp_path / "m.csv").write_text("id,n\n8,1\n7,2\n", encoding="utf-8-sig")
    with opened(f"faiss:{tmp_path}/b.index?metadata={tmp_path}/m.csv") as source:
        assert [record["metadata"] for record in read_all(source)] == [{"n": 2}, {"n": 1}]


@pytest.mark.parametrize("suffix", rest_slow(["jsonl", "csv", "parquet"]))
@pytest.mark.parametrize("kind", ["IDMap,Flat", "IVF1,Flat"])
@pytest.mark.parametrize(
    ("given", "severity", "told"),
    [
        ([30, 10, 99], "lossy", "1 of 3 records have no row in .*1 of its 3 rows"),
        ([30, 10], "info", "1 of 3 records have no row in .*0 of its 2 rows"),
        ([99, 30, 98, 10, 20], "info", "0 of 3 records have no row in .*2 of its 5 rows"),
        ([*range(1_000, 7_000), 30], "lossy", "2 of 3 records have no row in .*6000 of its 6001 rows"),
    ],
)
def test_one_id_of_a_record_makes_rows_joined_by_id(tmp_path, suffix, kind, given, severity, told):
    found, findings = joined(tmp_path, [10, 20, 30], [{"id": name, "n": f"of {name}"} for name in given], suffix, kind)
    assert found == [(str(name), {"n": f"of {name}"} if name in given else None) for name in (10, 20, 30)]
    (finding,) = findings
    assert (finding.severity, finding.code) == (severity, "rows_unmatched")
    assert re.search(told, finding.message)


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_rows_whose_ids_name_no_record_are_joined_by_position_and_that_is_said(tmp_path, suffix):
    rows = [{"id": f"c{row}", "n": row} for row in range(3)]
    found, findings = joined(tmp_path, [10, 20, 30], rows, suffix)
    assert [metadata for _, metadata in found] == rows
    (finding,) = findings
    assert (finding.severity, finding.message) == ("info", "metadata is joined by position: none of the sidecar's ids is in the index")
    with pytest.raises(ConfigError, match="has 2 rows but the index has 3 vectors"):
        joined(tmp_path, [10, 20, 30], rows[:2], suffix)


@pytest.mark.parametrize("kind", ["Flat", "IVF1,Flat"])
def test_row_numbers_from_one_are_no_ids_of_an_index_without(tmp_path, kind):
    rows = [{"id": row + 1, "n": row} for row in range(COUNT)]
    seed(tmp_path / "b.index", kind, vectors(COUNT))
    write_rows(tmp_path / "m.csv", rows)
    with opened(f"faiss:{tmp_path}/b.index?metadata={tmp_path}/m.csv") as source:
        assert [record["metadata"] for record in read_all(source)] == rows
        (finding,) = source.describe().findings
    assert (finding.severity, finding.code) == ("info", "joined_by_position")


def test_several_rows_of_one_id_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="more than one row with the id 10") as caught:
        joined(tmp_path, [10, 20, 30], [{"id": name, "n": 1} for name in (30, 10, 10)], "csv")
    assert caught.value.fix
    with pytest.raises(ConfigError, match="more than one row with the id 10"):
        joined(tmp_path, [10, 20, 30], [{"id": 10, "n": 1}] * 9_000, "csv")


def test_an_id_that_the_index_has_twice_takes_rows_in_their_order(tmp_path):
    found, findings = joined(tmp_path, [10, 20, 10], [{"id": name, "n": row} for row, name in enumerate((10, 20, 10))], "jsonl")
    assert found == [("10", {"n": 0}), ("20", {"n": 1}), ("10", {"n": 2})]
    assert not findings
    found, _ = joined(tmp_path, [10, 20, 10], [{"id": name, "n": name} for name in (20, 10)], "jsonl")
    assert found == [("10", {"n": 10}), ("20", {"n": 20}), ("10", {"n": 10})]


@pytest.mark.parametrize("bad", ["{broken", '{"n": 3}', '{"id": "\\ud800", "n": 12345678901234567890}'])
def test_a_row_without_an_id_among_others_in_another_order_is_not_used(tmp_path, bad):
    seed(tmp_path / "b.index", "IDMap,Flat", vectors(3), np.array([10, 20, 30]))
    (tmp_path / "m.jsonl").write_text('{"id": 30, "n": 1}\n' + bad + '\n{"id": 10, "n": 2}\n')
    with opened(f"faiss:{tmp_path}/b.index?metadata={tmp_path}/m.jsonl") as source:
        assert [(record["id"], record["metadata"]) for record in read_all(source)] == [("10", {"n": 2}), ("20", None), ("30", {"n": 1})]
        (finding,) = source.describe().findings
    assert (finding.severity, finding.code) == ("lossy", "rows_unmatched")


def test_a_broken_row_among_others_at_their_places_rejects_its_record(tmp_path):
    seed(tmp_path / "b.index", "IDMap,Flat", vectors(3), np.array([10, 20, 30]))
    (tmp_path / "m.jsonl").write_text('{"id": 10, "n": 1}\n{broken\n{"id": 30, "n": 2}\n')
    with opened(f"faiss:{tmp_path}/b.index?metadata={tmp_path}/m.jsonl") as source:
        (split,) = source.splits(Selection(), 1)
        (chunk,) = source.read(split, None, 10)
        assert not source.describe().findings
    assert [rejected.id for rejected in chunk.rejected] == ["20"]
    assert chunk.batch.column("metadata").to_pylist() == ['{"n":1}', '{"n":2}']


def test_ids_with_half_a_character_are_named(tmp_path, index):
    (tmp_path / "ids.json").write_text(json.dumps(["\ud800"] * COUNT))
    with pytest.raises(UnreadableSourceError, match="half of a character"), opened(f"faiss:{index}?ids={tmp_path}/ids.json"):
        pass
