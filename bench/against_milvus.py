"""What the migrator does with a real Milvus 2.3.5 and a real S3, against the SDK alone: both routes, dumping, exporting. Needs ``make dev``."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bench import measure
from bench.data import make_flat_index
from bench.measure import environment, median

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOOPS = ((1, 2_000), (2, 2_000), (2, 10_000), (4, 10_000))
"""Threads and rows an insert of the bare loops; the best of them counts."""
SIZES = ((20_000, 128), (50_000, 128), (100_000, 128), (50_000, 768), (200_000, 128))


def routes(folder: Path, scale: float, rounds: int) -> dict[str, Any]:
    """Both routes from a Faiss file at several sizes, against the best bare insert loop and the bare bulk insert of ready files; without and with proof."""
    results: dict[str, Any] = {}
    with servers(folder) as variables:
        for records, dimension in SIZES:
            rows = max(1_000, int(records * scale))
            index = folder / f"{rows}-{dimension}.index"
            make_flat_index(index, rows, dimension)
            results |= {f"{rows}x{dimension}_{name}": value for name, value in _routes(variables, index, rounds).items()}
            index.unlink()
    return results


def _routes(variables: dict[str, str], index: Path, rounds: int) -> dict[str, float]:
    loops: dict[tuple[int, int], list[float]] = {loop: [] for loop in LOOPS}
    bulk, direct, staged, direct_proven, staged_proven = [], [], [], [], []
    for number in range(rounds):
        for threads, batch in LOOPS:
            name = f"loop_{index.stem.replace('-', '_')}_{number}_{threads}_{batch}"
            loops[threads, batch].append(_bare(variables, "insert", str(index), name, str(threads), str(batch)))
        bulk.append(_bare(variables, "bulk", str(index), f"bulk_{index.stem.replace('-', '_')}_{number}"))
        for route, bare, proven in (("direct", direct, direct_proven), ("staged", staged, staged_proven)):
            said = copy(variables, index, f"{route}_{index.stem.replace('-', '_')}_{number}", route)
            bare.append(said["seconds"] - said["phases"]["verifying"])
            proven.append(said["seconds"])
    loop = min(median(taken) for taken in loops.values())
    return {
        "loop_seconds": loop,
        "bulk_seconds": median(bulk),
        "direct_seconds": median(direct),
        "staged_seconds": median(staged),
        "direct_proven_seconds": median(direct_proven),
        "staged_proven_seconds": median(staged_proven),
        "direct_to_loop": loop / median(direct),
        "staged_to_bulk": median(bulk) / median(staged),
        "staged_to_loop": loop / median(staged),
    }


def export(folder: Path, scale: float, rounds: int) -> dict[str, Any]:
    """100k x 128 of Milvus to Parquet, against the SDK's iterators on two threads and pyarrow; without and with proof."""
    rows, bare, ours, proven = int(100_000 * scale), [], [], []
    with servers(folder) as variables:
        index = folder / "export.index"
        make_flat_index(index, rows, 128)
        _bare(variables, "insert", str(index), "export", "2", "10000")
        for number in range(rounds):
            bare.append(_bare(variables, "read", "export", str(rows), str(folder / f"bare-{number}")))
            said = _run(variables, f"milvus:export?{_address(variables)}", f"parquet:{folder}/ours-{number}")
            ours.append(said["seconds"] - said["phases"]["verifying"])
            proven.append(said["seconds"])
    return {
        "records": rows,
        "bare_seconds": median(bare),
        "migrator_seconds": median(ours),
        "proven_seconds": median(proven),
        "ratio": median(bare) / median(ours),
    }


def dump(folder: Path, scale: float, rounds: int) -> dict[str, Any]:
    """1M x 128 of a Faiss file to NumPy files, against ``cp`` of the file; without and with proof."""
    index = folder / "dump.index"
    make_flat_index(index, int(1_000_000 * scale), 128)
    bare, ours, proven, variables = [], [], [], environment(folder)
    for number in range(rounds):
        bare.append(measure.run(["-c", COPY, str(index), str(folder / "copied")], variables).said["seconds"])
        (folder / "copied").unlink()
        target = folder / f"dump-{number}"
        said = _run(variables, f"faiss:{index}", f"numpy:{target}")
        shutil.rmtree(target)
        ours.append(said["seconds"] - said["phases"]["verifying"])
        proven.append(said["seconds"])
    return {"cp_seconds": median(bare), "migrator_seconds": median(ours), "proven_seconds": median(proven), "times_cp": median(ours) / median(bare)}


COPY = """
import json, subprocess, sys, time
started = time.perf_counter()
subprocess.run(["cp", sys.argv[1], sys.argv[2]], check=True)
print(json.dumps({"seconds": time.perf_counter() - started}))
"""


@contextmanager
def servers(folder: Path) -> Iterator[dict[str, str]]:
    """Run a Milvus over an S3, and give the variables of their clients."""
    from tests.servers import machine_lock, start_milvus, start_s3  # noqa: PLC0415 (development packages)

    with machine_lock("milvus"), start_s3(folder / "s3") as storage, start_milvus(folder / "milvus", storage) as server:
        told = {"uri": server.uri, "token": server.token, **asdict(storage)}
        secrets = {"MILVUS_TOKEN": server.token, "AWS_ACCESS_KEY_ID": storage.access_key, "AWS_SECRET_ACCESS_KEY": storage.secret_key}
        yield environment(folder) | secrets | {"BENCH_SERVER": json.dumps(told)}


def copy(variables: dict[str, str], index: Path, name: str, route: str) -> dict[str, Any]:
    """Copy ``index`` by ``route``; raise ``RuntimeError`` unless it is proven."""
    server = json.loads(variables["BENCH_SERVER"])
    staging = f"numpy:s3://{server['bucket']}/bench/{name}?endpoint={server['endpoint']}&region=us-east-1"
    words = ["--route", "staged", "--staging", staging] if route == "staged" else []
    return _run(variables, f"faiss:{index}", f"milvus:{name}?{_address(variables)}&index_type=FLAT", *words)


def _address(variables: dict[str, str]) -> str:
    return f"uri={json.loads(variables['BENCH_SERVER'])['uri']}&token=env:MILVUS_TOKEN"


def _run(variables: dict[str, str], source: str, target: str, *words: str) -> dict[str, Any]:
    said = measure.run(["-m", "migrator", "copy", source, target, *words, "--json"], variables).said
    if said["verdict"] != "proven":
        raise RuntimeError(f"the copy is {said['verdict']}, so its time means nothing")
    return said


def _bare(variables: dict[str, str], *words: str) -> float:
    return float(measure.run(["-m", "bench.milvus", *words], variables).said["seconds"])
