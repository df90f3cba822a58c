"""Search quality between indexes, namespaces and filters included, and on the way to Milvus in each of its modes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from migrator.service import SearchOptions
from tests.parameters import rest_slow


def filled(account, metric="cosine") -> None:
    """Fill index ``a``: two namespaces of random vectors, whose ids differ."""
    account.create("a", 16, metric)
    for seed, (namespace, count) in enumerate({"": 150, "en us": 60}.items()):
        values = np.random.default_rng(seed).standard_normal((count, 16)).astype(np.float32)
        metadata = [{"n": n, "tags": ["even" if n % 2 == 0 else "odd", "all"]} for n in range(count)]
        account.fill("a", [{"id": f"{seed}-{n}", "values": values[n].tolist(), "metadata": metadata[n]} for n in range(count)], namespace)


def searched(service, run: str, **options):
    service.searches.start(run, SearchOptions(**{"samples": 30, **options}))
    status = service.wait(run, 120)
    assert not status["error"], status["error"]
    found = service.searches.result(run)
    assert (found["verdict"], found["unsearchable"]) == ("pass", {})
    assert found["recall"]["source"]["mean"] == found["recall"]["target"]["mean"] == found["overlap"] == 1.0
    assert found["score_drift"]["max"] < 1e-4
    assert [finding for finding in found["findings"] if finding["severity"] != "info"] == []
    return found


@pytest.mark.parametrize(("transport", "metric"), rest_slow(itertools.product(["grpc", "rest"], ["cosine", "dotproduct", "euclidean"])))
def test_from_index_to_index(account, service, copy, metric, transport):
    filled(account, metric)
    result = copy(f"pinecone:a?transport={transport}", f"pinecone:b?transport={transport}")
    found = searched(service, result["run"])
    assert (found["metric"], sorted(found["namespaces"]), found["truth"]["records"]) == (metric, ["", "en us"], 210)
    found = searched(service, result["run"], filter={"$or": [{"n": {"$lt": 20}}, {"tags": "odd"}]})
    assert found["filter"] is not None


@pytest.mark.parametrize(("mode", "metric"), rest_slow(itertools.product(["partition_key", "partition", "collection"], ["cosine", "dotproduct", "euclidean"])))
def test_to_milvus(account, service, copy, tmp_path, metric, mode):
    filled(account, metric)
    result = copy("pinecone:a", f"milvus:things?uri={tmp_path}/a.db&index_type=FLAT&namespace_mode={mode}")
    assert sorted(searched(service, result["run"])["namespaces"]) == ["", "en us"]
    searched(service, result["run"], filter={"n": {"$gte": 10}, "tags": {"$in": ["odd"]}})
    searched(service, result["run"], namespaces=("en us",), filter={"tags": {"$ne": "odd"}})


@pytest.mark.slow
def test_routed_by_a_field_with_encoded_names(account, service, copy, tmp_path):
    account.create("a", 16)
    values = np.random.default_rng(1).standard_normal((90, 16)).astype(np.float32)
    langs = ["日本", "en", 7]
    account.fill("a", [{"id": f"r{n}", "values": values[n].tolist(), "metadata": {"lang": langs[n % 3]}} for n in range(90)])
    there = copy("pinecone:a", f"milvus:things?uri={tmp_path}/a.db&index_type=FLAT", namespace_from="lang")
    assert sorted(searched(service, there["run"])["namespaces"]) == ["7", "en", "日本"]
    back = copy(f"milvus:things?uri={tmp_path}/a.db", "pinecone:b", namespace_from="lang")
    assert len(searched(service, back["run"])["namespaces"]) == 3


def test_a_sparse_index_has_nothing_to_ask(account, service, copy):
    account.client.indexes.create(
        name="s",
        schema={"fields": {"_sparse_values": {"type": "sparse_vector", "metric": "dotproduct"}}},
        deployment={"deployment_type": "managed", "cloud": "aws", "region": "us-east-1"},
    )
    account.fill("s", [{"id": "a", "sparse_values": {"indices": [1], "values": [0.5]}}])
    run = copy("pinecone:s", "pinecone:t")["run"]
    service.searches.start(run, SearchOptions())
    assert service.wait(run, 60)["error"]["code"] == "sparse_only"
