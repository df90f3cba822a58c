"""Reads of a source only what the target does not hold: enough for a pass that looks for new records and not for changed ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from migrator.duplicates import hashed
from migrator.records import constant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    import numpy.typing as npt

    from migrator.follow.state import State
    from migrator.model import Chunk, Split
    from migrator.protocols import SelectiveReader
    from migrator.transform import Transform


@dataclass(frozen=True)
class UnknownOnly:
    """A source as its splits are read by such a pass."""

    source: SelectiveReader
    state: State
    transform: Transform
    """Selects and routes by id and namespace alone."""
    ids_only: bool
    """Whether the target's ids are unique over all namespaces."""

    def read(self, split: Split, cursor: str | None, records: int) -> Iterator[Chunk]:
        """Yield the rows of ``split``, known ones by name only."""
        return self.source.read_unknown(split, cursor, records, self._known)

    def _known(self, ids: Sequence[str], namespace: str) -> npt.NDArray[np.bool_]:
        names = pa.RecordBatch.from_arrays([pa.array(ids, pa.string()), constant(namespace, len(ids))], ["id", "namespace"])
        there = replace(self.transform, unstamps=False).route(names)
        keys = hashed(there.column("id"), there.column("namespace"), ids_only=self.ids_only)
        known = self.state.look_up(keys["low"], keys["high"])
        held = known.found & known.sure
        routable = self.transform.routable(names)
        return held if routable is None else held & routable
