"""The connection test: key, control plane, index, data plane both ways, reading, and whether the key may write."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

from migrator.connectors.pinecone.connection import connect, delete, host_of
from migrator.connectors.pinecone.control import Control
from migrator.connectors.pinecone.grpc_plane import GrpcPlane
from migrator.connectors.pinecone.options import read_options
from migrator.connectors.pinecone.rest_plane import RestPlane
from migrator.errors import MigratorError
from migrator.examining import answer
from migrator.model import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from migrator.connectors.pinecone.control import Index
    from migrator.connectors.pinecone.options import Settings
    from migrator.model import Endpoint

_NO_RECORD = "migrator-doctor-no-such-record"


def examine(endpoint: Endpoint) -> Iterator[Step]:
    """Yield one step after another; the first that fails is the last. Nothing is created."""
    try:
        settings = read_options(endpoint)
    except MigratorError as error:
        yield Step("key" if error.code == "secret_missing" else "options", "failed", error.message, error.fix)
        return
    yield Step("key", "ok", "there is an API key")
    try:
        control = Control(settings)
    except MigratorError as error:
        yield Step("key", "failed", error.message, error.fix)
        return
    with closing(control):
        names: list[str] = []
        step = answer("sign-in", lambda: names.extend(control.names()) or f"{control.address} knows the key; {len(names)} indexes")  # type: ignore[func-returns-value]
        yield step
        if step.status == "failed":
            return
        if settings.index not in names:
            yield Step("index", "ok", f"{settings.index} does not exist yet and can be created in {settings.cloud} {settings.region}")
            yield Step("read", "skipped", "there is nothing to read yet")
            return
        yield from _index(control, settings)


def _index(control: Control, settings: Settings) -> Iterator[Step]:
    start = time.monotonic()
    try:
        index = control.describe()
        host = host_of(index, settings)
    except MigratorError as error:
        yield Step("index", "failed", error.message, error.fix, time.monotonic() - start)
        return
    state = "ready" if index.ready else index.state
    protection = ", protected from deletion" if index.protected else ""
    yield Step("index", "ok", f"{index.kind} in {index.place}, {state}{protection}", seconds=time.monotonic() - start)
    dimension = index.dimension or 0
    ways: dict[str, Callable[[], str]] = {
        "grpc": lambda: _answers(GrpcPlane(settings, host, dimension)),
        "rest": lambda: _answers(RestPlane(control, host, dimension)),
    }
    found = {name: answer(name, way) for name, way in ways.items()}
    if any(step.status == "ok" for step in found.values()) and settings.transport == "auto":
        # one way that works is enough; the other is worth knowing
        found = {name: step if step.status == "ok" else Step(name, "skipped", step.detail, step.fix, step.seconds) for name, step in found.items()}
    yield from found.values()
    if all(step.status != "failed" for step in found.values()):
        yield from _data(control, index, settings)


def _answers(plane: GrpcPlane | RestPlane) -> str:
    with closing(plane):
        plane.stats()
    return f"{plane.address} answers over {plane.transport}"


def _data(control: Control, index: Index, settings: Settings) -> Iterator[Step]:
    connection = connect(control, index, settings)
    with closing(connection.plane):

        def read() -> str:
            found = connection.plane.stats()
            records = f"{sum(found.namespaces.values()):,} records in {len(found.namespaces)} namespaces"
            return f"{records}, {connection.dimension} dimensions, {connection.metric or 'no metric'}"

        def write() -> str:
            # deleting an id that does not exist changes nothing, and needs the right to write
            delete(connection, [_NO_RECORD], "")
            return "the key may write"

        yield answer("read", read)
        step = answer("write", write)
        # a key that may only read is all that a source needs
        yield step if step.status == "ok" else Step("write", "skipped", step.detail, "a target needs a key that may write", step.seconds)
