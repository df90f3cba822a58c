"""What both planes do with HTTP: check the key and the version, read the body, and put answers and refusals into the service's words."""

from __future__ import annotations

import itertools
import math
import re
from typing import TYPE_CHECKING, Any

import orjson
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from migrator.local_pinecone.engine.errors import ApiError, invalid
from migrator.pinecone_protocol.limits import API_VERSIONS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request

    from migrator.local_pinecone.engine import Engine

_STATUS_NAMES = {
    400: "INVALID_ARGUMENT",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    409: "ALREADY_EXISTS",
    412: "FAILED_PRECONDITION",
    422: "UNPROCESSABLE_ENTITY",
    429: "TOO_MANY_REQUESTS",
    501: "UNIMPLEMENTED",
}
_UNKNOWN = 2
_VERSION = re.compile(r"\d{4}-\d{2}")
_REQUEST_IDS = itertools.count(1)


class Call:
    """One request: what the client asks for, already read and let in."""

    def __init__(self, request: Request, body: bytes, version: str) -> None:
        self.path: Mapping[str, str] = request.path_params
        self.query = request.query_params
        self.size = len(body)
        self.version = version
        self._body = body

    def json(self) -> dict[str, Any]:
        """Return the body, an object. Raise a 400 for anything else."""
        try:
            body = orjson.loads(self._body or b"{}")
        except orjson.JSONDecodeError as error:
            raise invalid(f"Invalid JSON in the request body: {error}") from None
        if not isinstance(body, dict):
            raise invalid("The request body must be a JSON object")
        return body

    def number(self, name: str) -> int | None:
        """Return a whole number from the query string, None when it is not there."""
        text = self.query.get(name)
        if text is None or text == "":
            return None
        if not text.isascii() or not text.removeprefix("-").isdigit():
            raise invalid(f"{name} must be a whole number, got '{text[:40]}'")
        return int(text)


class Answer:
    """A JSON answer."""

    __slots__ = ("headers", "status", "value")

    def __init__(self, value: Any = None, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        self.value = {} if value is None else value
        self.status = status
        self.headers = headers


def application(engine: Engine, routes: Mapping[tuple[str, str], tuple[Callable[[Call], Answer], bool]], *, control: bool) -> Starlette:
    """Return the ASGI application of ``(method, path) -> (handler, whether it may take long)``."""
    by_path: dict[str, dict[str, Callable[[Request], Awaitable[Response]]]] = {}
    for (method, path), (handler, slow) in routes.items():
        by_path.setdefault(path, {})[method] = _endpoint(engine, handler, slow=slow, control=control)

    def refused(_: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        return _refusal(ApiError(status, 5 if status == 404 else _UNKNOWN, "Not found" if status == 404 else str(error)), control=control)

    found = [Route(path, _dispatch(handlers), methods=list(handlers)) for path, handlers in by_path.items()]
    return Starlette(routes=found, exception_handlers={HTTPException: refused})


def _dispatch(handlers: Mapping[str, Callable[[Request], Awaitable[Response]]]) -> Callable[[Request], Awaitable[Response]]:
    async def dispatch(request: Request) -> Response:
        return await handlers["GET" if request.method == "HEAD" else request.method](request)

    return dispatch


def _endpoint(engine: Engine, handler: Callable[[Call], Answer], *, slow: bool, control: bool) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        try:
            engine.authenticate(request.headers.get("api-key"))
            call = Call(request, await request.body(), _version(request.headers.get("x-pinecone-api-version")))
            answer = await run_in_threadpool(handler, call) if slow else handler(call)
        except ApiError as error:
            return _refusal(error, control=control)
        return _response(answer.value, answer.status, answer.headers)

    return endpoint


def _version(asked: str | None) -> str:
    """Return the version of ours that answers a request.

    Without the header it is the oldest, as the service documents; a version between ours is answered as the newest before it, one before all
    of ours as the oldest: their wire forms are the same.
    """
    if not asked:
        return API_VERSIONS[0]
    if not _VERSION.fullmatch(asked) or asked > API_VERSIONS[-1]:
        raise invalid(f"Invalid API version: {asked[:40]}. The local server supports {', '.join(API_VERSIONS)}")
    return max((version for version in API_VERSIONS if version <= asked), default=API_VERSIONS[0])


def _refusal(error: ApiError, *, control: bool) -> Response:
    headers = {} if error.retry_after is None else {"retry-after": str(max(1, math.ceil(error.retry_after)))}
    if error.status == 401:
        return Response(error.message, 401, headers, media_type="text/plain")
    if control:
        value: Any = {"status": error.status, "error": {"code": _STATUS_NAMES.get(error.status, "UNKNOWN"), "message": error.message}}
    else:
        value = {"code": error.code, "message": error.message, "details": []}
    return _response(value, error.status, headers)


def _response(value: Any, status: int, headers: Mapping[str, str] | None) -> Response:
    body = orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(body, status, {"x-pinecone-request-id": str(next(_REQUEST_IDS)), **(headers or {})}, media_type="application/json")
