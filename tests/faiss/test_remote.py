"""Indexes that lie in a real bucket: read as from a disk, fetched once, never mixed up with what replaced them, and cleaned away."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import numpy as np
import pytest

from migrator import endpoints
from migrator.connectors import connector
from migrator.datasets import copies, fetching
from migrator.errors import ConfigError, MigratorError, PermanentError, UnreadableSourceError
from migrator.model import Selection
from migrator.service import PlanOptions
from tests.contract.parquet_harness import ACCESS_VARIABLE, SECRET_VARIABLE
from tests.faiss.reading import opened, read_all, seed, vectors
from tests.runs.conftest import service

__all__ = ["service"]
pytestmark = pytest.mark.server
ROOT, WILD = Path(__file__).parents[2], Path(__file__).parents[1] / "data" / "wild"


class Bucket:
    """A prefix of its own in the real bucket."""

    def __init__(self, server):
        self.server, self.prefix = server, f"faiss-{uuid.uuid4().hex[:12]}"
        os.environ[ACCESS_VARIABLE], os.environ[SECRET_VARIABLE] = server.access_key, server.secret_key
        self.keys = f"access_key=env:{ACCESS_VARIABLE}&secret_key=env:{SECRET_VARIABLE}"

    def put(self, name: str, content: bytes | Path) -> str:
        body = content.read_bytes() if isinstance(content, Path) else content
        self.server.client().put_object(Bucket=self.server.bucket, Key=f"{self.prefix}/{name}", Body=body)
        return self.address(name)

    def address(self, name: str = "") -> str:
        return f"s3://{self.server.bucket}/{self.prefix}/{name}".rstrip("/")

    def endpoint(self, name: str = "", more: str = "") -> str:
        return f"faiss:{self.address(name)}?endpoint={self.server.endpoint}&region=us-east-1&{self.keys}{more}"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Where copies are kept; nothing is held at the end."""
    monkeypatch.setenv("MIGRATOR_HOME", str(tmp_path / "home"))
    yield tmp_path / "home" / "fetched"
    copies._drop_all()


@pytest.fixture
def bucket(s3_server, home):
    return Bucket(s3_server)


def held(home: Path) -> list[str]:
    return sorted(path.name for path in home.rglob("*") if path.is_file() and path.name != "complete")


def test_an_index_and_its_sidecars_are_read_as_from_a_disk(bucket, home, tmp_path):
    values = vectors(500)
    bucket.put("photos.index", seed(tmp_path / "photos.index", "Flat", values))
    ids = bucket.put("ids.json", json.dumps([f"photo-{row}" for row in range(500)]).encode())
    rows = bucket.put("rows.jsonl", b"".join(json.dumps({"n": row}).encode() + b"\n" for row in range(500)))
    with opened(bucket.endpoint("photos.index", f"&ids={ids}&metadata={rows}")) as source:
        records, collection = read_all(source, splits=3, records=100), source.describe()
        assert source.version_now() == collection.version
        assert held(home) == ["ids.json", "photos.index", "rows.jsonl"]
    assert (collection.name, collection.count, collection.dimension) == ("photos.index", 500, 16)
    assert np.array_equal(np.array([record["values"] for record in records], np.float32), values)
    assert [(record["id"], record["metadata"]) for record in records] == [(f"photo-{row}", {"n": row}) for row in range(500)]


def test_a_sidecar_here_and_an_index_there_and_the_other_way_round(bucket, tmp_path):
    local = seed(tmp_path / "a.index", "Flat", vectors(5))
    (tmp_path / "ids.txt").write_text("a\nb\nc\nd\ne\n")
    there, ids = bucket.put("a.index", local), bucket.put("ids.txt", tmp_path / "ids.txt")
    for text in (bucket.endpoint("a.index", f"&ids={tmp_path}/ids.txt"), bucket.endpoint("a.index", f"&ids={ids}").replace(there, str(local))):
        with opened(text) as source:
            assert [record["id"] for record in read_all(source)] == ["a", "b", "c", "d", "e"]


def test_the_limited_process_decodes_what_was_fetched(bucket, tmp_path):
    bucket.put("codes.index", seed(tmp_path / "codes.index", "SQ8", vectors(300)))
    with opened(bucket.endpoint("codes.index")) as there, opened(f"faiss:{tmp_path}/codes.index") as here:
        assert [one["values"] for one in read_all(there)] == [one["values"] for one in read_all(here)]


