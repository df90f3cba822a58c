"""One run at a time writes a dataset, or has it loaded: a lock the kernel keeps on a folder, and in a bucket an object that says whose the prefix is.

``pyarrow.fs`` has no conditional put, so that object is not one that only one run can create. Each run puts one of its own and then looks who
else has: S3 shows a completed put to every later listing, so of two runs at least one sees the other. Whoever sees another gives way, both
if need be. The object of a killed run stays; the same run takes it for its own, others are told whose it is.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pyarrow as pa

from migrator.datasets.failures import translated
from migrator.datasets.naming import STAGING_FOLDER
from migrator.datasets.places import make_folder, place_of
from migrator.errors import PermanentError, RunBusyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from migrator.datasets.places import Place
    from migrator.model import Endpoint

_PREFIX = f"{STAGING_FOLDER}/lock-"
_PAUSE_SECONDS = 0.3
"""Before looking again: a run that ends removes its staging folder, and a lock put into it at that moment with it."""
_TRIES = 3


def is_lock(path: str) -> bool:
    """Whether a file of a dataset is the lock of a run."""
    return path.startswith(_PREFIX)


def hold(place: Place, owner: str) -> Callable[[], None]:
    """Keep others out until the function returned is called; ``owner`` is the run. Raise ``RunBusyError`` when another run is at work there."""
    return _hold_folder(place) if place.local else _hold_prefix(place, owner)


def hold_endpoint(endpoint: Endpoint, run: str) -> Callable[[], None]:
    """Do the same where ``endpoint`` lies."""
    return hold(place_of(endpoint), run)


def _hold_folder(place: Place) -> Callable[[], None]:
    """Lock the folder itself, which leaves no file behind."""
    with translated(place.shown):
        if Path(place.root).exists() and not Path(place.root).is_dir():
            raise PermanentError(f"{place.shown} is not a folder", fix="choose another", code="not_a_folder")
        make_folder(Path(place.root))
        descriptor = os.open(place.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise RunBusyError(f"another run is at work in {place.shown}", fix="wait until it has ended, or choose another folder", code="target_busy") from None
    return lambda: os.close(descriptor)


def _hold_prefix(place: Place, owner: str) -> Callable[[], None]:
    own = f"{_PREFIX}{quote(owner, safe='')}.json"
    _refuse_another(place, own)  # most are met here, without a trace of this run
    for _ in range(_TRIES):
        since = datetime.now(UTC).isoformat(timespec="seconds")
        said = {"run": owner, "host": socket.gethostname(), "process": os.getpid(), "since": since}
        place.save(own, [pa.py_buffer(json.dumps(said).encode())])
        time.sleep(_PAUSE_SECONDS)
        try:
            if own in _refuse_another(place, own):
                return lambda: _release(place, own)
        except RunBusyError:
            _release(place, own)
            raise
    raise RunBusyError(f"other runs come and go in {place.shown}", fix="try again, or choose another prefix", code="target_busy")


def _refuse_another(place: Place, own: str) -> list[str]:
    """Return the locks there are. Raise ``RunBusyError`` when one of them is another run's."""
    locks = [path for path in map(place.relative, place.listing(STAGING_FOLDER)) if is_lock(path)]
    for path in locks:
        if path != own and (content := place.load(path)) is not None:
            raise _busy(place, path, content)
    return locks


def _busy(place: Place, path: str, content: bytes) -> RunBusyError:
    try:
        said = json.loads(content)
        who = f"run {said['run']} (on {said['host']}, process {said['process']}, since {said['since']})"
    except (ValueError, KeyError, TypeError):
        who = "another run"
    fix = f"wait until it has ended, or resume it; if it is gone for good, remove {place.show(path)}"
    return RunBusyError(f"{who} is at work in {place.shown}", fix=fix, code="target_busy")


def _release(place: Place, own: str) -> None:
    """Remove this run's lock; with it the staging folder when nothing else is in it, for which S3 would keep an empty object."""
    if [place.relative(info) for info in place.listing(STAGING_FOLDER)] in ([], [own]):
        place.remove_folder(STAGING_FOLDER)
    else:
        place.remove(own)
