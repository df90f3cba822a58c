"""needledb, a Pinecone-shaped server by somebody else: the same random operations on both must give the same answers."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest

from migrator.local_pinecone.engine import Definition, Deployment, vector_fields
from migrator.local_pinecone.server import Server, running
from tests.outside.environments import python_with
from tests.servers import free_port, wait_until
from tests.servers import running as process

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

NAMESPACES = ("", "a", "with space")
WORDS = ("red", "green", "blue", "第一")
FIELDS = ("color", "year", "score", "ok", "tags")
OPERATIONS = 150


@pytest.fixture(scope="module")
def needledb() -> Iterator[str]:
    """The address of a running needledb."""
    interpreter = python_with("needledb")
    with tempfile.TemporaryDirectory(prefix="needledb-") as folder:
        port, log = free_port(), Path(folder) / "log"
        command = [str(interpreter), "-m", "needledb", "serve", "--no-auth", "--host", "127.0.0.1", "--port", str(port), "--data", f"{folder}/data"]
        with process(command, log) as running_process:
            wait_until(lambda: answers(port), running_process, log)
            yield f"http://127.0.0.1:{port}"


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health").is_success
    except httpx.TransportError:
        return False


class Both:
    """The two servers, asked the same."""

    def __init__(self, ours: str, theirs: str) -> None:
        self.sides = [httpx.Client(base_url=url, headers={"Api-Key": "k"}, timeout=60) for url in (ours, theirs)]

    def post(self, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
        return [self.read(side.post(path, json=body), body) for side in self.sides]

    def get(self, path: str, **query: Any) -> list[dict[str, Any]]:
        return [self.read(side.get(path, params=query), query) for side in self.sides]

    @staticmethod
    def read(answer: httpx.Response, asked: Any) -> dict[str, Any]:
        assert answer.is_success, f"{answer.request.url} said {answer.text} to {asked}"
        return answer.json()


class Moves:
    """Random operations on an index of ``dimension``; remembers only which ids are there."""

    def __init__(self, seed: int, dimension: int) -> None:
        self.random = random.Random(seed)
        self.dimension = dimension
        self.there: dict[str, set[str]] = {}

    def vector(self) -> list[float]:
        return [self.random.gauss(0, 1) for _ in range(self.dimension)]

    def metadata(self) -> dict[str, Any]:
        choices: dict[str, Any] = {
            "color": self.random.choice(WORDS),
            "year": self.random.randint(1990, 1999),
            "score": round(self.random.random(), 2),
            "ok": self.random.random() < 0.5,
            "tags": self.random.sample(WORDS, self.random.randint(1, 3)),
        }
        return {name: choices[name] for name in FIELDS if self.random.random() < 0.8} or {"color": "red"}

    def condition(self) -> dict[str, Any]:
        comparison = self.random.choice(("$gt", "$gte", "$lt", "$lte"))
        choices: list[dict[str, Any]] = [
            {"color": self.random.choice(WORDS)},
            {"color": {"$ne": self.random.choice(WORDS)}},
            {"year": {comparison: self.random.randint(1990, 1999)}},
            {"score": {comparison: self.random.random()}},
            {"year": {"$in": [self.random.randint(1990, 1999) for _ in range(3)]}},
            {"color": {"$nin": self.random.sample(WORDS, 2)}},
            {"ok": {"$eq": self.random.random() < 0.5}},
            {"tags": {"$in": self.random.sample(WORDS, 2)}},
            {"tags": self.random.choice(WORDS)},
            {self.random.choice(FIELDS): {"$exists": self.random.random() < 0.5}},
        ]
        return self.random.choice(choices)

    def filter(self) -> dict[str, Any]:
        joined = self.random.choice(("$and", "$or", ""))
        return {joined: [self.condition() for _ in range(self.random.randint(1, 3))]} if joined else self.condition()

    def namespace(self) -> str:
        """Return a namespace that exists: what others answer about one that does not differs."""
        return self.random.choice([name for name, ids in self.there.items() if ids])

    def some_ids(self, namespace: str, count: int) -> list[str]:
        return self.random.sample(sorted(self.there[namespace]), min(count, len(self.there[namespace])))


def upsert(both: Both, moves: Moves) -> None:
    namespace = moves.random.choice(NAMESPACES)
    ids = {f"id-{moves.random.randint(0, 60):02}" for _ in range(moves.random.randint(1, 12))}
    vectors: list[dict[str, Any]] = [{"id": name, "values": moves.vector()} for name in sorted(ids)]
    for vector in vectors:
        if moves.random.random() < 0.9:
            vector["metadata"] = moves.metadata()
    ours, theirs = both.post("/vectors/upsert", {"vectors": vectors, "namespace": namespace})
    assert ours == theirs
    moves.there.setdefault(namespace, set()).update(ids)


def fetch(both: Both, moves: Moves) -> None:
    namespace = moves.namespace()
    ours, theirs = both.get("/vectors/fetch", ids=[*moves.some_ids(namespace, 5), "absent"], namespace=namespace)
    assert records(ours) == records(theirs)
    for name, one in ours["vectors"].items():  # they keep a vector normalised for cosine, and lose its last bit
        assert np.allclose(one["values"], theirs["vectors"][name]["values"], rtol=1e-5, atol=1e-7)


def records(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: (one["id"], one.get("metadata") or None) for name, one in answer["vectors"].items()}


def query(both: Both, moves: Moves) -> None:
    namespace = moves.namespace()
    asked: dict[str, Any] = {"topK": moves.random.randint(1, 30), "namespace": namespace, "includeMetadata": True}
    asked |= {"id": moves.some_ids(namespace, 1)[0]} if moves.random.random() < 0.3 else {"vector": moves.vector()}
    if moves.random.random() < 0.7:
        asked["filter"] = moves.filter()
    ours, theirs = both.post("/query", asked)
    assert [(one["id"], one.get("metadata") or None) for one in ours["matches"]] == [(one["id"], one.get("metadata") or None) for one in theirs["matches"]], (
        asked
    )
    assert [one["score"] for one in ours["matches"]] == pytest.approx([one["score"] for one in theirs["matches"]], rel=1e-3, abs=1e-4), asked


def update(both: Both, moves: Moves) -> None:
    namespace = moves.namespace()
    change: dict[str, Any] = {"id": moves.some_ids(namespace, 1)[0], "namespace": namespace}
    if moves.random.random() < 0.5:
        change["values"] = moves.vector()
    change["setMetadata"] = moves.metadata()
    both.post("/vectors/update", change)


def delete(both: Both, moves: Moves) -> None:
    namespace = moves.namespace()
    if moves.random.random() < 0.7:
        ids = moves.some_ids(namespace, 3)
        both.post("/vectors/delete", {"ids": ids, "namespace": namespace})
        moves.there[namespace] -= set(ids)
    else:
        both.post("/vectors/delete", {"filter": {"$and": [moves.condition(), moves.condition()]}, "namespace": namespace})
        moves.there[namespace] = set(listed(both, namespace))


def list_ids(both: Both, moves: Moves) -> None:
    namespace = moves.namespace()
    assert listed(both, namespace) == sorted(moves.there[namespace])


def listed(both: Both, namespace: str) -> list[str]:
    """Return every id of a namespace, page by page."""
    answers = []
    for side in both.sides:
        ids: list[str] = []
        token: str | None = None
        while token is None or token:
            query = {"namespace": namespace, "prefix": "id-", "limit": 20} | ({"paginationToken": token} if token else {})
            page = both.read(side.get("/vectors/list", params=query), query)
            ids += [one["id"] for one in page["vectors"]]
            token = (page.get("pagination") or {}).get("next", "")
        answers.append(ids)
    assert answers[0] == answers[1]
    return answers[0]


def stats(both: Both, moves: Moves) -> None:
    ours, theirs = both.post("/describe_index_stats", {})
    counted = [
        {name.replace("__default__", ""): one["vectorCount"] for name, one in side["namespaces"].items() if one["vectorCount"]} for side in (ours, theirs)
    ]
    assert counted[0] == counted[1] == {name: len(ids) for name, ids in moves.there.items() if ids}
    assert (ours["dimension"], ours["totalVectorCount"]) == (theirs["dimension"], theirs["totalVectorCount"])


@pytest.mark.parametrize("seed", range(6))
def test_both_answer_alike(needledb: str, seed: int) -> None:
    metric, dimension = ("cosine", "dotproduct", "euclidean")[seed % 3], (3, 17)[seed % 2]
    name = f"seed-{seed}"
    httpx.post(f"{needledb}/indexes", json={"name": name, "dimension": dimension, "metric": metric}).raise_for_status()
    with running() as server:
        both = Both(create(server, name, dimension, metric), f"{needledb}/indexes/{name}")
        moves = Moves(seed, dimension)
        for _ in range(OPERATIONS):
            if not any(moves.there.values()):
                upsert(both, moves)
            move = moves.random.choices((upsert, fetch, query, update, delete, list_ids, stats), (6, 3, 8, 3, 2, 1, 1))[0]
            move(both, moves)


def create(server: Server, name: str, dimension: int, metric: str) -> str:
    server.engine.create(Definition(name, Deployment("serverless", cloud="aws", region="us-east-1"), vector_fields("dense", dimension, metric)))
    return server.host_of(name)
