"""Folders of LangChain, LlamaIndex and txtai: strangers' files, and every shape their libraries have written."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import pickle
import sqlite3
import uuid
from pathlib import Path, PurePosixPath

import faiss
import numpy as np
import pytest

from migrator.connectors import faiss as connector
from migrator.endpoints import parse
from migrator.errors import ConfigError, UnreadableSourceError
from migrator.model import Selection
from tests.faiss.reading import opened, read_all, seed, vectors
from tests.faiss.stores import document, pickled

WILD = Path(__file__).parents[1] / "data" / "wild"


def langchain(folder: Path, documents: object, places: object, count: int, *, whole: bool = False, name: str = "index") -> Path:
    seed(folder / f"{name}.faiss", "Flat", vectors(count))
    (folder / f"{name}.pkl").write_bytes(pickled(documents, places, whole=whole))
    return folder


def test_a_strangers_langchain_folder():
    raw = faiss.read_index(str(WILD / "langchain_faiss_aianytime" / "index.faiss"))
    with opened(f"faiss:{WILD}/langchain_faiss_aianytime") as source:
        records, collection = read_all(source, splits=2, records=5), source.describe()
    assert (collection.count, collection.dimension, collection.metric, collection.id_type, collection.findings) == (13, 1536, "euclidean", "string", ())
    assert np.array_equal(np.array([record["values"] for record in records], np.float32), raw.reconstruct_n(0, 13))
    assert records[0]["id"] == "a56b35ec-206e-43a2-82f5-4abf8e16d192"
    assert set(records[0]["metadata"]) == {"id", "original_content", "text", "type"}
    assert records[0]["metadata"]["text"].startswith("This text is from the United States Department of Agricultur")
    assert records[0]["metadata"]["id"] == "78ba164f-c6c9-40a9-b66f-87d22f1ae2ff"


def test_a_strangers_folder_of_the_oldest_layout():
    with opened(f"faiss:{WILD}/langchain_notionqa") as source:
        records = read_all(source)
    assert len({record["id"] for record in records}) == 194
    assert all(set(record["metadata"]) == {"source", "text"} for record in records)
    assert all(isinstance(record["metadata"]["source"], str) and record["metadata"]["source"].endswith(".md") for record in records)


def test_a_strangers_plain_index():
    raw = faiss.read_index(str(WILD / "faiss_daochashao" / "index.faiss"))
    with opened(f"faiss:{WILD}/faiss_daochashao/index.faiss") as source:
        assert np.array_equal(np.array([record["values"] for record in read_all(source)], np.float32), raw.reconstruct_n(0, 12))


@pytest.mark.parametrize("style", ["plain", "pydantic1", "pydantic2"])
@pytest.mark.parametrize("whole", [True, False])
def test_documents_of_every_version(tmp_path, style, whole):
    documents = {f"d{row}": document({"n": row}, f"text {row}", style=style) for row in (2, 0, 1)}
    langchain(tmp_path, documents, {0: "d0", 1: "d1", 2: "d2"}, 3, whole=whole)
    with opened(f"faiss:{tmp_path}") as source:
        assert [(record["id"], record["metadata"]) for record in read_all(source)] == [(f"d{row}", {"n": row, "text": f"text {row}"}) for row in range(3)]


def test_a_text_in_the_metadata_keeps_its_place(tmp_path):
    langchain(tmp_path, {"a": document({"text": "mine"}, "page")}, {0: "a"}, 1)
    with opened(f"faiss:{tmp_path}") as source:
        assert read_all(source)[0]["metadata"] == {"text": "mine", "page_content": "page"}


def test_values_python_alone_knows_become_text_or_a_rejection(tmp_path):
    moment, number = dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC), uuid.UUID(int=5)
    good = {"when": moment, "day": moment.date(), "path": PurePosixPath("a/b"), "exact": decimal.Decimal("1.10"), "uuid": number, "list": (1, None),
            "np": np.float64(0.5), "i": np.int32(-7)}  # fmt: skip
    documents = {
        "a": document(good, "x"),
        "b": document({"s": {1, 2}}, "x"),
        "c": document({1: 2}, "x"),
        "d": document({"n": float("nan")}, "x"),
        "e": document("no", "x"),
    }
    langchain(tmp_path, documents, dict(enumerate(documents)), 5)
    with opened(f"faiss:{tmp_path}") as source:
        (split,) = source.splits(Selection(), 1)
        (chunk,) = source.read(split, None, 10)
    assert json.loads(chunk.batch.column("metadata")[0].as_py()) == {
        "when": "2024-02-29T12:00:00+00:00", "day": "2024-02-29", "path": "a/b", "exact": "1.10", "uuid": str(number), "list": [1, None],
        "np": 0.5, "i": -7, "text": "x",
    }  # fmt: skip
    assert [rejected.id for rejected in chunk.rejected] == ["b", "c", "d", "e"]
    assert {rejected.code for rejected in chunk.rejected} == {"bad_metadata"}


def test_missing_documents_are_counted(tmp_path):
    langchain(tmp_path, {"a": document({"n": 1}, "x")}, {0: "a", 1: "lost"}, 2)
    with opened(f"faiss:{tmp_path}") as source:
        assert [(record["id"], record["metadata"] is None) for record in read_all(source)] == [("a", False), ("lost", True)]
        (finding,) = source.describe().findings
    assert (finding.severity, finding.code) == ("info", "documents_missing")
    assert "1 of 2" in finding.message


@pytest.mark.parametrize("places", [{0: "a", 2: "b"}, {0: "a"}, {0: "a", 1: "b", 2: "b"}, {"x": 1, "y": 2}, 7])
def test_a_docstore_of_other_vectors_is_refused(tmp_path, places):
    langchain(tmp_path, {"a": document({}, "x"), "b": document({}, "y")}, places, 2)
    with pytest.raises((ConfigError, UnreadableSourceError), match=r"index\.pkl"), opened(f"faiss:{tmp_path}"):
        pass


def test_sidecars_win_over_the_docstore(tmp_path):
    langchain(tmp_path, {"a": document({}, "x"), "b": document({}, "y")}, {0: "a", 1: "b"}, 2)
    (tmp_path / "ids.json").write_text('["p", "q"]')
    (tmp_path / "m.jsonl").write_text('{"n": 0}\n{"n": 1}\n')
    with opened(f"faiss:{tmp_path}?ids={tmp_path}/ids.json") as source:
        assert [(record["id"], record["metadata"]) for record in read_all(source)] == [("p", {"text": "x"}), ("q", {"text": "y"})]
    with opened(f"faiss:{tmp_path}?metadata={tmp_path}/m.jsonl") as source:
        assert [(record["id"], record["metadata"]) for record in read_all(source)] == [("a", {"n": 0}), ("b", {"n": 1})]
    (tmp_path / "index.pkl").write_bytes(b"not read when both are given")
    with opened(f"faiss:{tmp_path}?ids={tmp_path}/ids.json&metadata={tmp_path}/m.jsonl") as source:
        assert [record["id"] for record in read_all(source)] == ["p", "q"]


def test_several_langchain_indexes_need_a_name(tmp_path):
    langchain(tmp_path, {"a": document({}, "x")}, {0: "a"}, 1, name="one")
    langchain(tmp_path, {"b": document({}, "y")}, {0: "b"}, 1, name="two")
    with pytest.raises(ConfigError, match=r"one\.faiss, two\.faiss"), opened(f"faiss:{tmp_path}"):
        pass
    with opened(f"faiss:{tmp_path}/two.faiss") as source:
        assert read_all(source)[0]["id"] == "b"


def llamaindex(folder: Path, *, data_as_text: bool = True, name: str = "default__vector_store.json") -> None:
    seed(folder / name, "Flat", vectors(2))
    struct = {"index_id": "x", "nodes_dict": {"1": "node-b", "0": "node-a"}, "doc_id_dict": {}}
    node = {"id_": "node-a", "metadata": {"file": "a.md"}, "text": "first"}
    newer = {"id_": "node-b", "metadata": {"file": "b.md"}, "text_resource": {"text": "second"}}
    wrap = json.dumps if data_as_text else dict
    (folder / "index_store.json").write_text(json.dumps({"index_store/data": {"x": {"__type__": "vector_store", "__data__": wrap(struct)}}}))
    nodes = {"node-a": {"__data__": wrap(node), "__type__": "1"}, "node-b": {"__data__": wrap(newer), "__type__": "1"}}
    (folder / "docstore.json").write_text(json.dumps({"docstore/data": nodes, "docstore/metadata": {}}))


@pytest.mark.parametrize("as_text", [True, False])
@pytest.mark.parametrize("name", ["default__vector_store.json", "vector_store.json"])
def test_a_llamaindex_folder(tmp_path, as_text, name):
    llamaindex(tmp_path, data_as_text=as_text, name=name)
    (tmp_path / "image__vector_store.json").write_text("{}")
    with opened(f"faiss:{tmp_path}") as source:
        found = [(record["id"], record["metadata"]) for record in read_all(source)]
    assert found == [("node-a", {"file": "a.md", "text": "first"}), ("node-b", {"file": "b.md", "text": "second"})]


def test_llamaindex_folders_that_are_not_faiss_or_not_whole(tmp_path):
    llamaindex(tmp_path)
    (tmp_path / "docstore.json").unlink()
    with pytest.raises(ConfigError, match=r"lacks docstore\.json"), opened(f"faiss:{tmp_path}"):
        pass
    (tmp_path / "default__vector_store.json").write_text('{"embedding_dict": {}}')
    with pytest.raises(ConfigError, match="as JSON, not in Faiss"), opened(f"faiss:{tmp_path}"):
        pass


def txtai(folder: Path, indexids: list[int]) -> None:
    seed(folder / "embeddings", "IDMap,Flat", vectors(len(indexids)), np.array(indexids))
    (folder / "config.json").write_text(json.dumps({"path": "model", "content": True, "backend": "faiss"}))


def test_a_txtai_folder_with_content(tmp_path):
    txtai(tmp_path, [0, 2, 3])  # 1 was deleted
    database = sqlite3.connect(tmp_path / "documents")
    database.execute("CREATE TABLE documents (id TEXT PRIMARY KEY, data JSON, tags TEXT, entry DATETIME)")
    database.execute("CREATE TABLE sections (indexid INTEGER PRIMARY KEY, id TEXT, text TEXT, tags TEXT, entry DATETIME)")
    database.execute("INSERT INTO documents VALUES ('two', '{\"color\": \"red\"}', NULL, NULL)")
    database.executemany("INSERT INTO sections VALUES (?, ?, ?, ?, NULL)", [(0, "zero", "Zero", None), (2, "two", "Two", "t"), (3, "three", None, None)])
    database.commit()
    database.close()
    with opened(f"faiss:{tmp_path}") as source:
        found = {record["id"]: record["metadata"] for record in read_all(source)}
    assert found == {"zero": {"text": "Zero"}, "two": {"color": "red", "text": "Two", "tags": "t"}, "three": None}


def test_a_txtai_database_that_lacks_rows_or_runs_code_is_refused(tmp_path):
    txtai(tmp_path, [0, 1])
    database = sqlite3.connect(tmp_path / "documents")
    database.execute("CREATE TABLE documents (id TEXT PRIMARY KEY, data JSON)")
    database.execute("CREATE TABLE sections (indexid INTEGER PRIMARY KEY, id TEXT, text TEXT, tags TEXT)")
    database.execute("INSERT INTO sections VALUES (0, 'zero', 'Zero', NULL)")
    database.commit()
    with pytest.raises(UnreadableSourceError, match="no row for 1 of the vectors"), opened(f"faiss:{tmp_path}"):
        pass
    database.execute("DROP TABLE sections")
    database.execute("CREATE VIEW sections AS SELECT 0 indexid, 'x' id, 't' text, NULL tags")
    database.commit()
    database.close()
    with pytest.raises(UnreadableSourceError, match="no table sections"), opened(f"faiss:{tmp_path}"):
        pass
    (tmp_path / "documents").write_bytes(b"no database" * 100)
    with pytest.raises(UnreadableSourceError, match="documents cannot be read"), opened(f"faiss:{tmp_path}"):
        pass


@pytest.mark.parametrize("form", ["pickle", "msgpack", "config"])
@pytest.mark.parametrize("ids", [["a", "bé", "c" * 300], [7, -1, 2**40]])
def test_a_txtai_folder_without_content(tmp_path, form, ids):
    txtai(tmp_path, [0, 1, 2])
    if form == "pickle":
        (tmp_path / "ids").write_bytes(pickle.dumps(ids))
    elif form == "msgpack":
        packed = {
            str: lambda text: b"\xda" + len(text.encode()).to_bytes(2, "big") + text.encode(),
            int: lambda number: b"\xd3" + number.to_bytes(8, "big", signed=True),
        }
        (tmp_path / "ids").write_bytes(b"\x93" + b"".join(packed[type(name)](name) for name in ids))
    else:
        (tmp_path / "config.json").unlink()
        (tmp_path / "config").write_bytes(pickle.dumps({"ids": ids, "path": "model"}))
    with opened(f"faiss:{tmp_path}") as source:
        assert [record["id"] for record in read_all(source)] == [str(name) for name in ids]


def test_the_connection_test_goes_step_by_step(tmp_path):
    def steps(resource):
        return [(step.name, step.status) for step in connector.examine(parse(f"faiss:{resource}"))]

    whole = ["file", "format", "sidecars", "read"]
    assert steps(WILD / "langchain_notionqa") == [(name, "ok") for name in whole]
    assert steps(tmp_path / "gone") == [("file", "failed")]
    (tmp_path / "bad.index").write_bytes(b"IxF2garbage")
    assert steps(tmp_path / "bad.index") == [("file", "ok"), ("format", "failed")]
    seed(tmp_path / "a.index", "Flat", vectors(3))
    assert steps(f"{tmp_path}/a.index?ids={tmp_path}/none.npy") == [("file", "ok"), ("format", "ok"), ("sidecars", "failed")]
    failed = list(connector.examine(parse(f"faiss:{tmp_path}/a.index?ids={tmp_path}/none.npy")))[-1]
    assert "none.npy" in failed.detail
    assert failed.fix
    assert steps(f"{tmp_path}/a.index?wrong=1") == [("file", "failed")]
