"""Uploaded files on disk: nothing outside their folder, nothing half-written, nothing guessed."""

import io
import stat
import zipfile

import pytest

from migrator.errors import ConfigError
from ui import uploads


class File(io.BytesIO):
    def __init__(self, name, content=b"x"):
        super().__init__(content)
        self.name = name


def archive(members, *, link=None):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            if name == link:
                info.external_attr = (stat.S_IFLNK | 0o777) << 16
            packed.writestr(info, content)
    return File("data.zip", out.getvalue())


def test_files_keep_their_content_and_lose_their_path(tmp_path):
    folder = uploads.store([File("../../etc/photos.index", b"index"), File("photos.ids.json", b"[]")], tmp_path)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"photos.index": b"index", "photos.ids.json": b"[]"}
    assert folder.parent == tmp_path
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("given", "kept"), [("a b.index", "a b.index"), ("..", "file"), (".hidden", "hidden"), ("C:\\x\\y.bin", "y.bin"), ("a\n<b>.npy", "a__b_.npy")]
)
def test_safe_name(given, kept):
    assert uploads.safe_name(given) == kept


def test_a_zip_is_unpacked_with_its_folders(tmp_path):
    folder = uploads.store([archive({"set/namespace=en/a.parquet": b"1", "set/namespace=de/a.parquet": b"2"})], tmp_path)
    assert (folder / "set" / "namespace=de" / "a.parquet").read_bytes() == b"2"
    assert uploads.parquet_parts(folder) == {"": str(folder / "set")}


@pytest.mark.parametrize("name", ["../out.index", "a/../../out.index", "/etc/out.index", "C:/out.index", "~/out.index"])
def test_a_member_outside_the_archive_is_refused_by_name(tmp_path, name):
    with pytest.raises(ConfigError, match="no plain file inside"):
        uploads.store([archive({"good.index": b"1", name: b"2"})], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_symbolic_link_in_an_archive_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"ids\.json"):
        uploads.store([archive({"ids.json": "/etc/passwd"}, link="ids.json")], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(uploads, "MOST_BYTES", 1000)
    with pytest.raises(ConfigError, match=r"b\.index unpacks to more"):
        uploads.store([archive({"a.index": bytes(600), "b.index": bytes(600)})], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_broken_archive_is_one_clear_error(tmp_path):
    with pytest.raises(ConfigError, match=r"data\.zip is no readable \.zip"):
        uploads.store([File("data.zip", b"PK\x03\x04 and then nothing")], tmp_path)


def test_two_files_of_one_name_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"called a\.index"):
        uploads.store([File("x/a.index"), File("y/a.index")], tmp_path)


def test_a_langchain_folder_is_recognised(tmp_path):
    folder = uploads.store([File("index.faiss"), File("index.pkl")], tmp_path)
    assert uploads.faiss_parts(folder) == {"": str(folder)}


def test_sidecars_are_recognised_by_their_names(tmp_path):
    folder = uploads.store([File("sotu.index"), File("sotu.ids.json"), File("sotu.metadata.jsonl")], tmp_path)
    names = {"": "sotu.index", "ids": "sotu.ids.json", "metadata": "sotu.metadata.jsonl"}
    assert uploads.faiss_parts(folder) == {option: str(folder / name) for option, name in names.items()}


@pytest.mark.parametrize("names", [["ids.npy"], ["a.index", "b.faiss"]])
def test_no_guess_which_file_is_the_index(tmp_path, names):
    with pytest.raises(ConfigError, match="must hold one index"):
        uploads.faiss_parts(uploads.store([File(name) for name in names], tmp_path))
