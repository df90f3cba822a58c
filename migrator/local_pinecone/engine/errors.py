"""What the service answers when it says no: an HTTP status, the gRPC code that belongs to it, and a message."""

from __future__ import annotations

INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED = 3, 5, 6, 7
RESOURCE_EXHAUSTED, FAILED_PRECONDITION, OUT_OF_RANGE, UNIMPLEMENTED, UNAVAILABLE, UNAUTHENTICATED = 8, 9, 11, 12, 14, 16


class ApiError(Exception):
    """A refused request. ``retry_after`` is in seconds, with 429 only.

    This is what the emulated service sends over the wire, not a failure of this program: hence no ``MigratorError``.
    """

    def __init__(self, status: int, code: int, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after


def invalid(message: str) -> ApiError:
    """Return a 400."""
    return ApiError(400, INVALID_ARGUMENT, message)


def not_found(message: str) -> ApiError:
    """Return a 404."""
    return ApiError(404, NOT_FOUND, message)


def already_exists(message: str = "Resource already exists.") -> ApiError:
    """Return a 409."""
    return ApiError(409, ALREADY_EXISTS, message)


def forbidden(message: str) -> ApiError:
    """Return a 403."""
    return ApiError(403, PERMISSION_DENIED, message)


def failed_precondition(message: str) -> ApiError:
    """Return a 412."""
    return ApiError(412, FAILED_PRECONDITION, message)


def unauthenticated() -> ApiError:
    """Return a 401."""
    return ApiError(401, UNAUTHENTICATED, "Invalid API key.")


def too_large(size: int, limit: int) -> ApiError:
    """Return the refusal of a request whose message is longer than ``limit`` bytes."""
    return ApiError(400, OUT_OF_RANGE, f"Error, message length too large: found {size} bytes, the limit is: {limit} bytes")


def rate_limited(message: str, retry_after: float) -> ApiError:
    """Return a 429 that asks the client to wait ``retry_after`` seconds."""
    return ApiError(429, RESOURCE_EXHAUSTED, message, retry_after)


def unavailable() -> ApiError:
    """Return a 503: the index is deleted or closed, and takes nothing more."""
    return ApiError(503, UNAVAILABLE, "The index is no longer available")


def not_emulated(what: str) -> ApiError:
    """Return the answer to a request the real service knows and this one does not."""
    return ApiError(501, UNIMPLEMENTED, f"{what} is not emulated by the local server")
