"""The one place where Pinecone's errors become ours: SDK exceptions, HTTP statuses, gRPC codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import httpx
from pinecone import errors as sdk

from migrator.errors import ConfigError, ConnectorError, MigratorError, PermanentError, RateLimitedError, TransientError

if TYPE_CHECKING:
    from collections.abc import Mapping

_KEY_FIX = "give a valid key (export PINECONE_API_KEY=…, or api_key=env:NAME), then resume"
_SEE = "see the message of Pinecone"

_STATUS_OF_CODE = {
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.FAILED_PRECONDITION: 412,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.ABORTED: 503,
    grpc.StatusCode.CANCELLED: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.UNKNOWN: 500,
    grpc.StatusCode.DATA_LOSS: 500,
}
"""Every gRPC code a failed call can have, as the HTTP status that means the same."""

_CODES = {401: "unauthorized", 402: "payment_required", 403: "forbidden", 404: "not_found", 409: "already_exists", 412: "wrong_state"}
_CODES |= {400: "bad_request", 413: "request_too_large", 422: "bad_request", 501: "not_supported"}
_FIXES = {
    401: _KEY_FIX,
    402: "settle the billing of the organization in Pinecone's console",
    403: "use a key whose role allows it; a protected index must have its deletion protection disabled first",
    404: "check the name, or list what exists in Pinecone's console",
    409: "choose another name",
    413: "report it: requests should stay below Pinecone's limit",
}
_KINDS: tuple[tuple[tuple[type[BaseException], ...], type[MigratorError], str, str, str | None], ...] = (
    (
        (sdk.PineconeConnectionError, sdk.PineconeTimeoutError, httpx.TransportError, OSError),
        TransientError,
        "does not answer",
        "check the address and the network, then resume",
        None,
    ),
    # 200 with something else than the API's JSON: a proxy's page, or an answer cut short
    ((sdk.ResponseParsingError,), TransientError, "gave an answer that is none", "check for a proxy in between, then resume", None),
    ((sdk.IndexInitFailedError, sdk.IndexTerminatedError), PermanentError, "has no such index any more", "make it anew", "wrong_state"),
    ((sdk.PineconeValueError, sdk.PineconeTypeError), PermanentError, "was not asked, because the SDK refuses", _SEE, "bad_request"),
)
"""SDK and transport exceptions -> our class, what is said, the cure and the code; the first that fits."""
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_TOO_LARGE_WORDS = ("larger than max", "message length too large", "exceeds the maximum supported size", "request size")


def translate(error: BaseException, *, what: str, address: str) -> MigratorError:
    """Return our error for ``error``, raised while doing ``what`` (a verb phrase) at ``address``."""
    if isinstance(error, MigratorError):
        return error
    if isinstance(error, grpc.RpcError):
        return _from_rpc(error, what, address)
    if isinstance(error, sdk.ApiError):
        headers = {name.lower(): value for name, value in (error.headers or {}).items()}
        wait = getattr(error, "retry_after", None)
        return from_status(error.status_code, error.message, headers | ({} if wait is None else {"retry-after": str(wait)}), what=what, address=address)
    for kinds, ours, said, fix, code in _KINDS:
        if isinstance(error, kinds):
            return ours(f"Pinecone at {address} {said} ({what}): {_sentence(error)}", fix=fix, **({"code": code} if code else {}))
    return ConnectorError(f"Pinecone at {address} could not {what}: {type(error).__name__}: {_sentence(error)}", fix=_SEE)


def from_status(status: int, message: str, headers: Mapping[str, str], *, what: str, address: str) -> MigratorError:
    """Return our error for an answer with HTTP ``status``; ``headers`` have lower-case names."""
    text = _sentence(message)
    if status == 400 and any(word in text.lower() for word in _TOO_LARGE_WORDS):
        status = 413
    if status == 429:
        return RateLimitedError(f"Pinecone at {address} asks to slow down ({what}): {text}", retry_after=retry_after(headers), fix="use fewer workers")
    if status in _TRY_AGAIN or (status >= 500 and status != 501):
        return TransientError(f"Pinecone at {address} could not {what} just now ({status}): {text}", fix="look at status.pinecone.io, then resume")
    if status == 401:
        return PermanentError(f"Pinecone at {address} refuses the API key ({what}): {text}", fix=_KEY_FIX, code="unauthorized")
    return PermanentError(f"Pinecone at {address} refused to {what}: {text}", fix=_FIXES.get(status, _SEE), code=_CODES.get(status, "store_refused"))


def check(response: httpx.Response, *, what: str, address: str) -> Any:
    """Return the JSON of ``response``; raise our error when it is no success."""
    if response.is_success:
        try:
            return response.json() if response.content else {}
        except ValueError as error:
            raise TransientError(f"Pinecone at {address} gave an answer that is no JSON ({what})", fix="check for a proxy in between, then resume") from error
    raise from_status(response.status_code, message_of(response), dict(response.headers), what=what, address=address)


def message_of(response: httpx.Response) -> str:
    """Return what an error answer says: control plane, data plane, or plain text."""
    try:
        body = response.json()
    except ValueError:
        return response.text
    if isinstance(body, dict):
        inner = body.get("error")
        return str((inner.get("message") if isinstance(inner, dict) else inner) or body.get("message") or body)
    return str(body)


def _from_rpc(error: grpc.RpcError, what: str, address: str) -> MigratorError:
    code: Any = error.code() if hasattr(error, "code") else grpc.StatusCode.UNKNOWN
    details = str((error.details() if hasattr(error, "details") else None) or error)
    status = _STATUS_OF_CODE.get(code, 500)
    if status == 429 and any(word in details.lower() for word in _TOO_LARGE_WORDS):
        status = 413
    return from_status(status, details, rpc_metadata(error), what=what, address=address)


def rpc_metadata(call: Any) -> dict[str, str]:
    """Return the metadata of a finished call, initial and trailing together."""
    found: dict[str, str] = {}
    for name in ("initial_metadata", "trailing_metadata"):
        pairs = getattr(call, name)() if hasattr(call, name) else None
        found |= {key: value if isinstance(value, str) else value.decode("latin-1") for key, value in pairs or ()}
    return found


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return how many seconds the store asked us to wait, None when it did not say."""
    for name, unit in (("retry-after", 1.0), ("grpc-retry-pushback-ms", 0.001)):
        try:
            seconds = float(headers[name]) * unit
        except (KeyError, ValueError):  # absent, or a date
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    return None


def not_found(index: str, known: list[str], address: str) -> ConfigError:
    """Return the error for an index that does not exist."""
    names = ", ".join(sorted(known)[:10]) or "none"
    return ConfigError(f"Pinecone at {address} has no index {index}", fix=f"this key's project has: {names}", code="not_found")


def _sentence(text: object) -> str:
    """Return the first line of a message, at most 400 characters: gateways answer with pages."""
    lines = [line for line in str(text).splitlines() if line.strip()]
    line = lines[0].strip() if lines else ""
    return line if len(line) <= 400 else line[:400] + "…"
