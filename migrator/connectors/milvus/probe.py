"""Whether a server can build an index, tried on a small collection of its own: the server takes DISKANN also where its build has none.

Seen on 2.3.5 from PyPI: CreateIndex succeeds, then each build fails with ``bad_function_call``, over and over, and the state says neither.
"""

from __future__ import annotations

import time
import uuid
from typing import TYPE_CHECKING, Any

import numpy as np
from pymilvus.grpc_gen import common_pb2, schema_pb2
from pymilvus.grpc_gen import milvus_pb2 as pb

from migrator.connectors.milvus.fieldtypes import Type
from migrator.connectors.milvus.vectors import field_data
from migrator.errors import PlanError

if TYPE_CHECKING:
    from migrator.connectors.milvus.design import Design
    from migrator.connectors.milvus.wire import Wire

UNSURE = frozenset({"DISKANN"})
"""Index types that a server may lack without saying so."""
ROWS = 1_100
"""Milvus builds no index for segments of less than 1,024 rows."""
DIMENSION = 32
SECONDS = 45.0
"""Seen: DISKANN for so few rows takes a second or two where it is there."""


def probe_index(wire: Wire, wanted: Design) -> None:
    """Build the index of ``wanted`` on random vectors, and drop them again. Raise ``PlanError`` when the server does not manage to."""
    if wanted.lite or not wanted.vector or wanted.index_type not in UNSURE:
        return
    name = f"migrator_probe_{uuid.uuid4().hex[:12]}"
    schema = schema_pb2.CollectionSchema(name=name)
    schema.fields.add(name="id", data_type=Type.Int64, is_primary_key=True)
    schema.fields.add(name="vector", data_type=wanted.vector_type).type_params.add(key="dim", value=str(DIMENSION))
    wire.call("CreateCollection", pb.CreateCollectionRequest(collection_name=name, schema=schema.SerializeToString(), shards_num=1), f"create {name}")
    try:
        if not _built(wire, name, wanted):
            message = f"this server does not manage to build an index of type {wanted.index_type}: {SECONDS:.0f} s were not enough for {ROWS:,} vectors"
            raise PlanError(message, fix="choose another index_type=: not every build of Milvus has this one", code="index_unsupported")
    finally:
        wire.call("DropCollection", pb.DropCollectionRequest(collection_name=name), f"drop {name}")


def _built(wire: Wire, name: str, wanted: Design) -> bool:
    """Return whether the index is built in ``SECONDS``."""
    values = np.random.default_rng(0).normal(size=(ROWS, DIMENSION)).astype(np.float16).astype(np.float32)
    keys = schema_pb2.FieldData(type=Type.Int64, field_name="id")
    keys.scalars.long_data.data.extend(range(ROWS))
    rows = pb.InsertRequest(collection_name=name, num_rows=ROWS, fields_data=[keys, field_data("vector", wanted.vector_type, values)])
    wire.call("Insert", rows, f"write to {name}")
    wire.call("Flush", pb.FlushRequest(collection_names=[name]), f"flush {name}")
    params = {"index_type": wanted.index_type, "metric_type": wanted.metric}
    pairs = [common_pb2.KeyValuePair(key=key, value=value) for key, value in params.items()]
    request = pb.CreateIndexRequest(collection_name=name, field_name="vector", index_name="vector", extra_params=pairs)
    wire.call("CreateIndex", request, f"index {name} with {wanted.index_type}")
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        if _indexed(wire.call("DescribeIndex", pb.DescribeIndexRequest(collection_name=name), f"index {name}").index_descriptions):
            return True
        time.sleep(0.5)
    return False


def _indexed(found: Any) -> bool:
    return any(index.total_rows == index.indexed_rows == ROWS for index in found)
