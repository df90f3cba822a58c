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
_S3_ERRORS: tuple[tuple[tuple[str, ...], type[ConnectorError], str, str, str], ...] = (
    (
        ("INVALID_ACCESS_KEY_ID", "SIGNATURE_DOES_NOT_MATCH", "INVALID_CLIENT_TOKEN_ID", "InvalidAccessKeyId", "SignatureDoesNotMatch"),
        PermanentError,
        "sign_in_failed",
        "the store does not accept the access key for {what}",
        "check access_key= and secret_key=",
    ),
    (("NO_SUCH_BUCKET", "NoSuchBucket"), PermanentError, "no_bucket", "the bucket of {what} does not exist", "create the bucket, or correct its name"),
    (
        ("ACCESS_DENIED", "HTTP status 403", "HTTP status 401"),
        PermanentError,
        "permission_denied",
        "access to {what} is denied",
        "check access_key= and secret_key=, and that they may list, read and write there",
    ),
    (("NO_SUCH_KEY", "NoSuchKey", "RESOURCE_NOT_FOUND", "HTTP status 404"), PermanentError, "not_found", "{what} does not exist", "check the path"),
    (
        ("SLOW_DOWN", "THROTTLING", "REQUEST_TIMEOUT", "SERVICE_UNAVAILABLE", "INTERNAL_FAILURE", "HTTP status 503", "HTTP status 500", "HTTP status 429"),
        TransientError,
        "store_unavailable",
        "the store is too busy for {what}",
        "try again later",
    ),
    (
        ("NETWORK_CONNECTION", "curlCode", "Couldn't connect", "Could not resolve"),
        TransientError,
        "unreachable",
        "the store of {what} cannot be reached",
        "check endpoint= and the network",
    ),
)
"""Words in what the AWS SDK says -> our error; the first match counts. Seen against SeaweedFS and in the SDK's CoreErrors."""


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
    if isinstance(error, OSError):
        return _s3_error(str(error), what) if "AWS Error" in str(error) or "bucket" in str(error) else _os_error(error, what)
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


def _s3_error(text: str, what: str) -> ConnectorError:
    for words, kind, code, message, fix in _S3_ERRORS:
        if any(word in text for word in words):
            return kind(message.format(what=what), fix=fix, code=code)
    return TransientError(f"{what}: {_shortened(text)}", fix="try again")


def _shortened(text: str) -> str:
    return re.sub(r"\s+", " ", text)[:200]
