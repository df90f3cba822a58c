"""Asks the index itself: its own search, with the parameters saved in the file."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import numpy as np

from migrator.connectors.faiss.worker.index import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from migrator.connectors.faiss.worker.index import Loaded

_MOST_K = 16_384


def answer(loaded: Loaded, request: dict[str, Any]) -> Iterator[tuple[bytes, bytes]]:
    """Yield two frames: scores (float32) and labels (int64, -1 for none), each of shape (queries, k)."""
    dimension, k = int(loaded.owner.d), int(request["k"])
    queries = np.frombuffer(base64.b64decode(request["queries"]), np.float32).reshape(-1, dimension)
    if not 0 < k <= _MOST_K:
        raise RefusedError(f"it was asked for {k} neighbours, and {_MOST_K} is the most")
    scores, labels = loaded.owner.search(np.ascontiguousarray(queries), k)
    yield b"B", np.ascontiguousarray(scores, np.float32).tobytes()
    yield b"B", np.ascontiguousarray(labels, np.int64).tobytes()
