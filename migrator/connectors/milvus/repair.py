"""Builds the indexes of a Milvus Lite collection again when a killed process left one of their files half-written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pymilvus.grpc_gen import milvus_pb2 as pb

if TYPE_CHECKING:
    from migrator.connectors.milvus.wire import Wire


def rebuild_indexes(wire: Wire, collection: str) -> None:
    """Drop and create every index of ``collection`` with the parameters it has. Index files hold nothing that the data does not."""
    found = wire.call("DescribeIndex", pb.DescribeIndexRequest(collection_name=collection), f"describe the indexes of {collection}")
    wire.call("ReleaseCollection", pb.ReleaseCollectionRequest(collection_name=collection), f"release {collection}")
    for index in found.index_descriptions:
        names = {"collection_name": collection, "field_name": index.field_name, "index_name": index.index_name}
        wire.call("DropIndex", pb.DropIndexRequest(**names), f"drop the index {index.index_name}")
        wire.call("CreateIndex", pb.CreateIndexRequest(**names, extra_params=index.params), f"build the index {index.index_name} again")
