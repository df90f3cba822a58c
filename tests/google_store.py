"""An emulator of Google Cloud Storage for tests (PyPI ``gcp-storage-emulator``). It asks nobody to sign in."""

from __future__ import annotations

import json
import sys
import tempfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.servers import HOST, free_port, running, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

_START = "import sys; from gcp_storage_emulator.server import create_server; create_server(sys.argv[1], int(sys.argv[2]), True).run()"


@dataclass(frozen=True)
class GoogleStore:
    """A running emulator with one bucket. Its own API, without pyarrow."""

    endpoint: str
    bucket: str = "test-bucket"

    def ask(self, path: str, data: bytes | None = None, kind: str = "application/octet-stream") -> bytes:
        request = urllib.request.Request(f"{self.endpoint}{path}", data, {"Content-Type": kind} if data else {})  # noqa: S310 (our own)
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            content: bytes = answer.read()
        return content

    def put(self, name: str, content: bytes) -> None:
        self.ask(f"/upload/storage/v1/b/{self.bucket}/o?uploadType=media&name={quote(name, safe='')}", content)

    def get(self, name: str) -> bytes:
        return self.ask(f"/storage/v1/b/{self.bucket}/o/{quote(name, safe='')}?alt=media")

    def names(self, prefix: str) -> list[str]:
        found = json.loads(self.ask(f"/storage/v1/b/{self.bucket}/o?prefix={quote(prefix, safe='')}"))
        return [item["name"] for item in found.get("items", [])]

    def ready(self) -> bool:
        try:
            self.ask("/storage/v1/b?project=tests", json.dumps({"name": self.bucket}).encode(), "application/json")
        except OSError:
            return False
        return True


@pytest.fixture(scope="session")
def google_store() -> Iterator[GoogleStore]:
    """A store that speaks Google's protocol."""
    port = free_port()
    store = GoogleStore(f"http://{HOST}:{port}")
    with tempfile.TemporaryDirectory(prefix="vm-gs-") as folder:
        log = Path(folder, "log")
        with running([sys.executable, "-c", _START, HOST, str(port)], log) as process:
            wait_until(store.ready, process, log)
            yield store
