"""Pages of names in bitwise order: a token says after which name the next page begins, in the form of the examples of Pinecone's clients."""

from __future__ import annotations

import base64

import orjson

from migrator.local_pinecone.engine.errors import invalid


def page_size(limit: int | None, most: int) -> int:
    """Return how many names to return. Raise a 400 beyond ``most``."""
    size = most if limit is None else limit
    if not 1 <= size <= most:
        raise invalid(f"limit must be between 1 and {most}, got {size}")
    return size


def token_after(after: str) -> str:
    """Return the token of the page after the name ``after``."""
    return base64.urlsafe_b64encode(orjson.dumps({"skip_past": after})).decode()


def untoken(token: str | None) -> str | None:
    """Return the name in a token, None when there is no token. Raise a 400 for one that was never given out."""
    if not token:
        return None
    try:
        name = orjson.loads(base64.urlsafe_b64decode(token.encode("ascii")))["skip_past"]
    except (ValueError, TypeError, KeyError):
        raise invalid("Invalid pagination token") from None
    if not isinstance(name, str):
        raise invalid("Invalid pagination token")
    return name
