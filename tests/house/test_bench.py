"""The benchmarks' measuring, not their numbers: memory of the whole process tree, failures that stop a benchmark."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import faiss
import numpy as np
import pyarrow.dataset as ds
import pytest

from bench import baseline, data, measure, proving

if TYPE_CHECKING:
    from pathlib import Path

MEGABYTE = 1024 * 1024
HOLD = "held = bytearray({size}); held[::4096] = b'x' * len(held[::4096]); import time; time.sleep(0.5); print('{{}}')"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_memory_of_a_process_is_its_peak() -> None:
    peak = measure.run(["-c", HOLD.format(size=150 * MEGABYTE)], {}, watch_memory=True).peak_bytes
    assert 150 * MEGABYTE < peak < 250 * MEGABYTE


def test_memory_of_children_counts() -> None:
    program = f"import subprocess, sys; print(subprocess.run([sys.executable, '-c', {HOLD.format(size=150 * MEGABYTE)!r}], stdout=-1).stdout.decode())"
    assert measure.run(["-c", program], {}, watch_memory=True).peak_bytes > 150 * MEGABYTE


def test_pages_of_mapped_files_do_not_count(tmp_path: Path) -> None:
    file = tmp_path / "mapped"
    file.write_bytes(b"x" * 150 * MEGABYTE)
    mapped = f"file = open({str(file)!r}, 'rb'); view = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ); view[::4096]"
    program = f"import mmap, time; {mapped}; time.sleep(0.5); print('{{}}')"
    assert measure.run(["-c", program], {}, watch_memory=True).peak_bytes < 100 * MEGABYTE


def test_a_command_that_fails_ends_the_benchmark() -> None:
    with pytest.raises(RuntimeError, match=r"ended with 3: .*out of luck"):
        measure.run(["-c", "import sys; print('out of luck', file=sys.stderr); sys.exit(3)"], {})


def test_what_the_command_says_comes_back() -> None:
    assert measure.run(["-c", f"print({json.dumps(json.dumps({'seconds': 1.5}))})"], {}).said == {"seconds": 1.5}


def test_the_baseline_writes_the_rows_of_the_index(tmp_path: Path) -> None:
    path = tmp_path / "flat.index"
    data.make_flat_index(path, 12_345, 8)
    rows = data.read_rows(path)
    assert np.array_equal(rows, faiss.read_index(str(path)).reconstruct_n(0, 12_345))
    assert baseline.write_parquet(rows, tmp_path / "out")["seconds"] > 0
    written = ds.dataset(tmp_path / "out", format="parquet").to_table()
    order = np.argsort(np.array(written["id"].to_pylist(), np.int64))
    assert np.array_equal(np.stack(written["values"].to_numpy())[order], rows)


def test_datasets_of_the_same_numbers_differ_where_they_are_told_to(tmp_path: Path) -> None:
    for name, changed in (("same", 0), ("source", 0), ("target", 3)):
        proving.make(str(tmp_path / name), 1_000, 8, changed, metadata=True)
    assert proving.read(f"parquet:{tmp_path}/source", f"parquet:{tmp_path}/target")["records"] == 2_000
    said = {name: measure.run(["-m", "bench.proving", "count", *_ends(tmp_path, name)], measure.environment(tmp_path)).said for name in ("same", "target")}
    assert {name: found["differences"] for name, found in said.items()} == {"same": 0, "target": 3}
    assert said["same"]["hashed"] >= said["same"]["read"] == 2_000


def _ends(folder: Path, target: str) -> tuple[str, str]:
    return f"parquet:{folder}/source", f"parquet:{folder}/{target}"


@pytest.mark.slow
def test_a_copy_without_digests_is_still_a_copy(tmp_path: Path) -> None:
    data.make_flat_index(tmp_path / "flat.index", 500, 8)
    for how in ("digests", "none"):
        words = ["-m", "bench.proving", "copy", f"faiss:{tmp_path}/flat.index", f"parquet:{tmp_path}/{how}", how]
        assert measure.run(words, measure.environment(tmp_path)).said["copying"] > 0
        assert ds.dataset(tmp_path / how / "__default__", format="parquet").count_rows() == 500


def test_processor_time_counts_that_of_children() -> None:
    assert measure.run(["-c", "sum(range(10**7)); print('{}')"], {}).processor > 0.05
