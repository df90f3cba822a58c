"""A proof whose process is killed goes on from what it had on disk, and comes to the verdict it would have come to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[2]
ROWS = 3_000
MUTANT = """
from migrator.verify import reading
from migrator.__main__ import main

plain = reading.begin

def forgetful(path, same, splits):
    kept = plain(path, same, splits)
    if kept.rows:  # goes on behind the cursors, and has lost what was before them
        kept.digest = reading.Digest()
    return kept

reading.begin = forgetful
from migrator.runs import proof_sides
proof_sides.begin = forgetful
raise SystemExit(main())
"""


def dataset(folder: Path, *, flipped: int | None = None) -> None:
    values = np.random.default_rng(1).standard_normal((ROWS, 4), dtype=np.float32)
    if flipped is not None:
        values[flipped].view(np.uint32)[2] ^= 1
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), 4)
    folder.mkdir()
    pq.write_table(pa.table({"id": [f"r{n}" for n in range(ROWS)], "values": vectors}), folder / "part.parquet", row_group_size=500)


@pytest.fixture
def killed(tmp_path):
    """Return a function that compares two datasets, is killed once the target was read, and goes on; it returns the answer and its log."""

    def command(*words: str, failpoint: str = "", mutant: bool = False) -> subprocess.CompletedProcess[str]:
        program = ["-c", MUTANT] if mutant else ["-m", "migrator"]
        surroundings = os.environ | {"MIGRATOR_HOME": str(tmp_path / "home"), "MIGRATOR_FAILPOINT": failpoint, "PYTHONPATH": str(ROOT)}
        return subprocess.run([sys.executable, *program, *words, "--json"], capture_output=True, text=True, check=False, env=surroundings, timeout=60)

    def run(*, flipped: int | None = None, mutant: bool = False) -> tuple[dict, str]:
        dataset(tmp_path / "a")
        dataset(tmp_path / "b", flipped=flipped)
        died = command("verify", f"parquet:{tmp_path}/a", f"parquet:{tmp_path}/b", failpoint="proof_state_saved:1")
        assert died.returncode == 137
        (row,) = json.loads(command("runs").stdout)["runs"]
        assert row["status"] == "interrupted"
        answer = json.loads(command("resume", row["run"], mutant=mutant).stdout)
        log = "".join(line["message"] for line in json.loads(command("status", row["run"]).stdout)["log"])
        return answer, log

    return run


def test_a_killed_proof_goes_on(killed):
    answer, log = killed()
    assert (answer["verdict"], answer["counts"]["copied"]) == ("proven", ROWS)
    assert f"going on with the interrupted proof: {ROWS:,} records of the target were read before" in log


def test_what_differs_in_what_was_read_before_the_kill_is_named(killed):
    answer, _ = killed(flipped=1234)
    assert (answer["verdict"], [row["id"] for row in answer["differences"]]) == ("differs", ["r1234"])


def test_a_mutant_that_loses_what_was_read_before_the_kill_is_caught(killed):
    answer, _ = killed(mutant=True)
    assert answer["verdict"] != "proven"
