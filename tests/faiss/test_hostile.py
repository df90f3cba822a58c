"""Files meant to harm: refused with one sentence, nothing else read, no child left behind, the reader alive."""

from __future__ import annotations

import datetime as dt
import functools
import os
import pickle
import signal
import subprocess
import time
from pathlib import Path

import faiss
import numpy as np
import pytest

from migrator.connectors.faiss import child as children
from migrator.connectors.faiss import files
from migrator.connectors.faiss.description import describe
from migrator.errors import ConfigError, MigratorError, UnreadableSourceError
from migrator.model import Selection
from tests.faiss.reading import opened, read_all, seed, vectors
from tests.faiss.stores import document, pickled
from tests.faiss.watching import watched
from tests.parameters import rest_slow


def on_disk_index(folder: Path, lists: Path) -> bytes:
    """Return an IVF index whose inverted lists lie in the file ``lists``."""
    index = faiss.index_factory(16, "IVF4,Flat")
    index.train(vectors(200))
    index.add(vectors(200))
    kept = faiss.OnDiskInvertedLists(index.nlist, index.code_size, str(lists))
    kept.merge_from_1(index.invlists)
    index.replace_invlists(kept)
    faiss.write_index(index, str(folder / "disk.index"))
    return (folder / "disk.index").read_bytes()


@pytest.mark.parametrize("confined", [True, False])
@pytest.mark.parametrize("wrapping", ["bare", "idmap", "renamed"])
def test_on_disk_lists_are_never_followed(tmp_path, monkeypatch, confined, wrapping):
    if not confined:
        monkeypatch.setattr(children, "_confinement", tuple)
    lists, canary = tmp_path / "lists.ivfdata", tmp_path / "canary.secret"
    content = on_disk_index(tmp_path, lists)
    canary.write_bytes(b"SECRET--" * (lists.stat().st_size // 8))
    if wrapping == "idmap":
        index = faiss.read_index(str(tmp_path / "disk.index"))
        index.ntotal = 0
        outer = faiss.IndexIDMap(index)
        faiss.write_index(outer, str(tmp_path / "disk.index"))
        content = (tmp_path / "disk.index").read_bytes()
    path = str(lists).encode()
    target = str(canary).encode()
    assert content.count(path) == 1
    where = content.index(path)
    changed = content[: where - 8] + len(target).to_bytes(8, "little") + target + content[where + len(path) :]
    victim = tmp_path / ("photo.faiss" if wrapping == "renamed" else "victim.index")
    victim.write_bytes(changed)
    with watched(canary) as was_opened:
        with pytest.raises(UnreadableSourceError, match=r"victim|photo") as caught, opened(f"faiss:{victim}"):
            pass
        assert not was_opened()
    assert "another file" in caught.value.message
    assert "never followed" in caught.value.message


def test_the_worker_can_open_nothing_once_it_is_limited():
    script = """
import os, sys
sys.path.insert(0, sys.argv[1])
from migrator.connectors.faiss.worker import limits
limits.limit_memory_and_time(1 << 30, 10)
limits.forbid_opening()
def refused(act):
    try:
        act()
    except OSError:
        return True
    return False
import resource
first = refused(lambda: os.open("/etc/passwd", os.O_RDONLY))
with_descriptors = [refused(lambda: os.open(p, os.O_RDONLY)) for p in ("/etc/passwd", "/proc/self/maps", "/dev/null")]
print(first, all(with_descriptors), refused(os.pipe), refused(lambda: open("x", "w")))
"""
    root = str(Path(children.__file__).parents[3])
    out = subprocess.run([children.sys.executable, "-I", "-c", script, root], capture_output=True, text=True, check=True, timeout=60)
    assert out.stdout.split() == ["True"] * 4


@pytest.mark.parametrize("confined", [True, False])
@pytest.mark.parametrize("kind", ["IVF4,Flat", "SQ8"])
def test_reading_works_with_and_without_bubblewrap(tmp_path, monkeypatch, confined, kind):
    if not confined:
        monkeypatch.setattr(children, "_confinement", tuple)
    seed(tmp_path / "a.index", kind, vectors(20))
    with opened(f"faiss:{tmp_path}/a.index") as source:
        assert len(read_all(source)) == 20


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"I",
        b"IxF2",
        b"hello, this is text",
        b"\0" * 4096,
        b"\xff" * 4096,
        b"PAR1" + b"\0" * 64,
        b"\x93NUMPY\x01\x00",
        b"IxMp" * 1000,
        np.random.default_rng(8).bytes(4096),
    ],
    ids=lambda content: repr(content[:8]),
)
def test_what_is_no_index_is_said_in_one_sentence(tmp_path, content):
    (tmp_path / "a.index").write_bytes(content)
    with pytest.raises(MigratorError) as caught, opened(f"faiss:{tmp_path}/a.index"):
        pass
    assert f"{tmp_path}/a.index" in caught.value.message
    assert "\n" not in caught.value.message
    assert ".cpp" not in caught.value.message
    assert caught.value.fix
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("kind", ["Flat", "IDMap,Flat", "IDMap2,Flat", "IVF4,Flat", "HNSW8,Flat", "SQ8", "IVF4,SQ8", "PCA8,Flat"])
@pytest.mark.parametrize("share", rest_slow([0.9, 0.999, 0.01, 0.3], 2))
def test_truncated_files_are_refused(tmp_path, kind, share):
    path = seed(tmp_path / "a.index", kind, vectors(100), np.arange(100) if kind.startswith("IDMap") else None)
    os.truncate(path, int(path.stat().st_size * share))
    with pytest.raises(UnreadableSourceError, match=r"a.index cannot be read"), opened(f"faiss:{path}"):
        pass


