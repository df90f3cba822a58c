"""Columns as ``.npy`` files and back: what each Arrow type becomes, and text as fixed-width UTF-8."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

SPARSE_PARTS = ("indptr", "indices", "data")
"""A sparse column is three files, as SciPy keeps a CSR matrix: row i has the entries from indptr[i] to indptr[i + 1]."""


def files_of(name: str, column: pa.Array) -> Iterator[tuple[str, list[pa.Buffer]]]:
    """Yield the file names of one column and the bytes of each, which share the column's memory where they can.

    Fixed-size lists become a matrix (rows, dimension), numbers and booleans themselves, text what ``fixed_width`` makes
    of it (null is empty). Raise ``ValueError`` for a null number.
    """
    if pa.types.is_struct(column.type):
        for part, values in zip(SPARSE_PARTS, _csr(column), strict=True):
            yield f"{name}.{part}.npy", npy(values)
        return
    yield f"{name}.npy", npy(_values(column))


def _values(column: pa.Array) -> npt.NDArray[Any]:
    if pa.types.is_fixed_size_list(column.type):
        return np.asarray(column.flatten().to_numpy(zero_copy_only=True)).reshape(len(column), column.type.list_size)
    if pa.types.is_string(column.type):
        return fixed_width(column)
    if column.null_count:
        raise ValueError("a null has no value in a NumPy file")
    return np.asarray(column.to_numpy(zero_copy_only=False))


def fixed_width(column: pa.Array) -> npt.NDArray[Any]:
    """Return a string column as UTF-8 bytes padded with NUL to the longest of them; where one is empty, as characters (dtype ``U``).

    Milvus 2.3.5 reads an empty text of dtype ``S`` as that many NULs.
    """
    filled = column.fill_null("")
    lengths = pc.binary_length(filled).to_numpy(zero_copy_only=False)
    if len(lengths) and not lengths.min():
        return np.array(filled.to_pylist(), np.str_)
    width = max(1, int(lengths.max(initial=0)))
    padded = np.zeros((len(filled), width), np.uint8)
    _, offsets, data = filled.buffers()
    if data is not None:
        limits = np.frombuffer(offsets, np.int32)[filled.offset : filled.offset + len(filled) + 1]
        padded[np.arange(width) < lengths[:, None]] = np.frombuffer(data, np.uint8)[limits[0] : limits[-1]]
    return padded.reshape(-1).view(f"S{width}")


def _csr(column: pa.Array) -> tuple[npt.NDArray[Any], ...]:
    indices, values = (column.field(name).filter(column.is_valid()) for name in ("indices", "values"))
    lengths = pc.fill_null(pc.list_value_length(pc.if_else(column.is_valid(), column.field("indices"), None)), 0)
    indptr = np.concatenate([[0], np.cumsum(lengths.to_numpy(zero_copy_only=False))]).astype(np.int64)
    return indptr, indices.flatten().to_numpy(zero_copy_only=False), values.flatten().to_numpy(zero_copy_only=False)


def npy(array: npt.NDArray[Any]) -> list[pa.Buffer]:
    """Return the bytes of a file (numpy.lib.format, version 1.0): its header and the array's own memory."""
    whole = np.ascontiguousarray(array)
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, np.lib.format.header_data_from_array_1_0(whole))
    return [pa.py_buffer(head.getvalue()), pa.py_buffer(whole.reshape(-1).view(np.uint8))] if whole.size else [pa.py_buffer(head.getvalue())]


def text_of(column: npt.NDArray[Any]) -> pa.Array:
    """Return fixed-width text (dtype ``S``, UTF-8, or ``U``) as strings. Raise ``ValueError`` when it is not UTF-8."""
    if column.dtype.kind == "U":
        return pa.array(column.tolist(), pa.string())
    width = column.dtype.itemsize
    if not width or not len(column):
        return pa.array([""] * len(column), pa.string())
    padded = np.ascontiguousarray(column).view(np.uint8).reshape(len(column), width)
    lengths = width - np.argmax(padded[:, ::-1] != 0, axis=1)
    lengths[~padded.any(axis=1)] = 0
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    flat = padded[np.arange(width) < lengths[:, None]]
    array = pa.Array.from_buffers(pa.string(), len(column), [None, pa.py_buffer(offsets), pa.py_buffer(flat)])
    array.validate(full=True)  # raises ArrowInvalid, a ValueError, where it is not UTF-8
    return array
