"""The one place where Milvus's errors become ours: gRPC codes, server statuses, SDK exceptions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import grpc
from pymilvus import exceptions as sdk

from migrator.errors import ConfigError, ConnectorError, MigratorError, PermanentError, PlanError, RateLimitedError, TransientError

if TYPE_CHECKING:
    from pathlib import Path

# Codes of milvus pkg/util/merr, the ``code`` of a Status; 49 is the legacy ``error_code`` that servers before 2.3 send alone.
_RATE_LIMIT = frozenset({4, 8, 9})
_LEGACY_RATE_LIMIT = 49
_NOT_FOUND = frozenset({100, 200, 700, 800, 1600})
_TRANSIENT = frozenset({2, 103, 104, 202, 401, 500, 501, 503, 600, 601, 602, 901, 902, 903, 905, 1001})
_NOT_SIGNED_IN, _NOT_PERMITTED = 1400, 1401
_SIGN_IN_WORDS = ("auth check failure", "missing authorization")
_DENIED_WORDS = ("permission deny", "PermissionDenied")
_RIGHT = re.compile(r"Privilege(\w+): permission deny to (\S+)")
_RATE_WORDS = ("rate limit", "quota exceeded", "deny to write", "request limit exceeded")
_BUSY_WORDS = ("not ready", "timeout", "timed out", "context deadline", "unavailable", "connection refused", "node offline", "failed to connect")

_TRANSIENT_RPC = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DATA_LOSS,
    }
)

_SIGN_IN_FIX = "give token=env:MILVUS_TOKEN, or user= and password=, of a user that may do this"
_GRANT_FIX = "let an administrator grant {} to a role of this user, or sign in as a user who has it"

_BY_CLASS: dict[type[BaseException], type[MigratorError]] = {
    sdk.ConnectError: TransientError,
    sdk.MilvusUnavailableException: TransientError,
    sdk.ConnectionNotExistException: TransientError,
    sdk.SchemaMismatchRetryableException: TransientError,
    sdk.ConnectionConfigException: ConfigError,
    sdk.ServerVersionIncompatibleException: PlanError,
    sdk.ParamError: PermanentError,
    sdk.CollectionNotExistException: PermanentError,
    sdk.DescribeCollectionException: PermanentError,
    sdk.PartitionAlreadyExistException: PermanentError,
    sdk.IndexNotExistException: PermanentError,
    sdk.AmbiguousIndexName: PermanentError,
    sdk.CannotInferSchemaException: PermanentError,
    sdk.SchemaNotReadyException: PermanentError,
    sdk.DataTypeNotMatchException: PermanentError,
    sdk.DataTypeNotSupportException: PermanentError,
    sdk.DataNotMatchException: PermanentError,
    sdk.PrimaryKeyException: PermanentError,
    sdk.PartitionKeyException: PermanentError,
    sdk.ClusteringKeyException: PermanentError,
    sdk.FieldsTypeException: PermanentError,
    sdk.FunctionsTypeException: PermanentError,
    sdk.FieldTypeException: PermanentError,
    sdk.AutoIDException: PermanentError,
    sdk.InvalidConsistencyLevel: PermanentError,
}


def translate(error: BaseException, *, what: str, address: str) -> MigratorError:
    """Return our error for ``error``, raised while doing ``what`` (a verb phrase) at ``address``."""
    if isinstance(error, MigratorError):
        return error
    if isinstance(error, grpc.RpcError):
        return _from_rpc(error, what, address)
    if isinstance(error, sdk.MilvusException):
        kind = next((_BY_CLASS[base] for base in type(error).__mro__ if base in _BY_CLASS), None)
        if kind is not None:
            return kind(f"Milvus at {address} could not {what}: {_sentence(error.message)}", fix="see the message of Milvus")
        return _from_status(error, what, address)
    if isinstance(error, OSError):
        return TransientError(f"the connection to Milvus at {address} broke while trying to {what}: {error}", fix="check the network and resume")
    return ConnectorError(f"Milvus at {address} could not {what}: {type(error).__name__}: {error}", fix="see the message of the Milvus SDK")


def _from_rpc(error: grpc.RpcError, what: str, address: str) -> MigratorError:
    code: Any = error.code() if hasattr(error, "code") else grpc.StatusCode.UNKNOWN
    details = _sentence((error.details() if hasattr(error, "details") else str(error)) or "")
    if code in {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}:
        refused = PermanentError(f"Milvus at {address} refuses the sign-in: {details}", fix=_SIGN_IN_FIX, code="sign_in_refused")
        return refused if code is grpc.StatusCode.UNAUTHENTICATED else _not_permitted(details, what, address)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in details:
        return PermanentError(f"a message to Milvus at {address} is larger than it accepts: {details}", fix="use a smaller batch", code="message_too_large")
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return RateLimitedError(f"Milvus at {address} asks to slow down: {details}", fix="use fewer workers")
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return PermanentError(f"Milvus at {address} cannot {what}: {details}", fix="use a server that offers it", code="not_supported")
    if code in _TRANSIENT_RPC:
        return TransientError(f"Milvus at {address} does not answer ({what}): {details}", fix="check that the server runs and can be reached, then resume")
    return PermanentError(f"Milvus at {address} refused to {what}: {details}", fix="see the message of Milvus")


def _from_status(error: sdk.MilvusException, what: str, address: str) -> MigratorError:
    text = _sentence(error.message)
    code = error.code if isinstance(error.code, int) else 0
    if code in _RATE_LIMIT or error.compatible_code == _LEGACY_RATE_LIMIT or any(word in text.lower() for word in _RATE_WORDS):
        return RateLimitedError(f"Milvus at {address} asks to slow down: {text}", fix="use fewer workers")
    if code == _NOT_PERMITTED or any(word in text for word in _DENIED_WORDS):
        return _not_permitted(text, what, address)
    if code == _NOT_SIGNED_IN or any(word in text for word in _SIGN_IN_WORDS):
        return PermanentError(f"Milvus at {address} refuses to {what}: {text}", fix=_SIGN_IN_FIX, code="sign_in_refused")
    if code in _NOT_FOUND:
        return PermanentError(f"Milvus at {address} could not {what}: {text}", fix="check the name, or list what exists with inspect", code="not_found")
    busy = error.retriable or code in _TRANSIENT or any(word in text.lower() for word in _BUSY_WORDS)
    if busy and not error.is_input_error:
        return TransientError(f"Milvus at {address} could not {what} just now: {text}", fix="check the health of the server, then resume")
    return PermanentError(f"Milvus at {address} refused to {what}: {text}", fix="see the message of Milvus")


def _not_permitted(text: str, what: str, address: str) -> PermanentError:
    """Return the error for a user who is known and lacks a right, which Milvus names."""
    if found := _RIGHT.search(text):
        right, user = found.groups()
        message, fix = f"Milvus at {address} does not let {user} {what}: the privilege {right} is missing", _GRANT_FIX.format(right)
        return PermanentError(message, fix=fix, code="not_permitted")
    return PermanentError(f"Milvus at {address} does not let this user {what}: {text}", fix=_GRANT_FIX.format("the privilege"), code="not_permitted")


def _sentence(text: object) -> str:
    """Return the first line of a server's message, at most 400 characters: statuses may carry Go stack traces."""
    lines = [line for line in str(text).splitlines() if line.strip()]
    line = lines[0].strip() if lines else ""
    return line if len(line) <= 400 else line[:400] + "…"


def check(status: Any, *, what: str, address: str) -> None:
    """Raise our error when a server's ``Status`` is not success. Both its codes count: old servers set only one of them."""
    if status.code or status.error_code:
        raise translate(sdk.MilvusException.from_status(status), what=what, address=address)


def lite_cannot_open(path: Path, cause: BaseException | None) -> ConnectorError:
    """Return the error for a Milvus Lite file that would not open, by what its engine logged."""
    if cause is not None and type(cause).__name__ == "DataDirLockedError":
        return ConnectorError(
            f"the Milvus Lite file {path} is in use by another process",
            fix="stop the program that has it open (it holds the file LOCK in that folder), then try again",
            code="file_locked",
        )
    reason = f"{type(cause).__name__}: {_sentence(cause)}" if cause is not None else "no reason given"
    return ConnectorError(f"Milvus Lite cannot open {path}: {reason}", fix="check that it is a Milvus Lite folder you may write to", code="file_unreadable")
