"""The routes that manage namespaces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from migrator.local_pinecone.engine.errors import invalid
from migrator.local_pinecone.rest.http import Answer, Call

if TYPE_CHECKING:
    from migrator.local_pinecone.engine import Engine, NamespaceInfo


class Spaces:
    """The namespaces of one index."""

    def __init__(self, engine: Engine, index_name: str) -> None:
        self._engine = engine
        self._name = index_name

    def list(self, call: Call) -> Answer:
        """Answer with a page of namespaces."""
        page = self._engine.index(self._name).namespaces(call.query.get("prefix", ""), call.number("limit"), call.query.get("paginationToken"))
        shown: dict[str, Any] = {"namespaces": [_shown(one) for one in page.namespaces], "total_count": page.total}
        if page.next_token is not None:
            shown["pagination"] = {"next": page.next_token}
        return Answer(shown)

    def create(self, call: Call) -> Answer:
        """Make an empty namespace."""
        body = call.json()
        name, schema = body.get("name"), body.get("schema")
        if not isinstance(name, str) or not name:
            raise invalid("Namespace name must not be empty")
        if schema is not None and not isinstance(schema, dict):
            raise invalid("schema must be an object")
        return Answer(_shown(self._engine.index(self._name).create_namespace(name, schema)))

    def describe(self, call: Call) -> Answer:
        """Answer with one namespace."""
        return Answer(_shown(self._engine.index(self._name).namespace(call.path["name"])))

    def delete(self, call: Call) -> Answer:
        """Delete a namespace with all its records."""
        lsn = self._engine.index(self._name).delete_namespace(call.path["name"])
        return Answer({}, headers=lsn.headers)


def _shown(one: NamespaceInfo) -> dict[str, Any]:
    shown: dict[str, Any] = {"name": one.name, "record_count": one.records}
    if one.schema is not None:
        shown |= {"schema": one.schema, "indexed_fields": {"fields": sorted(one.schema.get("fields", {}))}}
    return shown
