"""Nearest-neighbour queries, with the scores Milvus gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pymilvus.grpc_gen import common_pb2
from pymilvus.grpc_gen import milvus_pb2 as pb

from migrator.connectors.milvus import names
from migrator.connectors.milvus.filtering import expression
from migrator.connectors.milvus.layout import METRIC_NAMES
from migrator.connectors.milvus.reading import STRONG, ensure_loaded
from migrator.connectors.milvus.vectors import encode, placeholder
from migrator.errors import ConfigError, PlanError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from migrator.connectors.milvus.layout import Layout
    from migrator.connectors.milvus.reading import Place
    from migrator.connectors.milvus.wire import Wire


def search_places(
    wire: Wire,
    places: Sequence[tuple[Place, Layout]],
    vectors: Sequence[Sequence[float]],
    top_k: int,
    namespace: str | None,
    *,
    filter_: Mapping[str, Any] | None = None,
) -> list[list[tuple[str, float]]]:
    """Return for each of ``vectors`` its ``top_k`` nearest in all ``places`` as (id, Milvus's score), best first."""
    merged: list[list[tuple[str, float]]] = [[] for _ in vectors]
    for place, layout in places:
        ensure_loaded(wire, layout)
        inside = f"{layout.namespace.name} == {names.literal(namespace)}" if layout.namespace and namespace is not None else ""
        chosen = names.both(inside, expression(filter_, layout)) if filter_ else inside
        for found, hits in zip(merged, _search(wire, place, layout, vectors, top_k=top_k, filters=chosen), strict=True):
            found.extend(hits)
    nearest_is_least = bool(places) and places[0][1].metric == "euclidean"
    return [sorted(hits, key=lambda hit: hit[1], reverse=not nearest_is_least)[:top_k] for hits in merged]


def _search(wire: Wire, place: Place, layout: Layout, vectors: Sequence[Sequence[float]], *, top_k: int, filters: str) -> list[list[tuple[str, float]]]:
    if layout.vector is not None and layout.metric is None and layout.metric_name:
        message = f"collection {layout.collection} is searched by {layout.metric_name}, which is no metric of vectors of numbers"
        raise ConfigError(message, fix="search it with Milvus's own client", code="metric_outside")
    if layout.vector is None or layout.metric is None:
        raise PlanError(f"collection {layout.collection} has no dense vectors with an index to search", fix="finish the run that creates its index")
    rows = [encode(layout.vector_type, np.asarray([vector], np.float32)) for vector in vectors]
    group = common_pb2.PlaceholderGroup(placeholders=[common_pb2.PlaceholderValue(tag="$0", type=placeholder(layout.vector_type), values=rows)])
    params = {"anns_field": layout.vector, "topk": top_k, "params": "{}", "metric_type": METRIC_NAMES[layout.metric], "round_decimal": -1}
    request = pb.SearchRequest(
        collection_name=place.collection,
        partition_names=[place.partition] if place.partition is not None else [],
        dsl=filters,
        dsl_type=common_pb2.DslType.BoolExprV1,
        placeholder_group=group.SerializeToString(),
        search_params=[common_pb2.KeyValuePair(key=key, value=str(value)) for key, value in params.items()],
        nq=len(rows),
        consistency_level=STRONG,
        use_default_consistency=False,
    )
    return _hits(wire.call("Search", request, f"search {layout.collection}").results, len(rows))


def _hits(results: Any, queries: int) -> list[list[tuple[str, float]]]:
    ids = [str(value) for value in (results.ids.int_id.data or results.ids.str_id.data)]
    scores = list(results.scores)
    found, start = [], 0
    for size in [*results.topks, *[0] * (queries - len(results.topks))]:
        found.append(list(zip(ids[start : start + size], scores[start : start + size], strict=True)))
        start += size
    return found
