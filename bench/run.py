"""``python -m bench.run``: the migrator against the bare libraries, turn and turn about, as a table of medians and as JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import against_milvus, against_pinecone, against_reading, measure, undo_log
from bench.measure import IDLE, MEGABYTE, ROOT, environment, median

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen benchmarks; print a table on standard error and JSON on standard output."""
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="shrink every size by this factor (default 1)")
    parser.add_argument("--rounds", type=int, default=3, help="times each side runs (default 3)")
    parser.add_argument("--only", choices=sorted(BENCHMARKS), help="run one benchmark")
    chosen = parser.parse_args(arguments)
    if not 0 < chosen.scale <= 1 or chosen.rounds < 1:
        parser.error("--scale must lie above 0 and at most 1, --rounds must be at least 1")
    names = [chosen.only] if chosen.only else list(BENCHMARKS)
    with tempfile.TemporaryDirectory(prefix="migrator-bench-") as folder:
        results = {name: BENCHMARKS[name](Path(folder), chosen.scale, chosen.rounds) for name in names}
    machine = {"system": platform.platform(), "python": platform.python_version()}
    print(json.dumps({"machine": machine, "scale": chosen.scale, "rounds": chosen.rounds, "results": results}, indent=2))
    for name, result in results.items():
        print(table(name, result), file=sys.stderr)
    return 0


def faiss_to_parquet(folder: Path, scale: float, rounds: int) -> dict[str, Any]:
    """A flat index of 1M x 128 to Parquet, against pyarrow writing the same rows from memory."""
    index = make_index(folder, int(1_000_000 * scale), 128)
    return compare(index, "parquet", lambda place: f"parquet:{place}/copy", folder, rounds)


def faiss_to_milvus(folder: Path, scale: float, rounds: int) -> dict[str, Any]:
    """A flat index of 50k x 128 to Milvus Lite and proven, against a pymilvus insert loop without proof."""
    index = make_index(folder, int(50_000 * scale), 128)
    return compare(index, "milvus", lambda place: f"milvus:bench?uri={place}/copy.db", folder, rounds)


def memory(folder: Path, scale: float, rounds: int) -> dict[str, Any]:
    """Peak anonymous memory while a 2 GB index goes to Parquet, above that of the idle program."""
    index = make_index(folder, int(4_000_000 * scale), 128)
    idle, busy = [], []
    for number in range(rounds):
        idle.append(measure.run(["-c", IDLE], environment(folder), watch_memory=True).peak_bytes)
        target = folder / f"memory-{number}"
        busy.append(copy(index, f"parquet:{target}", folder, watch_memory=True).peak_bytes)
        shutil.rmtree(target)
    size = index.stat().st_size
    index.unlink()
    above = statistics.median(busy) - statistics.median(idle)
    return {
        "index_megabytes": size / MEGABYTE,
        "idle_megabytes": median(idle, MEGABYTE),
        "peak_megabytes": median(busy, MEGABYTE),
        "above_idle_megabytes": above / MEGABYTE,
    }


BENCHMARKS: dict[str, Callable[[Path, float, int], dict[str, Any]]] = {
    "parquet": faiss_to_parquet,
    "milvus": faiss_to_milvus,
    "memory": memory,
    "dump": against_milvus.dump,
    "milvus-routes": against_milvus.routes,
    "milvus-export": against_milvus.export,
    "undo-log": undo_log.noting,
    "pinecone": against_pinecone.copying,
    "pinecone-limits": against_pinecone.under_limits,
    "pinecone-memory": against_pinecone.memory,
    "batches": against_reading.batches,
    "proof": against_reading.proof,
    "proof-while-copying": against_reading.while_copying,
    "proof-memory": against_reading.memory,
    "rescan": against_reading.rescan,
}


def compare(index: Path, kind: str, target: Callable[[Path], str], folder: Path, rounds: int) -> dict[str, Any]:
    """Let the bare library and the migrator copy ``index`` in turns; return the medians and their ratios."""
    bare, whole, inside, ready = [], [], [], []
    phases: list[dict[str, float]] = []
    for number in range(rounds):
        with clean(folder / f"bare-{number}") as place:
            said = measure.run(["-m", "bench.baseline", kind, str(index), str(place / "bare.db")], environment(folder)).said
        bare.append(said["seconds"])
        ready.append(said.get("seconds_ready", said["seconds"]))
        with clean(folder / f"migrator-{number}") as place:
            copied = copy(index, target(place), folder)
        whole.append(copied.seconds)
        inside.append(copied.said["seconds"])
        phases.append(copied.said["phases"])
    records = copied.said["counts"]["copied"]
    index.unlink()
    return {
        "records": records,
        "bare_seconds": median(bare),
        "bare_ready_seconds": median(ready),
        "migrator_seconds": median(inside),
        "migrator_process_seconds": median(whole),
        **{f"phase_{name}_seconds": median([phase.get(name, 0.0) for phase in phases]) for name in phases[0]},
        "ratio": median(bare) / median(inside),
        "ratio_process": median(bare) / median(whole),
        "rounds": {"bare": bare, "migrator": inside, "migrator_process": whole, "phases": phases},
    }


@contextmanager
def clean(place: Path) -> Iterator[Path]:
    """Make a folder and remove it again, synced: or one side would wait for the other's files to reach the disk, or find memory taken by them."""
    place.mkdir()
    yield place
    shutil.rmtree(place)
    os.sync()


def copy(index: Path, target: str, folder: Path, *, watch_memory: bool = False) -> measure.Measured:
    """Copy and prove ``index``; raise ``RuntimeError`` unless the migrator says proven."""
    copied = measure.run(["-m", "migrator", "copy", f"faiss:{index}", target, "--json"], environment(folder), watch_memory=watch_memory)
    if copied.said["verdict"] != "proven":
        raise RuntimeError(f"the copy is {copied.said['verdict']}, so its time means nothing")
    return copied


def make_index(folder: Path, records: int, dimension: int) -> Path:
    """Return a new index, made in a process of its own so that its memory is gone when the clock starts."""
    path = folder / f"flat-{records}.index"
    program = f"from pathlib import Path; from bench.data import make_flat_index; make_flat_index(Path({str(path)!r}), {records}, {dimension})"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
    return path


def table(name: str, result: dict[str, Any]) -> str:
    """Return a result as lines of ``key value``."""
    lines = [f"  {key:<26}{value:>12,.2f}" for key, value in result.items() if isinstance(value, (int, float))]
    return "\n".join([name, *lines])


if __name__ == "__main__":
    sys.exit(main())
