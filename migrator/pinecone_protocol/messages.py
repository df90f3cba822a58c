"""The VectorService messages of Pinecone's public proto, in two sets with one wire form: raw and typed.

In the raw set a vector's ``values`` (packed floats on the wire) and a ``Struct`` are declared ``bytes``, so that protobuf's C code copies
them as they are: a row of a float32 matrix goes out, and a record's metadata goes through, without a Python object a number. The proto
also allows floats unpacked or packed in several pieces; a raw message loses those. Whoever reads a raw message therefore checks the length
of every vector it holds, and on a mismatch reads it again with ``canonical``, which parses the typed set.

A map of the proto is declared here as the repeated entry it is on the wire: ``response.vectors[i].key`` and ``.value``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, struct_pb2

SERVICE = "VectorService"
_RAW, _TYPED = "pinecone_raw", "pinecone_typed"
_SCALARS = {"string": 9, "uint32": 13, "uint64": 4, "int32": 5, "bool": 8, "float": 2, "bytes": 12}

# message: "name=number kind, …"; "?" has presence, "*" repeats. floats and struct are what the two sets declare differently.
_MESSAGES = {
    "SparseValues": "indices=1 uint32*, values=2 floats",
    "Vector": "id=1 string, values=2 floats, metadata=3 struct, sparse_values=4 SparseValues",
    "ScoredVector": "id=1 string, score=2 float, values=3 floats, metadata=4 struct, sparse_values=5 SparseValues",
    "Usage": "read_units=1 uint32?",
    "Pagination": "next=1 string",
    "UpsertRequest": "vectors=1 Vector*, namespace=2 string",
    "UpsertResponse": "upserted_count=1 uint32",
    "DeleteRequest": "ids=1 string*, delete_all=2 bool, namespace=3 string, filter=4 struct",
    "DeleteResponse": "",
    "FetchRequest": "ids=1 string*, namespace=2 string",
    "FetchedVector": "key=1 string, value=2 Vector",
    "FetchResponse": "vectors=1 FetchedVector*, namespace=2 string, usage=3 Usage",
    "FetchByMetadataRequest": "namespace=1 string, filter=2 struct, limit=3 uint32?, pagination_token=4 string?",
    "FetchByMetadataResponse": "vectors=1 FetchedVector*, namespace=2 string, usage=3 Usage, pagination=4 Pagination",
    "ListRequest": "prefix=1 string?, limit=2 uint32?, pagination_token=3 string?, namespace=4 string",
    "ListItem": "id=1 string",
    "ListResponse": "vectors=1 ListItem*, pagination=2 Pagination, namespace=3 string, usage=4 Usage",
    "QueryVector": "values=1 floats, top_k=2 uint32, namespace=3 string, filter=4 struct, sparse_values=5 SparseValues",
    "QueryRequest": "namespace=1 string, top_k=2 uint32, filter=3 struct, include_values=4 bool, include_metadata=5 bool, queries=6 QueryVector*, "
    "vector=7 floats, id=8 string, sparse_vector=9 SparseValues, scan_factor=10 float?, max_candidates=11 uint32?",
    "SingleQueryResults": "matches=1 ScoredVector*, namespace=2 string",
    "QueryResponse": "results=1 SingleQueryResults*, matches=2 ScoredVector*, namespace=3 string, usage=4 Usage",
    "UpdateRequest": "id=1 string, values=2 floats, set_metadata=3 struct, namespace=4 string, sparse_values=5 SparseValues, filter=6 struct, dry_run=7 bool?",
    "UpdateResponse": "matched_records=1 int32?",
    "DescribeIndexStatsRequest": "filter=1 struct",
    "NamespaceSummary": "vector_count=1 uint32",
    "NamespaceCount": "key=1 string, value=2 NamespaceSummary",
    "DescribeIndexStatsResponse": "namespaces=1 NamespaceCount*, dimension=2 uint32?, index_fullness=3 float, total_vector_count=4 uint32, "
    "metric=5 string?, vector_type=6 string?, memory_fullness=7 float?, storage_fullness=8 float?",
    "MetadataFieldProperties": "filterable=1 bool",
    "SchemaField": "key=1 string, value=2 MetadataFieldProperties",
    "MetadataSchema": "fields=1 SchemaField*",
    "IndexedFields": "fields=1 string*",
    "NamespaceDescription": "name=1 string, record_count=2 uint64, schema=3 MetadataSchema, indexed_fields=4 IndexedFields",
    "ListNamespacesRequest": "pagination_token=1 string?, limit=2 uint32?, prefix=3 string?",
    "ListNamespacesResponse": "namespaces=1 NamespaceDescription*, pagination=2 Pagination, total_count=3 int32",
    "DescribeNamespaceRequest": "namespace=1 string",
    "CreateNamespaceRequest": "name=1 string, schema=2 MetadataSchema",
    "DeleteNamespaceRequest": "namespace=1 string",
}


def _declare(package: str) -> dict[str, Any]:
    """Return a set of message classes in a pool of its own, so that it meets no other package's definition of the same names."""
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(struct_pb2.DESCRIPTOR.serialized_pb)
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3", dependency=["google/protobuf/struct.proto"])
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field in filter(None, fields.split(", ")):
            _field(message, field, package)
    pool.Add(file)  # type: ignore[no-untyped-call, unused-ignore]
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in _MESSAGES}


