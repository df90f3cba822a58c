"""Opens object stores: S3 and all that speak it, Google Cloud Storage, Azure Blob Storage. All of them through ``pyarrow.fs``."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pyarrow import fs

from migrator import endpoints, secrets
from migrator.datasets import credentials
from migrator.datasets.failures import translated
from migrator.errors import ConfigError

if TYPE_CHECKING:
    from migrator.model import Endpoint

S3_OPTIONS = frozenset({"endpoint", "region", "access_key", "secret_key", "session_token", "anonymous", "role_arn", "external_id", "ca_file"})
GOOGLE_OPTIONS = frozenset({"endpoint", "anonymous", "credentials"})
AZURE_OPTIONS = frozenset({"endpoint", "account", "account_key", "sas_token", "tenant_id", "client_id", "client_secret"})
BUCKET_OPTIONS = S3_OPTIONS | GOOGLE_OPTIONS | AZURE_OPTIONS
"""What an endpoint may say about the store its bucket is in."""
ATTEMPTS = 3
"""Tries of one S3 request. A chunk is dozens of requests and S3 answers 503 as a matter of course; above this, retry.py decides."""
CONNECT_SECONDS = 5
REQUEST_SECONDS = 60
GOOGLE_RETRY_SECONDS = 10
"""How long Google's client tries again by itself; its own default is 15 minutes."""
_AZURE_SUFFIX = "blob.core.windows.net"
_ACCOUNT, _REGION = re.compile(r"[a-z0-9]{3,24}"), re.compile(r"[A-Za-z0-9_-]+")
_ABFS = re.compile(r"(?P<container>[^/@]+)@(?P<account>[^/.@]+)\.(dfs|blob)\.(?P<suffix>[^/@]+)(?P<path>/.*)?")


@dataclass(frozen=True)
class Address:
    """A bucket's address taken apart."""

    scheme: str
    root: str
    """Bucket (Azure: container) and prefix."""
    account: str = ""
    """Azure's storage account, where the address names it."""


def parse(text: str) -> Address:
    """Return the parts of ``s3://bucket/prefix``, ``gs://…``, ``az://…`` or ``abfs://…``. Raise ``ConfigError`` for an address without a bucket."""
    scheme, _, rest = text.partition("://")
    account = ""
    if scheme in {"abfs", "abfss"}:  # Hadoop's name for Azure, which may carry the account: abfss://container@account.dfs.core.windows.net/path
        scheme = "az"
        if named := _ABFS.fullmatch(rest):
            if named["suffix"] != _AZURE_SUFFIX.removeprefix("blob."):  # an address must not say where keys are sent: that is what the option is for
                fix = f"write az://{named['container']}{named['path'] or ''}?account={named['account']}&endpoint=https://…"
                raise ConfigError(f"{text} is in a cloud of its own ({named['suffix']})", fix=fix, code="bad_endpoint")
            account, rest = named["account"], named["container"] + (named["path"] or "")
    root = rest.strip("/")
    if not root or "//" in root:
        raise ConfigError(f"{text} names no bucket, or a folder without a name", fix=f"write {scheme}://bucket/prefix", code="bad_endpoint")
    return Address(scheme, root, account)


def uri(endpoint: Endpoint) -> str:
    """Return the address of a bucket's prefix as other programs write it: ``s3://…``, ``gs://…``, Azure's as ``https://``. Raise as ``open_store``."""
    address = parse(endpoint.resource)
    if address.scheme != "az":
        return f"{address.scheme}://{address.root}"
    return f"https://{_account(endpoint, address)}.{_AZURE_SUFFIX}/{address.root}"


def open_store(endpoint: Endpoint, address: Address, shown: str) -> Any:
    """Return the ``pyarrow.fs.FileSystem`` that ``address`` lies in, with the endpoint's options. Raise ``ConfigError`` for options it cannot take."""
    known = {"s3": S3_OPTIONS, "gs": GOOGLE_OPTIONS, "az": AZURE_OPTIONS}[address.scheme]
    if misplaced := sorted((BUCKET_OPTIONS - known) & endpoint.options.keys()):
        raise ConfigError(f"{misplaced[0]}= means nothing for {address.scheme}:// addresses", fix=f"remove {misplaced[0]}=", code="bad_option")
    with translated(shown):
        return {"s3": _s3, "gs": _google, "az": _azure}[address.scheme](endpoint, address, shown)


def server(endpoint: Endpoint) -> tuple[str, str]:
    """Return scheme and host of the option ``endpoint``, two empty texts when it is not given. Raise ``ConfigError`` for what is no address."""
    text = endpoint.options.get("endpoint", "")
    if not text:
        return "", ""
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path.strip("/") or parts.username:
        raise ConfigError(f"endpoint={text} is not an address", fix="write endpoint=http://host:port or https://host", code="bad_option")
    return parts.scheme, parts.netloc


def _secret(endpoint: Endpoint, name: str, variable: str = "") -> str | None:
    """Return a secret option, or what ``variable`` of the environment holds, or None."""
    if given := endpoint.options.get(name):
        return secrets.resolve(given, option=name)
    return os.environ.get(variable) or None if variable else None


