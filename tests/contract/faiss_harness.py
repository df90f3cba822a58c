"""Faiss files for the contract suite, seeded with faiss, numpy and json only."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import faiss
import numpy as np
import pyarrow as pa

from migrator.records import constant, matrix, to_dicts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from migrator.model import Metric

METRICS = {"cosine": faiss.METRIC_INNER_PRODUCT, "dotproduct": faiss.METRIC_INNER_PRODUCT, "euclidean": faiss.METRIC_L2}


@dataclass(frozen=True)
class FaissHarness:
    """Writes indexes below ``folder``: a flat index with ids and metadata in sidecars, or an IDMap for integer ids."""

    folder: Path
    name: str = "faiss"
    can_seed: bool = True
    can_read_back: bool = False
    """Faiss files are read only."""

    def seed(self, batches: Sequence[pa.RecordBatch], *, metric: Metric) -> str:
        records = [record for batch in batches for record in to_dicts(batch)]
        vectors = np.concatenate([matrix(batch) for batch in batches])
        place = self.folder / f"seeded_{uuid.uuid4().hex[:12]}"
        place.mkdir(parents=True)
        ids = [record["id"] for record in records]
        options = [f"metric={metric}", f"metadata={place}/metadata.jsonl"]
        index = faiss.IndexFlat(vectors.shape[1], METRICS[metric])
        if records and all(_is_int64(text) for text in ids):
            index = faiss.IndexIDMap2(index)
            index.add_with_ids(vectors, np.array([int(text) for text in ids], np.int64))
        else:
            index.add(vectors)
            (place / "ids.json").write_text(json.dumps(ids), encoding="utf-8")
            options.append(f"ids={place}/ids.json")
        lines = [json.dumps(record["metadata"] or {}) for record in records]
        (place / "metadata.jsonl").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        faiss.write_index(index, str(place / "vectors.index"))
        return f"faiss:{place}/vectors.index?" + "&".join(options)

    def new_target(self) -> NoReturn:
        raise NotImplementedError("Faiss files are read only")

    def read_back(self, endpoint: str) -> NoReturn:
        raise NotImplementedError("Faiss files are read only")

    def adapt(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the batch without sparse values, and with every record in the default namespace."""
        columns = [batch.column(name) for name in batch.schema.names]
        columns[batch.schema.get_field_index("sparse_values")] = pa.nulls(batch.num_rows, batch.schema.field("sparse_values").type)
        columns[batch.schema.get_field_index("namespace")] = constant("", batch.num_rows)
        return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def _is_int64(text: str) -> bool:
    return text.removeprefix("-").isdecimal() and text.isascii() and str(int(text)) == text and -(2**63) <= int(text) < 2**63
