"""Exports: the layout on the disk, what a kill leaves behind, and what is never overwritten."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from migrator.errors import ConfigError, PermanentError, PlanError, RejectedRecordsError, UnreadableSourceError
from migrator.model import Endpoint, Plan
from tests.contract.kit import collection_of, comparable, plan_to, read_all, rows_of, source_of, target_of
from tests.parameters import rest_slow
from tests.unit.batches import batch_of, numbered

ROOT = Path(__file__).parents[2]
CHILD = """
import sys
from tests.contract.kit import collection_of, plan_to, target_of
from tests.unit.batches import numbered
batches = [numbered(20, start=20 * n, namespace=name) for n, name in enumerate(["", "a", "a", "b/c"])]
with target_of(sys.argv[1]) as target:
    target.prepare(collection_of(batches), plan_to(sys.argv[1]))
    for number, batch in enumerate(batches) if sys.argv[2:] != ["staged"] else ():
        target.write(batch, f"split.{number}")
    target.keep({f"split.{number}": 20 for number in range(4)})
    target.finish()
"""
BATCHES = [numbered(20, start=20 * n, namespace=name) for n, name in enumerate(["", "a", "a", "b/c"])]


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_layout(export):
    folder = export([numbered(3), numbered(2, namespace="a", start=3), numbered(2, namespace="a", start=5), numbered(1, namespace="日本/x", start=7)])
    names = files(folder)
    started = re.match(r"__default__/(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ)-", names[0])
    assert started
    assert names == [
        f"__default__/{started[1]}-000001.parquet",
        f"a/{started[1]}-000001.parquet",
        f"a/{started[1]}-000002.parquet",
        "manifest.json",
        f"日本%2Fx/{started[1]}-000001.parquet",
    ]


def test_columns_and_settings_are_those_bulk_import_asks_for(export):
    folder = export([numbered(100)])
    path = next(folder.glob("__default__/*.parquet"))
    schema = pq.read_schema(path)
    assert schema.names == ["id", "values", "metadata"]
    assert [schema.field(name).type for name in ("id", "metadata")] == [pa.string(), pa.string()]
    values = schema.field("values").type
    assert (pa.types.is_list(values), values.value_type, values.value_field.nullable) == (True, pa.float32(), False)
    meta = pq.read_metadata(path)
    for number in range(meta.num_columns):
        chunk = meta.row_group(0).column(number)
        assert (chunk.compression, chunk.is_stats_set, chunk.has_dictionary_page) == ("UNCOMPRESSED", False, False)


def test_sparse_column_only_where_there_is_sparse(export):
    folder = export([numbered(2), batch_of([{"id": "s", "values": [1, 2, 3], "sparse_values": {"indices": [9, 2], "values": [-1.5, 2]}}, {"id": "t"}])])
    plain, sparse = sorted(folder.glob("__default__/*.parquet"))
    assert "sparse_values" not in pq.read_schema(plain).names
    assert pq.read_table(sparse).column("sparse_values").to_pylist() == [{"indices": [9, 2], "values": [-1.5, 2]}, None]


@pytest.mark.parametrize("compression", ["zstd", "snappy"])
def test_compression(export, compression):
    folder = export([numbered(100)], f"?compression={compression}")
    path = next(folder.glob("__default__/*.parquet"))
    assert pq.read_metadata(path).row_group(0).column(1).compression == compression.upper()


def test_every_flipped_bit_is_noticed(export, read):
    folder = export([numbered(50)])
    path = next(folder.glob("__default__/*.parquet"))
    good = path.read_bytes()
    expected = comparable(read(f"parquet:{folder}"))
    undetected = []
    for place in range(0, len(good), 7):
        path.write_bytes(good[:place] + bytes([good[place] ^ 1 << place % 8]) + good[place + 1 :])
        try:
            found = comparable(read(f"parquet:{folder}"))
        except (UnreadableSourceError, ConfigError):
            continue
        if found != expected:
            undetected.append(place)
    assert undetected == []


def test_manifest(export):
    folder = export(BATCHES)
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert (manifest["dimension"], manifest["metric"], manifest["id_type"], manifest["records"]) == (3, "cosine", "string", 80)
    assert manifest["namespaces"] == {"": 20, "a": 40, "b/c": 20}
    assert [entry["path"] for entry in manifest["files"]] == [name for name in files(folder) if name != "manifest.json"]
    for entry in manifest["files"]:
        content = (folder / entry["path"]).read_bytes()
        assert (entry["bytes"], entry["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
        assert entry["records"] == pq.read_metadata(folder / entry["path"]).num_rows


def test_nothing_looks_whole_before_finish(export, read):
    folder = export(BATCHES, finish=False)
    assert [name for name in files(folder) if not name.startswith("_staging/")] == []
    with pytest.raises(UnreadableSourceError, match="not finished"):
        read(f"parquet:{folder}")


@pytest.mark.parametrize(
    ("point", "hits"),
    rest_slow(
        [
            ("dataset.part_staged", 2),
            ("dataset.file_moved", 4),
            ("dataset.file_staged", 3),
            ("dataset.publication_written", 1),
            ("dataset.file_moved", 1),
            ("dataset.manifest_written", 1),
        ],
        2,
    ),
)
def test_killed_and_resumed(folder, read, point, hits):
    text = f"parquet:{folder}"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    killed = subprocess.run([sys.executable, "-c", CHILD, text], env=environment | {"MIGRATOR_FAILPOINT": f"{point}:{hits}"}, check=False)
    assert killed.returncode == 137
    everything_staged = [] if point in {"dataset.file_staged", "dataset.part_staged"} else ["staged"]
    subprocess.run([sys.executable, "-c", CHILD, text, *everything_staged], env=environment, check=True)
    assert comparable(read(text)) == comparable([row for batch in BATCHES for row in rows_of(batch)])
    assert len(files(folder)) == 5
    assert len({name.rpartition("/")[2][:20] for name in files(folder) if name != "manifest.json"}) == 1


def test_a_part_cut_otherwise_by_the_resumed_run_is_there_once(folder, read):
    text = f"parquet:{folder}"
    with target_of(text) as target:
        target.prepare(collection_of(BATCHES[:1]), plan_to(text))
        for number in range(4):
            target.write(BATCHES[0].slice(5 * number, 5), f"split.{number}")
    with target_of(text) as target:
        target.prepare(collection_of(BATCHES[:1]), plan_to(text))
        target.write(BATCHES[0].slice(5), "split.1")
        target.keep({"split.0": 5, "split.1": 15})
        target.finish()
    assert comparable(read(text)) == comparable(rows_of(BATCHES[0]))


def test_a_part_written_again_in_other_namespaces_is_there_once(folder, read):
    text = f"parquet:{folder}"
    moved = [numbered(5, namespace=name) for name in ("a", "b")]
    for batch in moved:
        with target_of(text) as target:
            target.prepare(collection_of(moved), plan_to(text))
            target.write(batch, "split.0")
    with target_of(text) as target:
        target.finish()
    assert comparable(read(text)) == comparable(rows_of(moved[1]))


def test_a_lost_part_is_noticed(export, folder):
    text = f"parquet:{export(BATCHES, finish=False)}"
    next((folder / "_staging" / "a").glob("*.parquet")).unlink()
    with target_of(text) as target:
        target.prepare(collection_of(BATCHES), plan_to(text))
        with pytest.raises(PermanentError) as caught:
            target.keep({f"split.{number}": 20 for number in range(4)})
    assert caught.value.code == "staging_lost"


def test_a_part_may_be_written_again_after_finish(export, read):
    text = f"parquet:{export(BATCHES)}"
    before = files(Path(text.removeprefix("parquet:")))
    changed = batch_of([{"id": "new", "values": [7, 7, 7], "namespace": "a"}])
    with target_of(text) as target:
        target.prepare(collection_of(BATCHES), plan_to(text))
        target.write(changed, "split.1")
        target.finish()
    assert comparable(read(text)) == comparable([row for batch in (BATCHES[0], changed, *BATCHES[2:]) for row in rows_of(batch)])
    assert files(Path(text.removeprefix("parquet:"))) == before


def test_a_folder_with_other_files_is_refused_and_unchanged(folder):
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    for options, word in (("", "other files"), ("?overwrite=true", "will not remove")):
        text = f"parquet:{folder}{options}"
        with target_of(text) as target, pytest.raises(PlanError, match=word) as caught:
            target.prepare(collection_of(BATCHES), plan_to(text))
        assert caught.value.fix
    assert files(folder) == ["notes.txt"]


def other_plan(text: str) -> Plan:
    return Plan(Endpoint("memory", "another source"), plan_to(text).target)


@pytest.mark.parametrize("finished", [True, False])
def test_another_run_does_not_mix_with_an_export(export, folder, finished):
    text = f"parquet:{export(BATCHES, finish=finished)}"
    before = files(folder)
    with target_of(text) as target, pytest.raises(PlanError, match="another run"):
        target.prepare(collection_of(BATCHES), other_plan(text))
    assert files(folder) == before


def test_overwrite_replaces_an_export_only_when_it_is_complete(export, folder, read):
    text = f"parquet:{export(BATCHES)}"
    new = numbered(7, namespace="other")
    with target_of(f"{text}?overwrite=true") as target:
        target.prepare(collection_of([new]), other_plan(text))
        target.write(new, "split.0")
        assert comparable(read(text)) == comparable([row for batch in BATCHES for row in rows_of(batch)])
        target.finish()
    assert comparable(read(text)) == comparable(rows_of(new))
    assert [name.partition("/")[0] for name in files(folder)] == ["manifest.json", "other"]


def test_the_folder_may_be_a_file_or_not_ours(tmp_path):
    (tmp_path / "file").write_text("x")
    text = f"parquet:{tmp_path / 'file'}"
    with target_of(text) as target, pytest.raises((PermanentError, PlanError)) as caught:
        target.prepare(collection_of(BATCHES), plan_to(text))
    assert "file" in caught.value.message


def test_a_namespace_too_long_for_a_folder_is_rejected_by_name(folder, read):
    text = f"parquet:{folder}"
    long = "日" * 100
    batch = batch_of([{"id": "a"}, {"id": "b", "namespace": long}, {"id": "c"}])
    with target_of(text) as target:
        with pytest.raises(PlanError, match="too long"):
            target.prepare(collection_of([batch]), plan_to(text))
        target.prepare(collection_of([numbered(1)]), plan_to(text))
        with pytest.raises(RejectedRecordsError) as caught:
            target.write(batch, "split.0")
        target.finish()
    assert [(rejected.id, rejected.namespace, rejected.code) for rejected in caught.value.rejected] == [("b", long, "namespace_too_long")]
    assert [row["id"] for row in read(text)] == ["a", "c"]


@pytest.mark.parametrize("options", ["?compression=lzo", "?overwrite=perhaps", "?region=eu-west-1", "?values=x"])
def test_wrong_options(folder, options):
    with pytest.raises(ConfigError) as caught, target_of(f"parquet:{folder}{options}"):
        pass
    assert caught.value.fix


@pytest.mark.parametrize("resource", ["", "s3://", "http://x/y", "s3://bucket?access_key=env:X_TEST_KEY", "s3://bucket?endpoint=127.0.0.1:9000"])
def test_wrong_places(resource, monkeypatch):
    monkeypatch.setenv("X_TEST_KEY", "x")
    with pytest.raises(ConfigError) as caught, target_of(f"parquet:{resource}"):
        pass
    assert caught.value.fix


FULL_DISK = """
import resource, signal, sys
from migrator.errors import PermanentError
from tests.contract.kit import collection_of, plan_to, target_of
from tests.unit.batches import numbered
batch = numbered(20_000)
with target_of(sys.argv[1]) as target:
    target.prepare(collection_of([batch]), plan_to(sys.argv[1]))
    target.write(batch.slice(0, 100), "split.0")
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
    try:
        target.write(batch, "split.1")
    except PermanentError as error:
        print(error.code, "|", error.message, "|", error.fix)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    target.finish()
