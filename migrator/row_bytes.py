"""The bytes of each record that its hash is made of, cut out of whole columns at once: a record of a batch at a time costs ten times as much."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from migrator.records import dump_json, parse_json

if TYPE_CHECKING:
    import numpy.typing as npt

# numbers that JSON can write in several ways: 1.0, 1e3, -0
_SEVERAL_SPELLINGS = r"[0-9]\.0+[,\]}]|[0-9][eE]|-0[,\]}.]"
_DOT, _MINUS, _ZERO, _LOWER, _E = b".-0 e"


def only_name(names: pa.Array) -> str | None:
    """Return the name that every row of ``names`` (strings, not null) has, None when there are several or no rows."""
    if not len(names):
        return None
    content, offsets = _text(names)
    width = int(offsets[1] - offsets[0])
    content = content[offsets[0] : offsets[-1]]
    # of names of one length, each is like the one before it
    alike = bool((np.diff(offsets) == width).all() and (content[width:] == content[: len(content) - width]).all())
    return str(names[0].as_py()) if alike else None


def metadata_bytes(metadata: pa.Array) -> list[bytes | None]:
    """Return metadata as bytes in which equal numbers are spelled equally: 1.0 and 1 are the same value."""
    texts: list[bytes | None] = pc.cast(metadata, pa.binary()).to_pylist()
    rows = _candidates(metadata)
    if len(rows):
        suspects = pc.match_substring_regex(metadata.take(pa.array(rows)), _SEVERAL_SPELLINGS)
        for row in rows[suspects.fill_null(fill_value=False).to_numpy(zero_copy_only=False)].tolist():
            texts[row] = equal_numbers(texts[row] or b"")
    return texts


def _candidates(metadata: pa.Array) -> npt.NDArray[np.int64]:
    """Return the rows with ``.0``, ``-0`` or a digit before an ``e``, which all of several spellings have, and others too."""
    content, offsets = _text(metadata)
    content = content[offsets[0] : offsets[-1]]
    before, after = content[:-1], content[1:]
    zeros = ((before == _DOT) | (before == _MINUS)) & (after == _ZERO)
    exponents = ((before - np.uint8(_ZERO)) < np.uint8(10)) & ((after | np.uint8(_LOWER)) == _E)
    places = np.flatnonzero(zeros | exponents) + offsets[0]
    return np.unique(np.searchsorted(offsets, places, side="right") - 1)


def _text(column: pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """Return the bytes of a string column and where each row's begin, with one offset more than rows."""
    _, offsets, content = column.buffers()
    bounds = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    return np.frombuffer(content, np.uint8) if content is not None else np.zeros(0, np.uint8), bounds


def equal_numbers(text: bytes) -> bytes:
    """Return JSON text with whole floats written as integers."""
    return dump_json(_whole_floats_as_integers(parse_json(text))).encode()


def _whole_floats_as_integers(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _whole_floats_as_integers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole_floats_as_integers(item) for item in value]
    return value


def sparse_bytes(sparse: pa.Array) -> list[bytes | None]:
    """Return each sparse vector's indices and values in order of index, so that their order does not matter.

    The NUL before them keeps them apart from metadata of the same bytes: JSON has none.
    """
    indices, bounds = _items(sparse, "indices", np.uint32)
    weights, others = _items(sparse, "values", np.float32)
    if not np.array_equal(bounds, others):
        raise ValueError("a sparse vector has not as many indices as values")
    rows = np.repeat(np.arange(len(sparse)), np.diff(bounds))
    if ((indices[1:] < indices[:-1]) & (rows[1:] == rows[:-1])).any():
        order = np.lexsort((indices, rows))  # stable: of an index that is there twice the weights stay in their order
        indices, weights = indices[order], weights[order]
    left, right, width = indices.tobytes(), weights.tobytes(), indices.itemsize
    parts: list[bytes | None] = [b"\0" + left[first:last] + right[first:last] for first, last in pairwise((bounds * width).tolist())]
    for row in np.flatnonzero(sparse.is_null().to_numpy(zero_copy_only=False)).tolist():
        parts[row] = None
    return parts


def _items(sparse: pa.Array, field: str, kind: Any) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Return the numbers of all rows of one list after another, and where each row's begin; a null is an empty list."""
    lists = pc.struct_field(sparse, field)
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    numbers = lists.flatten()
    if numbers.null_count:
        raise ValueError(f"a sparse vector has a null among its {field}")
    return np.asarray(numbers.to_numpy(), kind), np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