def _field(message: Any, text: str, package: str) -> None:
    """Add one field, written ``name=number kind``."""
    left, kind = text.split(" ")
    name, number = left.split("=")
    raw = package == _RAW
    kind = {"floats": "bytes" if raw else "float*", "struct": "bytes?" if raw else "google.protobuf.Struct"}.get(kind, kind)
    field = message.field.add(name=name, number=int(number), label=3 if kind.endswith("*") else 1)
    plain = kind.rstrip("?*")
    if plain in _SCALARS:
        field.type = _SCALARS[plain]
    else:
        field.type, field.type_name = 11, f".{plain}" if "." in plain else f".{package}.{plain}"
    if kind.endswith("?"):
        field.proto3_optional, field.oneof_index = True, len(message.oneof_decl)
        message.oneof_decl.add(name=f"_{name}")


MESSAGES: dict[str, Any] = _declare(_RAW)
"""The raw classes by name."""
_TYPES: dict[str, Any] = _declare(_TYPED)

METHODS: dict[str, tuple[Any, Any]] = {
    method: (MESSAGES[f"{method}Request"], MESSAGES[response])
    for method, response in {
        **{name: f"{name}Response" for name in ("Upsert", "Delete", "Fetch", "List", "Query", "Update", "DescribeIndexStats")},
        "FetchByMetadata": "FetchByMetadataResponse",
        "ListNamespaces": "ListNamespacesResponse",
        "DescribeNamespace": "NamespaceDescription",
        "CreateNamespace": "NamespaceDescription",
        "DeleteNamespace": "DeleteResponse",
    }.items()
}
"""Method -> (request class, response class)."""


def path(method: str) -> str:
    """Return the gRPC path of a method."""
    return f"/{SERVICE}/{method}"


def typed(name: str) -> Any:
    """Return the class of the typed set: slower, and right for every legal encoding."""
    return _TYPES[name]


def canonical(kind: Any, wire: bytes) -> Any:
    """Return ``wire`` as the raw message ``kind``, whichever of the legal encodings of its floats it uses."""
    return kind.FromString(_TYPES[kind.DESCRIPTOR.name].FromString(wire).SerializeToString())


def floats(values: bytes) -> npt.NDArray[np.float32]:
    """Return the values of a raw message, a read-only view. Raise ``ValueError`` when they are no whole number of floats."""
    return np.frombuffer(values, "<f4")
