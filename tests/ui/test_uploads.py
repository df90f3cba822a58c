"""Uploaded files on disk: nothing outside their folder, nothing half-written, nothing guessed."""

import io
import re
import shutil
import stat
import zipfile
from pathlib import Path

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


def stored(folder, *files):
    """Store each file, and return the folder that holds all of them."""
    return uploads.together([uploads.keep(file, folder) for file in files], folder)


def test_files_keep_their_content_and_lose_their_path(tmp_path):
    folder = stored(tmp_path, File("../../etc/photos.index", b"index"), File("photos.ids.json", b"[]"))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"photos.index": b"index", "photos.ids.json": b"[]"}
    assert folder.parent == tmp_path
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("given", "kept"), [("a b.index", "a b.index"), ("..", "file"), (".hidden", "hidden"), ("C:\\x\\y.bin", "y.bin"), ("a\n<b>.npy", "a__b_.npy")]
)
def test_safe_name(given, kept):
    assert uploads.safe_name(given) == kept


def test_a_zip_is_unpacked_with_its_folders(tmp_path):
    folder = stored(tmp_path, archive({"set/namespace=en/a.parquet": b"1", "set/namespace=de/a.parquet": b"2"}))
    assert (folder / "set" / "namespace=de" / "a.parquet").read_bytes() == b"2"
    assert uploads.parquet_parts(folder).options == {"": str(folder / "set")}


@pytest.mark.parametrize("name", ["../out.index", "a/../../out.index", "/etc/out.index", "C:/out.index", "~/out.index"])
def test_a_member_outside_the_archive_is_refused_by_name(tmp_path, name):
    with pytest.raises(ConfigError, match="no plain file inside"):
        stored(tmp_path, archive({"good.index": b"1", name: b"2"}))
    assert list(tmp_path.iterdir()) == []


def test_a_symbolic_link_in_an_archive_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"ids\.json"):
        stored(tmp_path, archive({"ids.json": "/etc/passwd"}, link="ids.json"))
    assert list(tmp_path.iterdir()) == []


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(uploads, "MOST_BYTES", 1000)
    with pytest.raises(ConfigError, match=r"b\.index unpacks to more"):
        stored(tmp_path, archive({"a.index": bytes(600), "b.index": bytes(600)}))
    assert list(tmp_path.iterdir()) == []


def test_a_broken_archive_is_one_clear_error(tmp_path):
    with pytest.raises(ConfigError, match=r"data\.zip is no readable \.zip"):
        stored(tmp_path, File("data.zip", b"PK\x03\x04 and then nothing"))


def test_two_files_of_one_name_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"called a\.index"):
        stored(tmp_path, File("x/a.index"), File("y/a.index"))


def taken(tmp_path, *names, content=b"x"):
    return uploads.faiss_parts(stored(tmp_path, *(File(name, content) for name in names)))


IDS = "stored in the index, or row numbers"


def test_a_langchain_folder_is_recognised(tmp_path):
    found = taken(tmp_path, "index.faiss", "index.pkl")
    assert {path.name for path in Path(found.options.pop("")).iterdir()} == {"index.faiss", "index.pkl"}
    assert found.options == {}
    assert found.roles == (("index", "index.faiss"), ("ids and metadata", "index.pkl"))


def test_a_llamaindex_folder_is_recognised(tmp_path):
    names = ("docstore.json", "graph_store.json", "image__vector_store.json", "index_store.json")
    folder = stored(tmp_path, File("default__vector_store.json", b"IxFI"), *(File(name, b"{}") for name in names))
    found = uploads.faiss_parts(folder)
    assert found.options == {"": str(folder)}
    assert dict(found.roles) == {"index": "default__vector_store.json", "ids and metadata": "docstore.json, index_store.json"}


@pytest.mark.parametrize(("more", "said"), [({"documents": b"1"}, "documents"), ({"ids": b"1"}, "ids"), ({}, "config")])
def test_a_txtai_folder_is_recognised(tmp_path, more, said):
    folder = stored(
        tmp_path, archive({"t/config": b"1", "t/embeddings": b"1", "t/indexes/a/embeddings": b"1", "t/indexes/a/config": b"1", **more_in("t", more)})
    )
    found = uploads.faiss_parts(folder)
    assert found.options == {"": str(folder / "t")}
    assert dict(found.roles) == {"index": "embeddings", "ids and metadata": said}


def more_in(folder, members):
    return {f"{folder}/{name}": content for name, content in members.items()}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["sotu.index", "sotu.ids.json", "sotu.metadata.jsonl"], {"metadata": "sotu.metadata.jsonl", "ids": "sotu.ids.json"}),
        (["photos.index", "photos.jsonl"], {"metadata": "photos.jsonl", "ids": IDS}),
        (["photos.index", "photos.npy"], {"metadata": "none", "ids": "photos.npy"}),
        (["photos.index", "photos.npy", "photos.csv"], {"metadata": "photos.csv", "ids": "photos.npy"}),
        (["photos.index", "photoIds.json", "photos.parquet"], {"metadata": "photos.parquet", "ids": "photoIds.json"}),
        (["orchids.index", "orchids.csv"], {"metadata": "orchids.csv", "ids": IDS}),
        (["photos.index", "metadata-with-ids.jsonl"], {"metadata": "metadata-with-ids.jsonl", "ids": IDS}),
        (["photos.index"], {"metadata": "none", "ids": IDS}),
        (["photos.faiss", "photos.pkl"], {"ids and metadata": "photos.pkl"}),
    ],
)
def test_what_each_file_is_taken_for(tmp_path, names, expected):
    found = taken(tmp_path, *names)
    assert dict(found.roles) == {"index": names[0], **expected}
    options = {role: Path(path).name for role, path in found.options.items()}
    assert options == {"": names[0]} | {role: name for role, name in expected.items() if role in {"ids", "metadata"} and name in names}


