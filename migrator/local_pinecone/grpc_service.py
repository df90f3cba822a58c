"""The gRPC side of an index: a gRPC server that finds the caller's key, the method, and words for a refusal."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
from google.protobuf.message import DecodeError

from migrator.local_pinecone.engine.errors import ApiError, invalid
from migrator.local_pinecone.grpc_methods import HANDLERS
from migrator.pinecone_protocol import messages

if TYPE_CHECKING:
    from collections.abc import Callable

    from migrator.local_pinecone.engine import Engine, Index

WORKERS = 4
_MESSAGE_BYTES = 64 << 20
"""What is read at all; the engine refuses what is beyond Pinecone's own limits, in Pinecone's words."""
_OPTIONS = (
    ("grpc.max_receive_message_length", _MESSAGE_BYTES),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_metadata_size", 1 << 20),
    ("grpc.http2.lookahead_bytes", 4 << 20),
    ("grpc.http2.bdp_probe", 0),  # the window above is enough on one machine
    ("grpc.so_reuseport", 0),
)
_STATUS = {code.value[0]: code for code in grpc.StatusCode}


class GrpcServer:
    """A running server of one index at ``address``. ``index`` is asked at every call, and may raise ``ApiError``."""

    def __init__(self, engine: Engine, index: Callable[[], Index], address: str) -> None:
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="local-pinecone-rpc")
        self._server = grpc.server(self._workers, options=_OPTIONS)
        handlers = {name: grpc.unary_unary_rpc_method_handler(_behavior(engine, index, name)) for name in HANDLERS}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(messages.SERVICE, handlers),))
        self._server.add_insecure_port(address)
        self._server.start()

    def stop(self) -> None:
        """End all calls and threads."""
        self._server.stop(None).wait()
        self._workers.shutdown()


def _behavior(engine: Engine, index: Callable[[], Index], name: str) -> Callable[[bytes, Any], bytes]:
    """Return what gRPC calls with the request's bytes; it returns the response's."""
    handle = HANDLERS[name]
    request_class, _ = messages.METHODS[name]

    def behave(wire: bytes, context: Any) -> bytes:
        try:
            engine.authenticate(_api_key(context))
            answer = handle(index(), _parse(request_class, wire), wire)
        except ApiError as error:
            _refuse(context, error)
        if answer.headers:
            context.send_initial_metadata(answer.headers)
        encoded: bytes = answer.message.SerializeToString()
        return encoded

    return behave


def _api_key(context: Any) -> str | None:
    return next((value for key, value in context.invocation_metadata() if key == "api-key"), None)


def _parse(kind: Any, wire: bytes) -> Any:
    try:
        return kind.FromString(wire)
    except DecodeError as error:
        raise invalid(f"The request is no {kind.DESCRIPTOR.name}: {error}") from None


def _refuse(context: Any, error: ApiError) -> NoReturn:
    if error.retry_after is not None:
        milliseconds = max(1, round(error.retry_after * 1000))
        context.set_trailing_metadata((("retry-after", f"{error.retry_after:g}"), ("grpc-retry-pushback-ms", str(milliseconds))))
    context.abort(_STATUS.get(error.code, grpc.StatusCode.UNKNOWN), error.message)
    raise AssertionError("abort returned")
