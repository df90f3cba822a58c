"""Where datasets lie, as other programs name it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from migrator import endpoints
from migrator.datasets import buckets
from migrator.errors import ConfigError

if TYPE_CHECKING:
    from migrator.model import Endpoint

_PLAIN_ADDRESS = re.compile(r"(s3|gs|https)://[A-Za-z0-9._/=+@,-]+")
"""Programs disagree on what a percent sign or a space in an address means."""
_CLOUDS = (".amazonaws.com", ".amazonaws.com.cn", ".googleapis.com", ".blob.core.windows.net")


def address(endpoint: Endpoint) -> str:
    """Return where the dataset lies, as other programs name it. Raise ``ConfigError`` for a bucket's address that they could read in two ways."""
    if not endpoints.in_bucket(endpoint.resource):
        return Path(endpoint.resource).absolute().as_uri()
    uri = buckets.uri(endpoint)
    if not _PLAIN_ADDRESS.fullmatch(uri):
        message = f"{uri} has characters that programs read in several ways"
        raise ConfigError(message, fix="stage under a prefix of ASCII letters, digits and ._/=+@,-", code="bad_endpoint")
    return uri


def server(endpoint: Endpoint) -> str:
    """Return the server of a bucket that is not in its provider's own cloud, "" for the others and for folders."""
    given = endpoint.options.get("endpoint", "")
    return "" if (urlsplit(given).hostname or "").endswith(_CLOUDS) else given
