"""Which records a proof of less than everything looks at: the same on both sides, chosen by the hash of their names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from migrator.digest import RowHashes, hash_keys
from migrator.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    import pyarrow as pa

_MIX = np.uint64(0x9E3779B97F4A7C15)  # the golden ratio: spreads keys evenly, in an order that has nothing to do with buckets
_ALL = float(1 << 64)


@dataclass(frozen=True)
class Sample:
    """How many records a sample has: a share of all (0 to 1), or a number."""

    share: float | None
    number: int | None


def parse_sample(text: str) -> Sample | None:
    """Return what ``5%`` or ``10000`` asks for, None for "". Raise ``ConfigError`` for anything else."""
    if not text:
        return None
    plain = text.strip().replace(",", "").replace("_", "")
    try:
        if plain.endswith("%"):
            share = float(plain[:-1]) / 100
            if 0 < share <= 1:
                return Sample(share, None)
        elif int(plain) > 0:
            return Sample(None, int(plain))
    except ValueError:
        pass
    raise ConfigError(f"a sample of {text!r} is none", fix="give a share such as 5%, or a number of records such as 10000", code="bad_sample")


@dataclass(frozen=True)
class Chosen:
    """Chooses the records whose place in the order of the sample is at most ``last``."""

    last: int
    """An unsigned 64-bit number."""

    def __call__(self, keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
        """Return which of ``RowHashes.keys`` are in the sample."""
        return places(keys) <= np.uint64(self.last)


def places(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return the place of each record in the order of the sample."""
    return keys * _MIX


def of_share(share: float) -> Chosen:
    """Return what chooses about ``share`` (0 to 1) of all records."""
    return Chosen(min((1 << 64) - 1, int(share * _ALL)))


def of_number(number: int, go_through: Callable[[Callable[[pa.RecordBatch], None]], None]) -> Chosen:
    """Return what chooses just ``number`` records, of which there are the ids and namespaces that ``go_through`` passes on."""
    first = np.empty(0, np.uint64)

    def keep(batch: pa.RecordBatch) -> None:
        nonlocal first
        first = np.concatenate([first, places(name_keys(batch))])
        if len(first) > 2 * number + 100_000:
            first = np.partition(first, number - 1)[:number]

    go_through(keep)
    if len(first) <= number:
        return Chosen((1 << 64) - 1)
    return Chosen(int(np.partition(first, number - 1)[number - 1]))


def name_keys(batch: pa.RecordBatch) -> npt.NDArray[np.uint64]:
    """Return ``RowHashes.keys`` of a batch's ids and namespaces."""
    return np.array(hash_keys(batch.column("id"), batch.column("namespace")), np.uint64)


def hash_names(batch: pa.RecordBatch) -> RowHashes:
    """Return hashes of the records by their ids and namespaces alone."""
    keys = name_keys(batch)
    return RowHashes(keys, np.stack([keys, places(keys) ^ (keys >> np.uint64(29))], axis=1))
