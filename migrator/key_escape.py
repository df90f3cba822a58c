"""Metadata keys that a table's own columns take: a taken name followed by any number of underscores gets one more.

``id`` -> ``id_``, ``id_`` -> ``id__``. Taking one off undoes it, so no two keys ever meet.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from migrator.records import dump_json, parse_json

if TYPE_CHECKING:
    from collections.abc import Iterable


class KeyEscape:
    """Renames the metadata keys a table cannot take, and back."""

    def __init__(self, taken: Iterable[str]) -> None:
        self.taken = tuple(sorted(set(taken)))
        names = "|".join(map(re.escape, self.taken))
        self.reserved = re.compile(f"(?:{names})_*")
        self.suspects = f'"(?:{names})_*":'
        """A pattern for Arrow's RE2 that finds every canonical JSON text in which a key may need renaming."""

    def escape(self, text: str) -> str:
        """Return canonical metadata with its top-level keys made acceptable."""
        return dump_json({self.escape_key(key): value for key, value in parse_json(text).items()})

    def escape_key(self, key: str) -> str:
        return f"{key}_" if self.reserved.fullmatch(key) else key

    def unescape_key(self, key: str) -> str:
        return key[:-1] if key.endswith("_") and self.reserved.fullmatch(key[:-1]) else key
