"""What noting every write costs a copy: the same copy with the undo log and without, into a new collection and into one that holds the records."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from bench import measure
from bench.measure import ROOT, environment, median

if TYPE_CHECKING:
    from pathlib import Path

_PLAIN = "from migrator.runs import undoing; undoing.logs = lambda _attempt: False; "
_COPY = "import sys; from migrator.cli import main; sys.exit(main({words!r}))"
WAYS = {"without": (_PLAIN, ()), "with": ("", ()), "kept": ("", ("--keep-overwritten",))}
_INDEX = "from pathlib import Path; from bench.data import make_flat_index; make_flat_index(Path({path!r}), {records}, 128)"


def noting(folder: Path, scale: float, rounds: int) -> dict[str, Any]:
    """A flat index of 50k x 128 to Milvus Lite, twice into the same collection: the second time every id is looked up first."""
    index = folder / "undo.index"
    subprocess.run([sys.executable, "-c", _INDEX.format(path=str(index), records=int(50_000 * scale))], check=True, cwd=ROOT)
    seconds: dict[str, list[float]] = {f"{way}_{turn}": [] for way in WAYS for turn in ("new", "again")}
    for number in range(rounds):
        for way, (patch, options) in WAYS.items():
            place = folder / f"undo-{way}-{number}"
            place.mkdir()
            for turn in ("new", "again"):
                words = ["copy", f"faiss:{index}", f"milvus:bench?uri={place}/copy.db", "--on-conflict", "upsert", *options, "--json"]
                said = measure.run(["-c", patch + _COPY.format(words=words)], environment(place)).said
                seconds[f"{way}_{turn}"].append(said["phases"]["copying"])
            shutil.rmtree(place)
    index.unlink()
    medians = {f"{name}_seconds": median(values) for name, values in seconds.items()}
    ratios = {
        "cost_of_the_log_new": medians["with_new_seconds"] / medians["without_new_seconds"],
        "cost_of_the_log_again": medians["with_again_seconds"] / medians["without_again_seconds"],
        "cost_of_keeping_again": medians["kept_again_seconds"] / medians["without_again_seconds"],
    }
    return {**medians, **ratios, "rounds": seconds}
