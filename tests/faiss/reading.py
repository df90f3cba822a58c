"""What the Faiss tests share: seeding with faiss itself, and reading everything back through the connector."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import faiss
import numpy as np

from migrator.connectors import faiss as connector
from migrator.endpoints import parse
from migrator.model import Selection
from migrator.records import matrix, to_dicts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

    from migrator.connectors.faiss.source import FaissSource

DIMENSION = 16


def vectors(count: int, dimension: int = DIMENSION, seed: int = 1) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)


def seed(path: Path, kind: str, values: npt.NDArray[np.float32], ids: npt.NDArray[np.int64] | None = None, metric: int = faiss.METRIC_L2) -> Path:
    """Write an index of ``kind`` (an index_factory string) holding ``values``."""
    index = faiss.index_factory(values.shape[1], kind, metric)
    if not index.is_trained:
        index.train(values)
    if ids is None:
        index.add(values)
    else:
        index.add_with_ids(values, ids)
    faiss.write_index(index, str(path))
    return path


@contextlib.contextmanager
def opened(endpoint: str) -> Iterator[FaissSource]:
    source = connector.open_source(parse(endpoint))
    try:
        yield source
    finally:
        source.close()


def read_all(source: FaissSource, *, splits: int = 1, records: int = 1_000) -> list[dict[str, Any]]:
    """Return every record in the order of reading."""
    chunks = [chunk for split in source.splits(Selection(), splits) for chunk in source.read(split, None, records)]
    return [record for chunk in chunks for record in to_dicts(chunk.batch)]


def by_id(source: FaissSource) -> dict[str, npt.NDArray[np.float32]]:
    """Return the vector of each id, which must occur once."""
    chunks = [chunk for split in source.splits(Selection(), 3) for chunk in source.read(split, None, 97)]
    names = [name for chunk in chunks for name in chunk.batch.column("id").to_pylist()]
    # not by way of Python floats, which turn a signalling NaN into a quiet one
    found = dict(zip(names, (row for chunk in chunks for row in matrix(chunk.batch)), strict=True))
    assert len(found) == len(names)
    return found
