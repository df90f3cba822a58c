"""What clients of each API version ask for when they create or configure an index, checked and turned into one form."""

from __future__ import annotations

import re
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from migrator.local_pinecone.engine import Definition, Deployment, vector_fields
from migrator.local_pinecone.engine.errors import ApiError, invalid, not_emulated, not_found
from migrator.local_pinecone.rest import shapes
from migrator.pinecone_protocol import limits

if TYPE_CHECKING:
    from collections.abc import Mapping

_POD_TYPE = re.compile(r"(s1|p1|p2)\.x(1|2|4|8)|nano|starter")
_REGIONS = {"aws": r"[a-z]{2}(-[a-z]+)+-\d", "gcp": r"[a-z]+-[a-z]+\d", "azure": r"[a-z]+\d?"}
_FIELD_TYPES = {"dense_vector", "sparse_vector", "string", "string_list", "boolean", "integer", "float", "semantic_text"}


def definition_of(body: Mapping[str, Any], version: str) -> Definition:
    """Return the definition of the index to create. Raise ``ApiError`` for what the version does not take."""
    for field in ("source_backup_id", "cmek_id"):
        if body.get(field) is not None:
            raise not_emulated(f"Creating an index with {field}")
    if version >= shapes.SCHEMAS:
        fields = _schema(_need(body, "schema", dict))
        deployment = _new_deployment(body.get("deployment") or {"deployment_type": "managed", "cloud": "aws", "region": "us-east-1"})
        source, capacity = body.get("source_collection"), body.get("read_capacity")
        name = body.get("name") or f"index-{uuid.uuid4().hex[:8]}"
    else:
        name = _need(body, "name", str)
        deployment, fields = _old_deployment(_need(body, "spec", dict)), _old_fields(body)
        inner: Mapping[str, Any] = next(iter(body["spec"].values()))
        source, capacity = inner.get("source_collection"), inner.get("read_capacity")
        if deployment.kind == "pod" and "_sparse_values" in fields:
            raise invalid("Sparse indexes are not supported on pods")
    return Definition(
        name=name,
        deployment=deployment,
        fields=fields,
        deletion_protection=shapes.protection(body.get("deletion_protection") or "disabled"),
        tags={key: value for key, value in tags_of(body).items() if value != ""},
        read_capacity=_capacity(capacity),
        source_collection=source,
    )


def changes_of(body: Mapping[str, Any], definition: Definition, version: str) -> dict[str, Any]:
    """Return the attributes of ``definition`` that a configure request changes. Raise ``ApiError`` for what cannot be changed."""
    changes: dict[str, Any] = {}
    if body.get("deletion_protection") is not None:
        changes["deletion_protection"] = shapes.protection(body["deletion_protection"])
    if body.get("tags") is not None:
        changes["tags"] = tags_of(body)
    if body.get("schema") is not None or body.get("embed") is not None:
        raise invalid("The schema of an index cannot be changed after creation")
    if version >= shapes.SCHEMAS:
        pods, capacity = body.get("deployment"), body.get("read_capacity")
    else:
        spec = body.get("spec") or {}
        pods = spec.get("pod")
        capacity = (spec.get("serverless") or spec.get("byoc") or {}).get("read_capacity")
    if pods:
        changes["deployment"] = _scaled(definition, pods)
    if capacity is not None:
        if definition.pods:
            raise invalid("Read capacity cannot be configured for pod-based indexes")
        changes["read_capacity"] = _capacity(capacity)
    return changes


