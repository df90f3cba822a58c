"""What the worker says about an index, checked before a byte of it is believed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from migrator.connectors.faiss.layout import NO_IDS, Extents, extents, outside
from migrator.errors import UnreadableSourceError
from migrator.model import Finding, Metric

if TYPE_CHECKING:
    from migrator.connectors.faiss.child import Child
    from migrator.connectors.faiss.files import OpenFile

_METRICS: dict[int, Metric] = {0: "dotproduct", 1: "euclidean"}  # faiss.MetricType: METRIC_INNER_PRODUCT, METRIC_L2
_OTHER_METRICS = {2: "L1", 3: "Linf", 4: "Lp", 20: "Canberra", 21: "BrayCurtis", 22: "JensenShannon", 23: "Jaccard"}
_LARGEST_DIMENSION = 1 << 20


@dataclass(frozen=True)
class Description:
    """One index file: what it is, and where its rows lie."""

    kind: str
    """Its classes from the outermost in, without their ``Index``: ``IDMap,IVFFlat``."""
    dimension: int
    ntotal: int
    metric: int
    code_size: int
    """Bytes a vector takes in the file."""
    exact: bool
    """Whether those bytes are the float32 values."""
    id_map: int
    """Byte offset of an IDMap's ids, or ``NO_IDS``."""
    transforms: tuple[tuple[str, int, int], ...]
    """Name, dimensions before and after, of each transformation."""
    extents: Extents

    @property
    def shared_metric(self) -> Metric | None:
        """The metric in our terms, None for those we have no word for."""
        return _METRICS.get(self.metric)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the user should know about reading it."""
        return tuple(filter(None, (self._lossy(), self._foreign_metric(), self._unlisted())))

    def _lossy(self) -> Finding | None:
        if self.exact:
            return None
        parts = [f"{self.kind} keeps {self.code_size} bytes of the {self.dimension * 4} of a vector"]
        parts += [_loss(*step) for step in self.transforms]
        text = "; ".join(parts) + ": vectors read back are approximations of those that were added"
        return Finding("lossy", "lossy_index", text, "copy from the original embeddings where you have them, or accept the loss")

    def _foreign_metric(self) -> Finding | None:
        if self.metric in _METRICS:
            return None
        name = _OTHER_METRICS.get(self.metric, f"number {self.metric}")
        return Finding("info", "other_metric", f"the index measures with {name}, which other stores do not have",
                       "choose the target's metric with metric=cosine, dotproduct or euclidean")  # fmt: skip

    def _unlisted(self) -> Finding | None:
        absent = self.ntotal - self.extents.count
        if not absent:
            return None
        return Finding("info", "vectors_not_stored", f"the index counts {self.ntotal} vectors but stores {self.extents.count}: "
                       f"{absent} were dropped when they were added, as Faiss does with NaN, and are not in the file")  # fmt: skip


def _loss(name: str, before: int, after: int) -> str:
    """Say what a transformation of ``before`` to ``after`` dimensions took from the vectors."""
    if name == "NormalizationTransform":
        return "the lengths the vectors had before they were normalised are not in the file"
    if after < before:
        return f"{name} reduced {before} dimensions to {after}, and what it left out is not in the file"
    return f"{name} is undone with rounding, of a few units in the seventh digit"


def describe(child: Child, number: int, file: OpenFile) -> Description:
    """Ask the worker about its ``number``-th file. Raise ``UnreadableSourceError`` for what it refuses or gets wrong."""
    answer = child.ask({"do": "describe", "file": number}, largest=24 * (file.size // 8 + 1))
    told, table = json.loads(next(answer)[1]), next(answer)[1]
    try:
        return _checked(told, np.frombuffer(table, np.int64).reshape(-1, 3), file.size)
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableSourceError(f"{file.name} cannot be read: {error}", fix="the file is damaged or hostile: build it again") from None


def _checked(told: dict[str, Any], table: Any, size: int) -> Description:
    numbers = {name: int(told[name]) for name in ("dimension", "ntotal", "metric", "code_size", "id_map")}
    exact = bool(told["exact"])
    if not 1 <= numbers["dimension"] <= _LARGEST_DIMENSION:
        raise ValueError(f"its dimension of {numbers['dimension']} is outside 1 to {_LARGEST_DIMENSION}")
    if numbers["ntotal"] < 0 or not 0 < numbers["code_size"] <= _LARGEST_DIMENSION * 8 or (exact and numbers["code_size"] != 4 * numbers["dimension"]):
        raise ValueError("what it says about its vectors does not fit together")
    mapped_ids = numbers["id_map"] != NO_IDS and (numbers["id_map"] < 0 or numbers["id_map"] + 8 * numbers["ntotal"] > size)
    if mapped_ids or outside(table, numbers["code_size"], size):
        raise ValueError("it places vectors outside the file")
    kind = ",".join(str(name).removeprefix("Index") for name in told["names"])
    steps = tuple((str(name), int(before), int(after)) for name, before, after in told["transforms"])
    return Description(_tidy(kind), exact=exact, transforms=steps, extents=extents(table), **numbers)


def _tidy(kind: str) -> str:
    """Return the class names without what they say twice: ``HNSWFlat,FlatL2`` is an ``HNSWFlat``."""
    parts = ["Flat" if part in {"FlatL2", "FlatIP"} else part for part in kind.split(",")]
    return ",".join(part for place, part in enumerate(parts) if not (place and parts[place - 1].endswith(part)))
