"""What a Pinecone endpoint says, read and checked once: key, addresses, what to read, and how to create an index."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from migrator import secrets
from migrator.endpoints import check_options, flag, json_object, whole_number
from migrator.errors import ConfigError
from migrator.pinecone_protocol import limits
from migrator.pinecone_protocol.names import to_inner

if TYPE_CHECKING:
    from collections import abc

    from migrator.model import Endpoint

OPTIONS = frozenset(
    {
        *("api_key", "controller", "host", "transport", "timeout", "concurrency", "namespace"),
        *("integration", "create", "cloud", "region", "deletion_protection", "tags", "read_capacity", "ready_timeout"),
        *("environment", "pod_type", "replicas", "shards", "pods", "metadata_config"),
        *("ids", "id_prefix", "id_range", "split_on"),
    }
)
KEY_VARIABLE = "PINECONE_API_KEY"
CONTROLLER_VARIABLE = "PINECONE_CONTROLLER_HOST"
TRANSPORTS = ("auto", "grpc", "rest")
CLOUDS = ("aws", "gcp", "azure")
ID_FILES = (".txt", ".csv", ".jsonl", ".npy")
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_MOST_IDS = 10_000_000
_POD_ONLY = ("environment", "pod_type", "replicas", "shards", "pods", "metadata_config")


@dataclass(frozen=True)
class Pods:
    """How to create a pod index, where the account still may."""

    environment: str
    pod_type: str
    replicas: int
    shards: int
    metadata_config: abc.Mapping[str, Any] | None


@dataclass(frozen=True)
class Settings:
    """A Pinecone endpoint with its key resolved; keep it in memory only."""

    index: str
    api_key: str = field(repr=False)
    controller: str = ""
    """Base URL of the control plane; "" is Pinecone's own."""
    host: str = ""
    """Data-plane URL to use in place of the one the control plane names."""
    transport: str = "auto"
    """``grpc``, ``rest``, or ``auto``: gRPC, and REST where gRPC cannot get through."""
    timeout: int = 60
    """Seconds a single request may take."""
    concurrency: int = 4
    """Requests in flight at once, reading and writing each."""
    namespace: str | None = None
    """The one namespace to read; None reads all."""
    integration: str | None = None
    """Id of the storage integration that lets Pinecone read a private bucket (bulk import)."""
    create: bool = True
    """Whether a target index that does not exist is created."""
    cloud: str = "aws"
    region: str = "us-east-1"
    deletion_protection: bool = False
    tags: abc.Mapping[str, str] = field(default_factory=dict)
    read_capacity: abc.Mapping[str, Any] | None = None
    ready_timeout: int = 900
    """Seconds a new index may take to become ready."""
    pods: Pods | None = None
    ids: Path | None = None
    """File of ids to read, for indexes that cannot list theirs."""
    id_prefix: str = ""
    id_range: tuple[int, int] | None = None
    """First and last number of ids made of ``id_prefix`` and a number."""
    split_on: tuple[str, ...] = ()
    """Metadata fields to divide a pod index by, before those a sample suggests."""


def read_options(endpoint: Endpoint) -> Settings:
    """Return what ``endpoint`` says. Raise ``ConfigError`` for a bad name, address or option."""
    check_options(endpoint, OPTIONS)
    options = endpoint.options
    return Settings(
        index=_index_name(endpoint.resource),
        api_key=_api_key(endpoint),
        controller=_url("controller", options.get("controller") or os.environ.get(CONTROLLER_VARIABLE, "")),
        host=_url("host", options.get("host", "")),
        transport=_choice(endpoint, "transport", TRANSPORTS, "auto"),
        timeout=whole_number(endpoint, "timeout", default=60, most=3_600),
        concurrency=whole_number(endpoint, "concurrency", default=4, most=64),
        namespace=to_inner(options["namespace"]) if "namespace" in options else None,
        integration=options.get("integration") or None,
        create=flag(endpoint, "create", default=True),
        cloud=_choice(endpoint, "cloud", CLOUDS, "aws"),
        region=options.get("region") or "us-east-1",
        deletion_protection=flag(endpoint, "deletion_protection"),
        tags=_tags(endpoint),
        read_capacity=json_object(endpoint, "read_capacity", '{"mode": "OnDemand"}'),
        ready_timeout=whole_number(endpoint, "ready_timeout", default=900, most=86_400),
        pods=_pods(endpoint),
        ids=_ids_file(options.get("ids", "")),
        id_prefix=options.get("id_prefix", ""),
        id_range=_id_range(endpoint),
        split_on=tuple(filter(None, options.get("split_on", "").split(","))),
    )


def _index_name(name: str) -> str:
    if not name:
        raise ConfigError("the Pinecone endpoint names no index", fix="write pinecone:INDEX", code="bad_endpoint")
    if not _NAME.fullmatch(name) or len(name) > limits.INDEX_NAME_LENGTH:
        fix = f"use at most {limits.INDEX_NAME_LENGTH} lower-case letters, digits and hyphens, beginning and ending with a letter or digit"
        raise ConfigError(f"{name!r} is no name of a Pinecone index", fix=fix, code="bad_name")
    return name


