"""An index answers for itself: by its own search, its own approximations, and under the names the records have here."""

from __future__ import annotations

import json
import math

import faiss
import numpy as np
import pytest

from migrator.connectors.faiss import child
from migrator.errors import ConfigError, UnreadableSourceError
from tests.faiss.reading import DIMENSION, opened, seed, vectors

COUNT = 300
VALUES = vectors(COUNT)
NUMBERS = np.random.default_rng(3).permutation(10**6)[:COUNT].astype(np.int64) - 500_000


def nearest(query, values=VALUES, k=5) -> list[int]:
    return np.argsort(np.square(values - query).sum(axis=1), kind="stable")[:k].tolist()


def answered(endpoint: str, query=VALUES[7], k=5, namespace=None):
    with opened(endpoint) as source:
        return source.search([query], k, namespace)[0]


@pytest.mark.parametrize("kind", ["Flat", "HNSW16", "IVF4,Flat", "IDMap,Flat", "IDMap2,IVF4,Flat", "PCAR16,Flat"])
def test_the_ids_are_those_that_are_read(tmp_path, kind):
    ids = NUMBERS if kind.startswith(("IDMap", "IVF")) else None
    place = seed(tmp_path / "a.index", kind, VALUES, ids)
    with opened(f"faiss:{place}") as source:
        (hits,) = source.search([VALUES[7].tolist()], 3, "")
        assert hits[0][0] == str(NUMBERS[7] if ids is not None else 7)
        assert source.fetch([hits[0][0]], "").column("values")[0].as_py() == pytest.approx(VALUES[7].tolist(), abs=1e-4)


def test_exactly_what_a_flat_index_holds(tmp_path):
    place = seed(tmp_path / "a.index", "Flat", VALUES)
    hits = answered(f"faiss:{place}")
    assert [name for name, _ in hits] == [str(row) for row in nearest(VALUES[7])]
    assert [score for _, score in hits] == pytest.approx(np.sort(np.square(VALUES - VALUES[7]).sum(axis=1))[:5].tolist(), rel=1e-5, abs=1e-6)
    assert answered(f"faiss:{place}", namespace="elsewhere") == []


@pytest.mark.parametrize("kind", ["Flat", "HNSW16", "IVF4,Flat", "IDMap,Flat", "IDMap,HNSW16"])
def test_names_from_a_sidecar_of_positions(tmp_path, kind):
    own = NUMBERS if kind.startswith("IDMap") else None
    place = seed(tmp_path / "a.index", kind, VALUES, own)
    (tmp_path / "ids.json").write_text(json.dumps([f"doc-{row}" for row in range(COUNT)]))
    assert answered(f"faiss:{place}?ids={tmp_path}/ids.json")[0][0] == "doc-7"


def test_shards_answer_together(tmp_path):
    for number, part in enumerate(np.array_split(VALUES, 3)):
        seed(tmp_path / f"shard{number}.index", "Flat", part)
    hits = answered(f"faiss:{tmp_path}", VALUES[250])
    assert [name for name, _ in hits] == [str(row) for row in nearest(VALUES[250])]


def test_a_graph_of_few_links_misses_some(tmp_path):
    values = vectors(5000, seed=5)
    index = faiss.IndexHNSWFlat(DIMENSION, 4)
    index.hnsw.efConstruction, index.hnsw.efSearch = 8, 8
    index.add(values)
    faiss.write_index(index, str(tmp_path / "a.index"))
    queries = values[:100]
    with opened(f"faiss:{tmp_path}/a.index") as source:
        answers = source.search(queries.tolist(), 10, None)
    own = index.search(queries, 10)[1]
    assert [[int(name) for name, _ in hits] for hits in answers] == own.tolist()
    right = [len({int(name) for name, _ in hits} & set(nearest(query, values, 10))) / 10 for hits, query in zip(answers, queries, strict=True)]
    assert 0.1 < np.mean(right) < 0.9


@pytest.mark.parametrize("metric", [faiss.METRIC_INNER_PRODUCT, faiss.METRIC_L2])
def test_cosine_of_unit_vectors_whatever_the_index_measures(tmp_path, metric):
    unit = VALUES / np.linalg.norm(VALUES, axis=1, keepdims=True)
    place = seed(tmp_path / "a.index", "Flat", unit, metric=metric)
    query = VALUES[7] * 3 + VALUES[8]
    exact = np.sort(unit @ (query / np.linalg.norm(query)))[::-1][:5]
    assert [score for _, score in answered(f"faiss:{place}?metric=cosine", query)] == pytest.approx(exact.tolist(), abs=1e-5)


def test_a_score_that_says_nothing_in_the_metric_is_none(tmp_path):
    place = seed(tmp_path / "a.index", "Flat", VALUES, metric=faiss.METRIC_L2)
    assert all(math.isnan(score) for _, score in answered(f"faiss:{place}?metric=dotproduct"))


@pytest.mark.parametrize("kind", ["Flat", "IVF4,Flat", "IDMap,Flat"])
def test_more_than_there_are(tmp_path, kind):
    ids = NUMBERS[5:17] if kind != "Flat" else None
    place = seed(tmp_path / "a.index", kind, VALUES[5:17], ids)
    with opened(f"faiss:{place}") as source:
        (hits,) = source.search([VALUES[7].tolist()], 12, None)
        stored = {str(name) for name in (range(12) if ids is None else ids)}
        assert {name for name, _ in hits} <= stored
        assert hits[0][0] == ("2" if ids is None else str(NUMBERS[7]))
        assert kind.startswith("IVF") or len(hits) == 12  # an IVF index looks into one list of four


def test_an_id_may_be_what_stands_for_none(tmp_path):
    ids = NUMBERS.copy()
    ids[7] = -1
    place = seed(tmp_path / "a.index", "IDMap,Flat", VALUES, ids)
    assert answered(f"faiss:{place}")[0] == ("-1", pytest.approx(0.0, abs=1e-4))


def test_an_empty_index(tmp_path):
    place = seed(tmp_path / "a.index", "Flat", VALUES[:0])
    assert answered(f"faiss:{place}") == []


def test_what_it_cannot_be_asked(tmp_path):
    place = seed(tmp_path / "a.index", "Flat", VALUES)
    with opened(f"faiss:{place}") as source:
        with pytest.raises(ConfigError) as caught:
            source.search([VALUES[0].tolist()], 3, None, {"year": 1900})
        assert caught.value.code == "filter_unsupported"
        with pytest.raises(ConfigError) as caught:
            source.search([[1.0, 2.0]], 3, None)
        assert caught.value.code == "dimension_differs"


def test_an_index_that_kills_whoever_searches_it_is_named(tmp_path, monkeypatch):
    place = seed(tmp_path / "a.index", "Flat", VALUES)
    monkeypatch.setattr(
        child,
        "_START",
        child._START.replace("; main(", "; import os; from migrator.connectors.faiss.worker import search; search.answer = lambda *_: os.abort(); main("),
    )
    with opened(f"faiss:{place}") as source, pytest.raises(UnreadableSourceError, match=r"a.index.*SIGABRT"):
        source.search([VALUES[0].tolist()], 3, None)