def tags_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tags of a request body; the engine checks them."""
    tags = body.get("tags") or {}
    if not isinstance(tags, dict):
        raise invalid("tags must be an object")
    return tags


def _old_fields(body: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    vector_type = body.get("vector_type") or "dense"
    metric, dimension = body.get("metric"), body.get("dimension")
    if vector_type == "sparse":
        if metric not in {None, "dotproduct"} or dimension is not None:
            raise invalid("Sparse indexes have no dimension, and their metric must be dotproduct")
    elif vector_type == "dense":
        _check_dense(dimension, metric or "cosine")
    else:
        raise invalid(f"vector_type must be 'dense' or 'sparse', got {vector_type!r}")
    return vector_fields(vector_type, dimension, metric or "cosine")


def _schema(schema: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    fields = _need(schema, "fields", dict)
    if not fields:
        raise invalid("A schema must have at least one field")
    for name, field in fields.items():
        if not isinstance(field, dict) or field.get("type") not in _FIELD_TYPES:
            raise invalid(f"Field '{name}' must have one of the types {', '.join(sorted(_FIELD_TYPES))}")
        if field["type"] == "dense_vector":
            _check_dense(field.get("dimension"), field.get("metric"))
    if fields.get("_values", {"type": "dense_vector"})["type"] != "dense_vector":
        raise invalid("Field '_values' must be of type dense_vector")
    if fields.get("_sparse_values", {"type": "sparse_vector"})["type"] != "sparse_vector":
        raise invalid("Field '_sparse_values' must be of type sparse_vector")
    return {name: dict(field) for name, field in fields.items()}


def _check_dense(dimension: Any, metric: Any) -> None:
    if not isinstance(dimension, int) or isinstance(dimension, bool) or not 1 <= dimension <= limits.DIMENSION:
        raise invalid(f"dimension must be a whole number between 1 and {limits.DIMENSION}, got {dimension!r}")
    if metric not in limits.METRICS:
        raise invalid(f"metric must be one of {', '.join(limits.METRICS)}, got {metric!r}")


def _new_deployment(asked: Mapping[str, Any]) -> Deployment:
    kind = asked.get("deployment_type")
    if kind == "managed":
        return _serverless(asked)
    if kind == "byoc":
        return Deployment("byoc", environment=_need(asked, "environment", str))
    if kind == "pod":
        raise invalid("deployment_type 'pod' is not supported on this API version")
    raise invalid(f"deployment_type must be 'managed' or 'byoc', got {kind!r}")


def _old_deployment(spec: Mapping[str, Any]) -> Deployment:
    if set(spec) == {"serverless"}:
        return _serverless(spec["serverless"])
    if set(spec) == {"byoc"}:
        return Deployment("byoc", environment=_need(spec["byoc"], "environment", str))
    if set(spec) != {"pod"}:
        raise invalid("spec must have exactly one of 'serverless', 'pod' and 'byoc'")
    pod = spec["pod"]
    replicas, shards = pod.get("replicas") or 1, pod.get("shards") or 1
    if min(replicas, shards) < 1 or pod.get("pods") not in {None, 1, replicas * shards}:
        raise invalid(f"pods must be shards x replicas, at least 1 each; got {pod.get('pods')} pods, {shards} shards, {replicas} replicas")
    indexed = (pod.get("metadata_config") or {}).get("indexed")
    return Deployment(
        "pod",
        environment=_need(pod, "environment", str),
        pod_type=_pod_type(pod.get("pod_type") or "p1.x1"),
        replicas=replicas,
        shards=shards,
        indexed=None if indexed is None else tuple(indexed),
    )


def _serverless(asked: Mapping[str, Any]) -> Deployment:
    cloud, region = _need(asked, "cloud", str), _need(asked, "region", str)
    if not re.fullmatch(_REGIONS.get(cloud, "(?!)"), region):
        raise not_found(f"Resource cloud: {cloud} region: {region} not found.")
    schema = asked.get("schema") or {}
    return Deployment("serverless", cloud=cloud, region=region, indexed=tuple(_need(schema, "fields", dict)) if schema else None)


def _pod_type(asked: str) -> str:
    full = asked if "." in asked or asked in {"nano", "starter"} else f"{asked}.x1"
    if not _POD_TYPE.fullmatch(full):
        raise invalid(f"Invalid pod type {asked!r}: one of s1, p1 or p2 with .x1, .x2, .x4 or .x8")
    return full


def _scaled(definition: Definition, asked: Mapping[str, Any]) -> Deployment:
    if not definition.pods:
        raise invalid("Replicas and pod type can be configured for pod-based indexes only")
    where = definition.deployment
    pod_type = _pod_type(asked.get("pod_type") or where.pod_type)
    family, _, size = pod_type.partition(".x")
    old_family, _, old_size = where.pod_type.partition(".x")
    if family != old_family or int(size or 1) < int(old_size or 1):
        raise invalid(f"Pod type {where.pod_type} cannot be changed to {pod_type}: only to a larger size of the same family")
    replicas = asked.get("replicas", where.replicas)
    if not isinstance(replicas, int) or replicas < 1:
        raise invalid(f"replicas must be a whole number of at least 1, got {replicas!r}")
    return replace(where, pod_type=pod_type, replicas=replicas)


def _capacity(asked: Mapping[str, Any] | None) -> dict[str, Any]:
    if asked is None or asked.get("mode", "OnDemand") == "OnDemand":
        return {"mode": "OnDemand"}
    dedicated = asked.get("dedicated") or {}
    manual = dedicated.get("manual") or {}
    if asked["mode"] != "Dedicated" or dedicated.get("scaling") != "Manual" or not {"shards", "replicas"} <= manual.keys() or "node_type" not in dedicated:
        raise invalid("read_capacity must be OnDemand, or Dedicated with node_type, scaling 'Manual' and manual shards and replicas")
    kept = {"node_type": dedicated["node_type"], "scaling": "Manual", "manual": {"shards": manual["shards"], "replicas": manual["replicas"]}}
    return {"mode": "Dedicated", "dedicated": kept}


def _need(body: Mapping[str, Any], field: str, kind: type) -> Any:
    value = body.get(field) if isinstance(body, dict) else None
    if not isinstance(value, kind):
        raise ApiError(422, 3, f"Failed to deserialize the JSON body into the target type: missing field `{field}`")
    return value
