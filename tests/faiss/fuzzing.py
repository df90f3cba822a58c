"""Mutated index files of every kind, and what reading one comes to."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import faiss
import numpy as np

from migrator.connectors import faiss as connector
from migrator.connectors.faiss.child import Child
from migrator.connectors.faiss.description import describe
from migrator.connectors.faiss.files import open_file
from migrator.errors import MigratorError, UnreadableSourceError
from migrator.model import Endpoint, Selection
from tests.faiss.reading import vectors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

KINDS = [
    "Flat", "IDMap,Flat", "IDMap2,Flat", "IVF4,Flat", "IDMap,IVF4,Flat", "HNSW4,Flat", "IDMap,HNSW4,Flat", "NSG4,Flat", "Flat,RFlat", "SQ8,RFlat",
    "IVF4,Flat,RFlat", "SQ8", "SQ4", "SQfp16", "SQbf16", "PQ4x4", "IVF4,PQ4x4", "IVF4,SQ8", "HNSW4,SQ8", "HNSW4,PQ4x4", "LSH", "LSHrt", "RQ2x4",
    "IVF4,RQ2x4", "LSQ2x4", "PRQ2x2x4", "PCA4,Flat", "PCA4,IVF4,Flat", "PCAW8,Flat", "OPQ4,PQ4x4", "RR8,IVF4,SQ8", "L2norm,Flat", "Pad16,Flat",
    "ITQ4,LSH", "PQ4x4fs", "IVF4,PQ4x4fs", "IVF4,FlatDedup", "IVF4,RaBitQ", "IVF4(IVF2,Flat),Flat", "IVF4_HNSW4,Flat",
]  # fmt: skip
INTERESTING = [0, 1, 2, 7, 8, 0x7F, 0xFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**40, 2**61, 2**62, 2**63 - 1, 2**63, 2**64 - 1]
FOURCCS = [
    b"IxF2",
    b"IxFI",
    b"IxMp",
    b"IxM2",
    b"IwFl",
    b"IwPQ",
    b"IxSQ",
    b"IHNf",
    b"IxPT",
    b"IxRF",
    b"ilar",
    b"ilod",
    b"IxPq",
    b"IBxF",
    b"null",
    b"full",
    b"sprs",
]


def corpus(folder: Path, canary: Path) -> list[tuple[str, bytes]]:
    """Return an index of every kind with 120 vectors of 8 components, and one with on-disk lists in ``canary``."""
    values, made = vectors(120, dimension=8), []
    for kind in KINDS:
        index = faiss.index_factory(8, kind)
        index.train(vectors(300, dimension=8))
        if kind.startswith("IDMap"):
            index.add_with_ids(values, np.arange(120) * 3)
        else:
            index.add(values)
        made.append((kind, faiss.serialize_index(index).tobytes()))
    index = faiss.index_factory(8, "IVF4,Flat")
    index.train(values)
    index.add(values)
    lists = faiss.OnDiskInvertedLists(index.nlist, index.code_size, str(folder / "lists"))
    lists.merge_from_1(index.invlists)
    index.replace_invlists(lists)
    on_disk = faiss.serialize_index(index).tobytes()
    path, target = str(folder / "lists").encode(), str(canary).encode()
    where = on_disk.index(path)
    made.append(("OnDisk", on_disk[: where - 8] + len(target).to_bytes(8, "little") + target + on_disk[where + len(path) :]))
    return made


def mutated(random: np.random.Generator, data: bytes) -> bytes:
    """Return ``data`` with one to four injuries, more of them near the beginning where the headers are."""
    changed = bytearray(data)
    for _ in range(int(random.integers(1, 5))):
        size = len(changed)
        at = int(random.integers(0, min(size, 200) if random.random() < 0.6 else size)) if size else 0
        injury = random.integers(0, 7)
        if injury == 0:
            changed[at : at + 1] = bytes([int(random.integers(0, 256))])
        elif injury == 1:
            changed[at : at + 8] = INTERESTING[int(random.integers(0, len(INTERESTING)))].to_bytes(8, "little")
        elif injury == 2:
            changed[at : at + 4] = (INTERESTING[int(random.integers(0, len(INTERESTING)))] % 2**32).to_bytes(4, "little")
        elif injury == 3:
            changed[at : at + 4] = FOURCCS[int(random.integers(0, len(FOURCCS)))]
        elif injury == 4:
            del changed[at : at + int(random.integers(1, 64))]
        elif injury == 5:
            changed[at:at] = random.bytes(int(random.integers(1, 64)))
        else:
            del changed[max(at, 1) :]
    return bytes(changed) or b"I"


@dataclass(frozen=True)
class Outcome:
    """What became of one file."""

    path: Path
    verdict: str
    """``refused`` or ``read``."""
    message: str
    seconds: float


def outcome(path: Path) -> Outcome:
    """Read all of ``path`` through the connector. Anything but a clean error or whole rows is raised."""
    began = time.monotonic()
    try:
        source = connector.open_source(Endpoint("faiss", str(path), {"timeout": "20"}))
    except MigratorError as error:
        return _refused(path, error, began)
    try:
        collection = source.describe()
        (*splits,) = source.splits(Selection(), 2)
        chunks = [chunk for split in splits for chunk in source.read(split, None, 1_000)]
        assert sum(chunk.scanned for chunk in chunks) == collection.count
        assert all(chunk.batch.schema.field("values").type.list_size == collection.dimension for chunk in chunks)
        return Outcome(path, "read", collection.kind, time.monotonic() - began)
    except MigratorError as error:
        return _refused(path, error, began)
    finally:
        source.close()


def _refused(path: Path, error: MigratorError, began: float) -> Outcome:
    assert str(path) in error.message, error.message
    assert error.fix
    return Outcome(path, "refused", error.message, time.monotonic() - began)


def outcomes(paths: Sequence[Path]) -> Iterator[Outcome]:
    """Read ``paths`` as ``outcome`` does, but let one worker refuse as many as it survives; those it accepts are read on their own."""
    rest = list(paths)
    while rest:
        files = [open_file(path, "the index") for path in rest]
        done, died = 0, False
        with Child(files, seconds=20, memory=3 * max(file.size for file in files), cpu_seconds=60) as child:
            for number, file in enumerate(files):
                began = time.monotonic()
                try:
                    describe(child, number, file)
                except UnreadableSourceError as error:
                    died = child.ended
                    done += 1
                    yield _refused(rest[number], error, began)
                    if died:
                        break
                else:
                    done += 1
                    yield outcome(rest[number])
        for file in files:
            file.close()
        rest = rest[done:]


def peak_memory() -> int:
    """Return the largest resident size this process ever had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
