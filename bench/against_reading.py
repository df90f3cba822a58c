"""What a proof costs: against just reading both sides, against the same copy without digests, in memory, and what is read a second time."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from bench import measure
from bench.against_pinecone import local_pinecone, variables_of
from bench.data import make_flat_index
from bench.measure import IDLE, MEGABYTE, environment, median

if TYPE_CHECKING:
    from pathlib import Path

SIZES = ((1_000_000, 128), (200_000, 768))
COPIES = (*((*size, ("parquet", "numpy")) for size in SIZES), (100_000, 128, ("milvus",)), (50_000, 768, ("milvus",)))
CHANGED = 10


def proof(folder: Path, scale: float, rounds: int) -> dict[str, Any]:
    """``verify`` of Parquet against Parquet, against reading both with the same reader; records with and without metadata."""
    results: dict[str, Any] = {}
    for size, dimension in SIZES:
        for metadata in ("bare", "metadata"):
            records = int(size * scale)
            pair = _pair(folder, records, dimension, metadata)
            results |= {f"{records}x{dimension}_{metadata}_{name}": value for name, value in _against_reading(pair, folder, rounds).items()}
            for place in pair:
                shutil.rmtree(place)
    return results


def _against_reading(pair: tuple[Path, Path], folder: Path, rounds: int) -> dict[str, float]:
    read, reading, whole, engine, used = [], [], [], [], list[float]()
    endpoints = [f"parquet:{place}" for place in pair]
    for _ in range(rounds):
        measured = measure.run(["-m", "bench.proving", "read", *endpoints], environment(folder))
        bare = measured.said
        read.append(bare["seconds"])
        reading.append(bare["reading"])
        verified = _verify(pair, folder)
        proven = verified.said
        used.append(measured.processor / verified.processor)
        whole.append(proven["seconds"])
        engine.append(proven["phases"]["verifying"])
    return {
        "read_seconds": median(read),
        "proof_seconds": median(whole),
        "ratio": median(read) / median(whole),
        "ratio_engine": median(reading) / median(engine),
        "ratio_processor": median(used),
    }


def while_copying(folder: Path, scale: float, rounds: int) -> dict[str, Any]:
    """Copies of a Faiss file with digests against the same copies with every hash a 0: what the digests of the first side of the proof cost."""
    results: dict[str, Any] = {}
    for size, dimension, kinds in COPIES:
        records = int(size * scale)
        index = folder / f"copied-{records}.index"
        make_flat_index(index, records, dimension)
        for kind in kinds:
            taken: dict[str, list[dict[str, float]]] = {"digests": [], "none": []}
            for number in range(rounds):
                for how, said in taken.items():
                    place = folder / f"{kind}-{how}-{number}.db"
                    target = f"milvus:copied?uri={place}" if kind == "milvus" else f"{kind}:{place}"
                    said.append(measure.run(["-m", "bench.proving", "copy", f"faiss:{index}", target, how], environment(folder)).said)
                    shutil.rmtree(place)
            results |= {f"{records}x{dimension}_{kind}_{name}": value for name, value in _cost(taken).items()}
        index.unlink()
    return results


def _cost(taken: dict[str, list[dict[str, float]]]) -> dict[str, float]:
    with_, without = ({name: median([said[name] for said in taken[how]]) for name in ("copying", "processor")} for how in ("digests", "none"))
    return {
        "copying_seconds": with_["copying"],
        "without_digests_seconds": without["copying"],
        "cost": with_["copying"] / without["copying"] - 1,
        "processor_seconds": with_["processor"] - without["processor"],
    }


def batches(folder: Path, scale: float, rounds: int) -> dict[str, Any]:
    """Copies that read every batch back against the same copies without: what that adds to the time of copying, by target."""
    results: dict[str, Any] = {}
    variables = variables_of(folder)
    with local_pinecone(variables) as url:
        for records, dimension, kinds in ((500_000, 128, ("parquet", "numpy")), (50_000, 128, ("milvus", "pinecone"))):
            source = _written(folder / "source", int(records * scale), dimension, "metadata")
            for kind in kinds:
                plain, checked = [], []
                for number in range(rounds):
                    for words, taken in ((), plain), (("--verify-batches",), checked):
                        name = f"{kind}-{number}-{len(words)}"
                        target = {"milvus": f"milvus:b?uri={folder}/{name}.db", "pinecone": f"pinecone:{name}?controller={url}"}.get(
                            kind, f"{kind}:{folder}/{name}"
                        )
                        said = measure.run(["-m", "migrator", "copy", f"parquet:{source}", target, *words, "--json"], variables).said
                        taken.append(said["phases"]["copying"])
                results |= {f"{kind}_seconds": median(plain), f"{kind}_verified_seconds": median(checked), f"{kind}_added": median(checked) / median(plain) - 1}
            shutil.rmtree(source)
    return results


def memory(folder: Path, scale: float, rounds: int) -> dict[str, Any]:
    """Peak anonymous memory of a proof of 100k and of 1M records of 128 dimensions, above that of the idle program."""
    idle = median([measure.run(["-c", IDLE], environment(folder), watch_memory=True).peak_bytes for _ in range(rounds)], MEGABYTE)
    results = {"idle_megabytes": idle}
    for records in (int(100_000 * scale), int(1_000_000 * scale)):
        pair = _pair(folder, records, 128, "metadata")
        peak = median([_verify(pair, folder, watch_memory=True).peak_bytes for _ in range(rounds)], MEGABYTE)
        results[f"{records}_above_idle_megabytes"] = peak - idle
        for place in pair:
            shutil.rmtree(place)
    return results


def rescan(folder: Path, scale: float, rounds: int) -> dict[str, Any]:
    """Records hashed again to name the 10 of 1M that differ, as a share of both sides."""
    records = int(1_000_000 * scale)
    pair = _pair(folder, records, 128, "bare", changed=CHANGED)
    said = [measure.run(["-m", "bench.proving", "count", *(f"parquet:{place}" for place in pair)], environment(folder)).said for _ in range(rounds)]
    if {found["differences"] for found in said} != {CHANGED}:
        raise RuntimeError(f"{CHANGED} records differ, but {said[0]['differences']} were found")
    again = median([found["hashed"] - found["read"] for found in said])
    return {
        "records_of_both": said[0]["read"],
        "hashed_again": again,
        "share": again / said[0]["read"],
        "seconds": median([found["seconds"] for found in said]),
    }


def _pair(folder: Path, records: int, dimension: int, metadata: str, changed: int = 0) -> tuple[Path, Path]:
    """Write two datasets of the same records, in processes of their own so that their memory is gone when the clock starts."""
    return _written(folder / "source", records, dimension, metadata), _written(folder / "target", records, dimension, metadata, changed)


def _written(place: Path, records: int, dimension: int, metadata: str, changed: int = 0) -> Path:
    measure.run(["-m", "bench.proving", "make", str(place), str(records), str(dimension), metadata, str(changed)], environment(place.parent))
    return place


def _verify(pair: tuple[Path, Path], folder: Path, *, watch_memory: bool = False) -> measure.Measured:
    found = measure.run(["-m", "migrator", "verify", *(f"parquet:{place}" for place in pair), "--json"], environment(folder), watch_memory=watch_memory)
    if found.said["verdict"] != "proven":
        raise RuntimeError(f"the proof says {found.said['verdict']} of equal collections")
    return found
