"""Which records of a refused request are to blame: halves are sent again until each refusal names one record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.errors import PermanentError
from migrator.model import Rejected

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from migrator.connectors.pinecone.wire import Item

_ABOUT_RECORDS = {"bad_request", "request_too_large"}
"""Refusals that a single record can cause; a key, a role or a missing index is no record's fault."""
_ALL_TO_BLAME = 20
"""When so many records in a row are refused and none was taken, it is not the records."""


def send_or_reject(namespace: str, items: Sequence[Item], send: Callable[[Sequence[Item]], None]) -> list[Rejected]:
    """Send ``items`` and return those the store refuses one by one, with its reason; the others are written on return."""
    rejected: list[Rejected] = []
    taken = False
    waiting = [items]
    while waiting:
        some = waiting.pop()
        try:
            send(some)
            taken = True
        except PermanentError as error:
            if error.code not in _ABOUT_RECORDS:
                raise
            if len(some) > 1:
                middle = len(some) // 2
                waiting += [some[middle:], some[:middle]]
                continue
            if len(items) > 1 and not taken and len(rejected) == _ALL_TO_BLAME:
                raise
            rejected.append(Rejected(namespace, some[0][0], "refused_by_pinecone", _field(error.message), error.message))
    return rejected


def _field(message: str) -> str:
    """Return the part of a record that a refusal speaks of."""
    words = message.lower()
    if "sparse" in words:
        return "sparse_values"
    if "metadata" in words:
        return "metadata"
    return "values" if "dimension" in words or "dense" in words else "id"
