"""Order-free digests of records: equal collections have equal digests, whatever order and batches they were read in.

A row's hash is xxh3-128 over its float32 bytes, seeded with xxh3-64 hashes of its id, namespace, metadata and sparse values.
A digest adds the hashes up, as two wrapping 64-bit sums, in 65,536 buckets chosen by id: when two digests differ, only the records
of the differing buckets need to be looked at again. Sums, unlike XOR, notice a record that is there twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from xxhash import xxh3_64_intdigest, xxh3_128_digest

from migrator.records import bytes_of_rows, matrix
from migrator.row_bytes import metadata_bytes, only_name, sparse_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

BUCKETS = 1 << 16


@dataclass(frozen=True)
class RowHashes:
    """The hashes of a batch's rows."""

    keys: npt.NDArray[np.uint64]
    """(records,): hash of namespace and id; its lowest 16 bits are the bucket."""
    rows: npt.NDArray[np.uint64]
    """(records, 2): 128-bit hash of the whole record."""


def hash_rows(batch: pa.RecordBatch) -> RowHashes:
    """Return the hashes of every record of ``batch``."""
    keys = hash_keys(batch.column("id"), batch.column("namespace"))
    seeds = keys
    if batch.column("metadata").null_count < len(batch):
        seeds = _chain(seeds, metadata_bytes(batch.column("metadata")))
    if batch.column("sparse_values").null_count < len(batch):
        seeds = _chain(seeds, sparse_bytes(batch.column("sparse_values")))
    rows = b"".join(map(xxh3_128_digest, bytes_of_rows(matrix(batch)), seeds))
    return RowHashes(np.fromiter(keys, np.uint64, len(keys)), np.frombuffer(rows, np.uint64).reshape(-1, 2))


def hash_keys(ids: pa.Array, namespaces: pa.Array) -> list[int]:
    """Return the 64-bit hash of each (namespace, id)."""
    texts = pc.cast(ids, pa.binary()).to_pylist()
    if (only := only_name(namespaces)) is not None:
        return list(map(xxh3_64_intdigest, texts, repeat(xxh3_64_intdigest(only.encode()))))
    seeds = {name: xxh3_64_intdigest(name.encode()) for name in pc.unique(namespaces).to_pylist()}
    return [xxh3_64_intdigest(text, seeds[name]) for text, name in zip(texts, namespaces.to_pylist(), strict=True)]


def _chain(seeds: list[int], parts: list[bytes | None]) -> list[int]:
    return [seed if part is None else xxh3_64_intdigest(part, seed) for seed, part in zip(seeds, parts, strict=True)]


def buckets_of(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Return the bucket of each of ``RowHashes.keys``."""
    return (keys & np.uint64(BUCKETS - 1)).astype(np.int64)


@dataclass
class Digest:
    """Counts and sums of row hashes, in buckets and per namespace. Adding is order-free."""

    counts: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(BUCKETS, np.int64))
    sums: npt.NDArray[np.uint64] = field(default_factory=lambda: np.zeros((BUCKETS, 2), np.uint64))
    namespaces: dict[str, NamespaceDigest] = field(default_factory=dict)

    def add(self, hashes: RowHashes, namespaces: Mapping[str, NamespaceDigest]) -> None:
        """Add the rows of one batch; ``namespaces`` is ``namespace_digests`` of the same batch."""
        buckets = buckets_of(hashes.keys)
        np.add.at(self.counts, buckets, 1)
        np.add.at(self.sums[:, 0], buckets, hashes.rows[:, 0])
        np.add.at(self.sums[:, 1], buckets, hashes.rows[:, 1])
        self.namespaces = merge(self.namespaces, namespaces)

    def differing_buckets(self, other: Digest) -> npt.NDArray[np.int64]:
        """Return the buckets whose records are not the same on both sides."""
        return np.flatnonzero((self.counts != other.counts) | (self.sums != other.sums).any(axis=1))


@dataclass(frozen=True)
class NamespaceDigest:
    """How many records a namespace holds and the wrapping sums of their hashes."""

    count: int = 0
    low: int = 0
    high: int = 0

    def __add__(self, other: NamespaceDigest) -> NamespaceDigest:
        wrap = (1 << 64) - 1
        return NamespaceDigest(self.count + other.count, (self.low + other.low) & wrap, (self.high + other.high) & wrap)

    def to_json(self) -> list[Any]:
        return [self.count, f"{self.low:016x}", f"{self.high:016x}"]

    @staticmethod
    def from_json(row: list[Any]) -> NamespaceDigest:
        return NamespaceDigest(int(row[0]), int(row[1], 16), int(row[2], 16))


def namespace_digests(hashes: RowHashes, namespaces: pa.Array) -> dict[str, NamespaceDigest]:
    """Return the digest of each namespace occurring in a batch whose namespace column is ``namespaces``."""
    if (only := only_name(namespaces)) is not None:
        return {only: _summed(hashes.rows)}
    encoded = pc.dictionary_encode(namespaces)
    codes = encoded.indices.to_numpy()
    return {name: _summed(hashes.rows[codes == code]) for code, name in enumerate(encoded.dictionary.to_pylist())}


def _summed(rows: npt.NDArray[np.uint64]) -> NamespaceDigest:
    # a column at a time: a sum along the first of two axes takes eight times as long
    return NamespaceDigest(len(rows), int(rows[:, 0].sum(dtype=np.uint64)), int(rows[:, 1].sum(dtype=np.uint64)))


def merge(left: Mapping[str, NamespaceDigest], right: Mapping[str, NamespaceDigest]) -> dict[str, NamespaceDigest]:
    """Return the sum of two sets of namespace digests."""
    return {name: left.get(name, NamespaceDigest()) + right.get(name, NamespaceDigest()) for name in {**left, **right}}


def fingerprint(namespaces: Mapping[str, NamespaceDigest]) -> str:
    """Return one short text for a whole collection: equal texts mean equal records in equal namespaces."""
    parts = [f"{len(name.encode())}:{name}:{digest.to_json()}" for name, digest in sorted(namespaces.items()) if digest.count]
    return xxh3_128_digest("\n".join(parts).encode()).hex()
