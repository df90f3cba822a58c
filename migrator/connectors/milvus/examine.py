"""The connection test: address, TLS, sign-in, version, read. It tells a wrong password from a dead server."""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import closing
from typing import TYPE_CHECKING

from pymilvus.grpc_gen import milvus_pb2 as pb

from migrator.connectors.milvus.options import read_options
from migrator.connectors.milvus.source import MilvusSource
from migrator.connectors.milvus.wire import Wire
from migrator.errors import MigratorError
from migrator.model import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from migrator.connectors.milvus.options import Settings
    from migrator.model import Endpoint


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
        checks.append(("tls", lambda: _tls(settings)))
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
        yield Step("sign-in", "failed", error.message, error.fix, time.monotonic() - start)
        return
    with closing(wire):
        who = settings.token.partition(":")[0] if ":" in settings.token else ("with a token" if settings.token else "without sign-in")
        yield Step("sign-in", "ok", f"accepted {who}", seconds=time.monotonic() - start)
        yield Step("version", "ok", wire.product)
        yield _timed("read", lambda: _read(wire, settings), settings)


def _timed(name: str, check: Callable[[], str], settings: Settings) -> Step:
    start = time.monotonic()
    try:
        detail = check()
    except MigratorError as error:
        return Step(name, "failed", error.message, error.fix, time.monotonic() - start)
    except OSError as error:
        message, fix = _network(error, settings)
        return Step(name, "failed", message, fix, time.monotonic() - start)
    return Step(name, "ok", detail, seconds=time.monotonic() - start)


def _network(error: OSError, settings: Settings) -> tuple[str, str]:
    where = settings.address
    if isinstance(error, socket.gaierror):
        return f"the host name {settings.host} is not known", "correct uri=, or check the name service"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate of {where} is not trusted: {error.verify_message}", "give server_pem_path= of the authority that signed it"
    if isinstance(error, ssl.SSLError):
        return f"{where} does not speak TLS: {error.reason}", "use http:// if the server has no TLS"
    if isinstance(error, TimeoutError):
        return f"{where} does not answer within {settings.connect_timeout} s", "check the address and the firewall"
    if isinstance(error, ConnectionRefusedError):
        return f"nothing listens at {where}", "start Milvus, or correct the port in uri="
    return f"{where} cannot be reached: {error}", "check the address and the network"


def _address(settings: Settings) -> str:
    if settings.path is not None:
        return f"{settings.path} exists"
    with socket.create_connection((settings.host, settings.port), timeout=settings.connect_timeout) as connection:
        return f"connected to {connection.getpeername()[0]} port {settings.port}"


def _tls(settings: Settings) -> str:
    context = ssl.create_default_context(cafile=settings.tls.get("server_pem_path") or settings.tls.get("ca_pem_path"))
    if "client_pem_path" in settings.tls:
        context.load_cert_chain(settings.tls["client_pem_path"], settings.tls["client_key_path"])
    context.set_alpn_protocols(["h2"])
    with socket.create_connection((settings.host, settings.port), timeout=settings.connect_timeout) as plain:
        name = settings.tls.get("server_name") or settings.host
        with context.wrap_socket(plain, server_hostname=name) as connection:
            return f"{connection.version()}, certificate trusted"


def _read(wire: Wire, settings: Settings) -> str:
    existing = wire.call("ShowCollections", pb.ShowCollectionsRequest(), "list the collections").collection_names
    if settings.collection not in existing and settings.namespace_mode != "collection":
        return f"{len(existing)} collections, {settings.collection} not among them"
    collection = MilvusSource(wire, settings).describe()
    return f"{settings.collection}: {collection.count:,} records of {collection.dimension} dimensions, {collection.metric or 'no metric'}"
