"""The gRPC side of an index: finds the caller's key and the method in a call, and words for a refusal."""

from __future__ import annotations

import logging
import zlib
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import grpc
from google.protobuf.message import DecodeError

from migrator.local_pinecone.engine.errors import ApiError, invalid
from migrator.local_pinecone.grpc_methods import HANDLERS
from migrator.local_pinecone.http2 import Response
from migrator.pinecone_protocol import messages

if TYPE_CHECKING:
    from collections.abc import Callable

    from migrator.local_pinecone.engine import Engine, Index
    from migrator.local_pinecone.http2 import Headers, Request

_MESSAGE_BYTES = 64 << 20
"""What is read at all; the engine refuses what is beyond Pinecone's own limits, in Pinecone's words."""
_HEADERS = [(":status", "200"), ("content-type", "application/grpc"), ("grpc-accept-encoding", "identity,deflate,gzip")]
_PLAIN = bytes(range(0x20, 0x7F)).decode().replace("%", "")
"""Characters that a status message is sent in as they are (gRPC over HTTP/2, Status-Message)."""
_INFLATED = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
"""Encoding -> what zlib calls it."""
_METHODS = {messages.path(name): name for name in HANDLERS}


class GrpcService:
    """Answers the calls to one index. ``index`` is asked at every call, and may raise ``ApiError``."""

    def __init__(self, engine: Engine, index: Callable[[], Index]) -> None:
        self._engine, self._index = engine, index

    def __call__(self, request: Request) -> Response:
        """Return the response to a call, whatever it is."""
        headers = dict(request.headers)
        try:
            return self._answered(headers, request)
        except ApiError as error:
            return _refusal(error)
        except Exception as error:
            logging.getLogger(__name__).exception("a gRPC call failed")
            return _failure(grpc.StatusCode.UNKNOWN, f"Exception calling application: {error}")

    def _answered(self, headers: dict[str, str], request: Request) -> Response:
        name = _METHODS.get(headers.get(":path", ""))
        if name is None:
            return _failure(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
        size = sum(map(len, request.body))
        if size > _MESSAGE_BYTES:
            return _failure(grpc.StatusCode.RESOURCE_EXHAUSTED, f"Received message larger than max ({size} vs. {_MESSAGE_BYTES})")
        self._engine.authenticate(headers.get("api-key"))
        wire = _message(b"".join(request.body), headers.get("grpc-encoding", "identity"))
        answer = HANDLERS[name](self._index(), _parse(messages.METHODS[name][0], wire), wire)
        parts = answer.parts()
        size = sum(map(len, parts))
        return Response([*_HEADERS, *answer.headers], b"".join([b"\0", size.to_bytes(4, "big"), *parts]), [("grpc-status", "0")])


def _message(body: bytes, encoding: str) -> bytes:
    """Return the one message of ``body``, which has a flag and a length before it."""
    if len(body) < 5 or len(body) != 5 + int.from_bytes(body[1:5], "big"):
        raise invalid("The call has no message, or more than one")
    if not body[0]:
        return body[5:]
    if encoding not in _INFLATED:
        raise invalid(f"Messages compressed with {encoding} are not read")
    inflater = zlib.decompressobj(_INFLATED[encoding])
    try:
        message = inflater.decompress(body[5:], _MESSAGE_BYTES)
    except zlib.error as error:
        raise invalid(f"The message is not compressed with {encoding}: {error}") from None
    if not inflater.eof:
        raise invalid(f"The message is cut off, or longer than {_MESSAGE_BYTES} bytes")
    return message


def _parse(kind: Any, wire: bytes) -> Any:
    try:
        return kind.FromString(wire)
    except DecodeError as error:
        raise invalid(f"The request is no {kind.DESCRIPTOR.name}: {error}") from None


def _refusal(error: ApiError) -> Response:
    later: Headers = []
    if error.retry_after is not None:
        milliseconds = max(1, round(error.retry_after * 1000))
        later = [("retry-after", f"{error.retry_after:g}"), ("grpc-retry-pushback-ms", str(milliseconds))]
    return _failure(error.code, error.message, later)


def _failure(code: grpc.StatusCode | int, message: str, more: Headers | None = None) -> Response:
    """Return a response that is its status alone."""
    number = code.value[0] if isinstance(code, grpc.StatusCode) else code
    return Response([*_HEADERS, ("grpc-status", str(number)), ("grpc-message", quote(message, safe=_PLAIN)), *(more or [])])
