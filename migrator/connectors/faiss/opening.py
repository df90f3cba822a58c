"""From an endpoint to an open source: finds the files, has the index described, and joins what stands beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

import numpy as np
import xxhash

from migrator import endpoints
from migrator.connectors.faiss import docstores, remote, sidecars
from migrator.connectors.faiss.beside import Beside, Records, ids_beside, metadata_beside
from migrator.connectors.faiss.child import Child
from migrator.connectors.faiss.description import describe
from migrator.connectors.faiss.files import OpenFile, open_file
from migrator.connectors.faiss.folders import Located, locate
from migrator.connectors.faiss.layout import NO_IDS
from migrator.connectors.faiss.reader import Reader, order_by_position
from migrator.connectors.faiss.shard import Shard
from migrator.connectors.faiss.source import FaissSource
from migrator.connectors.faiss.summary import summarise
from migrator.datasets.buckets import BUCKET_OPTIONS
from migrator.errors import ConfigError, UnreadableSourceError
from migrator.model import Metric

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt
    import pyarrow as pa

    from migrator.model import Endpoint

OPTIONS = BUCKET_OPTIONS | {"ids", "metadata", "metric", "timeout"}
_BYTES_A_SECOND = 20e6  # of a slow disk: an answer may take as long as reading its file once


def open_source(endpoint: Endpoint) -> FaissSource:
    """Open ``faiss:PATH?ids=FILE&metadata=FILE&metric=…&timeout=SECONDS``; path and files may be addresses in a bucket, from which they are fetched.

    Raise ``ConfigError`` for a wrong option or a sidecar of another length, ``UnreadableSourceError`` for a file that cannot be read,
    ``ConnectorError`` when a bucket's store refuses.
    """
    metric, timeout = chosen_metric(endpoint), chosen_timeout(endpoint)
    brought = remote.bring(endpoint)
    try:
        with brought.renaming():
            source = _open(brought.endpoint, metric, timeout)
    except BaseException:
        brought.close()
        raise
    source.known_as(Path(endpoint.resource.rstrip("/")).name, brought)
    return source


def _open(endpoint: Endpoint, metric: Metric | None, timeout: int) -> FaissSource:
    located = locate(Path(endpoint.resource))
    shards = open_shards(located, timeout)
    beside: list[Beside] = []
    try:
        order = None
        for part in join(endpoint, located, shards, timeout):
            beside.append(part)
            if order is None and part.keys is None and shards[0].told.extents.has_ids:
                order = _order(part, shards)
        return FaissSource(summarise(endpoint, shards, beside, _version(endpoint, located, shards), metric), Reader(shards, tuple(beside), order))
    except BaseException:
        for shard in shards:
            shard.close()
        for part in beside:
            part.close()
        raise


def chosen_metric(endpoint: Endpoint) -> Metric | None:
    """Return the option ``metric``, after checking every option's name. Raise ``ConfigError`` for another word."""
    endpoints.check_options(endpoint, OPTIONS)
    text = endpoint.options.get("metric")
    if text is not None and text not in get_args(Metric):
        raise ConfigError(f"metric={text} of faiss is not known", fix=f"use one of: {', '.join(get_args(Metric))}", code="bad_option")
    return cast("Metric | None", text)


def chosen_timeout(endpoint: Endpoint) -> int:
    """Return the option ``timeout``: seconds the worker may be silent, on top of what a slow disk takes for the file."""
    return endpoints.whole_number(endpoint, "timeout", default=60)


def open_shards(located: Located, timeout: int) -> tuple[Shard, ...]:
    """Open and describe every index file. Raise ``UnreadableSourceError`` naming the one that cannot be read or does not fit the first."""
    files: list[OpenFile] = []
    try:
        for path in located.indexes:
            files.append(open_file(path, "the index"))
            _refuse_binary(files[-1])
        largest = max(file.size for file in files)
        seconds = timeout + largest / _BYTES_A_SECOND
        shards: list[Shard] = []
        with Child(files, seconds=seconds, memory=3 * largest) as child:
            for number, file in enumerate(files):
                told = describe(child, number, file)
                shards.append(Shard(file, told, sum(shard.count for shard in shards), seconds))
        for shard in shards[1:]:
            _check_alike(shards[0], shard)
    except BaseException:
        for file in files:
            file.close()
        raise
    return tuple(shards)


