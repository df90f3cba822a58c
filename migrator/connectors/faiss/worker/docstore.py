"""Reads what stands beside an index in the folders of LangChain, LlamaIndex and txtai: an id and metadata for each vector."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from migrator.connectors.faiss.worker import unpickle
from migrator.connectors.faiss.worker.index import RefusedError
from migrator.connectors.faiss.worker.msgpack import unpack

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterator

_FRAME_BYTES = 1 << 20
_LARGEST_ANSWER, _LARGEST_GROWTH = 1 << 26, 64

Row = tuple[str | int | None, dict[str, Any] | None, str | None]
"""Id, metadata, and what is wrong with the metadata."""


def answer(files: list[mmap.mmap], request: dict[str, Any]) -> Iterator[tuple[bytes, bytes]]:
    """Yield frames of rows as JSON lines, in the order of the vectors, and last ``{"rows", "missing"}``."""
    read = {"langchain": _langchain, "llamaindex": _llamaindex, "txtai": _txtai}[request["layout"]]
    rows, missing, sent = 0, 0, 0
    largest = _LARGEST_ANSWER + _LARGEST_GROWTH * sum(len(files[number]) for number in request["files"])
    lines, size = [], 0
    for row in read([files[number] for number in request["files"]]):
        rows += 1
        missing += row[1] is None and row[2] is None
        lines.append(json.dumps(row).encode())
        size += len(lines[-1])
        sent += len(lines[-1])
        if sent > largest:  # one text that stands in every document costs the file nothing
            raise RefusedError(f"its documents are more than {largest:,} bytes, far more than the file")
        if size >= _FRAME_BYTES:
            yield b"B", b"\n".join(lines)
            lines, size = [], 0
    if lines:
        yield b"B", b"\n".join(lines)
    yield b"J", json.dumps({"rows": rows, "missing": missing}).encode()


def _unpickled(mapped: mmap.mmap) -> Any:
    mapped.seek(0)
    try:
        return unpickle.load(mapped)  # type: ignore[arg-type]  # an mmap reads like a file
    except unpickle.ForbiddenError as error:
        raise RefusedError(f"it asks for {error}, which no document store needs and which is never run") from None
    except (MemoryError, RecursionError):
        raise
    except Exception as error:  # noqa: BLE001 - pickle raises whatever the bytes provoke
        raise RefusedError(f"it is no whole pickle ({type(error).__name__}: {error})") from None


def _langchain(files: list[mmap.mmap]) -> Iterator[Row]:
    store, places = _langchain_parts(_unpickled(files[0]))
    documents = store.attributes().get("_dict") if isinstance(store, unpickle.Shell) else None
    if not isinstance(documents, dict):
        raise RefusedError("it holds no docstore with a dictionary of documents")
    if places is None:  # the oldest layout numbered its documents
        places = {number: str(number) for number in range(len(documents))}
    for key in _ordered(places):
        yield _langchain_row(key, documents.get(key))


def _langchain_parts(held: Any) -> tuple[Any, Any]:
    """Return the docstore and ``index_to_docstore_id`` from a pickled pair, or from a whole pickled ``FAISS`` object."""
    if isinstance(held, (tuple, list)) and len(held) == 2:
        return held[0], held[1]
    if isinstance(held, unpickle.Shell):
        attributes = held.attributes()
        return attributes.get("docstore"), attributes.get("index_to_docstore_id")
    raise RefusedError("it is neither a (docstore, index_to_docstore_id) pair nor a pickled FAISS store")


def _ordered(places: Any) -> list[Any]:
    """Return the docstore ids by position. ``places`` must number the vectors 0 … n-1."""
    if isinstance(places, list):
        return places
    if not isinstance(places, dict) or any(number not in places for number in range(len(places))):
        raise RefusedError("its index_to_docstore_id does not number the vectors from 0 without a gap")
    return [places[number] for number in range(len(places))]


def _langchain_row(key: Any, document: Any) -> Row:
    identifier = key if isinstance(key, (str, int)) else str(key)
    if not isinstance(document, unpickle.Shell):
        return identifier, None, None
    attributes = document.attributes()
    return _row(identifier, attributes.get("metadata") or {}, attributes.get("page_content"))


def _row(identifier: str | int, metadata: Any, text: Any) -> Row:
    """Join metadata and text: the text goes under ``text``, or ``page_content`` where the metadata has a ``text`` of its own."""
    try:
        plain = unpickle.plain(metadata)
    except (ValueError, RecursionError) as error:
        return identifier, None, str(error) or "nested too deeply"
    if not isinstance(plain, dict):
        return identifier, None, f"metadata is a {type(plain).__name__}, not a mapping"
    if isinstance(text, str):
        plain.setdefault("text" if "text" not in plain else "page_content", text)
    return identifier, plain, None


def _llamaindex(files: list[mmap.mmap]) -> Iterator[Row]:
    """Join ``index_store.json`` (position -> node id) with ``docstore.json`` (node id -> node)."""
    indexes: dict[str, Any] = _json(files[0], "index_store.json").get("index_store/data") or {}
    nodes = _json(files[1], "docstore.json").get("docstore/data", {})
    held = [_inner(entry).get("nodes_dict") for entry in indexes.values()]
    tables = [table for table in held if isinstance(table, dict) and table]
    if len(tables) != 1:
        raise RefusedError(f"index_store.json describes {len(tables)} indexes with nodes where one belongs to this file")
    for key in _ordered({int(place): node for place, node in tables[0].items() if place.isdigit()}):
        yield _llamaindex_row(str(key), nodes.get(key))


def _llamaindex_row(key: str, node: Any) -> Row:
    if node is None:
        return key, None, None
    held = _inner(node)
    resource = held.get("text_resource")
    text = held.get("text", resource.get("text") if isinstance(resource, dict) else None)
    return _row(key, held.get("metadata") or held.get("extra_info") or {}, text)


def _inner(entry: Any) -> dict[str, Any]:
    """Return an entry's ``__data__``, which LlamaIndex writes as an object or as JSON text within JSON."""
    data = entry.get("__data__", entry) if isinstance(entry, dict) else {}
    decoded = json.loads(data) if isinstance(data, str) else data
    return decoded if isinstance(decoded, dict) else {}


def _json(mapped: mmap.mmap, name: str) -> dict[str, Any]:
    try:
        decoded = json.loads(mapped[:])
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"{name} is not JSON ({error})") from None
    if not isinstance(decoded, dict):
        raise RefusedError(f"{name} is not a JSON object")
    return decoded


def _txtai(files: list[mmap.mmap]) -> Iterator[Row]:
    """Read the ids txtai saves without content: a list by position, as MessagePack, pickle or within ``config``."""
    first = files[0][:1]
    held = _unpickled(files[0]) if first == b"\x80" else _json(files[0], "config") if first == b"{" else unpack(files[0][:])
    ids = held.get("ids") if isinstance(held, dict) else held
    if not isinstance(ids, list):
        raise RefusedError("it holds no list of ids")
    for identifier in ids:
        if not isinstance(identifier, (str, int)):
            raise RefusedError(f"it holds the id {identifier!r}, which is neither text nor a whole number")
        yield identifier, None, None
