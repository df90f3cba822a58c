"""The local service the outside clients are let loose on, and the environment variables that lead them there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from migrator.local_pinecone.engine import Settings
from migrator.local_pinecone.server import Server, running

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = "outside-key"


@pytest.fixture(scope="module")
def service() -> Iterator[Server]:
    with running(Settings(api_keys={KEY})) as server:
        yield server


@pytest.fixture(scope="module")
def environment(service: Server) -> dict[str, str]:
    return {"PINECONE_CONTROLLER_HOST": service.url, "PINECONE_API_KEY": KEY, "PINECONE_GRPC_SCHEME": "http"}
