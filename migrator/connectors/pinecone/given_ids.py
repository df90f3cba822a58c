"""The ids a user gives for an index that cannot list its own: a file, or a prefix and a range of numbers."""

from __future__ import annotations

import csv
import json
import tokenize
from typing import TYPE_CHECKING, Any

import numpy as np

from migrator.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from migrator.connectors.pinecone.options import Settings


def given_ids(settings: Settings, namespace: str) -> list[str] | None:
    """Return the ids to look for in ``namespace``, ascending and once each; None when none are given."""
    found: set[str] = set()
    if settings.id_range is not None:
        first, last = settings.id_range
        found.update(f"{settings.id_prefix}{number}" for number in range(first, last + 1))
    if settings.ids is not None:
        try:
            found.update(name for name, place in _entries(settings.ids) if place in {None, namespace})
        except (OSError, ValueError, EOFError, UnicodeDecodeError, tokenize.TokenError, csv.Error) as error:
            raise ConfigError(f"ids={settings.ids} cannot be read: {error}", fix="give one id a line, or a column id", code="bad_option") from error
    if settings.ids is None and settings.id_range is None:
        return None
    return sorted(found - {""})


def _entries(path: Path) -> Iterator[tuple[str, str | None]]:
    """Yield each id, with the namespace the file gives it if it does."""
    kind = path.suffix.lower()
    if kind == ".npy":
        yield from ((str(name), None) for name in np.load(path, allow_pickle=False).ravel().tolist())
        return
    with path.open(encoding="utf-8-sig", newline="") as file:
        if kind == ".csv":
            yield from _rows(csv.DictReader(file))
        elif kind == ".jsonl":
            yield from _rows(json.loads(line) for line in file if line.strip())
        else:
            yield from ((line.rstrip("\r\n"), None) for line in file)


def _rows(rows: Any) -> Iterator[tuple[str, str | None]]:
    for row in rows:
        if isinstance(row, str):
            yield row, None
        elif isinstance(row, dict) and "id" in row:
            yield str(row["id"]), row.get("namespace")
        else:
            raise ValueError("a row has no id")
