"""What the contract's cases share: records that are hard to carry, opening connectors, and comparing exactly."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from migrator import endpoints, records
from migrator.connectors import connector
from migrator.model import Capabilities, Collection, Endpoint, Plan, Selection
from tests.unit.batches import batch_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from migrator.model import Chunk, Metric, Split
    from migrator.protocols import Source, Target
    from tests.contract.harness import Harness

LONG_TEXT = "日本語 text, " * 1500
HARD_IDS = ["é", "日本語", "🙂", "a b", 'say "hi"', "it's", "back\\slash", "a/b", "%41", "__default__", "-", "0", "007", "x" * 100]
HARD_METADATA: list[dict[str, Any]] = [
    {"text": "naïve 日本語 🙂", "empty": ""},
    {"quoted": 'a "b" \\ c \n d', "": "empty key"},
    {"whole": 1, "float": 1.5, "negative": -7, "big": 2**53 + 1},
    {"yes": True, "no": False},
    {"list": ["a", "b"], "none": []},
    {"nested": {"deep": {"deeper": [1, {"x": None}]}}},
    {"null": None, "kept": 1},
    {"long": LONG_TEXT},
    {"huge": 2**63 - 1},
    {"beyond": 2**70},
]
HARD_VALUES = [
    [-0.0, 1.0, 0.5],
    [float(np.float32(1e-45)), float(np.float32(1.1754942e-38)), 1.0],
    [float(np.finfo(np.float32).max), 1.0, 2.0],
    [-float(np.finfo(np.float32).max), -1.0, 0.1],
    [0.1, 0.2, float(np.nextafter(np.float32(1), np.float32(2)))],
]


def fitting(metadata: dict[str, Any], abilities: Capabilities) -> bool:
    """Whether a store says it can hold ``metadata``."""
    text = records.dump_json(metadata)
    limit = {"any": math.inf, "int64": 2**63 - 1, "float64": 2**53}[abilities.metadata_integers]
    return (
        abilities.metadata
        and (abilities.max_metadata_bytes is None or len(text.encode()) <= abilities.max_metadata_bytes)
        and (abilities.nested_metadata or not _any(metadata, lambda value: isinstance(value, dict)))
        and (abilities.null_metadata_values or not _any(metadata, lambda value: value is None))
        and not _any(metadata, lambda value: isinstance(value, int) and abs(value) > limit)
    )


def _any(value: dict[str, Any] | list[Any], test: Any) -> bool:
    inner = value.values() if isinstance(value, dict) else value
    return any(test(item) or (isinstance(item, (dict, list)) and _any(item, test)) for item in inner)


@contextlib.contextmanager
def source_of(text: str) -> Iterator[Source]:
    endpoint = endpoints.parse(text)
    source = connector(endpoint.connector).open_source(endpoint)
    try:
        yield source
    finally:
        source.close()


@contextlib.contextmanager
def target_of(text: str) -> Iterator[Target]:
    endpoint = endpoints.parse(text)
    target = connector(endpoint.connector).open_target(endpoint)
    try:
        yield target
    finally:
        target.close()


def abilities_of(text: str) -> Capabilities:
    endpoint = endpoints.parse(text)
    return connector(endpoint.connector).capabilities(endpoint)


def collection_of(batches: Sequence[pa.RecordBatch], *, metric: Metric = "cosine", id_type: Any = "string") -> Collection:
    """Return the description of the records about to be written."""
    counts: dict[str, int] = {}
    for batch in batches:
        for namespace in batch.column("namespace").to_pylist():
            counts[namespace] = counts.get(namespace, 0) + 1
    sparse = any(batch.column("sparse_values").null_count < batch.num_rows for batch in batches)
    fields = {key: type(value).__name__ for batch in batches for row in records.to_dicts(batch) for key, value in (row["metadata"] or {}).items()}
    return Collection("contract", records.dimension_of(batches[0]), metric, id_type, counts or {"": 0}, fields, sparse=sparse)


def plan_to(text: str) -> Plan:
    return Plan(Endpoint("memory", "contract"), endpoints.parse(text))


def write_all(text: str, batches: Sequence[pa.RecordBatch], **about: Any) -> None:
    """Write ``batches`` as the parts of one split, and finish."""
    with target_of(text) as target:
        target.prepare(collection_of(batches, **about), plan_to(text))
        for number, batch in enumerate(batches):
            target.write(batch, f"split.{number}")
        target.finish()


def splits_of(source: Source, count: int = 1, namespaces: tuple[str, ...] | None = None) -> list[Split]:
    return list(source.splits(Selection(namespaces), count))


def read_all(source: Source, count: int = 1, size: int = 10, namespaces: tuple[str, ...] | None = None) -> list[dict[str, Any]]:
    """Return every record, asserting on the way that chunks are what they say."""
    found = []
    for split in splits_of(source, count, namespaces):
        for chunk in checked(source.read(split, None, size), size):
            found += rows_of(chunk.batch)
    return found


def checked(chunks: Iterator[Chunk], size: int, start: int = 0) -> Iterator[Chunk]:
    """Pass on chunks, asserting that they are of at most ``size`` rows and follow each other."""
    for chunk in chunks:
        assert 0 < chunk.scanned <= size
        assert chunk.start == start
        assert not chunk.rejected
        assert chunk.batch.schema.equals(records.schema(records.dimension_of(chunk.batch)))
        chunk.batch.validate(full=True)
        start += chunk.scanned
        yield chunk


def rows_of(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """Return records in the shape of ``Harness.read_back``."""
    vectors = records.matrix(batch)
    return [{**row, "values": vectors[place]} for place, row in enumerate(records.to_dicts(batch))]


def comparable(rows: Sequence[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Return rows as sorted tuples that are equal only when every bit of every vector is."""
    return sorted(
        (row["namespace"], row["id"], np.asarray(row["values"], np.float32).tobytes(), _sparse(row["sparse_values"]), _typed(row["metadata"] or None))
        for row in rows
    )


def _sparse(sparse: dict[str, Any] | None) -> str:
    if not sparse:
        return ""
    return repr(sorted((int(index), float(np.float32(value))) for index, value in zip(sparse["indices"], sparse["values"], strict=True)))


def _typed(value: Any) -> str:
    """Return a text equal for equal JSON: 1 and 1.0 are one number, 1 and true are not."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key!r}:{_typed(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_typed(item) for item in value) + "]"
    if isinstance(value, float) and value.is_integer():
        return repr(int(value))
    return repr(value)


def assert_same(found: Sequence[dict[str, Any]], batches: Sequence[pa.RecordBatch], harness: Harness) -> None:
    """Assert that ``found`` are exactly the records of ``batches``, as far as the store can hold them."""
    expected = [row for batch in batches for row in rows_of(harness.adapt(batch))]
    assert comparable(found) == comparable(expected)


def hard_batch(abilities: Capabilities) -> pa.RecordBatch:
    """Return records whose ids, vectors and metadata are awkward in every way the store says it can hold."""
    usable = [metadata for metadata in HARD_METADATA if fitting(metadata, abilities)]
    ids = [id_ for id_ in HARD_IDS if id_.isascii() or not abilities.ascii_ids]
    rows = [{"id": id_, "metadata": usable[place % len(usable)] if usable else None} for place, id_ in enumerate(ids)]
    vectors = [{"id": f"v{place}", "values": values} for place, values in enumerate(HARD_VALUES)]
    return batch_of([*({**row, "values": [0.1, 0.2, place]} for place, row in enumerate(rows)), *vectors])
