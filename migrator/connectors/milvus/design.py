"""What a new collection will be, decided from the options, the source and the server, before anything is made; and what stands in its way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from migrator.connectors.milvus import indexes, vectors
from migrator.connectors.milvus.fieldtypes import Field, Type, declared, parse_type
from migrator.connectors.milvus.layout import METRIC_NAMES, Layout
from migrator.connectors.milvus.wanted import MAX_NAME, NAME, SYSTEM_FIELDS
from migrator.model import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from migrator.connectors.milvus.options import Settings
    from migrator.model import Collection, Plan

MAX_DIMENSION = 32_768
MAX_FIELDS = 64
"""Milvus Limits: fields of a collection; 2.3.5 does not count the dynamic one."""
NAMESPACE_LENGTH = 1024
Release = tuple[int, int]
Fault = tuple[str, str, str]
"""Code, message, cure."""


@dataclass(frozen=True)
class Design:
    """A collection to be made."""

    key: Field
    vector: str | None
    vector_type: int
    dimension: int
    sparse: str | None
    namespace: Field | None
    columns: tuple[Field, ...]
    partition_key: str
    """The field rows are spread by, "" for none."""
    dynamic: bool
    metric: str
    """Milvus's name."""
    index_type: str
    index_params: Mapping[str, Any]
    release: Release
    lite: bool
    product: str
    """The server's own name and version, for messages."""

    @property
    def names(self) -> list[str]:
        """The names of all fields but the dynamic one."""
        named = [self.key.name, self.vector, self.sparse, self.namespace.name if self.namespace else None]
        return [name for name in (*named, *(column.name for column in self.columns)) if name]

    def layout(self, collection: str, settings: Settings) -> Layout:
        """Return how the collection will look to who writes it, so that records can be judged before it is there."""
        return Layout(
            collection=collection,
            key=self.key,
            auto_id=False,
            vector=self.vector,
            vector_type=self.vector_type,
            dimension=self.dimension,
            sparse=self.sparse,
            namespace=self.namespace,
            scalars=self.columns,
            dynamic=self.dynamic,
            marked=True,
            metric_name=self.metric,
            index_type=self.index_type,
            ignored=(),
            functions=False,
            partition_key=self.partition_key,
            lite=self.lite,
            in_field=settings.namespace_mode == "partition_key",
            shards=settings.shards,
        )


def design(collection: Collection, plan: Plan, settings: Settings, release: Release, *, lite: bool, product: str) -> Design:
    """Return the collection that ``settings`` ask for; ``faults`` says whether it can be made."""
    key = Field(settings.id_field or "id", Type.Int64 if (settings.id_type or collection.id_type) == "int64" else Type.VarChar)
    kind = vectors.BY_OPTION[settings.vector_type or "float32"].type
    namespace = Field(settings.namespace_field or "namespace", Type.VarChar, NAMESPACE_LENGTH)
    has_namespace = settings.namespace_mode == "partition_key" and needs_namespace_field(collection, plan, settings)
    index_type = settings.index_type or indexes.default_type(kind, lite=lite)
    return Design(
        key=replace(key, max_length=settings.id_length) if key.type == Type.VarChar else key,
        vector=(settings.vector_field or "vector") if collection.dimension else None,
        vector_type=kind,
        dimension=collection.dimension,
        sparse=(settings.sparse_field or "sparse") if collection.sparse else None,
        namespace=namespace if has_namespace else None,
        columns=tuple(_columns(collection, settings, release)),
        partition_key=settings.partition_key or (namespace.name if has_namespace else ""),
        dynamic=settings.dynamic,
        metric=metric_of(collection, settings),
        index_type=index_type,
        index_params=indexes.parameters(index_type, settings.index_params, collection.dimension),
        release=release,
        lite=lite,
        product=product,
    )


def metric_of(collection: Collection, settings: Settings) -> str:
    """Return Milvus's name of the metric that a new collection gets."""
    if settings.metric:
        return settings.metric
    return "HAMMING" if settings.vector_type == "binary" else METRIC_NAMES[collection.metric or "cosine"]


def needs_namespace_field(collection: Collection, plan: Plan, settings: Settings) -> bool:
    """Return whether records can be in another namespace than the default one."""
    if (settings.mode_given and not settings.partition_key) or settings.namespace_field or plan.mapping.namespace_from is not None:
        return True
    if plan.mapping.target_namespace is not None:
        return plan.mapping.target_namespace != DEFAULT_NAMESPACE
    return any(name != DEFAULT_NAMESPACE for name in collection.namespaces)