"""


def test_a_disk_that_takes_no_more(folder, read):
    """A file size limit stands for the full disk: a write stops in the middle of a file, as it does there."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, f"parquet:{folder}"], env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    code, message, fix = done.stdout.strip().split(" | ")
    assert (code, "while writing" in message, "resume" in fix) == ("disk_full", True, True)
    assert len(read(f"parquet:{folder}")) == 100
    assert len(files(folder)) == 2


def test_a_disk_that_loses_the_end_of_a_file_without_a_word(folder, monkeypatch):
    real = os.fsync

    def losing(handle: int) -> None:
        status = os.fstat(handle)
        if stat.S_ISREG(status.st_mode) and status.st_size > 1000:
            os.truncate(handle, status.st_size - 10)
        real(handle)

    text = f"parquet:{folder}"
    with target_of(text) as target:
        target.prepare(collection_of(BATCHES), plan_to(text))
        monkeypatch.setattr(os, "fsync", losing)
        with pytest.raises(PermanentError) as caught:
            target.write(numbered(500), "split.0")
        monkeypatch.undo()
    assert caught.value.code == "write_incomplete"
    assert files(folder) == ["_staging/run.json"]


def test_a_folder_nobody_may_write_to(folder):
    if os.geteuid() == 0:
        folder = Path("/proc/self/export")  # not even root may create a folder there
    else:
        folder.mkdir(mode=0o500)
    text = f"parquet:{folder}/x"
    with target_of(text) as target, pytest.raises(PermanentError) as caught:
        target.prepare(collection_of(BATCHES), plan_to(text))
    assert caught.value.fix


def test_read_after_each_other_part_in_source_order(export):
    folder = export([numbered(2, start=2 * number) for number in range(12)])
    with source_of(f"parquet:{folder}") as source:
        assert [row["id"] for row in read_all(source)] == [f"r{number}" for number in range(24)]


def test_pyarrow_reads_values_as_they_were(export):
    folder = export([numbered(5)])
    table = pq.read_table(next(folder.glob("__default__/*.parquet")))
    assert table.column("values").to_pylist() == [[n + 1.0, 0.5, 0.5] for n in range(5)]
    assert isinstance(table.column("id").type, type(pa.string()))
