"""What a new Milvus collection is made of: options, vector types, index types, columns, and what is refused before anything is written."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pytest
from pymilvus import DataType, MilvusClient

from migrator import errors
from migrator.connectors import milvus
from migrator.connectors.milvus import indexes, probe, vectors
from migrator.connectors.milvus.fieldtypes import Type, parse_type, proposed, spelt
from migrator.connectors.milvus.options import read_options
from migrator.endpoints import parse
from migrator.field_stats import sample_stats
from migrator.model import Collection
from migrator.records import canonical_metadata, make_batch, to_dicts
from migrator.service import PlanOptions, Service
from tests.contract.milvus_harness import MilvusLiteHarness, MilvusServerHarness
from tests.milvus.test_roundtrip import PLAN, by_id, collection_for, read, write
from tests.parameters import rest_slow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import MilvusServer

DIMENSION = 8
COPY = PlanOptions(accept_lossy=True)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    opened = Service(tmp_path / "home")
    yield opened
    opened.close()


@pytest.fixture
def server(milvus_server: MilvusServer) -> MilvusServerHarness:
    return MilvusServerHarness(milvus_server)


def fields_option(fields: dict[str, str]) -> str:
    return "&fields=" + quote(json.dumps(fields))


def bits(count: int = 12, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 2, (count, DIMENSION)).astype(np.float32)


def batch_of(values: np.ndarray[Any, Any], metadata: list[dict[str, Any] | None] | None = None, first: int = 0) -> pa.RecordBatch:
    texts = [canonical_metadata(value) for value in metadata or [None] * len(values)]
    return make_batch([f"r{first + row}" for row in range(len(values))], values.astype(np.float32), metadata=texts)


# -- options


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("metric=HAMMING", "metric=HAMMING of milvus is not one of COSINE, IP, L2"),
        ("metric=L2&vector_type=binary", "is not one of HAMMING, JACCARD"),
        ("dimension=0", "dimension=0"),
        ("dimension=32769", "dimension=32769"),
        ("vector_type=float64", "vector_type=float64"),
        ("id_type=uuid", "id_type=uuid"),
        ("index_type=NOPE", "index_type=NOPE of milvus is not one of"),
        ('index_type=HNSW&index_params={"nlist":8}', "'nlist', which is no parameter of HNSW (it takes: M, efConstruction)"),
        ('index_type=HNSW&index_params={"M":2049}', "M=2049 in index_params of milvus is no whole number from 1 to 2048"),
        ('index_type=IVF_FLAT&index_params={"nlist":"8"}', "nlist=8 in index_params"),
        ('index_type=IVF_FLAT&index_params={"nlist":true}', "nlist=True in index_params"),
        ('index_params={"M":8}', "says nothing without index_type"),
        ("partition_key=year&namespace_mode=partition", "none can be named"),
        ("partition_key=year&namespace_mode=collection", "are apart already"),
        ("partition_key=RowID", "keeps the name 'RowID' for itself"),
        ("id_field=Timestamp", "keeps the name 'Timestamp' for itself"),
        ('fields={"$meta":"json"}', "keeps the name '$meta'"),
        ('fields={"a-b":"json"}', "'a-b' is no name"),
        ('fields={"a":"decimal"}', "there is no type 'decimal'"),
        ('fields={"a":3}', "gives 'a' the type 3"),
        ('fields={"a":"varchar(65536)"}', "1 to 65535 bytes, not 65536"),
        ('fields={"a":"int64(3)"}', "int64 has no length"),
        ('fields={"a":"array<json>"}', "an array holds no JSON"),
        ('fields={"a":"array<int8,4097>"}', "1 to 4096 items"),
        ("fields=[]", "fields of milvus is no JSON object"),
    ],
)
def test_bad_schema_options(options: str, words: str) -> None:
    with pytest.raises(errors.ConfigError) as caught:
        read_options(parse(f"milvus:x?uri=./a.db&{options}"))
    assert words in caught.value.message
    assert caught.value.fix


@pytest.mark.parametrize(
    "text", ["bool", "int8", "int64", "float", "double", "json", "varchar(200)", "array<varchar(50),100>", "array<int16,4096>", "array<bool,1>"]
)
def test_types_are_spelt_as_they_are_read(text: str) -> None:
    field = parse_type("a", text)
    assert spelt(field) == text
    assert field.nullable
    assert not parse_type("a", text.upper().replace(",", ", ") + "  NOT NULL").nullable


def test_a_sample_proposes_the_type_that_holds_it_exactly() -> None:
    rows: list[dict[str, Any]] = [
        {"text": "ü", "int": 2**40, "num": 1.5, "yes": True, "doc": {}, "words": ["a", "bcd"], "none": [], "mixed": 1, "null": None, "docs": [{}]},
        {"text": "", "int": -1, "num": 0.1, "words": [], "mixed": 1.5, "null": 1, "numbers": [1, 2]},
    ]
    stats = {key.name: key for key in sample_stats([batch_of(bits(2), rows)]).keys}
    types = {name: spelt(found) if (found := proposed(key)) else None for name, key in stats.items()}
    assert types == {
        "text": "varchar(65535)",
        "int": "int64",
        "num": "double",
        "yes": "bool",
        "doc": "json",
        "words": "array<varchar(65535),4096>",
        "none": "array<varchar(65535),4096>",
        "numbers": "array<int64,4096>",
        "mixed": None,
        "null": None,
        "docs": None,
    }
    assert (stats["text"].max_bytes, stats["words"].max_bytes, stats["words"].max_items, stats["null"].nulls) == (2, 3, 2, 1)


# -- vectors and indexes, without a server


HARD = [0.0, -0.0, 1.0, -1.0, 0.1, 65504.0, 65520.0, 3e38, 1e-45, 6e-8, 127.0, 128.0, -128.0, -129.0, 2.5, 1.0009765625, 1.00390625, 1.0078125]


@pytest.mark.parametrize("kind", vectors.KINDS, ids=lambda kind: kind.option)
def test_vectors_come_back_bit_for_bit_or_are_refused(kind: vectors.Kind) -> None:
    values = np.repeat(np.array(HARD, np.float32)[:, None], DIMENSION, axis=1)
    bad = vectors.inexact(kind.type, values)
    good = values[~bad]
    back = vectors.decode(kind.type, vectors.encode(kind.type, good), DIMENSION)
    assert back.tobytes() == good.tobytes()
    held = {np.float32(value).tobytes() for value in good[:, 0]}
    exact = {
        "float32": HARD,
        "float16": [0.0, -0.0, 1.0, -1.0, 65504.0, 127.0, 128.0, -128.0, -129.0, 2.5, 1.0009765625, 1.00390625, 1.0078125],
        "bfloat16": [0.0, -0.0, 1.0, -1.0, 127.0, 128.0, -128.0, -129.0, 2.5, 1.0078125],
        "binary": [0.0, 1.0],
        "int8": [0.0, 1.0, -1.0, 127.0, -128.0],
    }[kind.option]
    assert held == {np.float32(value).tobytes() for value in exact}


def test_index_parameters_are_completed() -> None:
    assert indexes.parameters("HNSW", {"M": 8}, 128) == {"M": 8, "efConstruction": 200}
    for dimension in (1, 7, 96, 768, 1536):
        params = indexes.parameters("IVF_PQ", {}, dimension)
        assert dimension % params["m"] == 0
        assert not indexes.check("IVF_PQ", params)
    assert "cannot be" in indexes.misfit("IVF_PQ", {"m": 3}, Type.FloatVector, 8, (2, 3), lite=False)
    assert "Milvus Lite has no index" in indexes.misfit("DISKANN", {}, Type.FloatVector, 8, (2, 5), lite=True)
    assert "for binary" in indexes.misfit("BIN_FLAT", {}, Type.FloatVector, 8, (2, 3), lite=False)
    assert "other than binary" in indexes.misfit("HNSW", {}, Type.BinaryVector, 8, (2, 3), lite=False)


# -- columns, on both


TYPED = {"year": "int64", "title": "varchar(20)", "tags": "array<varchar(4),3>"}


def test_columns_beside_the_dynamic_field(store: MilvusLiteHarness | MilvusServerHarness) -> None:
    endpoint = store.new_target() + fields_option({name: kind + " not null" for name, kind in TYPED.items()})
    full = {"year": 1, "title": "a", "tags": ["b"], "more": {"x": None}}
    bad = {
        "long": (full | {"title": "ü" * 11}, "title", "it has 22 bytes, 20 are allowed"),
        "item": (full | {"tags": ["abcde"]}, "tags", "an item has 5 bytes, 4 are allowed"),
        "many": (full | {"tags": ["a"] * 4}, "tags", "it has 4 items, 3 are allowed"),
        "kind": (full | {"year": "1"}, "year", "no exact value of the field's type, int64"),
        "gone": ({"title": "a"}, "year", "which the collection demands"),
        "row": (full | {"more": "x" * 65_536}, "", "takes 65,536"),
    }
    if store.name == "milvus-lite":
        del bad["item"]  # Lite does not keep the length of texts in arrays
    ids = ["good", *bad]
    batch = make_batch(
        ids, np.ones((len(ids), DIMENSION), np.float32), metadata=[canonical_metadata(row) for row in (full, *(row for row, _, _ in bad.values()))]
    )
    with pytest.raises(errors.RejectedRecordsError) as caught:
        write(endpoint, batch)
    found = {record.id: record for record in caught.value.rejected}
    assert found.keys() == bad.keys()
    for name, (_, field, words) in bad.items():
        assert words in found[name].message
        assert found[name].field == (f"metadata.{field}" if field else "metadata")
        assert repr(name) in found[name].message
    assert [row["metadata"] for row in read(endpoint)] == [full]


def test_a_metadata_field_as_partition_key(store: MilvusLiteHarness | MilvusServerHarness) -> None:
    endpoint = store.new_target() + "&partition_key=lang" + fields_option({"lang": "varchar(8)"})
    rows = [{"lang": lang, "n": place} for place, lang in enumerate(["de", "en", "de", "fr"])]
    batch = make_batch(list("abcd"), bits(4), metadata=[canonical_metadata(row) for row in rows], namespace=pa.array(["", "x", "x", "y"]))
    write(endpoint, batch)
    plain = endpoint.partition("&partition_key")[0]
    for each in (endpoint, plain):  # the collection itself says that its key is no namespace
        assert by_id(read(each)) == by_id(to_dicts(batch))
    with store.client() as client:
        described = client.describe_collection(parse(endpoint).resource)["fields"]
        assert [field["name"] for field in described if field.get("is_partition_key")] == ["lang"]
    with closing(milvus.open_target(parse(plain + "&partition_key=n"))) as target, pytest.raises(errors.PlanError, match="is partitioned by 'lang'"):
        target.prepare(collection_for(batch), PLAN)


def test_another_schema_is_named_field_by_field(lite: MilvusLiteHarness) -> None:
    endpoint = lite.new_target()
    write(endpoint + fields_option({"year": "int64"}), batch_of(bits()))
    options = "&metric=IP&id_type=int64&vector_type=float16&partition_key=k" + fields_option({"year": "int32", "k": "int64"})
    with closing(milvus.open_target(parse(endpoint + options))) as target, pytest.raises(errors.PlanError) as caught:
        target.prepare(Collection("s", 4, "cosine"), PLAN)
    message = caught.value.message
    for words in (
        "8 dimensions, the source 4",
        "the metric COSINE, metric= asks for IP",
        "float32 vectors in 'vector', vector_type=float16",
        "'id' of type varchar(512), id_type=int64",
        "'year' of type int64, fields= asks for int32",
        "no field 'k'",
        "no partition key",
    ):
        assert words in message


@pytest.mark.parametrize(
    ("options", "changes", "code", "words"),
    [
        ("&dimension=16", {}, "dimension_differs", "dimension=16 is demanded of the vectors, the source has 8"),
        ("&vector_type=float16", {}, "vector_type_unsupported", "has no float16 vectors; a server has them"),
        ("&index_type=DISKANN", {}, "index_unsupported", "Milvus Lite has no index of type DISKANN"),
        ("&partition_key=k", {}, "bad_partition_key", "the type of the partition key 'k' is not known"),
        ("&partition_key=k" + fields_option({"k": "json"}), {}, "bad_partition_key", "would be of type json"),
        ("&id_field=vector", {}, "duplicate_field", "two fields of the new collection would be called 'vector'"),
        (fields_option({"id": "int64"}), {}, "duplicate_field", "called 'id'"),
        (fields_option({f"f{number}": "int64" for number in range(63)}), {}, "too_many_fields", "65 fields, Milvus takes 64"),
        ("", {"dimension": 40_000}, "dimension_too_large", "40000 dimensions are more than the 32768"),
        ("&dynamic=false", {"fields": {"RowID": "int"}}, "bad_name", "'RowID' cannot be the name"),
    ],
)
def test_what_cannot_be_made_is_refused_before_it_is(lite: MilvusLiteHarness, options: str, changes: dict[str, Any], code: str, words: str) -> None:
    endpoint = lite.new_target()
    collection = Collection(**{"name": "s", "dimension": DIMENSION, "metric": "cosine"} | changes)
    with closing(milvus.open_target(parse(endpoint + options))) as target, pytest.raises(errors.PlanError) as caught:
        target.prepare(collection, PLAN)
    assert caught.value.code == code
    assert words in caught.value.message
    assert caught.value.fix
    with lite.client() as client:
        assert not client.list_collections()


# -- plans and copies


def plain_endpoint(store: MilvusLiteHarness | MilvusServerHarness) -> str:
    """Return a new target without the index type that the harness asks for."""
    return store.new_target().replace("&index_type=FLAT", "")


def codes(service: Service, source: str, target: str) -> dict[str, str]:
    return {finding.code: finding.severity for finding in service.plan(source, target).findings}


def proven(service: Service, source: str, target: str) -> dict[str, Any]:
    run = service.start(service.plan(source, target, COPY))
    status = service.wait(run, 200)
    assert status["status"] == "proven", status["error"] or status
    return status


def test_a_plan_says_what_becomes_of_each_key(service: Service, lite: MilvusLiteHarness, tmp_path: Path) -> None:
    source = lite.new_target()
    rows = [{"year": 1, "title": "ü", "id": 3}, {"year": 2, "tags": ["a", "bcd"], "null": None}, {"year": 1.5, "doc": {"a": {}}}, None]
    write(source, batch_of(bits(4), rows))
    fresh = f"milvus:fresh?uri={tmp_path}/other.db&index_type=HNSW&index_params={quote(json.dumps({'M': 8}))}&shards=2&metric=L2"
    plan = service.plan(source, fresh)
    assert ("lossy", "search_ranks_differently") in [(finding.severity, finding.code) for finding in plan.findings]
    found = service.mapping_preview(plan)
    assert found is not None
    assert not (tmp_path / "other.db").exists()
    assert (found["records_looked_at"], found["namespaces_looked_at"], found["target_exists"]) == (4, 1, False)
    assert found["facts"]["index"] == "HNSW (M=8, efConstruction=200)"
    assert found["facts"]["metric"].startswith("L2 (the source's cosine")
    assert (found["facts"]["shards"], found["facts"]["partition key"], found["facts"]["consistency"]) == ("2", "none", "bounded")
    fields = {field["name"]: field for field in found["fields"]}
    assert fields["year"]["types"] == {"integer": 2, "number": 1}
    assert (fields["year"]["proposal"], fields["title"]["max_bytes"], fields["tags"]["items"], fields["null"]["nulls"]) == ("", 2, {"text": 2}, 1)
    assert (fields["title"]["place"], fields["id"]["place"]) == ("dynamic field", "dynamic field, as id_")
    assert fields["doc"]["proposal"] == "json"
    typed = service.plan(source, fresh + fields_option({"title": "varchar(1)", "year": "int64"}))
    (unfit,) = [finding for finding in typed.findings if finding.code == "records_do_not_fit"]
    assert "2 of 4 records" in unfit.message
    assert codes(service, source, fresh + "&dynamic=false")["unsupported_field"] == "blocking"
    assert codes(service, source, fresh + "&dimension=16")["dimension_differs"] == "blocking"
    assert codes(service, source, fresh + "&id_type=int64")["id_type_differs"] == "blocking"
    assert codes(service, source, source + "&vector_type=int8")["schema_differs"] == "blocking"
    demanding = lite.new_target()
    write(demanding + fields_option({"demanded": "int64 not null"}), batch_of(bits(1), [{"demanded": 1}]))
    assert codes(service, source, demanding)["column_unfilled"] == "blocking"


@pytest.mark.slow
def test_columns_are_proposed_from_all_namespaces(service: Service, lite: MilvusLiteHarness, tmp_path: Path) -> None:
    source = f"parquet:{tmp_path}/dump"
    rows = [{"a": 1}, {"b": "x"}, {"c": [True]}]
    batch = make_batch(list("xyz"), bits(3), metadata=[canonical_metadata(row) for row in rows], namespace=pa.array(["", "one", "two"]))
    first = lite.new_target()
    write(first, batch)
    proven(service, first, source)
    target = lite.new_target() + "&dynamic=false"
    plan = service.plan(source, target)
    assert json.loads(plan.target.options["fields"]) == {"a": "int64", "b": "varchar(65535)", "c": "array<bool,4096>"}
    proven(service, source, target)
    assert by_id(read(target)) == by_id(to_dicts(batch))
    with lite.client() as client:
        described = client.describe_collection(parse(target).resource)
    assert not described["enable_dynamic_field"]
    assert {field["name"]: field["type"] for field in described["fields"]}["c"] == DataType.ARRAY


@pytest.mark.parametrize(
    ("ids", "id_type", "there"),
    rest_slow([(["1", "-5"], "varchar", DataType.VARCHAR), (["007a", "x"], "varchar", DataType.VARCHAR), (["1", "-5"], "int64", DataType.INT64)]),
)
def test_ids_of_another_type(service: Service, lite: MilvusLiteHarness, ids: list[str], id_type: str, there: DataType) -> None:
    source, target = lite.new_target(), lite.new_target() + f"&id_type={id_type}"
    write(source, make_batch(ids, bits(2)), id_type="string" if id_type == "int64" or not ids[0].isdigit() else "int64")
    proven(service, source, target)
    assert sorted(row["id"] for row in read(target)) == sorted(ids)
    with lite.client() as client:
        assert client.describe_collection(parse(target).resource)["fields"][0]["type"] == there


def test_a_copy_of_lite_keeps_its_schema(service: Service, lite: MilvusLiteHarness) -> None:
    source, target = lite.new_target(), lite.new_target()
    with lite.client() as client:
        schema = client.create_schema(enable_dynamic_field=False)
        schema.add_field("pk", DataType.VARCHAR, is_primary=True, max_length=700)
        schema.add_field("emb", DataType.FLOAT_VECTOR, dim=DIMENSION)
        schema.add_field("words", DataType.SPARSE_FLOAT_VECTOR, nullable=True)
        schema.add_field("year", DataType.INT16, nullable=True)
        schema.add_field("score", DataType.FLOAT)
        schema.add_field("title", DataType.VARCHAR, max_length=33, default_value="untitled")
        schema.add_field("tags", DataType.ARRAY, element_type=DataType.INT8, max_capacity=7, nullable=True)
        client.create_collection(parse(source).resource, schema=schema)
        row = {"emb": [1.0] * DIMENSION, "score": 0.1, "year": None, "tags": None, "words": {3: 0.5}}
        client.insert(parse(source).resource, [{"pk": "a", **row}, {"pk": "b", **row, "year": 7, "tags": [1, -1], "title": "t"}])
    proven(service, source, target)
    assert read(source) == read(target)
    assert read(target)[0]["metadata"] == {"score": float(np.float32(0.1)), "title": "untitled"}
    with lite.client() as client:
        shapes = []
        for endpoint in (source, target):
            described = client.describe_collection(parse(endpoint).resource)
            fields = {each["name"]: (each["type"], each.get("params"), each.get("element_type"), each.get("nullable", False)) for each in described["fields"]}
            shapes.append((fields, described["enable_dynamic_field"]))
    assert shapes[0] == shapes[1]


@pytest.mark.slow
def test_the_second_of_several_vector_fields(service: Service, lite: MilvusLiteHarness) -> None:
    source, target = lite.new_target(), lite.new_target()
    with lite.client() as client:
        schema = client.create_schema()
        schema.add_field("pk", DataType.INT64, is_primary=True)
        schema.add_field("first", DataType.FLOAT_VECTOR, dim=4)
        schema.add_field("second", DataType.FLOAT_VECTOR, dim=DIMENSION)
        client.create_collection(parse(source).resource, schema=schema)
        client.insert(parse(source).resource, [{"pk": n, "first": [float(n)] * 4, "second": [n / 10] * DIMENSION} for n in range(5)])
    plan = service.plan(source + "&vector_field=second", target)
    assert [(finding.severity, finding.code) for finding in plan.findings if "'first'" in finding.message] == [("lossy", "vector_field_left_out")]
    proven(service, source + "&vector_field=second", target)
    wanted = [[float(np.float32(n / 10))] * DIMENSION for n in range(5)]
    assert [list(row["values"]) for row in read(target)] == wanted


# -- the real server


def seeded(client: MilvusClient, name: str, kind: DataType, raw: list[Any], index: str, metric: str) -> None:
    """Make a collection as other programs do, with vectors that are no float32."""
    schema = client.create_schema(enable_dynamic_field=True)
    schema.add_field("pk", DataType.INT64, is_primary=True)
    schema.add_field("emb", kind, dim=DIMENSION)
    schema.add_field("title", DataType.VARCHAR, max_length=33)
    schema.add_field("tags", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=7, max_length=9)
    params = client.prepare_index_params()
    params.add_index("emb", index_type=index, metric_type=metric)
    client.create_collection(name, schema=schema, index_params=params, consistency_level="Strong")
    if raw:
        client.insert(name, [{"pk": n, "emb": each, "title": f"t{n}", "tags": ["a"] * (n % 3), "free": n} for n, each in enumerate(raw)])


def exactly(endpoint: str, values: np.ndarray[Any, Any]) -> None:
    rows = {int(row["id"]): row for row in read(endpoint)}
    assert np.array([rows[n]["values"] for n in range(len(values))], np.float32).tobytes() == values.tobytes()
    assert rows[2]["metadata"] == {"title": "t2", "tags": ["a", "a"], "free": 2}


def not_exact(endpoint: str, collection: Collection, values: np.ndarray[Any, Any]) -> None:
    """Write a record that the field cannot give back, and one that it can."""
    metadata = [canonical_metadata({"title": "x", "tags": []})]
    with closing(milvus.open_target(parse(endpoint))) as opened:
        opened.prepare(collection, PLAN)
        opened.write(make_batch(["100"], values[:1], metadata=metadata), "a.0")
        with pytest.raises(errors.RejectedRecordsError) as caught:
            opened.write(make_batch(["101"], values[:1] + np.float32(0.3), metadata=metadata), "a.1")
    assert [(record.code, record.field) for record in caught.value.rejected] == [("not_exact", "values")]


@pytest.mark.slow
@pytest.mark.server
def test_binary_vectors_on_a_server(service: Service, server: MilvusServerHarness) -> None:
    source, target = plain_endpoint(server), plain_endpoint(server)
    values = bits()
    raw = [np.packbits(row.astype(bool)).tobytes() for row in values]
    with server.client() as client:
        seeded(client, parse(source).resource, DataType.BINARY_VECTOR, raw, "BIN_FLAT", "JACCARD")
    assert codes(service, source, target)["metric_outside"] == "info"
    proven(service, source, target)
    exactly(source, values)
    exactly(target, values)
    with server.client() as client:
        one, two = (client.describe_collection(parse(endpoint).resource) for endpoint in (source, target))
        shapes = [{field["name"]: (field["type"], field["params"], field.get("element_type")) for field in each["fields"]} for each in (one, two)]
        assert shapes[0] == shapes[1]
        assert client.describe_index(parse(target).resource, "emb")["metric_type"] == "JACCARD"
        found = client.search(parse(target).resource, [raw[5]], anns_field="emb", limit=1, search_params={"metric_type": "JACCARD"}, consistency_level="Strong")
        assert found[0][0]["distance"] == 0
    with closing(milvus.open_source(parse(source))) as opened, pytest.raises(errors.ConfigError, match="searched by JACCARD"):
        opened.search([values[0].tolist()], 3, "")
    not_exact(target, service.inspect(source).collection, values)
    wide = plain_endpoint(server) + "&vector_type=float32&metric=L2"
    proven(service, source, wide)
    assert service.inspect(wide).collection.native["vector_type"] == "float32"


@pytest.mark.slow
@pytest.mark.server
def test_half_precision_vectors_on_a_server(service: Service, server: MilvusServerHarness) -> None:
    source, target, there = (plain_endpoint(server) for _ in range(3))
    values = np.random.default_rng(1).normal(size=(12, DIMENSION)).astype(np.float16).astype(np.float32)
    with server.client() as client:
        seeded(client, parse(source).resource, DataType.FLOAT16_VECTOR, list(values.astype(np.float16)), "FLAT", "COSINE")
        seeded(client, parse(there).resource, DataType.FLOAT16_VECTOR, [], "FLAT", "COSINE")
    assert codes(service, source, target + "&vector_type=float16")["vector_type_unsupported"] == "blocking"  # this release searches them at random
    assert codes(service, source, target)["vectors_widened"] == "info"
    proven(service, source, target)
    assert service.inspect(target).collection.native["vector_type"] == "float32"
    proven(service, source, there)
    for endpoint in (source, target, there):
        exactly(endpoint, values)
    not_exact(there, service.inspect(source).collection, values)


@pytest.mark.slow
@pytest.mark.server
@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("IVF_FLAT", {"nlist": 8}),
        ("IVF_SQ8", {}),
        ("IVF_PQ", {"nlist": 8}),
        ("HNSW", {"M": 8, "efConstruction": 64}),
        ("SCANN", {"nlist": 8}),
        ("AUTOINDEX", {}),
    ],
)
def test_index_types_are_built_as_asked(server: MilvusServerHarness, kind: str, params: dict[str, Any]) -> None:
    endpoint = (
        plain_endpoint(server) + f"&index_type={kind}&metric=L2&shards=2&consistency=strong" + (f"&index_params={quote(json.dumps(params))}" if params else "")
    )
    values = np.random.default_rng(3).normal(size=(2_000, DIMENSION)).astype(np.float32)
    write(endpoint, batch_of(values), finish=True)
    rows = {row["id"]: row["values"] for row in read(endpoint, records=1_000)}
    assert np.array([rows[f"r{n}"] for n in range(len(values))], np.float32).tobytes() == values.tobytes()
    with server.client() as client:
        name = parse(endpoint).resource
        described, index = client.describe_collection(name), client.describe_index(name, "vector")
        assert (described["num_shards"], described["consistency_level"]) == (2, 0)
        assert (index["index_type"], index["metric_type"], index["indexed_rows"]) == (kind, "L2", 2_000)
        assert {name: int(index[name]) for name in params} == params
        client.drop_collection(name)


@pytest.mark.slow
@pytest.mark.server
def test_what_the_server_has_not_is_a_blocking_finding(service: Service, server: MilvusServerHarness, lite: MilvusLiteHarness) -> None:
    source, target = lite.new_target(), plain_endpoint(server)
    write(source, batch_of(bits(), [{"a": 1, "b": None}] * 12))
    for option in ("float16", "bfloat16", "int8"):
        assert codes(service, source, f"{target}&vector_type={option}")["vector_type_unsupported"] == "blocking"
    with server.client() as client:
        for kind, params in (("HNSW", {"M": 2049, "efConstruction": 8}), ("IVF_FLAT", {"nlist": 65_537}), ("IVF_PQ", {"nlist": 8, "m": 3})):
            name = parse(plain_endpoint(server)).resource
            client.create_collection(name, schema=_plain_schema(client))
            asked = client.prepare_index_params()
            asked.add_index("emb", index_type=kind, metric_type="L2", params=params)
            with pytest.raises(Exception, match=r"out of range|divided"):
                client.create_index(name, asked)
            assert indexes.check(kind, params) or indexes.misfit(kind, params, Type.FloatVector, DIMENSION, (2, 3), lite=False)
            client.drop_collection(name)


@pytest.mark.slow
@pytest.mark.server
def test_an_index_the_build_lacks_is_refused_before_anything_is_written(server: MilvusServerHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "SECONDS", 8.0)
    endpoint = plain_endpoint(server) + "&index_type=DISKANN"
    with pytest.raises(errors.PlanError, match="does not manage to build an index of type DISKANN"):
        write(endpoint, batch_of(bits()))
    with monkeypatch.context() as patched:
        patched.setattr(probe, "UNSURE", frozenset({"AUTOINDEX"}))  # the same trial of an index that is there
        write(endpoint.replace("DISKANN", "AUTOINDEX"), batch_of(bits()))
    with server.client() as client:
        assert parse(endpoint).resource in client.list_collections()
        assert not [name for name in client.list_collections() if name.startswith("migrator_probe_")]


def _plain_schema(client: MilvusClient) -> Any:
    schema = client.create_schema()
    schema.add_field("pk", DataType.INT64, is_primary=True)
    schema.add_field("emb", DataType.FLOAT_VECTOR, dim=DIMENSION)
    return schema
