"""Findings: each of them, and none where nothing is the matter."""

from __future__ import annotations

import dataclasses

import pytest

from migrator import planning, preview
from migrator.connectors import connector, memory
from migrator.endpoints import parse
from migrator.errors import ConfigError, PlanError
from migrator.model import Capabilities, Finding, Follow, Plan
from migrator.planning import PlanOptions, make_plan
from tests.unit.batches import batch_of, numbered


@pytest.fixture(autouse=True)
def collections():
    before = dict(memory.COLLECTIONS)
    memory.COLLECTIONS["source"] = table = memory.Table(3)
    table.append(numbered(30, namespace="a"))
    table.append(numbered(10))
    yield memory.COLLECTIONS
    memory.COLLECTIONS.clear()
    memory.COLLECTIONS.update(before)


@pytest.fixture
def limits(monkeypatch):
    """Return a function that changes what the target can hold."""
    return lambda **changes: monkeypatch.setattr(memory, "capabilities", lambda _endpoint=None: Capabilities(**changes))


@pytest.fixture
def described(monkeypatch):
    """Return a function that changes what the source says of itself."""
    real = memory.MemoryStore.describe

    def change(**changes):
        def describe(store):
            found = real(store)
            return dataclasses.replace(found, **changes) if store._name == "source" else found

        monkeypatch.setattr(memory.MemoryStore, "describe", describe)

    return change


def codes(**options) -> dict[str, str]:
    return {finding.code: finding.severity for finding in make_plan("memory:source", "memory:target", PlanOptions(**options)).findings}


def existing(*batches, dimension=3, metric="cosine") -> None:
    memory.COLLECTIONS["target"] = table = memory.Table(dimension, metric)
    for batch in batches:
        table.append(batch)


def test_nothing_is_the_matter():
    assert codes() == {}


def test_planning_writes_nothing(collections):
    existing(numbered(3))
    make_plan("memory:source", "memory:target", PlanOptions())
    make_plan("memory:source", "memory:other", PlanOptions())
    assert "other" not in collections
    assert collections["target"].writes == 0


def test_dimension_too_large(limits):
    limits(max_dimension=2)
    assert codes() == {"dimension_too_large": "blocking"}


def test_sparse_lost(limits, collections):
    limits(sparse=False)
    assert codes() == {}
    collections["source"].append(batch_of([{"id": "s", "sparse_values": {"indices": [1], "values": [1.0]}}]))
    assert codes() == {"sparse_lost": "lossy"}


def test_metadata_lost(limits, described):
    limits(metadata=False)
    described(fields={"n": "int"})
    assert codes() == {"metadata_lost": "lossy"}


def test_metric_unknown_or_unsupported(limits, described):
    described(metric=None)
    assert codes() == {"metric_unknown": "info"}
    described(metric="euclidean")
    limits(metrics=frozenset({"cosine"}))
    assert codes() == {"metric_unsupported": "blocking"}


def test_what_the_source_says_of_itself_is_passed_on(described):
    described(findings=(Finding("lossy", "approximate", "values are compressed"),))
    assert codes() == {"approximate": "lossy"}


def test_namespaces():
    assert codes(namespaces=("a", "")) == {}
    assert codes(namespaces=("a", "nope")) == {"namespace_unknown": "blocking"}
    assert codes(namespace_from="n") == {"namespace_routing": "info"}


def test_only_a_source_that_others_may_write_to_unseen_is_said_to_be_one(limits):
    assert "source_unversioned" not in codes()
    limits(changes_unseen=True)
    assert codes() == {"source_unversioned": "info"}
    assert "source_unversioned" not in codes(follow=Follow(changes="all"))


@pytest.mark.parametrize(
    ("endpoint", "unseen"),
    [
        ("pinecone:a?api_key=env:KEY", True),
        ("milvus:a?uri=http://localhost:19530", True),
        ("milvus:a?uri=./a.db", False),
        ("faiss:a.index", False),
        ("parquet:./a", False),
        ("parquet:s3://bucket/a", False),
    ],
)
def test_which_sources_do_not_tell_whether_they_change(monkeypatch, endpoint, unseen):
    monkeypatch.setenv("KEY", "key")
    parsed = parse(endpoint)
    assert connector(parsed.connector).capabilities(parsed).changes_unseen is unseen