@pytest.mark.parametrize(
    ("names", "message", "fix"),
    [
        (["photos.index", "photos.jsonl", "notes.csv"], "notes.csv and photos.jsonl could both be the metadata", "upload only one.*photos.ids.csv"),
        (["photos.index", "a.jsonl", "b.jsonl"], "a.jsonl and b.jsonl could both be the metadata", "^upload only one of them$"),
        (["photos.index", "a.metadata.jsonl", "b.metadata.jsonl", "c.metadata.json"], "a.*, b.* and c.* could all be the metadata", "only one"),
        (["photos.index", "a.npy", "b.ids.json"], "a.npy and b.ids.json could both be the ids", "upload only one"),
        (["photos.index", "photos.metadata.jsonl", "notes.csv"], "notes.csv would not be used: photos.metadata.jsonl is the metadata", "leave notes.csv out"),
        (["photos.index", "photos.ids.jsonl"], r"the ids in photos.ids.jsonl cannot be read", "photos.ids.csv"),
        (["photos.index", "photos.pkl"], "photos.pkl would not be used", "ending in .faiss"),
        (["photos.faiss", "index.pkl"], "index.pkl would not be used", "photos.pkl"),
        (["index.faiss", "index.pkl", "photos.jsonl"], "photos.jsonl would not be used: index.pkl holds the ids and the metadata", "photos.jsonl or index.pkl"),
    ],
)
def test_a_file_that_would_be_dropped_is_refused_by_name(tmp_path, names, message, fix):
    with pytest.raises(ConfigError, match=message) as caught:
        taken(tmp_path, *names)
    assert re.search(fix, caught.value.fix)


def test_a_readme_in_an_archive_is_named_but_what_a_mac_adds_is_not(tmp_path):
    members = {"a.index": b"1", "__MACOSX/._a.index": b"1", ".DS_Store": b"1"}
    assert dict(uploads.faiss_parts(stored(tmp_path, archive(members))).roles) == {"index": "a.index", "metadata": "none", "ids": IDS}
    with pytest.raises(ConfigError, match=r"README\.md would not be used"):
        uploads.faiss_parts(stored(tmp_path, archive({**members, "README.md": b"1"})))


@pytest.mark.parametrize("names", [["ids.npy"], ["a.index", "b.faiss"]])
def test_no_guess_which_file_is_the_index(tmp_path, names):
    with pytest.raises(ConfigError, match="must hold one index"):
        taken(tmp_path, *names)


def test_parquet_files_are_all_named(tmp_path):
    found = uploads.parquet_parts(stored(tmp_path, File("a.parquet"), File("b.parquet")))
    assert found.roles == (("data", "a.parquet, b.parquet"),)
    found = uploads.parquet_parts(stored(tmp_path, archive({f"set/n/{number}.parquet": b"1" for number in range(9)} | {"set/manifest.json": b"{}"})))
    assert found.roles == (("data", "n/0.parquet, n/1.parquet, n/2.parquet and 6 more"), ("manifest", "manifest.json"))


@pytest.mark.parametrize("name", ["set/notes.csv", "set/_b.parquet", "set/.tmp/b.parquet", "set/B.PARQUET", "set/n/manifest.json"])
def test_what_the_parquet_reader_would_pass_over_is_refused_by_name(tmp_path, name):
    with pytest.raises(ConfigError, match=re.escape(name.removeprefix("set/") + " would not be read")):
        uploads.parquet_parts(stored(tmp_path, archive({"set/a.parquet": b"1", "set/_SUCCESS": b"", name: b"2"})))


def test_equal_uploads_are_stored_once(tmp_path):
    files = [("a.index", b"index"), ("a.jsonl", b"{}")]
    first = stored(tmp_path, *(File(*file) for file in files))
    before = sorted(tmp_path.rglob("*"))
    assert stored(tmp_path, *(File(*file) for file in reversed(files))) == first
    assert sorted(tmp_path.rglob("*")) == before
    assert (first / "a.index").stat().st_nlink == 2  # in the folder of all, at no further cost
    assert stored(tmp_path, File("b.index", b"index"), File("a.jsonl", b"{}")) != first


def test_a_stored_file_that_is_gone_is_named(tmp_path):
    kept = uploads.keep(File("a.index"), tmp_path)
    shutil.rmtree(kept.folder)
    with pytest.raises(ConfigError, match=r"a\.index is no longer on the server"):
        uploads.together([kept], tmp_path)