def test_missing_forbidden_and_odd_paths(tmp_path):
    os.mkfifo(tmp_path / "pipe.index")
    (tmp_path / "empty").mkdir()
    for resource, words in (("gone.index", "there is no file"), ("pipe.index", "not a plain file"), ("empty", "no Faiss index in the folder")):
        with pytest.raises(ConfigError, match=words), opened(f"faiss:{tmp_path}/{resource}"):
            pass


class Harm:
    """Pickles as a call of ``function``."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ("harm", "named"),
    [
        (lambda marker: Harm(os.system, f"touch {marker}"), "system"),
        (lambda marker: Harm(eval, f"open({str(marker)!r}, 'w')"), "builtins.eval"),
        (lambda marker: Harm(open, str(marker), "w"), "io.open"),
        (lambda marker: Harm(subprocess.Popen, ["touch", str(marker)]), "subprocess.Popen"),
        (lambda marker: Harm(functools.partial, os.system, f"touch {marker}"), "functools.partial"),
        (lambda marker: np.array([Harm(os.system, f"touch {marker}")], object), "numpy"),
        (lambda _: dt.timezone(dt.timedelta(hours=1)), None),
        (lambda _: Path("/x"), None),
    ],
)
def test_pickles_that_act_are_refused_by_name(tmp_path, harm, named):
    seed(tmp_path / "index.faiss", "Flat", vectors(2))
    marker = tmp_path / "harmed"
    (tmp_path / "index.pkl").write_bytes(pickle.dumps((harm(marker), {0: "a", 1: "b"})))
    with pytest.raises(UnreadableSourceError, match=r"index\.pkl cannot be read") as caught, opened(f"faiss:{tmp_path}"):
        pass
    assert not marker.exists()
    assert "ids=" in caught.value.fix
    if named:
        assert named in caught.value.message


@pytest.mark.parametrize(
    "content", [b"", b"\x80\x04", b"cos\nsystem\n(S'true'\ntR.", b"\x80\x04]\x94(" + b"h\x00" * 200, b"\x80\x04\x8e" + b"\xff" * 8, b"(" * 100_000 + b"."]
)
def test_broken_pickles_are_refused(tmp_path, content):
    seed(tmp_path / "index.faiss", "Flat", vectors(2))
    (tmp_path / "index.pkl").write_bytes(content)
    with pytest.raises(MigratorError, match=r"index\.pkl"), opened(f"faiss:{tmp_path}"):
        pass


def test_a_pickle_that_grows_without_end_is_stopped_by_its_limits(tmp_path):
    seed(tmp_path / "index.faiss", "Flat", vectors(2))
    bomb: object = "x"
    for _ in range(40):
        bomb = (bomb, bomb)
    (tmp_path / "index.pkl").write_bytes(pickled({"a": document({"bomb": bomb}, "t"), "b": document({}, "t")}, {0: "a", 1: "b"}))
    began = time.monotonic()
    with pytest.raises(UnreadableSourceError, match=r"index\.pkl"), opened(f"faiss:{tmp_path}?timeout=5"):
        pass
    assert time.monotonic() - began < 30


def test_a_worker_that_dies_or_hangs_is_named_and_gone(tmp_path):
    path = seed(tmp_path / "a.index", "Flat", vectors(5))
    for number, words in ((signal.SIGSEGV, "crashed the process that read it .SIGSEGV"), (signal.SIGSTOP, "took longer than 1 s")):
        file = files.open_file(path, "the index")
        worker = children.Child([file], seconds=1.0)
        for pid in descendants(worker._process.pid):
            os.kill(pid, number)
        with pytest.raises(UnreadableSourceError, match=words):
            describe(worker, 0, file)
        assert worker._process.poll() is not None
        assert not any(Path(f"/proc/{pid}").exists() for pid in descendants(worker._process.pid))
        file.close()


def descendants(pid: int) -> list[int]:
    """Return ``pid``'s last descendants: the worker itself, whether bubblewrap stands before it or not."""
    try:
        found = [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []
    return [deeper for one in found for deeper in descendants(one)] or [pid]


def test_a_small_file_that_decodes_to_much_comes_in_small_chunks(tmp_path):
    dimension = 1 << 15
    index = faiss.IndexLSH(dimension, 8)
    index.add(np.zeros((3_000, dimension), np.float32))
    faiss.write_index(index, str(tmp_path / "a.index"))
    with opened(f"faiss:{tmp_path}/a.index") as source:
        (split,) = source.splits(Selection(), 1)
        chunk = next(source.read(split, None, 10_000))
    assert chunk.batch.num_rows == (1 << 28) // (4 * dimension)
