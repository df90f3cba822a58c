"""The connection test: address, TLS, sign-in, database, version, read. It tells a wrong password from a dead server."""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import closing
from typing import TYPE_CHECKING

from migrator.connectors.milvus import tls
from migrator.connectors.milvus.aliases import listed, own_name
from migrator.connectors.milvus.options import HTTPS, read_options
from migrator.connectors.milvus.source import MilvusSource
from migrator.connectors.milvus.wire import Wire
from migrator.errors import MigratorError, TransientError
from migrator.examining import answer
from migrator.model import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from migrator.connectors.milvus.options import Settings
    from migrator.model import Endpoint


_ZILLIZ = (".zillizcloud.com", ".cloud.zilliz.com", ".zilliz.com.cn", ".zillizcloud.com.cn")
"""Where Zilliz Cloud's clusters live."""


def examine(endpoint: Endpoint) -> Iterator[Step]:
    """Yield one step after another; the first that fails is the last. A Milvus Lite file that does not exist is not created."""
    try:
        settings = read_options(endpoint)
    except MigratorError as error:
        yield Step("options", "failed", error.message, error.fix)
        return
    if settings.path is not None and not settings.path.exists():
        yield Step("address", "ok", f"{settings.path} does not exist yet and can be created")
        yield Step("read", "skipped", "there is nothing to read yet")
        return
    checks: list[tuple[str, Callable[[], str]]] = [("address", lambda: _address(settings))]
    if settings.secure and settings.path is None:
        checks.append(("tls", lambda: tls.handshake(settings)))
    for name, check in checks:
        step = _timed(name, check, settings)
        yield step
        if step.status == "failed":
            return
    yield from _inside(settings)


def _inside(settings: Settings) -> Iterator[Step]:
    start = time.monotonic()
    try:
        wire = Wire(settings)
    except MigratorError as error:
        yield from _refused(settings, error, time.monotonic() - start)
        return
    with closing(wire):
        yield Step("sign-in", "ok", f"accepted {_who(settings)}", seconds=time.monotonic() - start)
        if settings.database:
            yield Step("database", "ok", settings.database)
        yield Step("version", "ok", wire.product)
        yield _timed("read", lambda: _read(wire, settings), settings)


def _who(settings: Settings) -> str:
    if not settings.token:
        return "without sign-in"
    return settings.token.partition(":")[0] if ":" in settings.token else "an API key"


def _refused(settings: Settings, error: MigratorError, seconds: float) -> Iterator[Step]:
    """Say at which step opening the connection failed: the SDK says much the same for all of them."""
    if error.code == "no_database":
        yield Step("sign-in", "ok", f"accepted {_who(settings)}", seconds=seconds)
        yield Step("database", "failed", error.message, error.fix)
    elif isinstance(error, TransientError) and settings.path is None and not settings.secure and tls.spoken(settings):
        yield Step("tls", "failed", f"{settings.address} speaks TLS, and uri= begins with http://", "write https:// in uri=", seconds)
    elif error.code == "sign_in_refused":
        yield Step("sign-in", "failed", f"the server answers. {error.message}", _sign_in_fix(settings), seconds)
    else:
        yield Step("sign-in", "failed", error.message, error.fix, seconds)


def _sign_in_fix(settings: Settings) -> str:
    if not settings.token:
        return "this server asks who you are: give token=env:MILVUS_TOKEN, or user= and password="
    if ":" in settings.token:
        return f"correct the password of {_who(settings)}, or the user: the server does not say which of them is wrong"
    if settings.host.endswith(_ZILLIZ):
        return "check that the API key is whole, still valid, and of the project this cluster is in; or give db_admin:PASSWORD as the token"
    return "an API key is what Zilliz Cloud takes; a Milvus server takes user:password as its token, or user= and password="


def _timed(name: str, check: Callable[[], str], settings: Settings) -> Step:
    def question() -> str:
        try:
            return check()
        except OSError as error:
            message, fix = _network(error, settings)
            raise MigratorError(message, fix=fix) from error

    return answer(name, question)


def _network(error: OSError, settings: Settings) -> tuple[str, str]:
    where = settings.address
    if isinstance(error, socket.gaierror):
        return f"the host name {settings.host} is not known", "correct uri=, or check the name service"
    if isinstance(error, ssl.SSLError):
        return tls.explained(error, settings)
    if isinstance(error, TimeoutError):
        return f"{where} does not answer within {settings.connect_timeout} s", "check the address and the firewall"
    if isinstance(error, ConnectionRefusedError):
        default = " (https:// without a port means 443)" if settings.secure and settings.port == HTTPS else ""
        return f"nothing listens at {where}", f"start Milvus, or correct the port in uri={default}"
    return f"{where} cannot be reached: {error}", "check the address and the network"


def _address(settings: Settings) -> str:
    if settings.path is not None:
        return f"{settings.path} exists"
    with socket.create_connection((settings.host, settings.port), timeout=settings.connect_timeout) as connection:
        return f"connected to {connection.getpeername()[0]} port {settings.port}"


def _read(wire: Wire, settings: Settings) -> str:
    existing = listed(wire)
    if own_name(wire, settings.collection, existing) is None and settings.namespace_mode != "collection":
        return f"{len(existing)} collections, {settings.collection} not among them"
    collection = MilvusSource(wire, settings).describe()
    named = f"{collection.alias} is an alias of {collection.name}" if collection.alias else collection.name
    return f"{named}: {collection.count:,} records of {collection.dimension} dimensions, {collection.metric or 'no metric'}"
