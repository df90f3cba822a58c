"""A running local service, and gRPC calls on it with the raw messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest

from migrator.local_pinecone.engine import Definition, Deployment, Settings, vector_fields
from migrator.local_pinecone.server import Server, running
from migrator.pinecone_protocol import messages

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVERLESS = Deployment("serverless", cloud="aws", region="us-east-1")
PODS = Deployment("pod", environment="us-east1-gcp")


@pytest.fixture
def server() -> Iterator[Server]:
    with running(Settings()) as server:
        yield server


class Caller:
    """One gRPC connection to an index."""

    def __init__(self, url: str, key: str | None = "any") -> None:
        self.channel = grpc.insecure_channel(url.removeprefix("http://"), options=[("grpc.max_receive_message_length", -1)])
        self.key = key
        self.headers: dict[str, str] = {}

    def __call__(self, method: str, **fields: Any) -> Any:
        """Call ``method`` with a request of ``fields`` and return the answer; its headers are in ``headers``."""
        request = messages.METHODS[method][0](**fields)
        return messages.METHODS[method][1].FromString(self.send(method, request.SerializeToString()))

    def send(self, method: str, wire: bytes) -> bytes:
        call = self.channel.unary_unary(messages.path(method))
        metadata = [] if self.key is None else [("api-key", self.key)]
        answer, told = call.with_call(wire, metadata=metadata, timeout=30)
        self.headers = dict(told.initial_metadata())
        return answer


@pytest.fixture
def caller(server: Server) -> Iterator[Caller]:
    """A connection to a new serverless index ``a`` of 3 components."""
    caller = Caller(make_index(server, "a"))
    yield caller
    caller.channel.close()


def make_index(server: Server, name: str, *, deployment: Deployment = SERVERLESS, kind: str = "dense", metric: str = "cosine", dimension: int = 3) -> str:
    """Create an index and return its address."""
    server.engine.create(Definition(name, deployment, vector_fields(kind, None if kind == "sparse" else dimension, metric)))
    return server.host_of(name)
