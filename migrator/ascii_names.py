"""Reversible ASCII spellings of ids and namespaces, for stores that take ASCII only (Pinecone).

``日本`` becomes ``%E6%97%A5%E6%9C%AC``: its UTF-8 bytes, percent-encoded, ``%`` itself as ``%25``. A name that is ASCII already
stays as it is, ``50% off`` and ``a%20b`` too, unless it could be taken for the spelling of another (``%E6%97%A5``): then its ``%``
is encoded. So no two names share a spelling, and every spelling has one name.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

_ENCODED = re.compile(r"[%\0]|[^\0-\x7f]")
DEFAULT_SPELLINGS = frozenset({"__default__"})
"""What Pinecone (since API 2025-04) also calls the default namespace: never the spelling of a namespace that has this name."""


def encode(name: str, reserved: frozenset[str] = frozenset()) -> str:
    """Return the ASCII spelling of ``name``; none of ``reserved`` is ever one."""
    if name in reserved or not name.isascii() or "\0" in name:
        return _percent(name, reserved)
    return _percent(name, reserved) if "%" in name and _unpercent(name, reserved) not in (None, name) else name


def decode(spelling: str, reserved: frozenset[str] = frozenset()) -> str:
    """Return the name that ``encode`` spells so. Raise ``ValueError`` when it spells none so."""
    for name in (_unpercent(spelling, reserved), spelling):
        if name is not None and encode(name, reserved) == spelling:
            return name
    raise ValueError(f"{spelling!r} is not how any name is encoded")


def _percent(name: str, reserved: frozenset[str]) -> str:
    if name in reserved:
        return f"%{ord(name[0]):02X}{name[1:]}"
    return _ENCODED.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), name)


def _unpercent(spelling: str, reserved: frozenset[str]) -> str | None:
    """Return the name whose percent-encoding ``spelling`` is, or None when it is no name's."""
    if "%" not in spelling:
        return spelling if spelling.isascii() and "\0" not in spelling and spelling not in reserved else None
    try:
        name = unquote_to_bytes(spelling).decode()
    except UnicodeDecodeError:
        return None
    return name if _percent(name, reserved) == spelling else None
