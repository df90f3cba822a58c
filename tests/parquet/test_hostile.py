"""Files that mean harm, or were harmed: one clear error, little memory, no traceback."""

from __future__ import annotations

import io
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from migrator.connectors.parquet import guard
from migrator.connectors.parquet.pages import longest_entry, pages
from migrator.errors import ConfigError, UnreadableSourceError
from migrator.model import Selection
from tests.contract.kit import read_all, source_of
from tests.parameters import rest_slow

ROOT = Path(__file__).parents[2]
READ = """
import sys
from migrator.errors import MigratorError
from tests.contract.kit import read_all, source_of
try:
    with source_of("parquet:" + sys.argv[1]) as source:
        read_all(source, size=10_000)
    print("read")
except MigratorError as error:
    print(error.code, "|", error.message)
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def read_apart(path: Path) -> tuple[str, int]:
    """Read a dataset in a process of its own; return what came out and its peak memory in bytes."""
    done = subprocess.run([sys.executable, "-c", READ, str(path)], env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True)
    said, peak = done.stdout.strip().splitlines()
    return said, int(peak) * 1024


def long_row(path: Path) -> None:
    """One row of 300 million zeros, 1.2 GB: ``pq.write_table`` of such a list with zstd, kept because writing it takes a minute."""
    path.write_bytes((Path(__file__).parent / "data" / "long_row.parquet").read_bytes())


def repeated_text(path: Path) -> None:
    """20 GB of metadata in 60 KB."""
    text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(20_000, np.int32)), ['{"a":"' + "x" * 1_000_000 + '"}'])
    values = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(40_000, np.float32)), 2)
    table = pa.table({"id": pa.array(range(20_000)), "values": values, "metadata": text})
    pq.write_table(table, path, compression="zstd", store_schema=False)


@pytest.mark.parametrize("bomb", rest_slow([repeated_text, long_row]))
def test_a_small_file_of_gigabytes_is_refused_in_little_memory(tmp_path, bomb):
    path = tmp_path / "bomb.parquet"
    bomb(path)
    assert path.stat().st_size < 100_000
    said, peak = read_apart(path)
    assert said.startswith("unreadable_source | ")
    assert "bomb.parquet" in said
    assert peak < 1 << 30


def lying_footer(path: Path) -> None:
    """As ``long_row``, but the footer says that the column holds 3 values."""
    long_row(path)
    content = path.read_bytes()
    count, small = 300_000_000, 3
    footer = int.from_bytes(content[-8:-4], "little")
    wide, narrow = (_varint(2 * number) for number in (count, small))
    body, tail = content[: -8 - footer], content[-8 - footer : -8]
    assert wide in tail
    tail = tail.replace(wide, narrow)
    path.write_bytes(body + tail + len(tail).to_bytes(4, "little") + b"PAR1")


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


@pytest.mark.slow
def test_a_footer_that_hides_the_size_does_not_help(tmp_path):
    path = tmp_path / "bomb.parquet"
    lying_footer(path)
    said, peak = read_apart(path)
    assert said.startswith("unreadable_source | ")
    assert peak < 1 << 30


def test_ordinary_files_need_no_child(tmp_path):
    path = tmp_path / "plain.parquet"
    vectors = np.random.default_rng(0).standard_normal((20_000, 64), dtype=np.float32)
    columns = {"id": [f"id-{n}" for n in range(20_000)], "values": list(vectors), "metadata": [f'{{"n":{n % 100}}}' for n in range(20_000)]}
    for compression in ("none", "snappy", "zstd", "gzip"):
        pq.write_table(pa.table(columns), path, compression=compression)
        assert guard.suspicious(str(path), "plain.parquet", ["id", "values", "metadata"]) == []


def test_suspicion_alone_refuses_nothing(tmp_path, monkeypatch):
    """Zero vectors pack well: the child reads them and finds nothing wrong."""
    path = tmp_path / "zeros.parquet"
    values = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(200_000, np.float32)), 100)
    pq.write_table(pa.table({"id": [str(n) for n in range(2000)], "values": values}), path)
    monkeypatch.setattr(guard, "FREE_BYTES", 100_000)
    assert guard.suspicious(str(path), "zeros.parquet", ["values"]) == ["values"]
    with source_of(f"parquet:{path}") as source:
        assert len(read_all(source)) == 2000


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_page_headers_are_read_as_pyarrow_writes_them(version, compression):
    sink = io.BytesIO()
    column = pa.array([f"text {n % 500}" for n in range(30_000)])
    pq.write_table(pa.table({"c": column}), sink, data_page_version=version, data_page_size=4096, compression=compression, write_page_checksum=True)
    content = sink.getvalue()
    chunk = pq.ParquetFile(sink).metadata.row_group(0).column(0)
    found = list(pages(content, chunk.dictionary_page_offset, chunk.dictionary_page_offset + chunk.total_compressed_size))
    assert [page.dictionary for page in found[:2]] == [True, False]
    assert sum(page.values for page in found if not page.dictionary) == 30_000
    assert found[0].values == 500
    raw = content[found[0].start : found[0].start + found[0].size]
    plain = raw if compression == "none" else pa.decompress(raw, found[0].uncompressed, compression, asbytes=True)
    assert longest_entry(plain) == len("text 499")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1PAR1", b"not parquet at all", b"PAR1" + b"\0" * 100 + b"\x10\0\0\0PAR1", b"PK\x03\x04" * 20])
def test_what_is_no_parquet(tmp_path, content):
    path = tmp_path / "x.parquet"
    path.write_bytes(content)
    with pytest.raises(UnreadableSourceError, match=r"x\.parquet") as caught, source_of(f"parquet:{path}") as source:
        source.describe()
    assert caught.value.fix


def test_truncated_anywhere(tmp_path):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"id": ["a", "b"], "values": [[1.0, 2.0]] * 2}), path)
    good = path.read_bytes()
    for length in range(0, len(good), 11):
        path.write_bytes(good[:length])
        with pytest.raises(UnreadableSourceError), source_of(f"parquet:{path}") as source:
            read_all(source)


def test_mutated_files_end_in_records_or_in_one_of_our_errors(tmp_path):
    sink = io.BytesIO()
    columns = {"id": [f"{n}" for n in range(40)], "values": [[1.0, 2.0]] * 40, "metadata": ['{"a":"b"}'] * 40, "tag": ["x", "y"] * 20}
    pq.write_table(pa.table(columns), sink, compression="zstd", row_group_size=10)
    good = sink.getvalue()
    path = tmp_path / "x.parquet"
    random = np.random.default_rng(11)
    outcomes = {"read": 0, "refused": 0}
    for _ in range(300):
        content = bytearray(good)
        for _ in range(random.integers(1, 6)):
            content[random.integers(4, len(content))] = random.integers(256)
        path.write_bytes(content)
        try:
            with source_of(f"parquet:{path}") as source:
                for split in source.splits(Selection(), 2):
                    list(source.read(split, None, 7))
            outcomes["read"] += 1
        except (UnreadableSourceError, ConfigError):
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 10


def test_the_child_is_limited():
    program = "from migrator.connectors.parquet.probe import limit; limit(64 << 20, 5); bytearray(1 << 30)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "MemoryError" in done.stderr
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY
