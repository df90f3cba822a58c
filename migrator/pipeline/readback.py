"""Reads each chunk back from the target once it is written, and writes it again where it is not there as it was meant to be."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from migrator import retry
from migrator.digest import hash_rows, namespace_digests
from migrator.errors import PermanentError, TransientError
from migrator.failpoints import failpoint
from migrator.pipeline.write import names_of

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping

    import pyarrow as pa

    from migrator.pipeline.prepare import Prepared
    from migrator.pipeline.write import ChunkWriter, Intend, Rows

_PAUSES = (0.05, 2.0)
_NAMED = 3
"""Records that the message of a batch that differs names."""


class Look(Protocol):
    """Returns what the target holds of ``batch``, written as ``part``, in any order; ``anew`` when it was asked before, so nothing remembered may count."""

    def __call__(self, batch: pa.RecordBatch, part: str, *, anew: bool) -> pa.RecordBatch: ...


@dataclass(frozen=True)
class ReadBack:
    """Writes chunks through ``inner``; one that is not found as it was written is written once more, and then ends the run."""

    inner: ChunkWriter
    look: Look
    patience: float
    """Seconds that a write may stay unseen before it counts as different."""
    stop: threading.Event
    log: Callable[[str, str], None]
    differed: Callable[[int], None]
    """Told how many records of a batch were not found as they were written."""

    def __call__(self, prepared: Prepared, part: str, ours: Rows | None = None, intend: Intend | None = None) -> Prepared:
        """Do what ``inner`` does, and return when the target shows all of it. Raise ``PermanentError`` (batch_differs) when it never does."""
        written = self.inner(prepared, part, ours, intend)
        wrong = self._wrong(written, part)
        if wrong:
            self.differed(len(wrong))
            self.log("warning", f"{_sentence(wrong, written, part)}: the batch is written once more")
            failpoint("before_rewrite")
            written = self.inner(written, part, np.ones(len(written.batch), np.bool_))
            wrong = self._wrong(written, part)
        if wrong:
            fix = "look at these records in the target, and who else writes to it; resume writes the batch again"
            raise PermanentError(f"{_sentence(wrong, written, part)}, and writing them again did not help", fix=fix, code="batch_differs")
        failpoint("read_back")
        return replace(written, verified=len(written.batch))

    def _wrong(self, written: Prepared, part: str) -> Mapping[tuple[str, str], str]:
        """Return (namespace, id) of the records that the target does not show as they were written, with what is wrong with each."""
        rest, end, pause, anew = written, time.monotonic() + self.patience, _PAUSES[0], False
        while len(rest.batch):
            found = retry.call(lambda rest=rest, anew=anew: self.look(rest.batch, part, anew=anew), stop=self.stop)  # type: ignore[misc]
            wrong = _compared(rest, found)
            if not wrong or time.monotonic() >= end:
                return wrong
            if self.stop.wait(pause):
                raise TransientError(f"stopped before part {part} could be read back", fix="resume the run")
            rest = rest.without(np.fromiter((name in wrong for name in names_of(rest.batch)), np.bool_, len(rest.batch)))
            pause, anew = min(2 * pause, _PAUSES[1]), True
        return {}


def _compared(written: Prepared, found: pa.RecordBatch) -> Mapping[tuple[str, str], str]:
    hashes = hash_rows(found)
    if namespace_digests(hashes, found.column("namespace")) == dict(written.digests):
        return {}
    expected = dict(zip(names_of(written.batch), map(bytes, written.hashes.rows), strict=True))
    wrong = dict.fromkeys(expected, "missing")
    seen: set[tuple[str, str]] = set()
    for name, digest in zip(names_of(found), map(bytes, hashes.rows), strict=True):
        if name in seen or name not in expected:
            wrong[name] = "twice" if name in seen else "never written"
        elif digest == expected[name]:
            del wrong[name]
        else:
            wrong[name] = "changed"
        seen.add(name)
    return wrong


def _sentence(wrong: Mapping[tuple[str, str], str], written: Prepared, part: str) -> str:
    shown = [f"{record!r}{f' in {namespace!r}' if namespace else ''} ({what})" for (namespace, record), what in list(wrong.items())[:_NAMED]]
    more = f" and {len(wrong) - _NAMED:,} more" if len(wrong) > _NAMED else ""
    return f"batch {part}: {len(wrong):,} of {len(written.batch):,} records are not in the target as they were written: {', '.join(shown)}{more}"
