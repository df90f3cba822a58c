"""What the control plane shows of its objects, in the form of each API version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from migrator.local_pinecone.engine.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from migrator.local_pinecone.engine import Definition, Engine, Index
    from migrator.local_pinecone.engine.snapshots import RestoreJob, Snapshot, Snapshots

SCHEMAS = "2026-07"
"""The version from which an index is described by its schema and deployment instead of dimension, metric and spec."""


def index(engine: Engine, one: Index, version: str) -> dict[str, Any]:
    """Return an index as ``version`` describes it."""
    definition = one.definition
    now = engine.settings.clock()
    ready = now >= one.ready_at
    settled = now >= one.settled_at
    shown: dict[str, Any] = {
        "name": definition.name,
        "status": {"ready": ready, "state": "Ready" if settled and ready else "ScalingUp" if ready else "Initializing"},
        "deletion_protection": definition.deletion_protection,
        "tags": dict(definition.tags) or None,
    }
    host = engine.host_of(definition.name)
    if host is not None:
        shown["host"] = host
    shown |= _new(definition, settled=settled) if version >= SCHEMAS else _old(definition, settled=settled)
    return {name: value for name, value in shown.items() if value is not None}


def _new(definition: Definition, *, settled: bool) -> dict[str, Any]:
    where = definition.deployment
    deployment: dict[str, Any] = {"deployment_type": "managed", "cloud": where.cloud, "region": where.region}
    if where.kind == "pod":
        deployment = {
            "deployment_type": "pod",
            "environment": where.environment,
            "pod_type": where.pod_type,
            "replicas": where.replicas,
            "shards": where.shards,
        }
    elif where.kind == "byoc":
        deployment = {"deployment_type": "byoc", "environment": where.environment}
    return {
        "schema": {"fields": definition.fields},
        "deployment": deployment,
        "read_capacity": None if definition.pods else _read_capacity(definition.read_capacity, settled=settled),
        "source_collection": definition.source_collection,
        "source_backup_id": definition.source_backup_id,
    }


def _old(definition: Definition, *, settled: bool) -> dict[str, Any]:
    where = definition.deployment
    read_capacity = _read_capacity(definition.read_capacity, settled=settled)
    spec: dict[str, Any] = {"serverless": {"cloud": where.cloud, "region": where.region, "read_capacity": read_capacity}}
    if where.kind == "pod":
        pod = {
            "environment": where.environment,
            "pod_type": where.pod_type,
            "pods": where.replicas * where.shards,
            "replicas": where.replicas,
            "shards": where.shards,
        }
        if where.indexed is not None:
            pod["metadata_config"] = {"indexed": list(where.indexed)}
        spec = {"pod": pod}
    elif where.kind == "byoc":
        spec = {"byoc": {"environment": where.environment, "read_capacity": read_capacity}}
    if where.kind == "serverless" and where.indexed is not None:
        spec["serverless"]["schema"] = {"fields": {name: {"filterable": True} for name in where.indexed}}
    if definition.source_collection is not None and where.kind != "byoc":
        next(iter(spec.values()))["source_collection"] = definition.source_collection
    return {"dimension": definition.dimension, "metric": definition.metric, "vector_type": definition.vector_type, "spec": spec}


def _read_capacity(capacity: Mapping[str, Any], *, settled: bool) -> dict[str, Any]:
    status: dict[str, Any] = {"state": "Ready" if settled else "Scaling"}
    manual = capacity.get("dedicated", {}).get("manual")
    if manual:
        status |= {"current_shards": manual["shards"], "current_replicas": manual["replicas"]}
    return {**capacity, "status": status}


def collection(snapshots: Snapshots, one: Snapshot) -> dict[str, Any]:
    """Return a collection."""
    shown = {"name": one.name, "status": "Initializing", "environment": one.definition.deployment.environment, "dimension": one.definition.dimension}
    if snapshots.is_ready(one):
        shown |= {"status": "Ready", "size": one.bytes, "vector_count": one.records}
    return shown


def backup(snapshots: Snapshots, one: Snapshot, version: str) -> dict[str, Any]:
    """Return a backup as ``version`` describes it."""
    where = one.definition.deployment
    shown: dict[str, Any] = {
        "backup_id": one.id,
        "source_index_name": one.definition.name,
        "source_index_id": one.source_index_id,
        "source_index_deleted_at": one.source_deleted_at,
        "name": one.name or None,
        "description": one.description or None,
        "status": "Ready" if snapshots.is_ready(one) else "Initializing",
        "cloud": where.cloud or "byoc",
        "region": where.region or where.environment,
        "record_count": one.records,
        "namespace_count": one.namespaces,
        "size_bytes": one.bytes,
        "tags": dict(one.definition.tags),
        "created_at": one.created_at,
    }
    if version >= SCHEMAS:
        shown["schema"] = {"fields": one.definition.fields}
    else:
        shown |= {"dimension": one.definition.dimension, "metric": one.definition.metric}
    return {name: value for name, value in shown.items() if value is not None}


def restore_job(snapshots: Snapshots, one: RestoreJob) -> dict[str, Any]:
    """Return a restore job."""
    done = snapshots.is_ready(one)
    shown = {
        "restore_job_id": one.id,
        "backup_id": one.backup_id,
        "target_index_name": one.index_name,
        "target_index_id": one.index_id,
        "status": "Completed" if done else "InProgress",
        "created_at": one.created_at,
        "percent_complete": 100.0 if done else 0.0,
    }
    return {**shown, "completed_at": one.created_at} if done else shown


def protection(value: Any) -> str:
    """Return ``enabled`` or ``disabled``. Raise a 400 for anything else."""
    if value not in ("enabled", "disabled"):
        raise invalid(f"deletion_protection must be 'enabled' or 'disabled', got {value!r}")
    return str(value)
