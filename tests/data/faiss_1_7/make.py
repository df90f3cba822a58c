"""Made the files beside it, with faiss-cpu 1.7.4 and numpy 1: see README.md."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np

HERE = Path(__file__).parent
KINDS = {
    "flat": "Flat",
    "flat_ip": "Flat",
    "idmap": "IDMap,Flat",
    "idmap2": "IDMap2,Flat",
    "ivfflat": "IVF4,Flat",
    "hnsw": "HNSW8,Flat",
    "refine": "SQ8,RFlat",
    "sq8": "SQ8",
    "ivfpq": "IVF4,PQ4x4",
}

vectors = np.random.default_rng(17).standard_normal((120, 8)).astype(np.float32)
np.save(HERE / "vectors.npy", vectors)
for name, kind in KINDS.items():
    index = faiss.index_factory(8, kind, faiss.METRIC_INNER_PRODUCT if name == "flat_ip" else faiss.METRIC_L2)
    index.train(vectors)
    if name.startswith(("idmap", "ivf")):
        index.add_with_ids(vectors, np.arange(1000, 1120))
    else:
        index.add(vectors)
    faiss.write_index(index, str(HERE / f"{name}.index"))
