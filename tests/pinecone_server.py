"""A local Pinecone service for tests, one a process: every test works in indexes with names of its own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from migrator.local_pinecone.server import running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from migrator.local_pinecone.server import Server

KEY_VARIABLE = "MIGRATOR_TEST_PINECONE_KEY"
KEY = "key-of-the-tests"


@pytest.fixture(scope="session")
def pinecone_server() -> Iterator[Server]:
    """Yield a running local service."""
    os.environ[KEY_VARIABLE] = KEY
    with running() as server:
        yield server
