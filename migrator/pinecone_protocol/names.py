"""Names of namespaces: Pinecone knows its default namespace as ``""`` and as ``__default__``; inside this program it is ``""``."""

from __future__ import annotations

DEFAULT = "__default__"


def to_inner(namespace: str | None) -> str:
    """Return our name of a namespace: ``""`` for the default one, however a client or the server spelled it."""
    return "" if namespace is None or namespace == DEFAULT else namespace


def to_wire(namespace: str) -> str:
    """Return the name every call accepts: ``__default__`` for the default namespace, which some calls refuse to take as ``""``."""
    return namespace or DEFAULT
