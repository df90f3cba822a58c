"""The emulated account: what Pinecone's service knows and does, without a word about HTTP or gRPC."""

from migrator.local_pinecone.engine.definition import Definition, Deployment, vector_fields
from migrator.local_pinecone.engine.errors import ApiError
from migrator.local_pinecone.engine.index import Index
from migrator.local_pinecone.engine.metadata import Metadata
from migrator.local_pinecone.engine.records import ListPage, Lsn, Match, NamespaceInfo, NamespacePage, Read, Record, RecordPage, Stats, Updated
from migrator.local_pinecone.engine.service import Engine
from migrator.local_pinecone.engine.settings import Rates, Settings

__all__ = [
    "ApiError",
    "Definition",
    "Deployment",
    "Engine",
    "Index",
    "ListPage",
    "Lsn",
    "Match",
    "Metadata",
    "NamespaceInfo",
    "NamespacePage",
    "Rates",
    "Read",
    "Record",
    "RecordPage",
    "Settings",
    "Stats",
    "Updated",
    "vector_fields",
]
