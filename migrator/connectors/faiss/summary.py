"""What the connector tells about an index before it is read: its collection, with findings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from migrator.connectors.faiss.layout import NO_IDS
from migrator.model import Collection, Finding, IdType, Metric
from migrator.records import parse_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from migrator.connectors.faiss.beside import Beside
    from migrator.connectors.faiss.shard import Shard
    from migrator.model import Endpoint

_SAMPLE = 256
_UNIQUE_CHECK_ROWS = 16_000_000  # 128 MB of ids
_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", list: "list", dict: "object", type(None): "null"}


def summarise(endpoint: Endpoint, shards: Sequence[Shard], beside: Sequence[Beside], version: str, metric: Metric | None) -> Collection:
    """Return the collection that ``shards`` and ``beside`` make. ``version`` digests their files, ``metric`` is the user's, None to take the file's."""
    told = shards[0].told
    naming = [part for part in beside if part.renames]
    describing = [part for part in beside if part.describes]
    kind = told.kind + (f", {len(shards)} shards" if len(shards) > 1 else "")
    return Collection(
        name=Path(endpoint.resource).name,
        dimension=told.dimension,
        metric=metric or told.shared_metric,
        id_type=_id_type(naming),
        namespaces={"": sum(shard.count for shard in shards)},
        fields=_fields(describing[-1]) if describing else {},
        kind=kind,
        version=version,
        unique_ids=not naming and _unique(shards),
        findings=(*_of_shards(shards), *_inner_product(shards, metric), *(finding for part in beside for finding in part.findings)),
    )


def _id_type(naming: Sequence[Beside]) -> IdType:
    return naming[-1].id_type if naming else "int64"


def _of_shards(shards: Sequence[Shard]) -> tuple[Finding, ...]:
    """Return the shards' findings, each once."""
    return tuple(dict.fromkeys(finding for shard in shards for finding in shard.told.findings))


def _inner_product(shards: Sequence[Shard], metric: Metric | None) -> tuple[Finding, ...]:
    """Say when inner product may stand for cosine: Faiss has no cosine of its own, its users normalise the vectors."""
    told = shards[0].told
    if metric is not None or told.shared_metric != "dotproduct" or not shards[0].count or not told.exact:
        return ()
    sample = shards[0].vectors(np.linspace(0, shards[0].count - 1, min(_SAMPLE, shards[0].count)).astype(np.int64))
    with np.errstate(all="ignore"):
        lengths = np.linalg.norm(sample, axis=1)
    if not (np.abs(lengths - 1) < 1e-3).all():
        return ()
    return (Finding("info", "inner_product_of_unit_vectors", f"the index measures by inner product and all of {len(sample)} vectors looked at have length 1, "
                    "which is how Faiss does cosine", "add metric=cosine to carry it over as cosine"),)  # fmt: skip


def _unique(shards: Sequence[Shard]) -> bool:
    """Return whether the ids the files store differ: positions do, stored ids are compared as long as that is cheap."""
    count = sum(shard.count for shard in shards)
    if all(shard.told.id_map == NO_IDS and not shard.told.extents.has_ids for shard in shards):
        return True
    if count > _UNIQUE_CHECK_ROWS:
        return False
    ids = [own for shard in shards if (own := shard.own_ids(np.arange(shard.count, dtype=np.int64))) is not None]
    return bool(len(np.unique(np.concatenate(ids))) == count) if ids else True


def _fields(part: Beside) -> dict[str, str]:
    """Return the metadata fields of the first rows with the type they have there."""
    fields: dict[str, str] = {}
    for text in part.spool.rows(0, min(part.spool.count, _SAMPLE)).column("metadata").to_pylist():
        for name, value in (parse_json(text) if text else {}).items():
            kind = _TYPES[type(value)]
            known = fields.setdefault(name, kind)
            if known == "null" or (known == "integer" and kind == "number"):
                fields[name] = kind
            elif kind not in {known, "null", "integer"} or (kind == "integer" and known not in {"number", "integer"}):
                fields[name] = "mixed"
    return fields
