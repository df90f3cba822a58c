"""How many rows a collection has, by namespace, and which of its keys have more rows than are shown."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from migrator.connectors.milvus import names
from migrator.connectors.milvus.pages import Page
from migrator.connectors.milvus.reading import MAX_WINDOW, RemoteReader, now
from migrator.model import DEFAULT_NAMESPACE, Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from migrator.connectors.milvus.layout import Layout
    from migrator.connectors.milvus.reading import Key, Place, Reader
    from migrator.connectors.milvus.wire import Wire

    Count = Callable[[list[Key]], int]

SCANNED_COUNT = 1_000_000
"""Collections up to this size are counted by listing their keys (0.7 M a second), which also finds keys that occur twice."""
MANY_NAMESPACES = 200
_ASKED_AT_ONCE = 8
_SEVERAL = 4
"""Where more than one in so many keys has rows too many, asking for each key is cheaper than halving."""


def counted(wire: Wire, layout: Layout, place: Place, namespace: str | None) -> tuple[dict[str, int], list[Finding]]:
    """Return the rows in each namespace on a server, and whether there are rows it does not show."""
    reader = RemoteReader(wire)
    total = reader.count(layout, place)
    if total <= SCANNED_COUNT:
        found = tally(reader, layout, place, namespace)
        return found, _hidden(place, total, sum(found.values()))
    return ({namespace or DEFAULT_NAMESPACE: total} if namespace is not None else _grouped(reader, layout, place, total)), []


def tally(reader: Reader, layout: Layout, place: Place, namespace: str | None) -> dict[str, int]:
    """Return the rows in each namespace, counted key by key."""
    counts: dict[str, int] = {}
    for page in reader.pages(layout, place, None, None, MAX_WINDOW, vectors=False):
        if namespace is not None or page.namespaces is None:
            counts[namespace or DEFAULT_NAMESPACE] = counts.get(namespace or DEFAULT_NAMESPACE, 0) + len(page)
            continue
        for entry in page.namespaces.value_counts():
            name = entry["values"].as_py()
            counts[name] = counts.get(name, 0) + entry["counts"].as_py()
    return counts


def _grouped(reader: RemoteReader, layout: Layout, place: Place, total: int) -> dict[str, int]:
    """Return the rows in each namespace by asking, again and again, for a row in none of those known; after many, by listing keys."""
    field = layout.namespace.name if layout.namespace else ""
    counts: dict[str, int] = {}
    while sum(counts.values()) < total:
        others = f"{field} not in [{', '.join(names.literal(name) for name in counts)}]" if counts else ""
        answer = reader.query(layout, place, others, [layout.key.name, field], limit=1)
        found = [data.scalars.string_data.data for data in answer.fields_data if data.field_name == field]
        if not found or not found[0]:
            break
        if len(counts) == MANY_NAMESPACES:
            return tally(reader, layout, place, None)
        counts[found[0][0]] = reader.count(layout, place, f"{field} == {names.literal(found[0][0])}")
    return counts


def _hidden(place: Place, rows: int, shown: int) -> list[Finding]:
    if rows <= shown:
        return []
    return [
        Finding(
            "lossy",
            "duplicate_keys",
            f"Milvus counts {rows - shown} more rows in {place.collection} than it shows: of rows that share a key it shows one, and only that is copied",
            fix="delete the keys concerned and write them once, with upsert",
        )
    ]


def repeated(wire: Wire, layout: Layout, place: Place) -> Iterator[Page]:
    """Yield the keys (with their namespaces) of which the collection counts more rows than the one it shows, a page for each page listed, mostly empty.

    Whoever inserts a key twice, or imports a file twice, doubles it; every query and search then shows one of its rows and none
    says that there are more. Only the count does, so it is asked for the whole, and if that is too high for ever fewer keys.
    """
    reader = RemoteReader(wire)
    hidden = reader.count(layout, place)
    for page in reader.pages(layout, place, None, None, MAX_WINDOW, vectors=False):
        hidden -= len(page)
        yield page.slice(0, 0)
    if hidden <= 0:
        return
    seen, field = now(wire), layout.key.name

    def count(keys: list[Key]) -> int:
        return reader.count(layout, place, names.among(field, keys), seen=seen)

    with ThreadPoolExecutor(_ASKED_AT_ONCE, thread_name_prefix="count") as pool:
        for page in reader.pages(layout, place, None, None, MAX_WINDOW, vectors=False):
            found = pa.array(_several(page.keys.to_pylist(), count, pool), page.keys.type)
            wanted = pc.is_in(page.keys, value_set=found)
            yield Page(page.keys.filter(wanted), namespaces=None if page.namespaces is None else page.namespaces.filter(wanted))


def _several(keys: list[Key], count: Count, pool: ThreadPoolExecutor) -> Iterator[Key]:
    """Yield those of ``keys`` that have more than one row."""
    more = count(keys) - len(keys)
    if more <= 0:
        return
    if len(keys) == 1:
        yield keys[0]
    elif more * _SEVERAL >= len(keys):
        yield from (key for key, rows in zip(keys, pool.map(lambda key: count([key]), keys), strict=True) if rows > 1)
    else:
        half = len(keys) // 2
        yield from _several(keys[:half], count, pool)
        yield from _several(keys[half:], count, pool)
