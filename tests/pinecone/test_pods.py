"""Finding the ids of a pod index: complete where its metadata allows, honest where not, and never by writing."""

from __future__ import annotations

import numpy as np
import pytest

from migrator.connectors.pinecone import pods
from migrator.connectors.pinecone.given_ids import given_ids
from migrator.connectors.pinecone.options import Settings
from migrator.connectors.pinecone.pods import find_ids
from migrator.errors import ConfigError, PermanentError
from migrator.filters import compile_filter
from migrator.pinecone_protocol import limits


class Index:
    """A pod index of the records given, whose approximate search overlooks a share of each answer."""

    def __init__(self, metadata, *, overlooks=0.0, ne_matches_missing=True, forbidden=()):
        self.metadata_of = {f"r{n}": row for n, row in enumerate(metadata)}
        self.overlooks, self.ne_matches_missing, self.forbidden = overlooks, ne_matches_missing, forbidden
        self.random = np.random.default_rng(5)
        self.queries = 0

    def matching(self, filter_):
        if filter_ is None:
            return list(self.metadata_of)
        if any(f"'{name}'" in repr(filter_) for name in self.forbidden):
            raise PermanentError("not indexed", code="bad_request")
        test = compile_filter(filter_)
        return [name for name, row in self.metadata_of.items() if test(row) and (self.ne_matches_missing or not _only_missing(filter_, row))]

    def count(self, filter_):
        return len(self.matching(filter_))

    def nearest(self, filter_, top_k):
        self.queries += 1
        found = [name for name in self.matching(filter_) if self.random.random() >= self.overlooks]
        self.random.shuffle(found)
        return found[:top_k]

    def metadata(self, ids):
        return [self.metadata_of[name] for name in ids]


def _only_missing(filter_, row):
    return any("$nin" in rule and field not in row for field, rule in filter_.items() if isinstance(rule, dict))


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(limits, "TOP_K", 100)


def test_one_query_brings_a_small_namespace():
    index = Index([{}] * 100)
    found = find_ids(index)
    assert (len(found.ids), found.how, index.queries) == (100, "query", 1)
    assert list(found.ids) == sorted(found.ids)


def test_an_empty_namespace():
    assert find_ids(Index([])).complete


def test_a_query_that_overlooks_records_is_asked_again():
    found = find_ids(Index([{}] * 90, overlooks=0.1))
    assert found.complete


@pytest.mark.parametrize("ne_matches_missing", [True, False])
@pytest.mark.parametrize(
    "metadata",
    [
        [{"n": n} for n in range(1_000)],
        [{"n": n % 7, "t": f"t{n % 31}"} for n in range(1_200)],
        [{"t": f"t{n % 97}"} if n % 3 else {"n": n} for n in range(1_500)],
        [{"l": [f"a{n % 5}", f"b{n % 40}"]} for n in range(1_500)],
        [{"day": n // 50, "t": "same"} if n % 2 else {"t": "same", "id": str(n)} for n in range(400)],
    ],
    ids=["numbers", "texts", "some lack the field", "lists", "unique texts"],
)
def test_metadata_divides_a_large_namespace_whatever_nin_means(metadata, ne_matches_missing):
    found = find_ids(Index(metadata, ne_matches_missing=ne_matches_missing))
    assert found.complete
    assert found.how == "metadata"


def test_the_fields_asked_for_come_first():
    index = Index([{"n": n, "shop": f"s{n % 20}"} for n in range(1_000)])
    asked = []
    inner = index.count
    index.count = lambda filter_: (asked.append(filter_), inner(filter_))[1]
    assert find_ids(index, ["shop"]).complete
    assert all("'n'" not in repr(filter_) for filter_ in asked)


def test_a_field_that_cannot_be_filtered_by_is_passed_over():
    assert find_ids(Index([{"n": n, "t": f"t{n % 50}"} for n in range(1_000)], forbidden=["n"])).complete


def test_without_metadata_it_is_probing_and_says_how_far_it_came():
    found = find_ids(Index([{}] * 700, overlooks=0.5))
    assert found.how == "probing"
    assert found.complete == (len(found.ids) == 700)


def test_what_cannot_be_found_is_not_claimed(monkeypatch):
    index = Index([{"t": "same"}] * 400)
    index.nearest = lambda filter_, top_k: index.matching(filter_)[:top_k]  # always the same hundred
    found = find_ids(index)
    assert (len(found.ids), found.counted, found.complete) == (100, 400, False)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ids.txt", "b\na\n\na\n"),
        ("ids.csv", "id,namespace\na,\nb,n\n"),
        ("ids.jsonl", '"a"\n{"id": "b"}\n{"id": "c", "namespace": "other"}\n'),
    ],
)
def test_ids_from_files(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    expected = {"ids.csv": ["b"]}.get(name, ["a", "b"])
    assert given_ids(Settings("i", "k", ids=tmp_path / name), "n") == expected


def test_ids_from_numpy_and_from_a_range(tmp_path):
    np.save(tmp_path / "ids.npy", np.array(["x1", "x0"]))
    assert given_ids(Settings("i", "k", ids=tmp_path / "ids.npy", id_prefix="x", id_range=(1, 3)), "") == ["x0", "x1", "x2", "x3"]
    assert given_ids(Settings("i", "k"), "") is None


@pytest.mark.parametrize(("name", "text"), [("ids.npy", "not numpy"), ("ids.jsonl", "{"), ("ids.csv", "name\na\n"), ("ids.jsonl", '{"no": 1}\n')])
def test_a_file_without_ids_is_named(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match="ids="):
        given_ids(Settings("i", "k", ids=tmp_path / name), "")


def test_no_question_writes():
    assert {name for name in vars(pods.Questions) if not name.startswith("_")} == {"count", "nearest", "metadata"}
