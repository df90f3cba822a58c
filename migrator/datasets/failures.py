"""The one place where what pyarrow and the operating system raise becomes an error of ours."""

from __future__ import annotations

import errno
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pyarrow as pa

from migrator.errors import ConnectorError, PermanentError, TransientError, UnreadableSourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

_FULL = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up", errno.EFBIG: "the file would grow beyond the allowed size"}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
_KEYS = {
    "AWS": "access_key= and secret_key=",
    "Azure Error": "account= and account_key= or sas_token=",
    "google::cloud": "credentials=",
}
"""Words of each store's library -> the options that sign in there."""
_NO_AZURE = ("Azure Error: [] 40", "Azure Error: [] 41", "Azure Error: [] 501")
"""Azure's own refusals carry a code."""
_STORE_ERRORS: tuple[tuple[tuple[str, ...], type[ConnectorError], str, str, str], ...] = (
    (
        ("REQUEST_TIME_TOO_SKEWED", "RequestTimeTooSkewed", "short-lived token", "Request date header too old", "not within the allowed clock skew"),
        PermanentError,
        "clock_differs",
        "the store refuses {what} because this machine's clock and its own differ",
        "set this machine's clock (timedatectl set-ntp true), then try again",
    ),
    (
        ("ExpiredToken", "EXPIRED_TOKEN", "TokenRefreshRequired", "Signature not valid in the specified time frame", "token has expired"),
        PermanentError,
        "sign_in_expired",
        "the temporary keys for {what} have expired",
        "get new ones and give them with {keys}, then resume",
    ),
    (
        (
            *("INVALID_ACCESS_KEY_ID", "SIGNATURE_DOES_NOT_MATCH", "INVALID_CLIENT_TOKEN_ID", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken"),
            *("failed to authenticate", "AuthenticationFailed", "InvalidAuthenticationInfo", "NoAuthenticationInformation"),
            *("Could not create a OAuth2 access token", "UNAUTHENTICATED"),
        ),
        PermanentError,
        "sign_in_failed",
        "the store does not accept who asks for {what}",
        "check {keys}",
    ),
    (
        ("PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraint", "HTTP status 301", "HTTP status 307"),
        PermanentError,
        "wrong_region",
        "the bucket of {what} lies in another region{region}",
        "give region= as the store has it, and an endpoint= of that region if you give one",
    ),
    (
        ("NO_SUCH_BUCKET", "NoSuchBucket", "ContainerNotFound", "ContainerBeingDeleted"),
        PermanentError,
        "no_bucket",
        "the bucket of {what} does not exist",
        "create the bucket, or correct its name",
    ),
    (
        ("<html", "<HTML", "<!DOCTYPE", "HTTP status 405", "HTTP status 501", "NOT_IMPLEMENTED", "InvalidResourceName", *_NO_AZURE),
        PermanentError,
        "not_a_store",
        "what answers for {what} is no object store, or does not know this address",
        "correct endpoint=, and the address",
    ),
    (
        (
            *("ACCESS_DENIED", "HTTP status 403", "HTTP status 401", "PERMISSION_DENIED", "Permission denied", "AuthorizationFailure"),
            *("AuthorizationPermissionMismatch", "PublicAccessNotPermitted", "] 403 ", "] 401 "),
        ),
        PermanentError,
        "permission_denied",
        "access to {what} is denied",
        "check {keys}, and that they may list, read and write there",
    ),
    (
        ("NO_SUCH_KEY", "NoSuchKey", "RESOURCE_NOT_FOUND", "HTTP status 404", "ResourceNotFound", "BlobNotFound"),
        PermanentError,
        "not_found",
        "{what} does not exist",
        "check the path",
    ),
    (
        (
            *("SLOW_DOWN", "THROTTLING", "REQUEST_TIMEOUT", "SERVICE_UNAVAILABLE", "INTERNAL_FAILURE", "HTTP status 503", "HTTP status 500"),
            *("HTTP status 429", "ServerBusy", "OperationTimedOut", "InternalError", "RESOURCE_EXHAUSTED", "] 503 ", "] 500 "),
        ),
        TransientError,
        "store_unavailable",
        "the store is too busy for {what}",
        "try again later",
    ),
    (
        ("SSL connect error", "curlCode: 60", "SSL peer certificate", "CURL error [35]", "CURL error [60]", "certificate verify failed", "SSL certificate"),
        PermanentError,
        "no_secure_connection",
        "no secure connection to the store of {what} can be made",
        "write endpoint=http://… for a store without TLS; for one whose certificate is signed privately give ca_file=",
    ),
    (
        (
            *("NETWORK_CONNECTION", "curlCode", "CURL error", "Couldn't connect", "Could not connect", "Could not resolve", "Fail to get a new connection"),
            *("UNAVAILABLE", "DEADLINE_EXCEEDED"),
        ),
        TransientError,
        "unreachable",
        "the store of {what} cannot be reached",
        "check endpoint= and the network",
    ),
    (
        ("No response body",),
        PermanentError,
        "store_refused",
        "the store refuses the request for {what}",
        "check region=, and whether temporary keys have expired",
    ),
)
"""Words in what a store's library says -> our error; the first match counts. Seen against SeaweedFS, Azurite and two emulators of Google's
store, and in the AWS SDK's CoreErrors; those of AWS, Azure and Google alone are from their documentation of error codes."""
_REGION = re.compile(r"expecting '?([a-z0-9-]+)")


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn foreign errors raised inside into ours; ``what`` is the file or folder they are about."""
    try:
        yield
    except (OSError, pa.ArrowException, MemoryError, UnicodeDecodeError) as error:
        raise translate(error, what) from error


def translate(error: BaseException, what: str) -> ConnectorError:
    """Return our error for ``error``, which was raised while working on ``what``."""
    if isinstance(error, FileNotFoundError):
        return PermanentError(f"{what} does not exist", fix="check the path", code="not_found")
    if any(words in str(error) for words in ("AWS Error", "Azure Error", "google::cloud")) or (isinstance(error, OSError) and "bucket" in str(error)):
        return _store_error(str(error), what)
    if isinstance(error, OSError):
        return _os_error(error, what)
    if isinstance(error, (MemoryError, pa.ArrowMemoryError)):
        return PermanentError(f"not enough memory for {what}", fix="run with fewer workers or a smaller batch", code="out_of_memory")
    return unreadable(what, str(error))


def unreadable(what: str, reason: str) -> UnreadableSourceError:
    """Return the error for bytes that are not what they should be."""
    first_line = (reason.splitlines() or [""])[0].rstrip(".")[:200]
    return UnreadableSourceError(f"{what} cannot be read: {first_line}", fix="get an intact copy of the file")


def _os_error(error: OSError, what: str) -> ConnectorError:
    number = error.errno
    if number in _FULL:
        return PermanentError(f"{_FULL[number]} while writing {what}", fix="free some space, then resume the run", code="disk_full")
    if number in _DENIED:
        return PermanentError(f"no permission for {what}", fix="check who owns the folder, or choose another", code="permission_denied")
    if number in {errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP}:
        return PermanentError(f"{what} cannot be used: {error.strerror}", fix="choose another path", code="bad_path")
    if number is None:  # Arrow's own words for bytes it cannot make sense of
        return unreadable(what, str(error))
    return TransientError(f"{what}: {error.strerror or error}", fix="try again; if it stays, look at the disk")


def _store_error(text: str, what: str) -> ConnectorError:
    keys = next((options for words, options in _KEYS.items() if words in text), _KEYS["AWS"])
    region = f", {found[1]}" if (found := _REGION.search(text)) else ""
    for words, kind, code, message, fix in _STORE_ERRORS:
        if any(word in text for word in words):
            return kind(message.format(what=what, region=region), fix=fix.format(keys=keys), code=code)
    return TransientError(f"the store refuses the request for {what}: {_shortened(text)}", fix="try again")


def _shortened(text: str) -> str:
    own = re.sub(r"^.*? during \w+ operation: |^.*?Azure Error: ", "", text, flags=re.DOTALL)
    return re.sub(r"\s+", " ", own)[:200]