def _refuse_binary(file: OpenFile) -> None:
    head = np.zeros(min(file.size, 4), np.uint8)
    file.read(0, head)
    kind = head.tobytes()
    if kind[:2] == b"IB":  # IBxF, IBwF, IBMp …: all binary indexes and no others
        raise UnreadableSourceError(
            f"{file.name} cannot be read: it is a binary index ({kind.decode('latin-1')}), whose vectors are bits; records hold float32 components",
            fix="migrate the float embeddings the bits were made from",
        )


def _check_alike(first: Shard, other: Shard) -> None:
    for name in ("dimension", "metric", "kind"):
        expected, found = getattr(first.told, name), getattr(other.told, name)
        if expected != found:
            raise UnreadableSourceError(
                f"{other.file.name} is no shard of the same index as {first.file.name}: its {name} is {found}, not {expected}",
                fix="keep the files of one index in a folder of their own, or name one file",
            )


def _version(endpoint: Endpoint, located: Located, shards: Sequence[Shard]) -> str:
    """Return a digest of every file the records come from."""
    digest = xxhash.xxh3_64("".join(shard.file.fingerprint() for shard in shards).encode())
    given = [Path(endpoint.options[name]) for name in ("ids", "metadata") if name in endpoint.options]
    paths = [*located.companions, *filter(None, [located.database]), *given]
    for path in paths:
        file = open_file(path, "the file beside the index", may_be_empty=True)
        try:
            digest.update(file.fingerprint().encode())
        finally:
            file.close()
    return digest.hexdigest()


def _order(part: Beside, shards: Sequence[Shard]) -> npt.NDArray[np.int64]:
    """Return the reading order that brings an IVF index's rows to their positions. Raise ``ConfigError`` where there are none."""
    order = order_by_position(shards[0]) if len(shards) == 1 else None
    if order is None:
        raise ConfigError(
            f"the rows of {part.name} cannot be assigned: the ids stored in the inverted lists are not the positions 0 to n-1",
            fix="give metadata whose id column holds the stored ids, or build the index with IDMap",
            code="no_positions",
        )
    return order


def join(endpoint: Endpoint, located: Located, shards: tuple[Shard, ...], timeout: int) -> Iterator[Beside]:
    """Yield what names and describes the records: the folder's own docstore, then the sidecars, which win over it."""
    count = sum(shard.count for shard in shards)
    ids, metadata = endpoint.options.get("ids"), endpoint.options.get("metadata")
    naming: tuple[Beside, ...] = ()

    def texts() -> Iterable[pa.Array]:
        return (some.cast("string") for some in Reader(shards, naming).ids(0, count))

    if not (ids and metadata) and (located.companions or located.database):
        size = sum(path.stat().st_size for path in located.companions)
        own = docstores.from_database(located.database) if located.database else docstores.from_files(located, count, timeout + size / _BYTES_A_SECOND)
        docstores.check_complete(own, texts)
        own = replace(own, renames=not ids, describes=own.describes and not metadata)
        naming = (own,) if own.renames else ()
        yield own
    if ids:
        naming = (ids_beside(f"ids={ids}", sidecars.read_ids(Path(ids)), count),)
        yield naming[0]
    if metadata:
        in_order = not shards[0].told.extents.has_ids or any(part.keys is None for part in naming)
        records = Records(count, texts, lambda: bool(naming) or _names_its_rows(shards), in_order)
        yield metadata_beside(f"metadata={metadata}", lambda: sidecars.read_metadata(Path(metadata)), records)


def _names_its_rows(shards: Sequence[Shard]) -> bool:
    """Return whether the ids the files store were chosen by somebody: an IVF index stores the positions where they were not."""
    if any(shard.told.id_map != NO_IDS for shard in shards):
        return True
    return shards[0].told.extents.has_ids and (len(shards) > 1 or order_by_position(shards[0]) is None)
