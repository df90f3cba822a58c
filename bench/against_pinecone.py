"""What the migrator does with Pinecone, against the local one in a process of its own: speed, speed under the service's limits, memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bench import measure
from bench.measure import MEGABYTE, environment, median

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UPSERT_BYTES = 50_000_000
"""Bytes a second that a namespace takes."""
LIST_IDS = 20_000
"""Ids a second: 200 pages of 100."""
SCAN = """
import json, sys, time
from migrator.connectors import opened_source
from migrator.endpoints import parse
from migrator.model import Selection
with opened_source(parse(sys.argv[1])) as source:
    source.describe()
    started = time.perf_counter()
    ids = sum(len(batch) for split in source.splits(Selection(), 1) for batch in source.keys(split))
    print(json.dumps({"seconds": time.perf_counter() - started, "ids": ids}))
"""


def copying(folder: Path, scale: float, rounds: int) -> dict[str, Any]:
    """An index of 50k x 768 with metadata to another, proven, against the official client over REST and over gRPC without proof; one local server."""
    records, seconds = int(50_000 * scale), {"rest": list[float](), "grpc": list[float](), "migrator": list[float]()}
    copies = []
    variables = variables_of(folder)
    with local_pinecone(variables) as url:
        seed(variables, url, records, 768)
        for number in range(rounds):
            for how in ("rest", "grpc"):
                said = measure.run(["-m", "bench.pinecone", how, url, "source", f"{how}-{number}"], variables).said
                seconds[how].append(said["seconds"])
            copied = copy(variables, url, f"migrator-{number}").said
            seconds["migrator"].append(copied["seconds"])
            copies.append(copied["phases"]["copying"])
    middle = {how: median(taken) for how, taken in seconds.items()}
    return {
        "records": records,
        **{f"{how}_records_per_second": records / taken for how, taken in middle.items()},
        "copying_records_per_second": records / median(copies),
        "ratio_rest": middle["rest"] / middle["migrator"],
        "ratio_grpc": middle["grpc"] / middle["migrator"],
        "ratio_grpc_copying": middle["grpc"] / median(copies),
        "rounds": seconds,
    }


def under_limits(folder: Path, scale: float, rounds: int) -> dict[str, Any]:
    """200k x 768 into one namespace, and its ids listed, while the server holds to the service's limits: the share of each ceiling that is used."""
    records, variables = int(200_000 * scale), variables_of(folder)
    written, listed = [], []
    with local_pinecone(variables, "--rate-limits") as url:
        seed(variables, url, records, 768)
        for number in range(rounds):
            copied = copy(variables, url, f"copy-{number}").said
            written.append(4 * 768 * records / copied["phases"]["copying"])
            said = measure.run(["-c", SCAN, f"pinecone:source?controller={url}"], variables).said
            listed.append(said["ids"] / said["seconds"])
    return {
        "records": records,
        "megabytes_per_second": median(written, 1e6),
        "share_of_upserts": median(written, UPSERT_BYTES),
        "ids_per_second": median(listed),
        "share_of_lists": median(listed, LIST_IDS),
    }


def memory(folder: Path, scale: float, rounds: int) -> dict[str, Any]:
    """Peak anonymous memory of copying 100k and 1M records of 96 dimensions."""
    variables, peaks = variables_of(folder), {}
    for records in (int(100_000 * scale), int(1_000_000 * scale)):
        with local_pinecone(variables) as url:
            seed(variables, url, records, 96)
            peaks[records] = median([copy(variables, url, f"copy-{number}", watch_memory=True).peak_bytes for number in range(rounds)], MEGABYTE)
    return {**{f"peak_megabytes_{records}": peak for records, peak in peaks.items()}, "growth": max(peaks.values()) / min(peaks.values())}


def variables_of(folder: Path) -> dict[str, str]:
    """Return the environment of clients of a local Pinecone."""
    return environment(folder) | {"PINECONE_API_KEY": "bench", "PINECONE_GRPC_SCHEME": "http"}


def seed(variables: dict[str, str], url: str, records: int, dimension: int) -> None:
    """Fill an index ``source``."""
    measure.run(["-m", "bench.pinecone", "seed", url, "source", str(records), str(dimension)], variables)


def copy(variables: dict[str, str], url: str, target: str, *, watch_memory: bool = False) -> measure.Measured:
    """Copy and prove index ``source``; raise ``RuntimeError`` unless the migrator says proven."""
    ends = [f"pinecone:{name}?controller={url}" for name in ("source", target)]
    copied = measure.run(["-m", "migrator", "copy", *ends, "--json"], variables, watch_memory=watch_memory)
    if copied.said["verdict"] != "proven":
        raise RuntimeError(f"the copy is {copied.said['verdict']}, so its time means nothing")
    return copied


@contextmanager
def local_pinecone(variables: dict[str, str], *options: str) -> Iterator[str]:
    """Run the local Pinecone in a process of its own and give its address."""
    command = [sys.executable, "-m", "migrator", "local-pinecone", "--port", "0", "--json", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, **variables}) as process:
        try:
            yield json.loads(process.stdout.readline())["url"] if process.stdout else ""
        finally:
            process.terminate()
