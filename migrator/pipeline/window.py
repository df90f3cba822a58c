"""A bound on the bytes between reading and writing, so that memory stays flat whatever the size of the source."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Window:
    """Lets chunks in while their bytes together stay under a limit; every user may always have one."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._used: dict[str, list[int]] = {}
        self._changed = threading.Condition()

    def enter(self, user: str, size: int, stopped: Callable[[], bool]) -> bool:
        """Wait until ``size`` bytes may be held for ``user``. Return False when ``stopped()`` came true meanwhile."""
        with self._changed:
            while self._used.get(user) and self._total() + size > self._limit:
                if stopped():
                    return False
                self._changed.wait(0.1)
            self._used.setdefault(user, []).append(size)
        return not stopped()

    def leave(self, user: str, size: int) -> None:
        """Give ``size`` bytes back."""
        with self._changed:
            self._used[user].remove(size)
            self._changed.notify_all()

    def forget(self, user: str) -> None:
        """Give back everything ``user`` still holds, when it ends early."""
        with self._changed:
            self._used.pop(user, None)
            self._changed.notify_all()

    def _total(self) -> int:
        return sum(sum(sizes) for sizes in self._used.values())
