"""The user's own queries: vectors from a NumPy, JSON, JSON lines or Parquet file, each checked before any is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from migrator.errors import ConfigError
from migrator.filters import compile_filter
from migrator.records import parse_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy.typing as npt

MOST_QUERIES = 10_000
_VECTORS = ("values", "vector", "embedding")
_NAMES = ("id", "query", "name")
_FIX = 'give .npy (a matrix), .json or .jsonl (lists of numbers, or {"values": [...], "id", "namespace", "filter"}), or .parquet with a vector column'


@dataclass(frozen=True)
class Query:
    """One question."""

    name: str
    """The id of the stored record it is, or what the user's file calls it."""
    vector: npt.NDArray[np.float32]
    namespace: str | None = None
    """Of the target; None where the file names none."""
    filter: Mapping[str, Any] | None = None


def read_queries(path: Path, dimension: int) -> list[Query]:
    """Return the queries of a file, of ``dimension`` components each. Raise ``ConfigError`` naming the query and what is wrong with it."""
    readers = {".npy": _of_matrix, ".json": _of_json, ".jsonl": _of_lines, ".parquet": _of_parquet}
    if path.suffix.lower() not in readers:
        raise _bad(path, f"has the ending {path.suffix or 'of no kind'!r}")
    try:
        found = [_checked(path, place, item, dimension) for place, item in enumerate(readers[path.suffix.lower()](path), 1)]
    except OSError as error:
        raise _bad(path, f"cannot be read: {error.strerror or error}") from None
    except (pa.ArrowException, EOFError, ValueError) as error:  # NumPy ends an empty file with EOFError
        raise _bad(path, f"cannot be read: {error}") from None
    if not found:
        raise _bad(path, "holds no query")
    return found


def _of_matrix(path: Path) -> Iterator[Any]:
    matrix = np.load(path, mmap_mode="r", allow_pickle=False)
    if not isinstance(matrix, np.ndarray) or matrix.ndim not in {1, 2} or matrix.dtype.kind not in "fiu":
        raise ValueError("it is no matrix of numbers")
    yield from np.atleast_2d(matrix)[: MOST_QUERIES + 1]


def _of_json(path: Path) -> Iterator[Any]:
    found = parse_json(path.read_text(encoding="utf-8"))
    single = not isinstance(found, list) or (bool(found) and all(isinstance(item, (int, float)) for item in found))
    yield from [found] if single else found


def _of_lines(path: Path) -> Iterator[Any]:
    with path.open(encoding="utf-8") as file:
        yield from (parse_json(line) for line in file if line.strip())


def _of_parquet(path: Path) -> Iterator[Any]:
    with pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        vector = next((name for name in (*_VECTORS, *names) if name in names and pa.types.is_nested(file.schema_arrow.field(name).type)), None)
        if vector is None:
            raise ValueError(f"it has no column of vectors, only {', '.join(names)}")
        known = [name for name in (*_NAMES, "namespace", "filter", "sparse_values") if name in names]
        for batch in file.iter_batches(256, columns=[vector, *known]):
            for row in batch.to_pylist():
                text = row.get("filter")
                yield {**row, "values": row[vector], "filter": parse_json(text) if isinstance(text, str) else text}


def _checked(path: Path, place: int, item: Any, dimension: int) -> Query:
    """Return one query, or raise the ``ConfigError`` that names it."""
    if place > MOST_QUERIES:
        raise _bad(path, f"holds more than {MOST_QUERIES:,} queries")
    told = item if isinstance(item, dict) else {"values": item}
    name = next((str(told[key]) for key in _NAMES if told.get(key) is not None), f"query {place}")
    if told.get("sparse_values"):
        raise _bad(path, f"query {place} has sparse_values: search quality is measured for dense vectors")
    vector = _vector(path, place, next((told[key] for key in _VECTORS if told.get(key) is not None), None), dimension)
    namespace, filter_ = told.get("namespace"), told.get("filter")
    if not isinstance(namespace, str | None):
        raise _bad(path, f"query {place} has a namespace that is no text")
    if filter_ is not None:
        try:
            compile_filter(filter_)
        except ConfigError as error:
            raise _bad(path, f"query {place}: {error.message}") from None
    return Query(name, vector, namespace, filter_)


def _vector(path: Path, place: int, values: Any, dimension: int) -> npt.NDArray[np.float32]:
    try:
        given = np.asarray([] if values is None else values)
    except ValueError:
        raise _bad(path, f"query {place} is no list of numbers") from None
    if given.dtype.kind not in "fiu":  # NumPy would make numbers of texts and truth values
        raise _bad(path, f"query {place} is no list of numbers")
    vector = given.astype(np.float64)
    if vector.ndim != 1 or not len(vector):
        raise _bad(path, f"query {place} has no vector")
    if len(vector) != dimension:
        raise _bad(path, f"query {place} has {len(vector):,} components, the collection {dimension:,}")
    with np.errstate(over="ignore"):
        found = vector.astype(np.float32)
    if not np.isfinite(found).all():
        raise _bad(path, f"query {place} has the component {float(vector[~np.isfinite(found)][0])}, which is no finite float32")
    return found


def _bad(path: Path, why: str) -> ConfigError:
    return ConfigError(f"the queries {path.name}: {why}" if why.startswith("query") else f"the file of queries {path.name} {why}", fix=_FIX, code="bad_queries")
