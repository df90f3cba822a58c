"""The vector column laid out by hand, read back by pyarrow and by DuckDB, which know nothing of each other."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator import records
from migrator.connectors.parquet import vectors
from migrator.connectors.parquet.encode import as_parquet
from migrator.connectors.parquet.thrift import BINARY, BYTE, DOUBLE, FALSE, I16, I32, I64, LIST, STRUCT, TRUE, Value, read_struct, write_struct
from tests.unit.batches import batch_of

SHAPES = [(1, 1), (9, 1), (1, 2), (3, 7), (1000, 8), (5, 300_001), (700, 1536), (1, 0), (4, 0)]


def vectors_of(count: int, dimension: int) -> np.ndarray:
    values = np.random.default_rng(count * dimension).standard_normal((count, dimension), np.float32)
    values.reshape(-1)[:2] = np.array([-0.0, 1e-45], np.float32)[: values.size]
    return values


def batch(count: int, dimension: int) -> pa.RecordBatch:
    metadata = [f'{{"n":{n}}}' if n % 3 else None for n in range(count)]
    return records.make_batch([f"日{n}" for n in range(count)], vectors_of(count, dimension), metadata=metadata)


def written(path, content: pa.RecordBatch, compression: str):
    path.write_bytes(b"".join(piece.to_pybytes() for piece in as_parquet(content, compression)))
    return path


@pytest.mark.parametrize("compression", sorted(vectors.CODECS))
@pytest.mark.parametrize(("count", "dimension"), SHAPES)
def test_pyarrow_reads_what_was_there(tmp_path, count, dimension, compression):
    content = batch(count, dimension)
    table = pq.read_table(written(tmp_path / "x.parquet", content, compression), page_checksum_verification=True)
    assert table.schema.field("values").equals(vectors.FIELD)
    assert np.array_equal(
        table.column("values").combine_chunks().flatten().to_numpy().view(np.uint32), vectors_of(count, dimension).reshape(-1).view(np.uint32)
    )
    assert table.column("values").combine_chunks().offsets.to_pylist() == list(range(0, count * dimension + 1, dimension) if dimension else [0] * (count + 1))
    assert table.column("id").to_pylist() == content.column("id").to_pylist()
    assert table.column("metadata").to_pylist() == content.column("metadata").to_pylist()


@pytest.mark.parametrize("most", [1, 3, 511, 10_000])
def test_pyarrow_reads_it_in_batches_of_any_size(tmp_path, most):
    path = written(tmp_path / "x.parquet", batch(1000, 600), "none")
    found = [part.column("values").flatten().to_numpy() for part in pq.ParquetFile(path).iter_batches(most, columns=["values"])]
    assert np.array_equal(np.concatenate(found), vectors_of(1000, 600).reshape(-1))


@pytest.mark.parametrize("compression", sorted(vectors.CODECS))
@pytest.mark.parametrize(("count", "dimension"), SHAPES)
def test_duckdb_reads_what_was_there(tmp_path, count, dimension, compression):
    path = written(tmp_path / "x.parquet", batch(count, dimension), compression)
    rows = duckdb.sql(f"select id, values, metadata from '{path}'").fetchall()
    assert [row[0] for row in rows] == [f"日{n}" for n in range(count)]
    assert np.array_equal(np.array([row[1] for row in rows], np.float32).reshape(count, dimension), vectors_of(count, dimension))
    assert [row[2] for row in rows] == [f'{{"n":{n}}}' if n % 3 else None for n in range(count)]


def test_sparse_values_stand_beside_it(tmp_path):
    content = batch_of([{"id": "s", "values": [1, 2, 3], "sparse_values": {"indices": [9, 2], "values": [-1.5, 2]}}, {"id": "t"}])
    path = written(tmp_path / "x.parquet", content, "none")
    (first, second) = duckdb.sql(f"select values, sparse_values from '{path}'").fetchall()
    assert first == ([1, 2, 3], {"indices": [9, 2], "values": [-1.5, 2]})
    assert second == ([0, 0, 0], None)


def test_the_footer_says_what_pyarrow_would_say(tmp_path):
    content = batch(700, 1536)
    ours = pq.ParquetFile(written(tmp_path / "x.parquet", content, "zstd"))
    pq.write_table(ours.read(), tmp_path / "y.parquet", compression="zstd", use_dictionary=False, write_statistics=False)
    theirs = pq.ParquetFile(tmp_path / "y.parquet")
    assert ours.schema.equals(theirs.schema)
    assert ours.schema_arrow.equals(theirs.schema_arrow)
    assert ours.metadata.num_rows == theirs.metadata.num_rows == 700
    columns = [[file.metadata.row_group(0).column(number) for number in range(3)] for file in (ours, theirs)]
    for mine, other in zip(*columns, strict=True):
        for fact in ("path_in_schema", "physical_type", "num_values", "compression", "has_dictionary_page"):
            assert getattr(mine, fact) == getattr(other, fact)
    assert ours.metadata.row_group(0).total_byte_size == sum(column.total_uncompressed_size for column in columns[0])


def test_the_vectors_are_not_copied():
    content = batch(1000, 768)
    column = content.column("values").flatten().buffers()[1]
    inside = [piece for piece in as_parquet(content, "none") if column.address <= piece.address < column.address + column.size]
    assert sum(piece.size for piece in inside) == column.size


numbers = st.integers(-(2**31), 2**31 - 1)
leaves = (
    st.tuples(st.sampled_from([I16, I32, I64]), numbers)
    | st.tuples(st.just(BINARY), st.binary(max_size=20))
    | st.tuples(st.just(BYTE), st.binary(min_size=1, max_size=1))
    | st.tuples(st.just(DOUBLE), st.binary(min_size=8, max_size=8))
    | st.sampled_from([(TRUE, True), (FALSE, False)])
    | st.tuples(st.just(LIST), st.tuples(st.just(I32), st.lists(numbers, max_size=20)))
)
structs = st.recursive(
    st.dictionaries(st.integers(1, 300), leaves.map(lambda pair: Value(*pair)), max_size=5),
    lambda inner: st.dictionaries(
        st.integers(1, 300),
        inner.map(lambda fields: Value(STRUCT, fields)) | st.lists(inner, max_size=17).map(lambda items: Value(LIST, (STRUCT, items))),
        max_size=4,
    ),
    max_leaves=6,
)


@given(structs, st.binary(max_size=5))
def test_structs_read_back_as_written(fields, after):
    content = write_struct(fields)
    assert read_struct(content + after, 0) == (fields, len(content))


@given(st.binary(max_size=60))
def test_garbage_is_a_value_error_or_a_struct(content):
    try:
        _, end = read_struct(content, 0)
    except ValueError:
        return
    assert 0 < end <= len(content)
