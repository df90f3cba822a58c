"""Hands credentials to the cloud libraries in pyarrow where they do not take them as a value, or would take the process down with them."""

from __future__ import annotations

import base64
import binascii
import functools
import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from migrator.errors import ConfigError, PermanentError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_GOOGLE_VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"
_GOOGLE_TYPES = ("service_account", "authorized_user")
"""Kinds of keys that are all in themselves; others name files, addresses or programs of this machine, which only its environment may."""
_environment = threading.Lock()
_SIGN_IN_SECONDS = 90
_PROBE = "import json, sys; from pyarrow import fs; how, container = json.load(sys.stdin); fs.AzureFileSystem(**how).get_file_info(container)"


@contextmanager
def google_key(text: str | None) -> Iterator[None]:
    """Let Google's library find the key ``text`` (a key file's JSON) while the block opens a store; None leaves it to what it finds by itself.

    It takes keys from a file named by the environment only, and reads that when a store is opened: this one is in memory. Raise ``ConfigError`` for
    what is no key.
    """
    if text is None:
        yield
        return
    _check_google_key(text)
    descriptor = os.memfd_create("key", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
        with _environment:
            before = os.environ.get(_GOOGLE_VARIABLE)
            os.environ[_GOOGLE_VARIABLE] = f"/proc/self/fd/{descriptor}"
            try:
                yield
            finally:
                if before is None:
                    del os.environ[_GOOGLE_VARIABLE]
                else:
                    os.environ[_GOOGLE_VARIABLE] = before
    finally:
        os.close(descriptor)


def _check_google_key(text: str) -> None:
    fix = f"let credentials=env:NAME hold the text of a service account's key file, or set {_GOOGLE_VARIABLE} to the path of one"
    try:
        kind = json.loads(text)["type"]
    except (ValueError, KeyError, TypeError):
        raise ConfigError("credentials= is not the text of a Google key file", fix=fix, code="bad_option") from None
    if kind not in _GOOGLE_TYPES:
        raise ConfigError(f"credentials= is a key of the type {kind!r}, not one of: {', '.join(_GOOGLE_TYPES)}", fix=fix, code="bad_option")


def check_azure_key(key: str) -> None:
    """Raise ``ConfigError`` when ``key`` is no base64: pyarrow's Azure library ends the process on one."""
    try:
        base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError("account_key= is no storage account's key", fix="copy it whole from the portal's Access keys", code="bad_option") from None


def check_azure_sign_in(how: Mapping[str, str], container: str, shown: str) -> None:
    """Sign in without a key, in a process of its own: where that fails pyarrow's Azure library ends the process.

    ``how`` is what ``AzureFileSystem`` takes. Raise ``ConfigError`` without TLS, ``PermanentError`` when the sign-in is refused.
    """
    if how.get("blob_storage_scheme") == "http":
        message = f"{shown} needs a key: without one the sign-in is a token, which is not sent over http://"
        raise ConfigError(message, fix="give account_key= or sas_token=, or an https:// endpoint", code="bad_option")
    _signed_in(json.dumps([dict(how), container]), shown)


@functools.lru_cache(maxsize=64)
def _signed_in(question: str, shown: str) -> None:
    """Return when it worked, which is remembered; what was refused may be allowed the next time."""
    try:
        probe = subprocess.run(  # noqa: S603 - our own interpreter and words
            [sys.executable, "-I", "-c", _PROBE], input=question.encode(), capture_output=True, timeout=_SIGN_IN_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise TransientError(f"signing in for {shown} took longer than {_SIGN_IN_SECONDS} s", fix="check the network, then try again") from None
    if probe.returncode < 0:
        reason = probe.stderr.decode(errors="replace").partition("what():")[2].strip().splitlines() or ["nothing"]
        raise PermanentError(
            f"the sign-in to Azure for {shown} failed: {reason[0][:200]}",
            fix="give account_key= or sas_token=, or sign in with az login, a managed identity, or tenant_id=, client_id= and client_secret=",
            code="sign_in_failed",
        )
