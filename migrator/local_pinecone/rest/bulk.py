"""The routes that start, show and cancel bulk imports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from migrator.local_pinecone.engine.errors import invalid
from migrator.local_pinecone.rest.http import Answer, Call

if TYPE_CHECKING:
    from migrator.local_pinecone.engine import Engine
    from migrator.local_pinecone.engine.imports import Import

_PAGE = 100


class Bulk:
    """The imports of one index."""

    def __init__(self, engine: Engine, index_name: str) -> None:
        self._engine = engine
        self._name = index_name

    def start(self, call: Call) -> Answer:
        """Begin an import."""
        body = call.json()
        uri, mode = body.get("uri"), body.get("errorMode") or {}
        if not isinstance(uri, str) or not isinstance(mode, dict):
            raise invalid("uri must be a string, and errorMode an object")
        import_ = self._engine.imports.start(self._engine.index(self._name), uri, str(mode.get("onError") or "continue"))
        return Answer({"id": import_.id})

    def list(self, call: Call) -> Answer:
        """Answer with a page of imports, newest first; a token is the number of those before the next page."""
        token, limit = call.query.get("paginationToken") or "0", call.number("limit")
        size = _PAGE if limit is None else limit
        if not 1 <= size <= _PAGE or not token.isascii() or not token.isdigit():
            raise invalid(f"limit must be between 1 and {_PAGE}, and paginationToken one that was given out")
        every = self._engine.imports.list(self._engine.index(self._name))
        shown: dict[str, Any] = {"data": [_shown(one) for one in every[int(token) : int(token) + size]]}
        if int(token) + size < len(every):
            shown["pagination"] = {"next": str(int(token) + size)}
        return Answer(shown)

    def describe(self, call: Call) -> Answer:
        """Answer with one import."""
        return Answer(_shown(self._engine.imports.get(self._engine.index(self._name), call.path["id"])))

    def cancel(self, call: Call) -> Answer:
        """Stop an import that is not finished."""
        self._engine.imports.cancel(self._engine.index(self._name), call.path["id"])
        return Answer({})


def _shown(one: Import) -> dict[str, Any]:
    shown = {
        "id": one.id,
        "uri": one.uri,
        "status": one.status,
        "createdAt": one.created_at,
        "finishedAt": one.finished_at,
        "percentComplete": one.percent_complete,
        "recordsImported": one.records_imported,
        "error": one.error or None,
    }
    return {name: value for name, value in shown.items() if value is not None}
