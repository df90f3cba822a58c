"""Writes to one client in a thread of its own: a client that does not read keeps nobody else waiting."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_PIECES = 512
"""Pieces in one call of sendmsg; systems take 1,024."""
_LAST_WORDS_SECONDS = 1.0
"""For a client to take what is still to be written when its connection ends."""


class Writer:
    """What is put is written in its order. Once the client takes nothing more, the connection is broken, and what is put is dropped."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client
        self._waiting: deque[bytes | memoryview] = deque()
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._write, name="local-pinecone-http2-writer", daemon=True)
        self._thread.start()

    def put(self, pieces: Iterable[bytes | memoryview]) -> None:
        """Write ``pieces`` when their turn comes."""
        with self._changed:
            if not self._ended:
                self._waiting += pieces
                self._changed.notify_all()

    def close(self) -> None:
        """Write what is left, if the client takes it soon, and break the connection. Safe twice."""
        self._end()
        self._thread.join(_LAST_WORDS_SECONDS)
        hang_up(self._client)
        self._thread.join()

    def _end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _write(self) -> None:
        with contextlib.suppress(OSError):
            while pieces := self._next():
                self._send(pieces)
        self._end()
        hang_up(self._client)

    def _next(self) -> list[bytes | memoryview]:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ended)
            return [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST_PIECES))]

    def _send(self, pieces: list[bytes | memoryview]) -> None:
        sent = self._client.sendmsg(pieces)
        for place, piece in enumerate(pieces):  # nearly always all at once
            if sent < len(piece):
                self._client.sendall(b"".join([memoryview(piece)[sent:], *pieces[place + 1 :]]))
                return
            sent -= len(piece)


def hang_up(client: socket.socket, how: int = socket.SHUT_RDWR) -> None:
    """Break a connection, which wakes the threads that wait for it."""
    with contextlib.suppress(OSError):
        client.shutdown(how)