def test_folders_and_only_the_files_that_belong_to_them(bucket, home, tmp_path):
    for name in ("index.faiss", "index.pkl"):
        bucket.put(f"store/{name}", WILD / "langchain_faiss_aianytime" / name)
    bucket.put("store/video.mp4", b"x" * 1000)
    bucket.put("store/config.json", b"{}")
    with opened(bucket.endpoint("store")) as there, opened(f"faiss:{WILD}/langchain_faiss_aianytime") as here:
        assert [(one["id"], one["metadata"]) for one in read_all(there)] == [(one["id"], one["metadata"]) for one in read_all(here)]
        assert there.describe().name == "store"
        assert held(home) == ["index.faiss", "index.pkl"]
    with opened(bucket.endpoint("store/index.faiss")) as source:
        assert read_all(source)[0]["id"] == "a56b35ec-206e-43a2-82f5-4abf8e16d192"
    values = vectors(60)
    for number in range(12):
        bucket.put(f"shards/part{number}.index", seed(tmp_path / "part.index", "Flat", values[5 * number : 5 * number + 5]))
    with opened(bucket.endpoint("shards")) as source:
        assert np.array_equal(np.array([one["values"] for one in read_all(source)], np.float32), values)


def test_it_is_fetched_once_however_often_it_is_opened(bucket, home, tmp_path, monkeypatch):
    fetched = []
    real = fetching._download
    monkeypatch.setattr(fetching, "_download", lambda place, one, target: (fetched.append(one.path), real(place, one, target)))
    bucket.put("a.index", seed(tmp_path / "a.index", "Flat", vectors(50)))
    with opened(bucket.endpoint("a.index")), opened(bucket.endpoint("a.index")):
        pass
    with opened(bucket.endpoint("a.index")):
        assert [step.status for step in connector("faiss").examine(endpoints.parse(bucket.endpoint("a.index")))] == ["ok"] * 6
    assert fetched == ["a.index"]
    copies._drop_all()
    assert list(home.iterdir()) == []


def test_an_unused_copy_is_removed_after_a_while(bucket, home, tmp_path, monkeypatch):
    monkeypatch.setattr(copies, "KEPT_SECONDS", 0.05)
    bucket.put("a.index", seed(tmp_path / "a.index", "Flat", vectors(50)))
    with opened(bucket.endpoint("a.index")):
        with opened(bucket.endpoint("a.index")):
            pass
        assert held(home) == ["a.index"]
    (timer,) = [one.timer for one in copies._held.values()]
    timer.join(5)
    assert list(home.iterdir()) == []


def test_an_index_that_was_replaced_is_another(bucket, tmp_path):
    """Even where nothing but one byte differs, between those that the fingerprint of a file looks at."""
    path = seed(tmp_path / "a.index", "Flat", vectors(20_000))
    bucket.put("a.index", path)
    with opened(bucket.endpoint("a.index")) as source:
        (split,) = source.splits(Selection(), 1)
        content = bytearray(path.read_bytes())
        content[10_001] ^= 1
        bucket.put("a.index", bytes(content))
        assert source.version_now() == ""
    with opened(bucket.endpoint("a.index")) as source, pytest.raises(ConfigError) as caught:
        next(iter(source.read(split, None, 10)))
    assert caught.value.code == "source_changed"


def test_an_index_that_is_replaced_while_it_is_fetched_is_no_index(bucket, home, tmp_path, monkeypatch):
    real = fetching._download

    def replaced(place, one, target):
        real(place, one, target)
        bucket.put("a.index", b"another")

    monkeypatch.setattr(fetching, "_download", replaced)
    bucket.put("a.index", seed(tmp_path / "a.index", "Flat", vectors(50)))
    with pytest.raises(UnreadableSourceError, match=r"s3://.*a\.index was changed while it was fetched"), opened(bucket.endpoint("a.index")):
        pass
    assert list(home.iterdir()) == []


def test_no_room(bucket, home, tmp_path, monkeypatch):
    bucket.put("a.index", seed(tmp_path / "a.index", "Flat", vectors(50)))
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=65 << 20))
    with opened(bucket.endpoint("a.index")):
        pass
    copies._drop_all()
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=64 << 20))
    with pytest.raises(PermanentError, match=r"3,245 bytes to fetch, and .* has room for 0") as caught, opened(bucket.endpoint("a.index")):
        pass
    assert (caught.value.code, list(home.iterdir())) == ("disk_full", [])
    assert "MIGRATOR_HOME" in caught.value.fix


def failure(text: str) -> MigratorError:
    """Return the error that opening ``text`` ends in, and its connection test says as well."""
    with pytest.raises(MigratorError) as caught, opened(text):
        pass
    last = list(connector("faiss").examine(endpoints.parse(text)))[-1]
    assert (last.status, last.detail.replace("the file ", "the index "), last.fix) == ("failed", caught.value.message, caught.value.fix)
    assert caught.value.fix
    assert "fetched/" not in caught.value.message + caught.value.fix
    return caught.value


