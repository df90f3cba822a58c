"""Builds the demo's Faiss index and its sidecars from the shipped Parquet file."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import faiss
import numpy as np
import pyarrow.parquet as pq

from migrator.endpoints import render
from migrator.model import Endpoint

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

DATA = Path(__file__).with_name("data")
PASSAGES = DATA / "sotu_passages.parquet"
QUESTIONS = DATA / "sample_queries.json"
NAMESPACE_FIELD = "party"
"""The metadata field that makes a good namespace: 8 values, from 95 to 3,092 passages."""

INDEX, IDS, METADATA, STAMP = "sotu.index", "sotu.ids.json", "sotu.metadata.jsonl", "built.json"


@dataclass(frozen=True)
class Question:
    """One of the shipped questions, already embedded with the model that embedded the passages."""

    text: str
    vector: npt.NDArray[np.float32]
    """Shape (384,), unit length."""


def build(work_dir: Path) -> Path:
    """Make sure ``work_dir/source`` holds the index and its sidecars, and return that folder.

    Built in a temporary folder and renamed, so what is there is whole; a second call finds it and does nothing.
    """
    source, fingerprint = work_dir / "source", _fingerprint()
    if _is_built(source, fingerprint):
        return source
    work_dir.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix="building-", dir=work_dir))
    try:
        _write(fresh, fingerprint)
        shutil.rmtree(source, ignore_errors=True)
        _publish(fresh, source, fingerprint)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return source


def endpoints(work_dir: Path, collection: str = "sotu") -> tuple[str, str]:
    """Return the demo's source and, as its target, ``collection`` in a Milvus Lite file."""
    source = work_dir / "source"
    sidecars = {"ids": str(source / IDS), "metadata": str(source / METADATA), "metric": "cosine"}
    return (
        render(Endpoint("faiss", str(source / INDEX), sidecars)),
        render(Endpoint("milvus", collection, {"uri": str(work_dir / "demo.db")})),
    )


def questions() -> list[Question]:
    """Return the shipped questions with their vectors."""
    return [Question(item["query"], np.asarray(item["vector"], np.float32)) for item in json.loads(QUESTIONS.read_text("utf-8"))]


def texts(ids: set[str]) -> dict[str, dict[str, Any]]:
    """Return the metadata of the passages ``ids``, read from the shipped file."""
    table = pq.read_table(PASSAGES, columns=["id", "metadata"])
    rows = zip(table["id"].to_pylist(), table["metadata"].to_pylist(), strict=True)
    return {key: json.loads(metadata) for key, metadata in rows if key in ids}


def _fingerprint() -> str:
    return hashlib.sha256(PASSAGES.read_bytes() + Path(__file__).read_bytes()).hexdigest()


def _is_built(source: Path, fingerprint: str) -> bool:
    try:
        stamp = json.loads((source / STAMP).read_text("utf-8"))
        sizes = {name: (source / name).stat().st_size for name in (INDEX, IDS, METADATA)}
    except (OSError, ValueError):
        return False
    return bool(stamp == {"fingerprint": fingerprint, "bytes": sizes})


def _write(folder: Path, fingerprint: str) -> None:
    table = pq.read_table(PASSAGES)
    index = faiss.IndexFlatIP(384)  # inner product of unit vectors is their cosine
    index.add(_matrix(table))
    faiss.write_index(index, str(folder / INDEX))
    (folder / IDS).write_text(json.dumps(table["id"].to_pylist()), "utf-8")
    (folder / METADATA).write_text("".join(f"{line}\n" for line in table["metadata"].to_pylist()), "utf-8")
    sizes = {name: (folder / name).stat().st_size for name in (INDEX, IDS, METADATA)}
    (folder / STAMP).write_text(json.dumps({"fingerprint": fingerprint, "bytes": sizes}), "utf-8")


def _matrix(table: pa.Table) -> npt.NDArray[np.float32]:
    flat = table["values"].combine_chunks().flatten().to_numpy()
    return np.ascontiguousarray(flat, np.float32).reshape(table.num_rows, -1)


def _publish(fresh: Path, source: Path, fingerprint: str) -> None:
    try:
        fresh.replace(source)
    except OSError:
        if not _is_built(source, fingerprint):  # otherwise another process was quicker
            raise
