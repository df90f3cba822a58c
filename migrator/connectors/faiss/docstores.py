"""Brings in what LangChain, LlamaIndex and txtai keep beside their index: the ids and metadata of its vectors."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from migrator.connectors.faiss import txtai
from migrator.connectors.faiss.beside import Beside, docstore_beside, keyed_beside
from migrator.connectors.faiss.child import Child
from migrator.connectors.faiss.files import OpenFile, open_file
from migrator.errors import UnreadableSourceError
from migrator.model import Finding
from migrator.records import canonical_metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    import pyarrow as pa

    from migrator.connectors.faiss.folders import Located
    from migrator.connectors.faiss.spool import Row

_LARGEST_FRAME = 1 << 28
_MEMORY, _MEMORY_A_BYTE = 1 << 30, 16  # Python objects take several times the bytes of their pickle


def from_files(located: Located, count: int, seconds: float) -> Beside:
    """Return the ids and metadata in ``located.companions``, read by the worker: pickles are for limited processes only.

    Raise ``ConfigError`` when they are not of ``count`` vectors, ``UnreadableSourceError`` for what is refused or damaged.
    """
    files: list[OpenFile] = []
    try:
        files.extend(open_file(path, "the docstore") for path in located.companions)
        size = sum(file.size for file in files)
        with Child(files, seconds=seconds, memory=_MEMORY + _MEMORY_A_BYTE * size) as child:
            return _received(child, located, count)
    finally:
        for file in files:
            file.close()


def _received(child: Child, located: Located, count: int) -> Beside:
    name = str(located.companions[-1])
    ending: dict[str, int] = {}
    rows = _rows(child, {"do": "rows", "layout": located.layout, "files": list(range(len(located.companions)))}, ending)
    if located.layout == "txtai":  # its ids are numbered like the ids in the index, not by position
        return replace(keyed_beside(name, ((str(place), *row) for place, row in enumerate(rows))), describes=False)
    part = docstore_beside(name, rows, count)
    if not ending["missing"]:
        return part
    text = f"{ending['missing']} of {count} vectors have no document in {name}; they are copied without metadata"
    return replace(part, findings=(Finding("info", "documents_missing", text),))


def _rows(child: Child, request: dict[str, Any], ending: dict[str, int]) -> Iterator[Row]:
    for kind, content in child.ask(request, largest=_LARGEST_FRAME):
        if kind == "J":
            ending.update(json.loads(content))
            return
        for line in content.split(b"\n"):
            identifier, metadata, error = json.loads(line)
            yield _canonical(str(identifier), ValueError(error) if error else metadata)


def _canonical(identifier: str, metadata: dict[str, Any] | ValueError | None) -> Row:
    try:
        if isinstance(metadata, ValueError):
            raise metadata
        return identifier, canonical_metadata(metadata), None
    except ValueError as error:
        return identifier, None, str(error)


def from_database(path: Path) -> Beside:
    """Return the ids, texts and data of a txtai folder's SQLite file."""
    return keyed_beside(str(path), ((str(place), *_canonical(identifier, held)) for place, identifier, held in txtai.read_database(path)))


def check_complete(part: Beside, ids: Callable[[], Iterable[pa.Array]]) -> None:
    """Raise ``UnreadableSourceError`` when a vector's stored id has no row in ``part``: the record would have no id."""
    if part.keys is None:
        return
    absent = sum(int((part.keys.find(some) < 0).sum()) for some in ids())
    if absent:
        raise UnreadableSourceError(f"{part.name} has no row for {absent} of the vectors", fix="name the index file alone to copy it with the ids it stores")