def _s3(endpoint: Endpoint, _address: Address, _shown: str) -> Any:
    keys = {name: value for name in ("access_key", "secret_key", "session_token") if (value := _secret(endpoint, name))}
    if ("access_key" in keys) != ("secret_key" in keys):
        raise ConfigError("access_key= and secret_key= belong together", fix="give both, or neither to use the environment's", code="bad_option")
    if region := endpoint.options.get("region"):
        _check_word("region", region, _REGION)
    scheme, host = server(endpoint)
    return fs.S3FileSystem(
        **keys,
        **_role(endpoint, keys),
        **({"scheme": scheme, "endpoint_override": host} if host else {}),
        **_private_ca(endpoint, scheme),
        region=region or None,
        anonymous=endpoints.flag(endpoint, "anonymous"),
        connect_timeout=CONNECT_SECONDS,
        request_timeout=REQUEST_SECONDS,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
    )


def _check_word(option: str, text: str, form: re.Pattern[str]) -> None:
    """Raise ``ConfigError`` unless ``text`` has the form of what becomes part of a host name: nothing else may decide where a request goes."""
    if not form.fullmatch(text):
        raise ConfigError(f"{option}={text} is no name a store would have", fix=f"correct {option}=", code="bad_option")


def _role(endpoint: Endpoint, keys: dict[str, str]) -> dict[str, str]:
    role, external = endpoint.options.get("role_arn"), endpoint.options.get("external_id")
    if not role:
        if external:
            raise ConfigError("external_id= goes with a role", fix="add role_arn=, or remove external_id=", code="bad_option")
        return {}
    if keys or endpoints.flag(endpoint, "anonymous"):
        message = "role_arn= is taken on with what the environment or this machine signs in with, not with keys given here"
        raise ConfigError(message, fix="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead, or remove role_arn=", code="bad_option")
    if not role.startswith("arn:"):
        raise ConfigError(f"role_arn={role} is no role", fix="write role_arn=arn:aws:iam::ACCOUNT:role/NAME", code="bad_option")
    return {"role_arn": role, "session_name": "vector-migrator"} | ({"external_id": external} if external else {})


def _private_ca(endpoint: Endpoint, scheme: str) -> dict[str, str]:
    path = endpoint.options.get("ca_file")
    if not path:
        return {}
    if scheme == "http":
        raise ConfigError("ca_file= has no part in an http:// endpoint", fix="write endpoint=https://…, or remove ca_file=", code="bad_option")
    if not Path(path).is_file():
        raise ConfigError(f"there is no file ca_file={path}", fix="give the path of a file of certificates in PEM format", code="file_not_found")
    return {"tls_ca_file_path": path}


def _google(endpoint: Endpoint, _address: Address, _shown: str) -> Any:
    scheme, host = server(endpoint)
    given = {"scheme": scheme, "endpoint_override": host} if host else {}
    limit = timedelta(seconds=GOOGLE_RETRY_SECONDS)
    key = _secret(endpoint, "credentials")
    if endpoints.flag(endpoint, "anonymous"):
        if key:
            raise ConfigError("anonymous= and credentials= exclude each other", fix="remove one of them", code="bad_option")
        return fs.GcsFileSystem(anonymous=True, retry_time_limit=limit, **given)
    with credentials.google_key(key):
        return fs.GcsFileSystem(retry_time_limit=limit, **given)


def _azure(endpoint: Endpoint, address: Address, shown: str) -> Any:
    account = _account(endpoint, address)
    how = {"account_name": account, **_authority(endpoint, account), **_azure_key(endpoint)}
    if not how.keys() & {"account_key", "sas_token"}:
        credentials.check_azure_sign_in(how, address.root.partition("/")[0], shown)
    return fs.AzureFileSystem(**how)


def _account(endpoint: Endpoint, address: Address) -> str:
    account = address.account or endpoint.options.get("account") or os.environ.get("AZURE_STORAGE_ACCOUNT", "")
    if not account:
        message = f"{endpoint.resource} does not say in which storage account it is"
        raise ConfigError(message, fix="add account=NAME, or set AZURE_STORAGE_ACCOUNT", code="bad_option")
    _check_word("account", account, _ACCOUNT)
    return account


def _authority(endpoint: Endpoint, account: str) -> dict[str, str]:
    """Return where an account's services are: ``https://ACCOUNT.blob.…`` (other clouds), or a server that has the account in its paths (emulators)."""
    scheme, host = server(endpoint)
    if not host:
        return {}
    blob = host.removeprefix(account) if host.startswith(f"{account}.") else host
    return {
        "blob_storage_scheme": scheme,
        "dfs_storage_scheme": scheme,
        "blob_storage_authority": blob,
        "dfs_storage_authority": blob.replace(".blob.", ".dfs.", 1),
    }


def _azure_key(endpoint: Endpoint) -> dict[str, str]:
    """Return how to sign in: a key, a shared access signature, or by what Azure knows this program as."""
    identity = {name: endpoint.options[name] for name in ("tenant_id", "client_id") if endpoint.options.get(name)}
    if secret := _secret(endpoint, "client_secret"):
        identity["client_secret"] = secret
    # what is given wins over the environment, and of the environment's own the key
    chosen = {name: value for name in ("account_key", "sas_token") if (value := _secret(endpoint, name))}
    if len(chosen) + bool(identity) > 1:
        message = "account_key=, sas_token= and client_id= are three ways to sign in"
        raise ConfigError(message, fix="give one of them", code="bad_option")
    if not chosen and not identity:
        variables = {"account_key": "AZURE_STORAGE_KEY", "sas_token": "AZURE_STORAGE_SAS_TOKEN"}
        found = {name: value for name, variable in variables.items() if (value := os.environ.get(variable))}
        chosen = dict(list(found.items())[:1])
    if key := chosen.get("account_key"):
        credentials.check_azure_key(key)
    if token := chosen.get("sas_token"):
        chosen["sas_token"] = "?" + token.removeprefix("?")  # pyarrow puts it behind the address as it is
    return identity | chosen
