"""Reads the texts and data of a txtai folder from its SQLite file."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from migrator.errors import UnreadableSourceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_QUERY = "SELECT s.indexid, s.id, s.text, s.tags, d.data FROM sections s LEFT JOIN documents d ON d.id = s.id ORDER BY s.indexid"


def read_database(path: Path) -> Iterator[tuple[int, str, dict[str, Any] | ValueError]]:
    """Yield ``(id in the index, txtai's id, metadata)`` of every section. Raise ``UnreadableSourceError`` for another kind of file."""
    with contextlib.closing(_connect(path)) as database:
        try:
            for name in ("sections", "documents"):
                # a view of that name could run anything SQLite can
                if database.execute("SELECT type FROM sqlite_master WHERE name = ?", (name,)).fetchone() != ("table",):
                    raise _unreadable(path, f"it has no table {name}")
            for place, identifier, text, tags, data in database.execute(_QUERY):
                if not isinstance(place, int):
                    raise _unreadable(path, f"its section {identifier!r} has no whole number as indexid")
                yield place, str(identifier), _metadata(text, tags, data)
        except sqlite3.Error as error:
            raise _unreadable(path, str(error)) from None


def _connect(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True, check_same_thread=False)
    database.execute("PRAGMA trusted_schema = OFF")
    return database


def _metadata(text: Any, tags: Any, data: Any) -> dict[str, Any] | ValueError:
    try:
        held = json.loads(data) if isinstance(data, (str, bytes)) and data else {}
    except (ValueError, RecursionError) as error:
        return ValueError(f"data is not JSON: {error}")
    if not isinstance(held, dict):
        held = {"data": held}
    for name, value in (("text", text), ("tags", tags)):
        if isinstance(value, bytes):
            return ValueError(f"{name} is binary")
        if value is not None:
            held.setdefault(name, value)
    return held


def _unreadable(path: Path, reason: str) -> UnreadableSourceError:
    return UnreadableSourceError(
        f"the txtai documents {path} cannot be read: {reason}", fix="check that the folder was saved whole by txtai with SQLite content"
    )
