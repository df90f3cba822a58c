"""Columns as .npy files: what numpy reads of them is what was written."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.connectors.numpy import npy

texts = st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12), min_size=1, max_size=20)


def loaded(column, name="x"):
    """Return what numpy reads of each file of a column."""
    files = {file: io.BytesIO(b"".join(bytes(buffer) for buffer in buffers)) for file, buffers in npy.files_of(name, column)}
    return {file: np.load(content, allow_pickle=False) for file, content in files.items()}


@given(texts)
def test_text_comes_back(values):
    array = loaded(pa.array(values))["x.npy"]
    assert [value.decode() if isinstance(value, bytes) else str(value) for value in array] == values
    assert npy.text_of(array).to_pylist() == values


@given(texts, st.integers(0, 30), st.integers(0, 30))
def test_a_slice_of_text_is_that_slice(values, start, count):
    column = pa.array(values).slice(start, count)
    if len(column):
        assert npy.text_of(loaded(column)["x.npy"]).to_pylist() == values[start : start + count]


def test_an_empty_text_makes_its_column_one_of_characters():
    """Milvus 2.3.5 reads an empty text of dtype S as NULs."""
    assert loaded(pa.array(["", "ab"]))["x.npy"].dtype.kind == "U"
    assert loaded(pa.array(["a", "ab"]))["x.npy"].dtype.kind == "S"
    assert loaded(pa.array([None, "ab"]))["x.npy"].tolist() == ["", "ab"]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1, -(2**63), 2**63 - 1], pa.int64()),
        pa.array([1, -128, 127], pa.int8()),
        pa.array([0.1, -0.0, 1e-45], pa.float32()),
        pa.array([0.1, 1e308, 5e-324], pa.float64()),
        pa.array([True, False, True]),
    ],
)
def test_numbers_come_back_with_their_type(column):
    array = loaded(column)["x.npy"]
    assert array.dtype == column.type.to_pandas_dtype()
    assert array.tobytes() == np.array(column.to_pylist(), array.dtype).tobytes()


def test_vectors_become_a_matrix_and_a_slice_its_rows():
    values = np.arange(12, dtype=np.float32)
    column = pa.FixedSizeListArray.from_arrays(pa.array(values), 3)
    assert np.array_equal(loaded(column)["x.npy"], values.reshape(4, 3))
    assert np.array_equal(loaded(column.slice(1, 2))["x.npy"], values.reshape(4, 3)[1:3])


def test_sparse_values_are_a_csr_matrix():
    rows = [{"indices": [3, 70_000], "values": [0.5, 1.0]}, None, {"indices": [], "values": []}, {"indices": [2**32 - 1], "values": [2.0]}]
    column = pa.array(rows, pa.struct([("indices", pa.list_(pa.uint32())), ("values", pa.list_(pa.float32()))]))
    files = loaded(column)
    assert files["x.indptr.npy"].tolist() == [0, 2, 2, 2, 3]
    assert files["x.indices.npy"].tolist() == [3, 70_000, 2**32 - 1]
    assert files["x.data.npy"].tolist() == [0.5, 1.0, 2.0]


def test_a_null_number_is_refused():
    with pytest.raises(ValueError, match="null"):
        loaded(pa.array([1, None]))


def test_no_rows_are_a_file_too():
    assert loaded(pa.array([], pa.int64()))["x.npy"].tolist() == []
    assert npy.text_of(np.array([], "S1")).to_pylist() == []


def test_text_that_is_not_utf8_is_refused():
    with pytest.raises(ValueError, match="UTF8"):
        npy.text_of(np.array([b"\xff\xfe", b"a"]))