@pytest.mark.slow
def test_what_is_wrong_is_said_of_the_address(bucket, tmp_path, monkeypatch):
    monkeypatch.setenv("X_WRONG", "wrong")
    whole = seed(tmp_path / "a.index", "Flat", vectors(50)).read_bytes()
    a, half = bucket.put("a.index", whole), bucket.put("half.index", whole[:1000])
    short, two = bucket.put("ids.txt", b"a\nb\n"), [bucket.put(f"two/{name}", b"x") for name in ("a.faiss", "a.pkl", "b.faiss", "b.pkl")]
    empty = bucket.put("empty.index", b"")
    good = bucket.endpoint("a.index")
    cases = {
        "file_not_found": [(bucket.endpoint("none.index"), "none.index"), (f"{good}&ids={bucket.address('none.txt')}", "none.txt")],
        "unreadable_source": [(bucket.endpoint("half.index"), half)],
        "not_a_file": [(bucket.endpoint("empty.index"), empty)],
        "wrong_length": [(f"{good}&ids={short}", f"ids={short} has 2 rows")],
        "several_indexes": [(bucket.endpoint("two"), two[0].rpartition("/")[0])],
        "no_bucket": [(good.replace("test-bucket", "no-such-bucket"), "no-such-bucket")],
        "sign_in_failed": [(good.replace(f"env:{SECRET_VARIABLE}", "env:X_WRONG"), a), (good.replace(f"env:{ACCESS_VARIABLE}", "env:X_WRONG"), a)],
        "unreachable": [(good.replace(bucket.server.endpoint, "http://127.0.0.1:9"), a)],
        "bad_option": [(f"{good}&account=x", "account="), (f"faiss:{tmp_path}/a.index?region=x", "region=")],
    }
    for code, texts in cases.items():
        for text, named in texts:
            error = failure(text)
            assert (error.code, named in error.message) == (code, True), (text, error.code, error.message)


def test_the_whole_way(bucket, service, tmp_path):
    values = vectors(2_000)
    bucket.put("photos.index", seed(tmp_path / "photos.index", "Flat", values))
    run = service.start(service.plan(bucket.endpoint("photos.index"), f"parquet:{tmp_path}/out", PlanOptions(batch=300)))
    assert service.wait(run, 60)["status"] == "proven"


OPEN = "import sys\nfrom tests.faiss.reading import opened\nwith opened(sys.argv[1]) as source:\n    print(source.describe().count)\n"


def child(text: str, **environment: str):
    command = [sys.executable, "-c", OPEN, text]
    return subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)} | environment, capture_output=True, text=True, check=False)


def test_what_a_killed_process_left_is_removed_and_a_process_that_ends_leaves_nothing(bucket, home, tmp_path):
    for name in ("a.index", "b.index"):
        bucket.put(name, seed(tmp_path / name, "Flat", vectors(300 if name == "a.index" else 50)))
    assert child(bucket.endpoint("a.index"), MIGRATOR_FAILPOINT="fetching.block:1").returncode == 137
    assert held(home) == ["a.index"]
    with opened(bucket.endpoint("b.index")):
        assert held(home) == ["b.index"]
        ended = child(bucket.endpoint("a.index"))
        assert (ended.returncode, ended.stdout) == (0, "300\n")
        assert child(bucket.endpoint("b.index")).stdout == "50\n"
        assert held(home) == ["b.index"], "another process's use of it ends without an end to ours"


def test_a_fetch_that_was_killed_starts_again(bucket, home, tmp_path):
    bucket.put("a.index", seed(tmp_path / "a.index", "Flat", vectors(300)))
    assert child(bucket.endpoint("a.index"), MIGRATOR_FAILPOINT="fetching.block:1").returncode == 137
    with opened(bucket.endpoint("a.index")) as source:
        assert len(read_all(source)) == 300


def test_processes_that_come_at_the_same_time_share_one_copy(bucket, home, tmp_path):
    bucket.put("a.index", seed(tmp_path / "a.index", "Flat", vectors(300)))
    command = [sys.executable, "-c", OPEN, bucket.endpoint("a.index")]
    started = [subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert [one.communicate()[0] for one in started] == ["300\n"] * 4
    assert list(home.iterdir()) == []


def test_an_index_in_googles_store(google_store, home, tmp_path):
    values = vectors(300)
    google_store.put("deep/photos.index", seed(tmp_path / "photos.index", "Flat", values).read_bytes())
    with opened(f"faiss:gs://{google_store.bucket}/deep/photos.index?endpoint={google_store.endpoint}&anonymous=true") as source:
        assert np.array_equal(np.array([one["values"] for one in read_all(source)], np.float32), values)
        google_store.put("deep/photos.index", (tmp_path / "photos.index").read_bytes()[:-1] + b"x")
        assert source.version_now() == ""
