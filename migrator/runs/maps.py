"""The map of a run: a sample of both sides' vectors on the two axes along which the source's are spread most."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from migrator.errors import ConfigError
from migrator.runs import result, samples
from migrator.verify.projection import principal_axes

if TYPE_CHECKING:
    from migrator.runs.manager import Manager

RECORDS = 500
MOST_RECORDS = 5_000
"""Points beyond which a map shows no more, and takes long."""
FILE = "map.json"


class MapsOfRuns:
    """The maps of finished runs, each kept in its run's folder until the run is proven again."""

    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def known(self, run: str) -> dict[str, Any] | None:
        """Return the map that was drawn since the run's last proof, None when there is none."""
        try:
            kept = dict(json.loads((self._manager.folder(run) / FILE).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        return kept if kept["proof"] == self._proof(run) else None

    def cost(self, records: int = RECORDS) -> str:
        """Return what drawing a map reads, in a sentence."""
        most = f"at most {records * samples.LOOKED_THROUGH:,} where a filter leaves few"
        return f"Reads {records:,} records of the source, in up to {samples.PLACES} places ({most}), and looks the same ones up in the target."

    def draw(self, run: str, records: int = RECORDS) -> dict[str, Any]:
        """Read up to ``records`` records of the source, look the same ones up in the target, and return where their vectors lie.

        ``{"ids", "namespaces", "source": [[x, y]], "target": [[x, y] | None], "explained": [a, b], "equal", "absent", …}``: a place each for every
        record sampled, None where the target has no such record or no finite vector; ``explained`` are the axes' shares of the source's variance,
        ``equal`` and ``absent`` how many vectors are the same bit by bit and how many the target does not have. Raise ``ConfigError`` before the
        first proof, and for what has no vectors to draw.
        """
        if not 1 <= records <= MOST_RECORDS:
            raise ConfigError(f"a map of {records:,} records cannot be drawn", fix=f"take 1 to {MOST_RECORDS:,}", code="bad_option")
        proof, begun = self._proof(run), time.monotonic()
        if proof is None:
            raise ConfigError(f"run {run} has not been proven yet", fix=f"see: python -m migrator status {run}", code="no_result")
        plan = self._manager.plan(run)
        ours = samples.of_source(self._manager.ledger, run, plan, records)
        if not ours:
            raise ConfigError(
                "the source has no dense vectors to draw", fix="the map is of collections with values; sparse vectors have no place on it", code="no_vectors"
            )
        theirs = samples.of_target(plan, list(ours))
        drawn = _drawn(ours, theirs) | {"records": records, "proof": proof, "seconds": time.monotonic() - begun}
        folder = self._manager.folder(run)
        staged = folder / f"{FILE}.tmp"
        staged.write_text(json.dumps(drawn, ensure_ascii=False), encoding="utf-8")
        staged.replace(folder / FILE)
        return drawn

    def _proof(self, run: str) -> float | None:
        """Return which proof the run's result is of."""
        found = result.load(self._manager.folder(run))
        return None if found is None else float(found["finished"])


def _drawn(ours: samples.Vectors, theirs: samples.Vectors) -> dict[str, Any]:
    """Return both sides of a sample on the axes of the first."""
    vectors = np.stack(list(ours.values()))
    axes = principal_axes(vectors)
    there = [theirs.get(name) for name in ours]
    if (odd := next((found for found in there if found is not None and len(found) != vectors.shape[1]), None)) is not None:
        message = f"the source's vectors have {vectors.shape[1]:,} dimensions and the target's {len(odd):,}: they have no map in common"
        raise ConfigError(message, fix="compare collections of one dimension", code="dimension_differs")
    places = iter(axes.place(np.stack([found for found in there if found is not None])).tolist() if theirs else [])
    return {
        "ids": [record for _, record in ours],
        "namespaces": [namespace for namespace, _ in ours],
        "source": axes.place(vectors).tolist(),
        "target": [None if found is None else next(places) for found in there],
        "explained": list(axes.explained),
        "equal": sum(found is not None and found.tobytes() == vector.tobytes() for found, vector in zip(there, vectors, strict=True)),
        "absent": sum(found is None for found in there),
    }
