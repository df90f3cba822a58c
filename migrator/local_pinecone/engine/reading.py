"""The reads of an index: each brings it up to date, reads under its lock, and says what that cost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from migrator.local_pinecone.engine import checks, scoring
from migrator.local_pinecone.engine.errors import invalid, not_found
from migrator.local_pinecone.engine.paging import page_size, token_after, untoken
from migrator.local_pinecone.engine.records import ListPage, Match, NamespaceInfo, NamespacePage, Read, Record, RecordPage, Stats
from migrator.local_pinecone.engine.table import Table
from migrator.pinecone_protocol import limits, names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from migrator.local_pinecone.engine.index import Index
    from migrator.local_pinecone.engine.metadata import Metadata
    from migrator.local_pinecone.engine.records import Sparse, Values

_FETCHED_A_UNIT = 10
_UNIT_BYTES = 10**9
_POD_VECTORS_768 = {"s1": 5_000_000, "p1": 1_000_000, "p2": 1_000_000}


@dataclass(frozen=True, slots=True)
class Question:
    """A query: by vector, by sparse vector, by both, or by the id of a record."""

    top_k: int
    vector: Values | None
    sparse: Sparse | None
    id: str | None
    filter: Mapping[str, Any] | None
    include_values: bool
    include_metadata: bool


def fetch(index: Index, space: str, ids: Sequence[str]) -> Read[dict[str, Record]]:
    """Return the records of ``ids`` that are there."""
    if not ids:
        raise invalid("At least one ID must be provided")
    if len(ids) > limits.FETCH_IDS:
        raise invalid(f"Cannot fetch more than {limits.FETCH_IDS} ids in one request, got {len(ids)}")
    with index.lock:
        _limit(index, "fetches", 1, index.settings.rates.index_fetches, "fetch requests per second per index")
        found = {record.id: record for record in _table(index, space).records(ids)}
        return _read(index, space, found, _fetch_units(len(found)))


def list_ids(index: Index, space: str, prefix: str, limit: int | None, token: str | None) -> Read[ListPage]:
    """Return a page of ids that begin with ``prefix``."""
    size = page_size(limit, limits.LIST_IDS)
    with index.lock:
        _limit(index, "lists", 1, index.settings.rates.index_lists, "list requests per second per index")
        ids = _table(index, space).page(prefix, untoken(token), size + 1)
        return _read(index, space, ListPage(ids[:size], token_after(ids[size - 1]) if len(ids) > size else None), 1)


def fetch_by_metadata(index: Index, space: str, filter_: Mapping[str, Any] | None, limit: int | None, token: str | None) -> Read[RecordPage]:
    """Return a page of the records that match, in the order of their ids."""
    size = limits.FETCH_BY_METADATA_DEFAULT if limit is None else limit
    if not 1 <= size <= limits.FETCH_BY_METADATA_RECORDS:
        raise invalid(f"limit must be between 1 and {limits.FETCH_BY_METADATA_RECORDS}, got {size}")
    matches = index.matcher(filter_ or {}, space)
    with index.lock:
        _limit(index, "fetches", 1, index.settings.rates.index_fetches, "fetch requests per second per index")
        table = _table(index, space)
        after = untoken(token)
        ids = sorted(id_ for id_, row in table.rows.items() if (after is None or id_ > after) and matches(table.metadata[row]))
        records = table.records(ids[:size])
        return _read(index, space, RecordPage(records, token_after(ids[size - 1]) if len(ids) > size else None), _fetch_units(len(records)))


def query(index: Index, space: str, question: Question) -> Read[list[Match]]:
    """Return the best matches of ``question``."""
    _check_question(index, question)
    matches = None if question.filter is None else index.matcher(question.filter, space)
    with index.lock:
        table = _table(index, space)
        units = _query_units(table)
        _limit(index, "read units", units, index.settings.rates.index_read_units, "read units per second per index")
        vector, sparse = question.vector, question.sparse
        if question.id is not None:
            found = table.vector(question.id)
            vector, sparse = found or (None, None)
            if vector is not None:
                sparse = None
        if vector is None and sparse is None:
            return _read(index, space, [], units)
        scores, candidates = _scores(index, table, vector, sparse)
        if matches is not None:
            candidates = np.array([row for row in candidates if matches(table.metadata[row])], np.intp)
        rows = scoring.best(scores, candidates, question.top_k, lowest=index.definition.metric == "euclidean")
        return _read(index, space, _matches(table, rows, scores, question), units)


def stats(index: Index, filter_: Mapping[str, Any] | None) -> Stats:
    """Return the counts of every namespace."""
    if filter_ is not None and not index.definition.pods:
        raise invalid("Serverless and Starter indexes do not support describing index stats with metadata filtering")
    matches = None if filter_ is None else index.matcher(filter_)
    with index.lock:
        index.settle()
        tables = index.state.tables
        total = sum(map(len, tables.values()))
        counts = {space: _count(table, matches) for space, table in tables.items() if table or not index.definition.pods}
        definition = index.definition
        return Stats(counts, definition.dimension, _fullness(index, total), total, definition.metric, definition.vector_type)


def namespaces(index: Index, prefix: str, limit: int | None, token: str | None) -> NamespacePage:
    """Return a page of namespaces whose names, as the service spells them, begin with ``prefix``."""
    size = page_size(limit, limits.LIST_NAMESPACES)
    after = untoken(token)
    with index.lock:
        index.settle()
        every = sorted(name for name in map(names.to_wire, index.state.tables) if name.startswith(prefix))
        page = [name for name in every if after is None or name > after]
        infos = [namespace(index, names.to_inner(name)) for name in page[:size]]
    return NamespacePage(infos, token_after(page[size - 1]) if len(page) > size else None, len(every))


def namespace(index: Index, space: str) -> NamespaceInfo:
    """Describe a namespace that reads can see."""
    with index.lock:
        index.settle()
        table = index.state.tables.get(space)
        if table is None and space:  # the default namespace is always there
            raise not_found(f"Namespace '{names.to_wire(space)}' not found")
        return described(space, 0 if table is None else len(table), index.state.schemas.get(space))


def described(space: str, records: int, schema: Mapping[str, Any] | None) -> NamespaceInfo:
    """Return the description of a namespace, named as the service spells it."""
    return NamespaceInfo(names.to_wire(space), records, schema)


def _check_question(index: Index, question: Question) -> None:
    if not 1 <= question.top_k <= limits.TOP_K:
        raise invalid(f"topK must be between 1 and {limits.TOP_K}, got {question.top_k}")
    if question.id is not None and (question.vector is not None or question.sparse is not None):
        raise invalid("Cannot provide both ID and vector at the same time.")
    if question.id is None and question.vector is None and question.sparse is None:
        raise invalid("You must enter either a `vector` or `id` to query by.")
    _check_query_vectors(index, question)


def _check_query_vectors(index: Index, question: Question) -> None:
    dimension = index.definition.dimension
    if question.sparse is not None:
        if index.definition.metric != "dotproduct":
            raise invalid("Index configuration does not support sparse values")
        checks.check_sparse(question.sparse, "query")
        if dimension is not None and question.vector is None:
            raise invalid("A query of a dense index needs dense values beside the sparse ones")
    if question.vector is None:
        return
    if dimension is None:
        raise invalid("Dense vectors are not supported in a sparse index")
    if len(question.vector) != dimension:
        raise invalid(f"Query vector dimension {len(question.vector)} does not match the dimension of the index {dimension}")
    if not np.isfinite(question.vector).all():
        raise invalid("Query vector values must be finite numbers")


def _scores(index: Index, table: Table, vector: Values | None, sparse: Sparse | None) -> tuple[Values, npt.NDArray[np.intp]]:
    """Return a score a row and the rows that may be found; a sparse index finds only records that share an index with the query."""
    count = len(table.names)
    scores = np.zeros(count, np.float32) if vector is None else scoring.dense_scores(table, vector, index.definition.metric)
    if sparse is not None:
        products, touched = scoring.sparse_scores(table.sparse, count, sparse)
        scores = scores + products
        if vector is None:
            return scores, np.flatnonzero(touched)
    return scores, np.fromiter(table.rows.values(), np.intp, len(table.rows))


def _matches(table: Table, rows: npt.NDArray[np.intp], scores: Values, question: Question) -> list[Match]:
    ids = [name for name in (table.names[row] for row in rows) if name is not None]
    records = table.records(ids, values=question.include_values, metadata=question.include_metadata)
    size = sum(map(len, ids)) + 8 * len(ids)
    if question.include_values:
        size += sum(0 if record.values is None else record.values.nbytes for record in records)
    if question.include_metadata:
        size += sum(0 if record.metadata is None else len(record.metadata.struct) for record in records)
    if size > limits.QUERY_RESULT_BYTES:
        raise invalid(f"The query result is {size} bytes, which exceeds the limit of {limits.QUERY_RESULT_BYTES} bytes. Lower topK or include less")
    return [Match(record, float(score)) for record, score in zip(records, scores[rows], strict=True)]


def _table(index: Index, space: str) -> Table:
    index.settle()
    return index.state.tables.get(space) or Table(index.definition.dimension)


def _read(index: Index, space: str, value: Any, units: int) -> Read[Any]:
    return Read(value, units, None if index.definition.pods else index.state.applied.get(space, 0))


def _limit(index: Index, bucket: str, amount: float, rate: float, counted: str) -> None:
    if not index.definition.pods:
        index.limiter.take((bucket, amount, rate, counted))


def _count(table: Table, matches: Callable[[Metadata | None], bool] | None) -> int:
    return len(table) if matches is None else sum(matches(table.metadata[row]) for row in table.rows.values())


def _fetch_units(records: int) -> int:
    return max(1, math.ceil(records / _FETCHED_A_UNIT))


def _query_units(table: Table) -> int:
    return max(1, math.ceil(4 * (table.dimension or 0) * len(table) / _UNIT_BYTES))


def _fullness(index: Index, total: int) -> float:
    """Return how full the pods are, in tenths; serverless is never full."""
    definition = index.definition
    if not definition.pods:
        return 0.0
    family, _, size = definition.deployment.pod_type.partition(".x")
    capacity = _POD_VECTORS_768.get(family, 1_000_000) * int(size or 1) * definition.deployment.shards * 768 / max(definition.dimension or 768, 1)
    return min(1.0, math.floor(10 * total / capacity) / 10)
