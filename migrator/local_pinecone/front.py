"""The front: listening ports that speak HTTP/1.1 and gRPC at once, as Pinecone's hosts do.

Both are told apart by the first bytes, which are looked at and left in the socket. An HTTP/1.1 connection is handed to uvicorn's protocol on
this thread's event loop. A connection that begins as HTTP/2 does (RFC 9113, 3.4) gets a thread of its own, which reads it; the calls in it are
answered by a few more. No gRPC server could adopt an accepted connection, and passing its bytes on to one costs as much as answering.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from uvicorn import Config
from uvicorn.server import ServerState

from migrator.local_pinecone.http2 import Http2Connection

if TYPE_CHECKING:
    from collections.abc import Callable

    from migrator.local_pinecone.http2 import Request, Response

_PREFACE = b"PRI "
_REQUEST_LINE = 4 << 20
"""Bytes: ``fetch`` carries up to 1,000 ids of 512 characters in its URL."""
_KEEP_ALIVE = 120
"""Seconds: longer than any client keeps an idle connection, so that none meets one just closed."""
_STOP_SECONDS = 5.0
_WORKERS = 4
"""Threads that answer HTTP/2 requests, of all ports together."""


@dataclass(frozen=True)
class Site:
    """What answers on one port: an ASGI application, and what answers HTTP/2 if that is spoken here."""

    application: Any
    http2: Callable[[Request], Response] | None = None


class Front:
    """Listening ports on ``host`` and one thread that accepts for all of them. Only ``open`` may be called from that thread itself."""

    def __init__(self, host: str) -> None:
        self.host = host
        self._loop = asyncio.new_event_loop()
        self._lock = threading.Lock()
        self._stopping = False
        self._listeners: dict[int, socket.socket] = {}
        self._waiting: set[socket.socket] = set()
        self._http2: dict[threading.Thread, Http2Connection] = {}
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="local-pinecone-rpc")
        self._tasks: set[asyncio.Task[Any]] = set()
        self._state = ServerState()
        self._thread = threading.Thread(target=self._loop.run_forever, name="local-pinecone-front", daemon=True)
        self._thread.start()

    def open(self, site: Site, port: int = 0) -> int:
        """Listen on ``port`` (0: a free one) for ``site`` and return the port. Raise ``OSError`` when it is taken."""
        listener = socket.create_server((self.host, port), backlog=128)
        listener.settimeout(0)
        number: int = listener.getsockname()[1]
        config = Config(
            site.application,
            lifespan="off",
            ws="none",
            http="h11",
            log_config=None,
            access_log=False,
            timeout_keep_alive=_KEEP_ALIVE,
            h11_max_incomplete_event_size=_REQUEST_LINE,
        )
        config.load()
        with self._lock:
            self._listeners[number] = listener
        self._loop.call_soon_threadsafe(self._listen, listener, site, config)
        return number

    def close(self, port: int) -> None:
        """Listen on ``port`` no more; its open connections end when their clients close them."""
        with self._lock:
            listener = self._listeners.pop(port, None)
        if listener is not None:
            asyncio.run_coroutine_threadsafe(self._forget(listener), self._loop).result()

    def stop(self) -> None:
        """Close all ports and connections and end all threads."""
        for port in list(self._listeners):
            self.close(port)
        asyncio.run_coroutine_threadsafe(self._finish(), self._loop).result()
        with self._lock:
            self._stopping = True
            connections = dict(self._http2)
        for connection in connections.values():
            connection.end()
        for thread in connections:
            thread.join()
        self._workers.shutdown()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _finish(self) -> None:
        for client in list(self._waiting):
            self._loop.remove_reader(client)
            client.close()
        for connection in list(self._state.connections):
            connection.shutdown()  # type: ignore[no-untyped-call, unused-ignore]
        running = {*self._tasks, *self._state.tasks}
        if running:
            await asyncio.wait(running, timeout=_STOP_SECONDS)
        for connection in list(self._state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)
        await self._loop.shutdown_asyncgens()
        await self._loop.shutdown_default_executor()

    def _listen(self, listener: socket.socket, site: Site, config: Config) -> None:
        self._loop.add_reader(listener, self._accept, listener, site, config)

    async def _forget(self, listener: socket.socket) -> None:
        self._loop.remove_reader(listener)
        listener.close()

    def _accept(self, listener: socket.socket, site: Site, config: Config) -> None:
        try:
            client, _ = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        client.settimeout(0)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._await_first_bytes(client, site, config)

    def _await_first_bytes(self, client: socket.socket, site: Site, config: Config) -> None:
        if client.fileno() < 0:  # closed meanwhile, because the front stops
            return
        self._waiting.add(client)
        self._loop.add_reader(client, self._look, client, site, config)

    def _look(self, client: socket.socket, site: Site, config: Config) -> None:
        """Look at a connection's first bytes and give it to whom it wants."""
        self._loop.remove_reader(client)
        try:
            start = client.recv(len(_PREFACE), socket.MSG_PEEK)
        except OSError:
            start = b""
        if start and start != _PREFACE and _PREFACE.startswith(start):  # torn: the rest is on its way
            self._loop.call_later(0.01, self._await_first_bytes, client, site, config)
            return
        self._waiting.discard(client)
        if start == _PREFACE and site.http2 is not None:
            self._serve_http2(client, site.http2)
        elif not start or start == _PREFACE:
            client.close()
        else:
            task = self._loop.create_task(self._serve_http(client, config))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve_http(self, client: socket.socket, config: Config) -> None:
        protocol: Any = config.http_protocol_class
        await self._loop.connect_accepted_socket(lambda: protocol(config=config, server_state=self._state, app_state={}, _loop=self._loop), client)

    def _serve_http2(self, client: socket.socket, answer: Callable[[Request], Response]) -> None:
        client.settimeout(None)
        connection = Http2Connection(client, answer, self._workers)

        def serve() -> None:
            with client:
                connection.serve()
            with self._lock:
                self._http2.pop(thread, None)

        thread = threading.Thread(target=serve, name="local-pinecone-http2", daemon=True)
        with self._lock:
            if self._stopping:
                client.close()
                return
            self._http2[thread] = connection
        thread.start()
