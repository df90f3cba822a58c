"""What a Milvus endpoint says of a collection to be made: metric, vectors, fields, index, shards. Each option is checked for itself here."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from migrator.connectors.milvus import indexes
from migrator.connectors.milvus.fieldtypes import EXAMPLE, parse_type
from migrator.connectors.milvus.vectors import BY_OPTION
from migrator.endpoints import flag, json_object, whole_number
from migrator.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from migrator.model import Endpoint

CONSISTENCY = {"strong": 0, "session": 1, "bounded": 2, "eventually": 3}
METRICS = ("COSINE", "IP", "L2", *indexes.BINARY_METRICS)
ID_TYPES = ("varchar", "int64")
SCHEMA_OPTIONS = frozenset(
    {
        *("metric", "dimension", "vector_type", "id_type", "id_length", "fields", "dynamic", "partition_key"),
        *("index_type", "index_params", "shards", "consistency"),
    }
)
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
MAX_NAME = 255
"""Milvus Limits: names have at most 255 characters. Lite accepts any name, so nothing but this check refuses one."""
SYSTEM_FIELDS = frozenset({"RowID", "Timestamp", "$meta", "_seq", "_partition"})
"""The first three are refused by 2.3.5 as names of fields; Lite keeps the last two for itself."""


def schema_options(endpoint: Endpoint) -> dict[str, Any]:
    """Return the ``Settings`` that describe a new collection. Raise ``ConfigError`` for an option that is wrong by itself or with another."""
    options = endpoint.options
    binary = options.get("vector_type", "").lower() == "binary"
    metric = options.get("metric", "").upper()
    if metric and metric not in (indexes.BINARY_METRICS if binary else METRICS[:3]):
        allowed = ", ".join(indexes.BINARY_METRICS if binary else METRICS[:3])
        raise ConfigError(f"metric={options['metric']} of milvus is not one of {allowed}", fix="correct metric=", code="bad_option")
    vector_type = chosen(endpoint, "vector_type", tuple(BY_OPTION), "")
    return {
        "metric": metric,
        "dimension": whole_number(endpoint, "dimension", default=0, most=32_768),
        "vector_type": vector_type,
        "id_type": chosen(endpoint, "id_type", ID_TYPES, ""),
        "id_length": whole_number(endpoint, "id_length", default=512, most=65_535),
        "fields": _fields(endpoint),
        "dynamic": flag(endpoint, "dynamic", default=True),
        "partition_key": _partition_key(endpoint),
        "shards": whole_number(endpoint, "shards", default=1, most=16),
        "consistency": CONSISTENCY[chosen(endpoint, "consistency", tuple(CONSISTENCY), "bounded")],
        **_index(endpoint),
    }


def checked_name(what: str, name: str) -> str:
    """Return ``name``. Raise ``ConfigError`` when Milvus would not take it."""
    if not NAME.fullmatch(name) or len(name) > MAX_NAME:
        raise ConfigError(
            f"{name!r} is no name Milvus accepts for {what}",
            fix=f"use at most {MAX_NAME} letters, digits and underscores, not starting with a digit",
            code="bad_name",
        )
    return name


def checked_field(what: str, name: str) -> str:
    """Return ``name``. Raise ``ConfigError`` when Milvus would not take it for a field, or keeps it for itself."""
    if name in SYSTEM_FIELDS:
        raise ConfigError(f"Milvus keeps the name {name!r} for itself, so it cannot be that of {what}", fix="choose another name", code="bad_name")
    return checked_name(what, name)


def chosen(endpoint: Endpoint, name: str, allowed: tuple[str, ...], default: str) -> str:
    """Return an option that is one of ``allowed``, whatever its case. Raise ``ConfigError`` for another."""
    value = endpoint.options.get(name, "").lower() or default
    if value and value not in allowed:
        raise ConfigError(f"{name}={value} of milvus is not one of {', '.join(allowed)}", fix=f"correct {name}=", code="bad_option")
    return value


def _fields(endpoint: Endpoint) -> Mapping[str, str] | None:
    given = json_object(endpoint, "fields", EXAMPLE)
    for name, kind in (given or {}).items():
        checked_field("a metadata field (fields=)", name)
        try:
            parse_type(name, kind if isinstance(kind, str) else repr(kind))
        except ValueError as error:
            raise ConfigError(f"fields of milvus gives {name!r} the type {kind!r}: {error}", fix=f"write fields={EXAMPLE}", code="bad_option") from None
    return given


def _partition_key(endpoint: Endpoint) -> str:
    name = endpoint.options.get("partition_key", "")
    mode = endpoint.options.get("namespace_mode", "partition_key").lower()
    if name and mode == "partition":
        raise ConfigError(
            f"partition_key={name} and namespace_mode=partition exclude each other: Milvus spreads the rows over partitions by the key, so none can be named",
            fix="leave one of them out",
            code="bad_option",
        )
    if name and mode == "collection":
        raise ConfigError(
            f"partition_key={name} and namespace_mode=collection exclude each other: with a collection for each namespace, its rows are apart already",
            fix="leave one of them out",
            code="bad_option",
        )
    return checked_field("partition_key", name) if name else ""


def _index(endpoint: Endpoint) -> dict[str, Any]:
    kind = endpoint.options.get("index_type", "").upper()
    params = json_object(endpoint, "index_params", '{"M": 16, "efConstruction": 200}') or {}
    if params and not kind:
        raise ConfigError("index_params of milvus says nothing without index_type", fix="add index_type=HNSW, or another", code="bad_option")
    if kind and (problem := indexes.check(kind, params)):
        raise ConfigError(problem, fix="correct index_type= or index_params=", code="bad_option")
    return {"index_type": kind, "index_params": params}
