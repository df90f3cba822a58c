"""A record's metadata as canonical JSON and as the Struct bytes it travels in.

What was read is usually written next, to another index: its bytes are remembered for a while and then need not be made again.
"""

from __future__ import annotations

import threading

from migrator.pinecone_protocol.struct import json_to_struct, struct_to_json

_REMEMBERED_BYTES = 16 << 20
_lock = threading.Lock()
_recent: dict[str, bytes] = {}
_held = 0


def to_json(wire: bytes) -> str:
    """Return canonical JSON. Raise ``ValueError`` for bytes that are no Struct, or hold what JSON cannot."""
    global _held  # noqa: PLW0603 - a cache has to live somewhere
    text = struct_to_json(wire)
    with _lock:
        if _held > _REMEMBERED_BYTES:
            _recent.clear()
            _held = 0
        _recent[text] = wire
        _held += len(text) + len(wire)
    return text


def to_wire(text: str) -> bytes:
    """Return the Struct bytes of canonical JSON."""
    known = _recent.get(text)
    return json_to_struct(text) if known is None else known
