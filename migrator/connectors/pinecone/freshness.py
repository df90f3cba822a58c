"""Waiting until reads see the writes: serverless indexes are eventually consistent, and a proof that reads too early sees loss."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from migrator.connectors.pinecone.connection import id_of_no_record
from migrator.errors import PermanentError, TransientError

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from migrator.connectors.pinecone.connection import Connection

TIMEOUT = 600.0
"""Seconds without any progress."""
_PAUSES = (0.02, 2.0)
_PROBE = 5.0
"""Seconds without progress after which a write of no effect tells whether the log is still the one that was written to."""
_ABSENT = 60.0
"""Seconds without progress after which a namespace that does not exist will not appear any more."""
_BEHIND = 30.0
"""Seconds by which one replica of an index may be behind another that was asked before."""
_STILL = 3
"""Times in a row that an index's counts must be the same, where it names no log positions."""
_STILL_PAUSE = 0.5


def wait_until_visible(connection: Connection, pool: Executor) -> None:
    """Return once everything written over this connection can be read. Raise ``TransientError`` when it takes too long."""
    written = sorted(connection.plane.marks.written.items())
    said = [position is not None for _, position in written]
    said += pool.map(lambda mark: _reached(connection, *mark), [(name, position) for name, position in written if position is not None])
    if not all(said) and not connection.index.pod:  # pods read what they wrote
        _wait_for_still_counts(connection)


def wait_until_counted(connection: Connection, records: int) -> None:
    """Return once the index counts ``records``: what an import brought appears some time after it is done.

    Return as well when the count stood still for ``TIMEOUT`` seconds below that: it is the proof that judges then.
    """
    pause, longest = _PAUSES
    best, end = -1, time.monotonic() + TIMEOUT
    while (counted := sum(connection.querying.run(connection.plane.stats).namespaces.values())) < records:
        if counted > best:
            best, end = counted, time.monotonic() + TIMEOUT
        if time.monotonic() > end:
            return
        time.sleep(pause)
        pause = min(pause * 1.5, longest)


def _reached(connection: Connection, namespace: str, written: int) -> bool:
    """Wait until reads of ``namespace`` are as fresh as its last write; return False when they do not say."""
    pause, longest = _PAUSES
    best, since = -1, time.monotonic()
    probed = since
    while True:
        indexed = connection.fetching.run(lambda: connection.plane.indexed(namespace))
        if indexed is None:
            return False
        if indexed >= written:
            connection.plane.marks.seen[namespace] = indexed
            return True
        now = time.monotonic()
        if indexed > best:
            best, since, probed = indexed, now, now
        if now > since + TIMEOUT:
            message = f"index {connection.index.name} still reads namespace {namespace!r} as it was before the last writes ({indexed} of {written})"
            raise TransientError(message, fix="resume later; nothing that was written is lost")
        if now > probed + _PROBE:
            _probe(connection, namespace, patient=now < since + _ABSENT)
            probed = now
        time.sleep(pause)
        pause = min(pause * 1.5, longest)


def _probe(connection: Connection, namespace: str, *, patient: bool) -> None:
    """Make a write without effect: its place in the log says whether it is the log that was written to before. Raise ``PermanentError`` when not."""
    try:
        connection.fetching.run(lambda: connection.plane.delete(namespace, [id_of_no_record()]))
    except PermanentError as error:
        if error.code != "not_found":
            raise
        if not patient:
            message = f"namespace {namespace!r} of index {connection.index.name}, which records were written to, is not there any more"
            raise PermanentError(message, fix="copy anew, as another run", code="target_gone") from error


def check_log(connection: Connection) -> None:
    """Raise ``PermanentError`` when the index is another than the one whose log was seen before: made anew, it lacks what was written."""
    seen = connection.plane.marks.seen
    if not seen:
        return
    namespace, before = next(iter(seen.items()))
    end = time.monotonic() + _BEHIND
    while (indexed := connection.fetching.run(lambda: connection.plane.indexed(namespace))) is not None and indexed < before:
        if time.monotonic() > end:
            connection.plane.marks.check(namespace, indexed, before)
        time.sleep(_PAUSES[1])


def _wait_for_still_counts(connection: Connection) -> None:
    """Wait until the index's counts no longer change."""
    before, same, end = None, 0, time.monotonic() + TIMEOUT
    while same < _STILL:
        counts = dict(connection.querying.run(connection.plane.stats).namespaces)
        same = same + 1 if counts == before else 0
        before = counts
        if time.monotonic() > end:
            raise TransientError(f"the counts of index {connection.index.name} keep changing", fix="stop other writers, then resume")
        time.sleep(_STILL_PAUSE)
