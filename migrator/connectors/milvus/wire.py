"""The connection: one gRPC channel to a server, or to the Milvus Lite engine started in this process.

Requests are built from the SDK's protobuf messages and sent over our own channel, because ``MilvusClient`` retries 75 times by
itself, logs tracebacks, and turns vectors into Python floats one by one. ``migrator.retry`` owns retrying.
"""

from __future__ import annotations

import base64
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
from pymilvus.grpc_gen import milvus_pb2 as pb
from pymilvus.grpc_gen import milvus_pb2_grpc

from migrator.connectors.milvus import lite
from migrator.connectors.milvus.failures import check, translate
from migrator.errors import PermanentError, PlanError

if TYPE_CHECKING:
    from migrator.connectors.milvus.options import Settings

CHANNEL_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_retries", 0),
    ("grpc.keepalive_time_ms", 30_000),
)


class Wire:
    """An open connection; safe to use from several threads. ``call`` is the only way in."""

    def __init__(self, settings: Settings) -> None:
        """Open the channel and sign in. Raise ``TransientError`` when nobody answers, ``PermanentError`` when the sign-in is refused."""
        self.settings = settings
        self.address = settings.address
        self.lease: lite.Lease | None = None
        self._closed = False
        self._lock = threading.Lock()
        self._metadata: tuple[tuple[str, str], ...] = ()
        if settings.path is not None:
            self.lease = lite.borrow(settings.path)
        elif settings.token:
            self._metadata = (("authorization", base64.b64encode(settings.token.encode()).decode()),)
        try:
            self._channel = _channel(settings, self.lease)
            self._stub: Any = milvus_pb2_grpc.MilvusServiceStub(self._channel)
            self.version: str = self.call("GetVersion", pb.GetVersionRequest(), "sign in", timeout=settings.connect_timeout).version
            self._check_database()
        except BaseException:
            self.close()
            raise

    def call(self, method: str, request: Any, what: str, *, timeout: float | None = None) -> Any:
        """Send ``request`` and return the answer. ``what`` is the verb phrase of the error a failure becomes."""
        if "db_name" in request.DESCRIPTOR.fields_by_name:
            request.db_name = self.settings.database
        try:
            answer = getattr(self._stub, method)(request, metadata=self._metadata, timeout=timeout or self.settings.timeout)
        except (grpc.RpcError, ValueError) as error:  # grpc raises ValueError on a closed channel
            raise translate(error, what=what, address=self.address) from error
        check(answer if "status" not in answer.DESCRIPTOR.fields_by_name else answer.status, what=what, address=self.address)
        return answer

    def _check_database(self) -> None:
        wanted = self.settings.database
        if not wanted:
            return
        try:
            self.call("ShowCollections", pb.ShowCollectionsRequest(), f"open database {wanted}")
        except PermanentError as error:
            if error.code != "not_found" and "does not exist" not in error.message:  # what Lite says, as an error of no kind of its own
                raise
            fix = f"correct database=, or create it: there are {', '.join(known)}" if (known := self._databases()) else "create it, or correct database="
            raise PlanError(f"Milvus at {self.address} has no database {wanted}", fix=fix, code="no_database") from error

    def _databases(self) -> list[str]:
        """Return the databases there are, none where this user may not list them."""
        try:
            return sorted(self.call("ListDatabases", pb.ListDatabasesRequest(), "list the databases").db_names)
        except PermanentError:
            return []

    @property
    def release(self) -> tuple[int, int]:
        """Major and minor version; Lite 3.x offers what servers from 2.5 on offer."""
        if self.lease is not None:
            return 2, 5
        digits = [int("".join(filter(str.isdigit, part)) or 0) for part in self.version.lstrip("v").split(".")[:2]]
        return (digits[0], digits[1]) if len(digits) == 2 else (0, 0)

    @property
    def product(self) -> str:
        """The store's own name: ``Milvus Lite 3.2.2`` or ``Milvus 2.3.5``."""
        if self.lease is not None:
            return f"Milvus Lite {self.version.removeprefix('milvus_lite-')}"
        return f"Milvus {self.version.lstrip('v').split('-')[0]}"

    def close(self) -> None:
        """Close the channel and, as its last user, the Milvus Lite engine, so that another process can open the file. Safe twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        if hasattr(self, "_channel"):
            self._channel.close()
        if self.lease is not None:
            self.lease.give_back()


def _channel(settings: Settings, lease: lite.Lease | None) -> grpc.Channel:
    if lease is not None:
        return grpc.insecure_channel(lease.target, options=CHANNEL_OPTIONS)
    target = f"[{settings.host}]:{settings.port}" if ":" in settings.host else f"{settings.host}:{settings.port}"
    if not settings.secure:
        return grpc.insecure_channel(target, options=CHANNEL_OPTIONS)
    options = list(CHANNEL_OPTIONS)
    if name := settings.tls.get("server_name"):
        options.append(("grpc.ssl_target_name_override", name))  # type: ignore[arg-type]
    root = settings.tls.get("server_pem_path") or settings.tls.get("ca_pem_path")
    credentials = grpc.ssl_channel_credentials(
        root_certificates=Path(root).read_bytes() if root else None,
        private_key=Path(settings.tls["client_key_path"]).read_bytes() if "client_key_path" in settings.tls else None,
        certificate_chain=Path(settings.tls["client_pem_path"]).read_bytes() if "client_pem_path" in settings.tls else None,
    )
    return grpc.secure_channel(target, credentials, options=options)