def _api_key(endpoint: Endpoint) -> str:
    """Return the key; each end of a migration may have its own."""
    reference = endpoint.options.get("api_key", "")
    key = secrets.resolve(reference, option="api_key", default_env=KEY_VARIABLE) if reference else os.environ.get(KEY_VARIABLE, "")
    if not key:
        raise ConfigError("there is no Pinecone API key", fix=f"export {KEY_VARIABLE}=…, or give api_key=env:NAME", code="secret_missing")
    if not key.isascii() or not key.isprintable() or " " in key:
        # said here, because a key with a line end from a file fails in the transport with a message that quotes it
        raise ConfigError("the Pinecone API key contains white space or other characters no key has", fix="copy it anew, without line ends", code="bad_option")
    return key


def _url(name: str, text: str) -> str:
    """Return an address with its scheme and no slash at its end; "" for none."""
    if not text:
        return ""
    url = text if "://" in text else f"https://{text}"
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - read, because reading it is what checks it
    except ValueError as error:
        raise ConfigError(f"{name}={text} is no address: {error}", fix=f"write {name}=https://host", code="bad_option") from None
    if parts.username or parts.password:
        raise ConfigError(f"{name} carries a sign-in, which would be stored with the plan", fix="use api_key=env:NAME", code="secret_in_uri")
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ConfigError(f"{name}={text} is no address", fix=f"write {name}=https://host", code="bad_option")
    return url.rstrip("/")


def _choice(endpoint: Endpoint, name: str, allowed: tuple[str, ...], default: str) -> str:
    value = endpoint.options.get(name, default).lower()
    if value not in allowed:
        raise ConfigError(f"{name}={value} of pinecone is not one of {', '.join(allowed)}", fix=f"correct {name}=", code="bad_option")
    return value


def _tags(endpoint: Endpoint) -> dict[str, str]:
    """Return the tags, written ``tags={"team": "search"}`` or ``tags=team:search,stage:test``."""
    text = endpoint.options.get("tags", "")
    if text.startswith("{"):
        return {name: str(value) for name, value in (json_object(endpoint, "tags", '{"team": "search"}') or {}).items()}
    pairs = [pair.partition(":") for pair in text.split(",") if pair]
    if not all(name and colon for name, colon, _ in pairs):
        raise ConfigError(f"tags={text} of pinecone are no tags", fix="write tags=name:value,name:value", code="bad_option")
    return {name: value for name, _, value in pairs}


def _pods(endpoint: Endpoint) -> Pods | None:
    """Return how to create pods when any option says so."""
    options = endpoint.options
    given = [name for name in _POD_ONLY if options.get(name)]
    if not given:
        return None
    if not options.get("environment"):
        raise ConfigError(
            f"{given[0]}= is for pod indexes, which need an environment", fix="add environment=us-east1-gcp, or leave it out", code="missing_option"
        )
    replicas = whole_number(endpoint, "replicas", default=1, most=1_000)
    shards = whole_number(endpoint, "shards", default=1, most=1_000)
    pods = whole_number(endpoint, "pods", default=replicas * shards, most=1_000_000)
    if pods != replicas * shards:
        raise ConfigError(f"pods={pods} is not replicas times shards, {replicas * shards}", fix="leave pods= out", code="bad_option")
    return Pods(options["environment"], options.get("pod_type", "p1.x1"), replicas, shards, json_object(endpoint, "metadata_config", '{"indexed": ["field"]}'))


def _ids_file(text: str) -> Path | None:
    if not text:
        return None
    if os.environ.get("MIGRATOR_HOSTED", "").lower() in {"1", "true", "yes"}:
        raise ConfigError("a shared installation reads no local file for ids", fix="leave ids= out", code="local_refused")
    path = Path(text)
    if path.suffix.lower() not in ID_FILES:
        raise ConfigError(f"ids={text} is no file of ids known here", fix=f"give a file ending in {', '.join(ID_FILES)}", code="bad_option")
    if not path.is_file():
        raise ConfigError(f"ids={text} is no file", fix="correct ids=", code="missing_file")
    return path


def _id_range(endpoint: Endpoint) -> tuple[int, int] | None:
    text = endpoint.options.get("id_range")
    if not text:
        if endpoint.options.get("id_prefix"):
            raise ConfigError("id_prefix= of pinecone says nothing without id_range=", fix="add id_range=0-999", code="missing_option")
        return None
    found = re.fullmatch(r"(\d{1,15})-(\d{1,15})", text)
    if not found or int(found[1]) > int(found[2]):
        raise ConfigError(f"id_range={text} of pinecone is no range of numbers", fix="write id_range=0-999, both ends included", code="bad_option")
    if int(found[2]) - int(found[1]) >= _MOST_IDS:
        raise ConfigError(f"id_range={text} of pinecone is of more than {_MOST_IDS:,} ids", fix="narrow it", code="bad_option")
    return int(found[1]), int(found[2])
