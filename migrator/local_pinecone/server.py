"""The whole local service in this process: the control plane on one port, and each index on a port of its own.

An index needs its own port because every request to it is addressed by host alone, and ``127.0.0.1:P`` cannot tell two indexes apart; names
under ``.localhost`` could, but do not resolve everywhere. With ``data`` an index keeps its port across restarts, as long as it is free.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

import orjson

from migrator.errors import ConfigError
from migrator.local_pinecone import rest
from migrator.local_pinecone.engine import Engine, Settings
from migrator.local_pinecone.front import Front, Site
from migrator.local_pinecone.grpc_service import GrpcService

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOST = "127.0.0.1"


class Server:
    """A running local service. ``url`` is its control plane's address, ``engine`` its state and settings; both may be used from any thread."""

    def __init__(self, settings: Settings, data: Path | None, port: int) -> None:
        """Start to listen. Raise ``ConfigError`` when ``port`` is taken or ``data`` cannot be used."""
        self._lock = threading.Lock()
        self._ports: dict[str, int] = {}
        with contextlib.ExitStack() as opened:  # closes what is open already when something fails
            self.engine = Engine(settings, data)
            opened.callback(self.engine.close)
            self._port_file = data / "ports.json" if data is not None else None
            self._remembered: dict[str, int] = self._read_ports()
            self._front = Front(HOST)
            opened.callback(self._front.stop)
            self.url = f"http://{HOST}:{self._listen(port)}"
            self.engine.host_of = self.host_of
            for index in self._remembered:  # a client may know its host from before
                self.host_of(index)
            self._opened = opened.pop_all()

    def close(self) -> None:
        """Stop listening, end all connections, keep the data. Safe twice."""
        self._opened.close()

    def host_of(self, index: str) -> str:
        """Return the address of an index, which is listened on from now on."""
        with self._lock:
            if index not in self._ports:
                self._ports[index] = self._open(index)
                self._write_ports()
            return f"http://{HOST}:{self._ports[index]}"

    def _listen(self, port: int) -> int:
        try:
            return self._front.open(Site(rest.control_app(self.engine)), port)
        except (OSError, OverflowError) as error:
            raise ConfigError(f"port {port} cannot be used: {error}", fix="give another --port; 0 takes a free one", code="port_taken") from None

    def _open(self, index: str) -> int:
        site = Site(rest.data_app(self.engine, index), GrpcService(self.engine, lambda: self.engine.index(index)))
        if remembered := self._remembered.get(index):
            with contextlib.suppress(OSError):  # somebody else has it now
                return self._front.open(site, remembered)
        return self._front.open(site)

    def _read_ports(self) -> dict[str, int]:
        if self._port_file is None or not self._port_file.exists():
            return {}
        ports: dict[str, int] = orjson.loads(self._port_file.read_bytes())
        return {index: port for index, port in ports.items() if self.engine.has_index(index)}

    def _write_ports(self) -> None:
        if self._port_file is None:
            return
        written = self._port_file.with_suffix(".new")
        written.write_bytes(orjson.dumps({**self._remembered, **self._ports}))
        written.replace(self._port_file)


@contextlib.contextmanager
def running(settings: Settings | None = None, data: Path | None = None, port: int = 0) -> Iterator[Server]:
    """Run the local service in this process's threads: ``with running() as server: Pinecone(api_key="k", host=server.url)``."""
    server = Server(settings or Settings(), data, port)
    try:
        yield server
    finally:
        server.close()
