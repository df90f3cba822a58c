"""Runs splits on threads of this process; the first failure stops the others after their current chunk."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")


def run(work: Callable[[T], None], items: Sequence[T], *, workers: int, stop: threading.Event, poll: Callable[[], None]) -> None:
    """Call ``work`` for every item on ``workers`` threads; raise the first error once all have stopped.

    ``poll`` is called about five times a second meanwhile, on the calling thread.
    """
    first: list[BaseException] = []
    lock = threading.Lock()

    def guarded(item: T) -> None:
        if stop.is_set():
            return
        try:
            work(item)
        except BaseException as error:  # noqa: BLE001 - raised again below, on the calling thread
            with lock:
                first.append(error)
            stop.set()

    with ThreadPoolExecutor(max(1, workers), thread_name_prefix="split") as pool:
        futures = [pool.submit(guarded, item) for item in items]
        try:
            for future in futures:
                while not wait([future], timeout=0.2).done:
                    poll()
        except BaseException:
            stop.set()
            raise
    if first:
        raise first[0]
