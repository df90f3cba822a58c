"""Today's way of copying a Pinecone index, for comparison: ``python -m bench.pinecone seed|rest|grpc URL SOURCE [TARGET]`` prints its seconds as JSON."""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
from pinecone import Pinecone

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

AT_ONCE = 100
"""Ids a fetch and records an upsert: what the tools of today use, and the examples of the documentation."""
THREADS = 8
WORDS = ("alpha", "bravo", "charlie", "delta", "echo", "foxtrot")


def client(url: str) -> Pinecone:
    """Return the official client of the server at ``url``."""
    return Pinecone(api_key="bench", host=url)


def seed(url: str, name: str, records: int, dimension: int) -> dict[str, float]:
    """Create index ``name`` and fill it with ``records`` random vectors and six metadata fields each."""
    pinecone = client(url)
    pinecone.create_index(name=name, dimension=dimension, metric="cosine", spec={"serverless": {"cloud": "aws", "region": "us-east-1"}})
    index = pinecone.index(name, grpc=True)
    generator = np.random.default_rng(records)
    started = time.perf_counter()
    for start in range(0, records, 500):
        block = range(start, min(start + 500, records))
        rows = generator.standard_normal((len(block), dimension), np.float32).tolist()
        index.upsert(vectors=[{"id": f"record-{n:07d}", "values": row, "metadata": metadata(n)} for n, row in zip(block, rows, strict=True)])
    return {"seconds": time.perf_counter() - started}


def metadata(number: int) -> dict[str, Any]:
    """Return the metadata of record ``number``: six fields of the kinds there are."""
    word = WORDS[number % len(WORDS)]
    return {"title": f"{word} {number}", "year": 1900 + number % 120, "score": number / 7, "open": number % 2 == 0, "tags": [word, "all"], "source": "bench"}


def copy(url: str, source: str, target: str, *, grpc: bool) -> dict[str, float]:
    """Copy index ``source`` to a new ``target`` with the official client: list, fetch 100, upsert 100, in 8 threads. Nothing is proven."""
    pinecone = client(url)
    described = pinecone.describe_index(source)
    reader = pinecone.index(source)
    started = time.perf_counter()
    pinecone.create_index(name=target, dimension=described.dimension, metric="cosine", spec={"serverless": {"cloud": "aws", "region": "us-east-1"}})
    inward, outward = (pinecone.index(name, grpc=True) for name in (source, target)) if grpc else (reader, pinecone.index(target))

    def move(ids: Sequence[str]) -> int:
        vectors = inward.fetch(ids=list(ids)).vectors.values()
        outward.upsert(vectors=[{"id": v.id, "values": v.values, "metadata": v.metadata} for v in vectors])
        return len(vectors)

    with ThreadPoolExecutor(THREADS) as pool:
        moved = sum(pool.map(move, pages(reader)))
    return {"seconds": time.perf_counter() - started, "records": moved}


def pages(index: Any) -> Iterator[list[str]]:
    """Yield the ids of ``index``, a page at a time."""
    for page in index.list():
        yield [item.id for item in page.vectors]


def main() -> None:
    """Do what the arguments say."""
    what, url, source, *rest = sys.argv[1:]
    said = seed(url, source, int(rest[0]), int(rest[1])) if what == "seed" else copy(url, source, rest[0], grpc=what == "grpc")
    print(json.dumps(said))


if __name__ == "__main__":
    main()
