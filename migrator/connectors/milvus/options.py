"""What a Milvus endpoint says, read and checked once: address, sign-in, fields, and how to create a collection."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from migrator import secrets
from migrator.connectors.milvus.wanted import CONSISTENCY, MAX_NAME, NAME, SCHEMA_OPTIONS, checked_field, checked_name, chosen, schema_options
from migrator.endpoints import check_options, flag, whole_number
from migrator.errors import ConfigError

if TYPE_CHECKING:
    from collections import abc

    from migrator.model import Endpoint

__all__ = ["CONSISTENCY", "MAX_NAME", "MODES", "NAME", "OPTIONS", "NamespaceMode", "Settings", "checked_name", "hosted", "read_options"]

NamespaceMode = Literal["partition_key", "partition", "collection"]
MODES: tuple[NamespaceMode, ...] = ("partition_key", "partition", "collection")
TLS_FILES = ("server_pem_path", "ca_pem_path", "client_pem_path", "client_key_path")
OPTIONS = frozenset(
    {
        *("uri", "token", "user", "password", "database", "secure", "server_name", *TLS_FILES, "connect_timeout", "timeout"),
        *("namespace_mode", "namespace_field", "id_field", "vector_field", "sparse_field"),
        *("import_jobs", "rest_uri", "access_key", "secret_key"),
        *SCHEMA_OPTIONS,
    }
)

_MANAGED_HOSTS = (".zillizcloud.com", ".zilliz.com")
HTTPS = 443
_URI_FIX = "a Milvus Lite file ends in .db: uri=./demo.db; the address of a server begins with http:// or https://"


@dataclass(frozen=True)
class Settings:
    """A Milvus endpoint with its secrets resolved; keep it in memory only."""

    collection: str
    path: Path | None
    """The Milvus Lite file, or None for a server."""
    host: str = ""
    port: int = 0
    secure: bool = False
    token: str = field(default="", repr=False)
    database: str = ""
    tls: abc.Mapping[str, str] = field(default_factory=dict)
    """Option name -> path of the PEM file; ``server_name`` -> the name the certificate carries."""
    connect_timeout: int = 5
    timeout: int = 120
    """Seconds a single request may take."""
    namespace_mode: NamespaceMode = "partition_key"
    mode_given: bool = False
    namespace_field: str = ""
    id_field: str = ""
    vector_field: str = ""
    sparse_field: str = ""
    metric: str = ""
    """Milvus's name of the metric a new collection gets; "" takes the source's."""
    dimension: int = 0
    """What the source must have; 0 takes any."""
    vector_type: str = ""
    id_type: str = ""
    fields: abc.Mapping[str, str] | None = None
    """Metadata field -> type of its column (``fieldtypes.parse_type``)."""
    partition_key: str = ""
    """The metadata field that is the partition key, in place of the namespace field."""
    shards: int = 1
    index_type: str = ""
    index_params: abc.Mapping[str, Any] = field(default_factory=dict)
    dynamic: bool = True
    consistency: int = CONSISTENCY["bounded"]
    id_length: int = 512
    import_jobs: int = 2
    """Bulk loads of parts under way at once."""
    rest_uri: str = ""
    access_key: str = field(default="", repr=False)
    """Of the bucket that Zilliz Cloud is to import from; a server has its own."""
    secret_key: str = field(default="", repr=False)

    @property
    def managed(self) -> bool:
        """Whether this is a cluster of Zilliz Cloud, whose import jobs are asked for at its control plane."""
        return self.host.removesuffix(".cn").endswith(_MANAGED_HOSTS)

    @property
    def rest_address(self) -> str:
        """Where the REST interface is: servers have it at the port of gRPC."""
        if self.rest_uri or not self.managed:
            host = f"[{self.host}]" if ":" in self.host else self.host
            return self.rest_uri or f"{'https' if self.secure else 'http'}://{host}:{self.port}"
        return "https://api.cloud.zilliz.com" + (".cn" if self.host.endswith(".cn") else "")

    @property
    def address(self) -> str:
        """Where the data is, for messages."""
        return str(self.path) if self.path is not None else f"{self.host}:{self.port}"


def read_options(endpoint: Endpoint) -> Settings:
    """Return what ``endpoint`` says. Raise ``ConfigError`` for a bad name, address or option."""
    check_options(endpoint, OPTIONS)
    if not endpoint.resource:
        raise ConfigError("the Milvus endpoint names no collection", fix="write milvus:COLLECTION?uri=./demo.db", code="bad_endpoint")
    checked_name("collection", endpoint.resource)
    path, host, port, secure, uri_database = _address(endpoint)
    options = endpoint.options
    named: dict[str, Any] = schema_options(endpoint) | _texts(endpoint)
    return Settings(
        collection=endpoint.resource,
        path=path,
        host=host,
        port=port,
        secure=flag(endpoint, "secure", default=secure),
        token="" if path is not None else _token(endpoint),
        database=options.get("database", uri_database),
        tls=_tls(endpoint),
        connect_timeout=whole_number(endpoint, "connect_timeout", default=5, most=600),
        timeout=whole_number(endpoint, "timeout", default=120, most=86_400),
        namespace_mode=chosen(endpoint, "namespace_mode", MODES, "partition_key"),  # type: ignore[arg-type]
        mode_given="namespace_mode" in options,
        import_jobs=whole_number(endpoint, "import_jobs", default=2, most=100),
        **named,
    )


def _address(endpoint: Endpoint) -> tuple[Path | None, str, int, bool, str]:
    """Return the Lite path, host, port, whether TLS is on, and the database the address names."""
    uri = endpoint.options.get("uri") or os.environ.get("MILVUS_URI", "")
    if not uri:
        raise ConfigError("the Milvus endpoint has no uri", fix="add ?uri=./demo.db or ?uri=http://host:19530, or set MILVUS_URI", code="missing_option")
    if "://" not in uri:
        return _lite_path(uri), "", 0, False, ""
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"uri={uri} is no address: {error}", fix="write http://host:19530", code="bad_option") from None
    if parts.username or parts.password:
        raise ConfigError("the Milvus uri carries a sign-in, which would be stored with the plan", fix="use token=env:MILVUS_TOKEN", code="secret_in_uri")
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ConfigError(f"uri={uri} is no address of a Milvus server", fix="write http://host:19530, https://host:19530 or ./demo.db", code="bad_option")
    secure = parts.scheme == "https"
    return None, parts.hostname, port or (HTTPS if secure else 19530), secure, parts.path.strip("/")


def _texts(endpoint: Endpoint) -> dict[str, str]:
    """Return the options that are text, checked; names of fields among them."""
    given = {name: text for name, text in endpoint.options.items() if text}
    fields = {name: checked_field(name, given[name]) for name in ("namespace_field", "id_field", "vector_field", "sparse_field") if name in given}
    keys = {name: secrets.resolve(given[name], option=name) for name in ("access_key", "secret_key") if name in given}
    return fields | keys | {"rest_uri": _rest(given.get("rest_uri", ""))}


def _rest(uri: str) -> str:
    parts = urlsplit(uri)
    if uri and (parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.path.strip("/") or parts.query or parts.fragment):
        raise ConfigError(f"rest_uri={uri} is no address of a REST interface", fix="write https://host:port", code="bad_option")
    return uri.rstrip("/")


def hosted() -> bool:
    """Return whether this process serves people who must not reach its own files (``MIGRATOR_HOSTED=1``)."""
    return os.environ.get("MIGRATOR_HOSTED", "").lower() in {"1", "true", "yes"}


def _lite_path(uri: str) -> Path:
    if hosted():
        raise ConfigError(
            "a shared installation opens no local Milvus Lite files", fix="give the http:// or https:// address of a server", code="local_refused"
        )
    path = Path(uri)
    if path.suffix != ".db":
        raise ConfigError(f"uri={uri} is neither an address nor a Milvus Lite file", fix=_URI_FIX, code="bad_option")
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"the folder of {uri} does not exist", fix=f"create {path.parent}", code="missing_folder")
    return path


def _token(endpoint: Endpoint) -> str:
    """Return ``user:password`` or an API key; empty when the server asks for none."""
    options = endpoint.options
    if "token" in options and ("user" in options or "password" in options):
        raise ConfigError("the Milvus endpoint has a token and a user", fix="keep token=, or user= and password=", code="bad_endpoint")
    if ("user" in options) != ("password" in options):
        raise ConfigError("user= and password= of the Milvus endpoint belong together", fix="give both: user=root&password=env:NAME", code="missing_option")
    if "user" in options:
        return f"{options['user']}:{secrets.resolve(options['password'], option='password')}"
    if options.get("token"):
        return secrets.resolve(options["token"], option="token", default_env="MILVUS_TOKEN")
    return os.environ.get("MILVUS_TOKEN", "")


def _tls(endpoint: Endpoint) -> dict[str, str]:
    chosen = {name: endpoint.options[name] for name in (*TLS_FILES, "server_name") if endpoint.options.get(name)}
    for name in TLS_FILES:
        if name not in chosen:
            continue
        if hosted():
            raise ConfigError(f"a shared installation reads no local file for {name}", fix=f"leave {name} out", code="local_refused")
        if not Path(chosen[name]).is_file():
            raise ConfigError(f"{name}={chosen[name]} is no file", fix=f"correct {name}=", code="missing_file")
    if ("client_pem_path" in chosen) != ("client_key_path" in chosen):
        raise ConfigError("client_pem_path and client_key_path belong together", fix="give both", code="missing_option")
    return chosen