def test_what_is_not_there_yet():
    assert codes(route="staged") == {"route_unavailable": "blocking"}
    assert codes(staging="parquet:./files") == {"staging_unused": "blocking"}
    assert codes(executor="ray") == {"executor_unavailable": "blocking"}


def test_a_target_of_another_shape():
    existing(dimension=4)
    assert codes() == {"dimension_differs": "blocking"}
    existing(metric="euclidean")
    assert codes() == {"metric_differs": "blocking"}
    existing()
    assert codes() == {}


def test_a_target_with_records():
    existing(numbered(5, namespace="a"))
    assert codes() == {"target_not_empty": "info"}
    existing(batch_of([{"id": "mine"}]))
    assert codes() == {"target_has_foreign_records": "blocking"}
    for options in ({"on_conflict": "upsert"}, {"on_conflict": "skip"}, {"new_only": True}):
        assert codes(**options) == {"target_not_empty": "info"}
    existing(batch_of([{"id": "r3", "values": [9.0, 9.0, 9.0]}]))
    assert codes() == {"target_records_differ": "blocking"}
    existing(numbered(5, namespace="a"), numbered(99, namespace="b"))
    assert codes() == {"target_has_foreign_records": "blocking"}


def plan(*findings: Finding, accept_lossy: bool = False) -> Plan:
    return dataclasses.replace(make_plan("memory:source", "memory:target", PlanOptions()), findings=findings, accept_lossy=accept_lossy)


def test_blocking_stops_and_lossy_needs_consent():
    info, lossy, blocking = (Finding(severity, severity, severity, "do this") for severity in ("info", "lossy", "blocking"))
    planning.check(plan(info))
    planning.check(plan(info, lossy, accept_lossy=True))
    for found, accepted in (((lossy,), False), ((blocking,), False), ((info, lossy, blocking), True)):
        with pytest.raises(PlanError) as caught:
            planning.check(plan(*found, accept_lossy=accepted))
        assert caught.value.fix
    with pytest.raises(PlanError, match="lossy") as caught:
        planning.check(plan(lossy))
    assert "--accept-lossy" in caught.value.fix


def test_the_estimate_counts_what_is_selected():
    def records(**options):
        return make_plan("memory:source", "memory:target", PlanOptions(**options)).estimate["records"]

    assert (records(), records(namespaces=("a",)), records(namespaces=())) == (40, 30, 0)
    estimate = make_plan("memory:source", "memory:target", PlanOptions(), measured=20.0).estimate
    assert (estimate["seconds"], estimate["vector_bytes"]) == (2.0, 40 * 12)
    assert "last run" in estimate["basis"]
    assert estimate["cost"] is None


def test_sparse_values_count_as_payload(collections):
    before = make_plan("memory:source", "memory:target", PlanOptions()).estimate
    collections["source"].append(batch_of([{"id": f"s{n}", "sparse_values": {"indices": list(range(100)), "values": [1.0] * 100}} for n in range(40)]))
    after = make_plan("memory:source", "memory:target", PlanOptions()).estimate
    assert after["payload_bytes"] - after["vector_bytes"] > before["payload_bytes"] - before["vector_bytes"] + 40 * 100 * 8 * 0.3


@pytest.mark.parametrize("options", [{"batch": 0}, {"batch": -1}, {"workers": 0}, {"filter": {}}, {"filter": {"$x": 1}}])
def test_bad_options_are_refused(options):
    with pytest.raises(ConfigError) as caught:
        codes(**options)
    assert caught.value.fix


def test_a_source_that_is_not_there():
    with pytest.raises(memory.PermanentError, match="nowhere"):
        make_plan("memory:nowhere", "memory:target", PlanOptions())


def test_samples():
    found = preview.sample_records("memory:source", 5, "a")
    assert [row["namespace"] for row in found] == ["a"] * 5
    assert found[0]["metadata"] == {"n": 0, "even": True}
    assert len(preview.sample_records("memory:source", 100, None)) == 40
    assert preview.sample_records("memory:source", 5, "nope") == []
