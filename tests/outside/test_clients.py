"""Clients that others wrote, let loose on the local service: the official Node client, and LangChain's Pinecone store."""

from __future__ import annotations

import pytest

from tests.outside.environments import PROGRAMS, node_with, python_with, run

pytestmark = pytest.mark.slow


def test_the_official_node_client(environment: dict[str, str]) -> None:
    folder = node_with("@pinecone-database/pinecone")
    assert "all as expected" in run(["node", PROGRAMS / "node_client.mjs"], NODE_CLIENT=f"{folder}/package.json", **environment)


def test_langchains_pinecone_store(environment: dict[str, str]) -> None:
    interpreter = python_with("langchain-pinecone")
    assert "all as expected" in run([interpreter, PROGRAMS / "langchain_store.py"], **environment)
