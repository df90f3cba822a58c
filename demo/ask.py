"""Asks the demo's questions of both sides: exact truth from the Faiss file, answers from the collection it was copied to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import faiss
import numpy as np

from demo import build
from migrator import connectors, endpoints
from migrator.errors import ConfigError
from migrator.protocols import Searchable

if TYPE_CHECKING:
    from pathlib import Path

TOP = 5
SAME_SCORE = 1e-5
"""Float32 sums of 384 products in another order differ by less; passages that close are a tie."""

Ranked = list[tuple[str, float]]


@dataclass(frozen=True)
class Answer:
    """The best passages for one question, best first, as ``(id, cosine)``."""

    question: str
    exact: Ranked
    """From the source, every passage compared."""
    found: Ranked
    """From the target's own search."""

    @property
    def agrees(self) -> bool:
        """Whether both sides name the same passages with the same scores. Passages that tie may stand in any order,
        and one that only one side names must tie with the last place, where the cut may fall either way.
        """
        exact, found = dict(self.exact), dict(self.found)
        if not exact or not len(self.exact) == len(exact) == len(found) == len(self.found):
            return False
        last = self.exact[-1][1]
        descending = all(earlier[1] >= later[1] - SAME_SCORE for earlier, later in pairwise(self.found))
        scores = [(exact.get(key, last), found.get(key, last)) for key in exact | found]
        return descending and all(abs(one - other) <= SAME_SCORE for one, other in scores)


def ask(work_dir: Path, target: str) -> list[Answer]:
    """Return the answers of both sides to the shipped questions. ``target`` is the endpoint the demo was copied to."""
    questions = build.questions()
    vectors = np.stack([question.vector for question in questions])
    exact, found = _exact(work_dir / "source", vectors), _found(target, vectors)
    return [Answer(question.text, *sides) for question, *sides in zip(questions, exact, found, strict=True)]


def _exact(source: Path, vectors: np.ndarray) -> list[Ranked]:
    ids = json.loads((source / build.IDS).read_text("utf-8"))
    index = faiss.read_index(str(source / build.INDEX))  # our own file, so it may be read in this process
    scores, positions = index.search(vectors, TOP)
    return [[(ids[p], float(s)) for p, s in zip(*row, strict=True)] for row in zip(positions, scores, strict=True)]


def _found(target: str, vectors: np.ndarray) -> list[Ranked]:
    endpoint = endpoints.parse(target)
    collection = connectors.connector(endpoint.connector).open_source(endpoint)
    try:
        if not isinstance(collection, Searchable):
            raise ConfigError(f"{endpoint.connector} cannot be searched", fix="copy the demo into a store that answers queries", code="not_searchable")
        return collection.search(vectors.tolist(), TOP, None)
    finally:
        collection.close()