def _columns(collection: Collection, settings: Settings, release: Release) -> Iterator[Field]:
    """Yield the typed columns: those of ``fields=``; without it, where there is no dynamic field, those the source declares."""
    chosen = {name: parse_type(name, text) for name, text in (settings.fields or {}).items()}
    if settings.fields is None and not settings.dynamic:
        chosen = {name: declared(name, kind) or Field(name, 0) for name, kind in collection.fields.items()}
    key = settings.partition_key
    if key and key not in chosen and (found := declared(key, collection.fields.get(key, ""))) is not None:
        chosen[key] = found
    for name, field in chosen.items():
        yield replace(field, nullable=field.nullable and release >= (2, 5) and name != key)


def faults(wanted: Design, collection: Collection, settings: Settings) -> Iterator[Fault]:
    """Yield what stands in the way of making ``wanted``."""
    yield from _vector_faults(wanted, settings)
    yield from _field_faults(wanted, collection, settings)
    if wanted.vector and (
        problem := indexes.misfit(wanted.index_type, settings.index_params, wanted.vector_type, wanted.dimension, wanted.release, lite=wanted.lite)
    ):
        yield "index_unsupported", problem, "choose another index_type=, or correct index_params="


def _vector_faults(wanted: Design, settings: Settings) -> Iterator[Fault]:
    kind = vectors.BY_TYPE[wanted.vector_type]
    if settings.dimension and settings.dimension != wanted.dimension:
        message = f"dimension={settings.dimension} is demanded of the vectors, the source has {wanted.dimension} dimensions"
        yield "dimension_differs", message, "correct dimension=, or choose another source"
    if wanted.dimension > MAX_DIMENSION:
        yield "dimension_too_large", f"{wanted.dimension} dimensions are more than the {MAX_DIMENSION} Milvus takes", "choose another target"
    if (wanted.lite and kind.option != "float32") or wanted.release < kind.since:
        since = "a server has them" if wanted.lite else f"they can be searched from Milvus {'.'.join(map(str, kind.since))} on"
        yield "vector_type_unsupported", f"{wanted.product} has no {kind.option} vectors; {since}", "leave vector_type out, or use a newer server"
    if kind.option == "binary" and wanted.dimension % 8:
        message = f"binary vectors have a multiple of 8 dimensions, the source's have {wanted.dimension}"
        yield "dimension_unfit", message, "leave vector_type=binary out"
    if wanted.sparse and wanted.release < (2, 4):
        message = f"the source has sparse vectors, and {wanted.product} has none (they came with Milvus 2.4)"
        yield "sparse_unsupported", message, "use a newer server or Milvus Lite"


def _field_faults(wanted: Design, collection: Collection, settings: Settings) -> Iterator[Fault]:
    if not wanted.dynamic and settings.fields is None and not collection.fields:
        message = "dynamic=false needs the source to declare its metadata fields, and it declares none"
        yield "bad_option", message, "name them with fields=, or leave dynamic=false out"
    for column in wanted.columns:
        name = column.name
        if not NAME.fullmatch(name) or len(name) > MAX_NAME or name in SYSTEM_FIELDS:
            yield "bad_name", f"the metadata field {name!r} cannot be the name of a Milvus field", "leave it to the dynamic field, or rename it"
        elif not column.type:
            message = f"no Milvus field holds values of metadata field {name!r}, {collection.fields.get(name)}, exactly"
            yield "unsupported_field", message, "leave dynamic=false out"
    for name in sorted({name for name in wanted.names if wanted.names.count(name) > 1}):
        fix = "rename one with id_field=, vector_field=, sparse_field= or namespace_field="
        yield "duplicate_field", f"two fields of the new collection would be called {name!r}", fix
    if len(wanted.names) > MAX_FIELDS:
        message = f"the new collection would have {len(wanted.names)} fields, Milvus takes {MAX_FIELDS}"
        yield "too_many_fields", message, "leave some metadata to the dynamic field (fields= with fewer, dynamic=true)"
    yield from _key_faults(wanted, settings)


def _key_faults(wanted: Design, settings: Settings) -> Iterator[Fault]:
    name = settings.partition_key
    if not name:
        return
    column = next((column for column in wanted.columns if column.name == name), None)
    if column is None:
        message = f"the type of the partition key {name!r} is not known: no record looked at has it, and fields= does not name it"
        yield "bad_partition_key", message, f'name it with fields={{"{name}": "varchar(200)"}}'
    elif column.type not in {Type.Int64, Type.VarChar}:
        yield "bad_partition_key", f"the partition key {name!r} would be of type {column.kind}; Milvus takes int64 and varchar", "choose another field or type"
