"""The control plane's routes: indexes, collections, backups, restore jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from migrator.local_pinecone.engine.errors import ApiError, invalid, not_emulated
from migrator.local_pinecone.rest import shapes
from migrator.local_pinecone.rest.creation import changes_of, definition_of, tags_of
from migrator.local_pinecone.rest.http import Answer, Call, application

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from migrator.local_pinecone.engine import Engine

_PAGE = 100


def control_app(engine: Engine) -> Starlette:
    """Return the ASGI application of an account's control plane."""
    plane = _Control(engine)
    quick, slow = False, True
    routes = {
        ("GET", "/indexes"): (plane.list_indexes, quick),
        ("POST", "/indexes"): (plane.create_index, slow),
        ("POST", "/indexes/create-for-model"): (plane.create_for_model, quick),
        ("GET", "/indexes/{name}"): (plane.describe_index, quick),
        ("PATCH", "/indexes/{name}"): (plane.configure_index, quick),
        ("DELETE", "/indexes/{name}"): (plane.delete_index, slow),
        ("GET", "/indexes/{name}/backups"): (plane.list_backups, quick),
        ("POST", "/indexes/{name}/backups"): (plane.create_backup, slow),
        ("GET", "/collections"): (plane.list_collections, quick),
        ("POST", "/collections"): (plane.create_collection, slow),
        ("GET", "/collections/{name}"): (plane.describe_collection, quick),
        ("DELETE", "/collections/{name}"): (plane.delete_collection, slow),
        ("GET", "/backups"): (plane.list_backups, quick),
        ("GET", "/backups/{id}"): (plane.describe_backup, quick),
        ("DELETE", "/backups/{id}"): (plane.delete_backup, slow),
        ("POST", "/backups/{id}/create-index"): (plane.restore, slow),
        ("GET", "/restore-jobs"): (plane.list_restore_jobs, quick),
        ("GET", "/restore-jobs/{id}"): (plane.describe_restore_job, quick),
    }
    return application(engine, routes, control=True)


class _Control:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._snapshots = engine.snapshots

    def list_indexes(self, call: Call) -> Answer:
        with self._engine.lock:
            indexes = list(self._engine.indexes.values())
        return Answer({"indexes": [shapes.index(self._engine, one, call.version) for one in indexes]})

    def create_index(self, call: Call) -> Answer:
        index = self._engine.create(definition_of(call.json(), call.version))
        return Answer(shapes.index(self._engine, index, call.version), 201)

    def create_for_model(self, _: Call) -> Answer:
        raise not_emulated("Integrated embedding")

    def describe_index(self, call: Call) -> Answer:
        return Answer(shapes.index(self._engine, self._engine.index(call.path["name"]), call.version))

    def configure_index(self, call: Call) -> Answer:
        index = self._engine.index(call.path["name"])
        changed = self._engine.configure(index.definition.name, **changes_of(call.json(), index.definition, call.version))
        return Answer(shapes.index(self._engine, changed, call.version), 202)

    def delete_index(self, call: Call) -> Answer:
        self._engine.delete(call.path["name"])
        return Answer(status=202)

    def list_collections(self, _: Call) -> Answer:
        with self._engine.lock:
            return Answer({"collections": [shapes.collection(self._snapshots, one) for one in self._snapshots.collections.values()]})

    def create_collection(self, call: Call) -> Answer:
        body = call.json()
        made = self._engine.make_collection(_text(body, "name"), _text(body, "source"))
        return Answer(shapes.collection(self._snapshots, made), 201)

    def describe_collection(self, call: Call) -> Answer:
        return Answer(shapes.collection(self._snapshots, self._snapshots.collection(call.path["name"])))

    def delete_collection(self, call: Call) -> Answer:
        self._engine.delete_collection(call.path["name"])
        return Answer(status=202)

    def create_backup(self, call: Call) -> Answer:
        body = call.json()
        made = self._engine.make_backup(call.path["name"], str(body.get("name") or ""), str(body.get("description") or ""))
        return Answer(shapes.backup(self._snapshots, made, call.version), 201)

    def list_backups(self, call: Call) -> Answer:
        gone_too = call.query.get("includeDeleted", call.query.get("include_deleted", "false")) == "true"
        with self._engine.lock:
            backups = list(self._snapshots.backups.values())
            if "name" in call.path:
                if not gone_too:
                    self._engine.index(call.path["name"])
                backups = [one for one in backups if one.definition.name == call.path["name"]]
        shown = [shapes.backup(self._snapshots, one, call.version) for one in backups if gone_too or one.source_deleted_at is None or "name" not in call.path]
        return Answer(_page(shown, call))

    def describe_backup(self, call: Call) -> Answer:
        return Answer(shapes.backup(self._snapshots, self._snapshots.backup(call.path["id"]), call.version))

    def delete_backup(self, call: Call) -> Answer:
        self._engine.delete_backup(call.path["id"])
        return Answer(status=202)

    def restore(self, call: Call) -> Answer:
        body = call.json()
        changes: dict[str, Any] = {"name": _text(body, "name")}
        if "tags" in body:
            changes["tags"] = tags_of(body)
        if "deletion_protection" in body:
            changes["deletion_protection"] = shapes.protection(body["deletion_protection"])
        return Answer(self._engine.restore(call.path["id"], changes), 202)

    def list_restore_jobs(self, call: Call) -> Answer:
        with self._engine.lock:
            jobs = list(self._snapshots.restore_jobs.values())
        return Answer(_page([shapes.restore_job(self._snapshots, one) for one in jobs], call))

    def describe_restore_job(self, call: Call) -> Answer:
        return Answer(shapes.restore_job(self._snapshots, self._snapshots.restore_job(call.path["id"])))


def _text(body: dict[str, Any], field: str) -> str:
    value = body.get(field)
    if not isinstance(value, str):
        raise ApiError(422, 3, f"Failed to deserialize the JSON body into the target type: missing field `{field}`")
    return value


def _page(items: list[dict[str, Any]], call: Call) -> dict[str, Any]:
    """Return one page of a list; a token is the number of items before the next page."""
    token = call.query.get("paginationToken", "")
    if token and not (token.isascii() and token.isdigit()):
        raise invalid("Invalid pagination token")
    limit = call.number("limit")
    size = _PAGE if limit is None else limit
    if not 1 <= size <= _PAGE:
        raise invalid(f"limit must be between 1 and {_PAGE}, got {size}")
    start = int(token or 0)
    page: dict[str, Any] = {"data": items[start : start + size]}
    if start + size < len(items):
        page["pagination"] = {"next": str(start + size)}
    return page
