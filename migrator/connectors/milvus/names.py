"""Names both ways: metadata keys that collide with fields, namespaces as partition or collection names, values in filters.

Keys that are a field's name, or one that Milvus keeps for itself, are escaped (``migrator.key_escape``).

Namespaces. A namespace that is a plain identifier names its partition or collection; any other becomes ``ns__`` and its UTF-8
bytes with letters and digits kept and the rest as ``_`` and two hex digits: ``a b`` -> ``ns__a_20b``. The default namespace is the
partition ``_default``, or the collection without suffix; namespace ``x`` of collection ``c`` is the collection ``c__x``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from migrator.connectors.milvus.wanted import MAX_NAME, NAME
from migrator.model import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DEFAULT_PARTITION = "_default"
RESERVED_KEYS = frozenset({"$meta", "_seq", "_partition"})
"""Milvus refuses ``$meta`` as a dynamic key; Lite drops all three on reading (milvus_lite.engine.projection)."""
_PREFIX = "ns__"
_SEPARATOR = "__"
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1


def encode_namespace(namespace: str) -> str:
    """Return the partition name of ``namespace``. Raise ``ValueError`` when it would be too long."""
    if namespace == DEFAULT_NAMESPACE:
        return DEFAULT_PARTITION
    name = namespace
    if not NAME.fullmatch(namespace) or namespace.startswith((_PREFIX, "_")):
        name = _PREFIX + "".join(chr(byte) if chr(byte).isalnum() and byte < 128 else f"_{byte:02x}" for byte in namespace.encode())
    if len(name) > MAX_NAME:
        raise ValueError(f"namespace {namespace!r} gives a name of {len(name)} characters, Milvus takes {MAX_NAME}")
    return name


def decode_namespace(name: str) -> str:
    """Return the namespace whose partition is called ``name``; a name we did not make is its own namespace."""
    if name == DEFAULT_PARTITION:
        return DEFAULT_NAMESPACE
    if not name.startswith(_PREFIX):
        return name
    try:
        decoded = re.sub(r"_([0-9a-f]{2})", lambda found: chr(int(found[1], 16)), name[len(_PREFIX) :]).encode("latin-1").decode()
        return decoded if encode_namespace(decoded) == name else name
    except ValueError:
        return name


def collection_of(base: str, namespace: str) -> str:
    """Return the collection that holds ``namespace`` of ``base``. Raise ``ValueError`` when its name would be too long."""
    if namespace == DEFAULT_NAMESPACE:
        return base
    name = base + _SEPARATOR + encode_namespace(namespace)
    if len(name) > MAX_NAME:
        raise ValueError(f"namespace {namespace!r} gives a collection name of {len(name)} characters, Milvus takes {MAX_NAME}")
    return name


def collections_of(base: str, existing: Iterable[str]) -> dict[str, str]:
    """Return namespace -> collection for those of ``existing`` that belong to ``base``."""
    found = {}
    for name in existing:
        if name == base:
            found[DEFAULT_NAMESPACE] = name
        elif name.startswith(base + _SEPARATOR):
            found[decode_namespace(name[len(base) + len(_SEPARATOR) :])] = name
    return dict(sorted(found.items()))


_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r"})


def literal(value: str | int) -> str:
    """Return ``value`` for a filter. Only these four characters are escaped: Lite knows no ``\\u``, and 2.3.5 no surrogate pairs."""
    return str(value) if isinstance(value, int) else f'"{value.translate(_ESCAPES)}"'


def after(field: str, value: str | int) -> str:
    """Return the filter for keys greater than ``value``. Milvus cannot parse the least 64-bit integer, so ``>=`` stands in for it."""
    return f"{field} >= {INT64_MIN + 1}" if value == INT64_MIN else f"{field} > {literal(value)}"


def up_to(field: str, value: str | int) -> str:
    """Return the filter for keys not greater than ``value``."""
    return f"{field} < {INT64_MIN + 1}" if value == INT64_MIN else f"{field} <= {literal(value)}"


def among(field: str, values: Sequence[str | int]) -> str:
    """Return the filter for the given keys; ``values`` must not be empty."""
    least = f"{field} < {INT64_MIN + 1}"
    rest = [value for value in values if value != INT64_MIN]
    if not rest:
        return least
    listed = f"{field} in [{', '.join(literal(value) for value in rest)}]"
    return listed if len(rest) == len(values) else f"{listed} or {least}"


def both(*filters: str) -> str:
    """Return the filter that demands all the non-empty ones."""
    given = [text for text in filters if text]
    return given[0] if len(given) == 1 else " and ".join(f"({text})" for text in given)


def json_keys_need_care(value: Any) -> bool:
    """Return whether decoded metadata holds an integer Milvus clients cannot read back exactly (beyond 64 bits)."""
    if isinstance(value, int):
        return not INT64_MIN <= value <= INT64_MAX
    if isinstance(value, dict):
        value = list(value.values())
    return isinstance(value, list) and any(json_keys_need_care(item) for item in value)
