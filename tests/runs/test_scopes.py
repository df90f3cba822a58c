"""Proofs of less than everything, or less than every bit: what they see, what they do not, and that they say so."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest

from migrator.connectors import memory
from migrator.errors import ConfigError
from migrator.records import matrix, with_values
from migrator.service import PlanOptions, Scope, Tolerance
from tests.runs.conftest import Ended
from tests.unit.batches import batch_of, numbered

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa


@pytest.fixture
def pair(service) -> Callable[..., Ended]:
    def run(scope: Scope, **options) -> Ended:
        return Ended(service, service.start_verify_pair("memory:source", "memory:target", PlanOptions(**options), scope=scope))

    return run


@pytest.fixture
def reads(monkeypatch) -> Counter[str]:
    """Count the rows that are read, listed and looked up."""
    counted: Counter[str] = Counter()
    read, keys, fetch = memory.MemoryStore.read, memory.MemoryStore.keys, memory.MemoryStore.fetch

    def counting_read(self, split, cursor, records):
        for chunk in read(self, split, cursor, records):
            counted["read"] += len(chunk.batch)
            yield chunk

    def counting_keys(self, split):
        for batch in keys(self, split):
            counted["keys"] += len(batch)
            yield batch

    def counting_fetch(self, ids, namespace):
        counted["fetched"] += len(ids)
        return fetch(self, ids, namespace)

    monkeypatch.setattr(memory.MemoryStore, "read", counting_read)
    monkeypatch.setattr(memory.MemoryStore, "keys", counting_keys)
    monkeypatch.setattr(memory.MemoryStore, "fetch", counting_fetch)
    return counted


def nudged(batch: pa.RecordBatch, by: float) -> pa.RecordBatch:
    return with_values(batch, matrix(batch) + np.float32(by))


def names(ended: Ended) -> dict[str, str]:
    return {row["id"]: row["class"] for row in ended.result["differences"]}


def test_ids_are_compared_without_reading_a_record(seed, pair, reads):
    seed("source", numbered(300, namespace="a"))
    seed("target", numbered(299, namespace="a", start=1), numbered(1, namespace="a", start=500))
    ended = pair(Scope("ids"))
    assert (str(ended), names(ended)) == ("differs", {"r0": "missing", "r500": "extra"})
    assert reads["read"] == 0
    assert ended.result["scope"]["level"] == "ids"
    assert "not looked at" in ended.result["scope"]["sentence"]


def test_equal_ids_of_other_content_are_equal_as_far_as_ids_go(seed, pair):
    seed("source", numbered(30))
    seed("target", nudged(numbered(30), 1.0))
    assert str(pair(Scope("ids"))) == "proven"
    assert str(pair(Scope())) == "differs"


def test_a_doubled_id_shows_by_ids_alone(seed, pair):
    seed("source", numbered(30))
    seed("target", numbered(30), numbered(1, start=8))
    ended = pair(Scope("ids"))
    assert (str(ended), names(ended)) == ("differs", {"r8": "duplicate"})


def test_counts_name_no_record_and_say_how_many(seed, pair, reads):
    seed("source", numbered(30, namespace="a"), numbered(5, namespace="b"))
    seed("target", numbered(30, namespace="a"), numbered(7, namespace="b"))
    ended = pair(Scope("counts"))
    assert (str(ended), ended.result["differences"], ended.result["differences_total"]) == ("differs", [], 2)
    assert ended.result["namespaces"]["b"] == {"source": 5, "target": 7, "missing": 0, "extra": 2, "changed": 0}
    assert not reads["read"] + reads["keys"] + reads["fetched"]
    assert str(pair(Scope("counts"), namespaces=("a",))) == "proven"


def test_counts_go_through_the_rules_and_refuse_those_that_need_records(service, seed, pair):
    seed("source", numbered(30, namespace="a"), numbered(5, namespace="b"))
    seed("target", numbered(35, namespace="z"))
    assert str(pair(Scope("counts"), target_namespace="z")) == "proven"
    ended = pair(Scope("counts"), filter={"n": {"$gte": 1}})
    assert (str(ended), ended.status["error"]["code"]) == ("failed", "counts_need_records")
    costs = service.scope_costs_pair("memory:source", "memory:target", PlanOptions(filter={"n": 1}))
    assert [cost["level"] for cost in costs] == ["ids", "content"]


@pytest.mark.parametrize(("sample", "share"), [("10%", 0.1), ("200", 0.1), ("2,000", 1.0), ("100 %", 1.0), ("5000", 1.0)])
def test_a_sample_is_the_same_on_both_sides_and_of_the_size_asked_for(seed, pair, reads, sample, share):
    seed("source", numbered(2000))
    seed("target", numbered(2000).take(list(range(1999, -1, -1))))
    ended = pair(Scope(sample=sample))
    assert str(ended) == "proven"
    compared = ended.result["scope"]["compared"]
    assert compared == 2000 * share if sample != "10%" else 120 < compared < 280
    assert reads["read"] == 0
    assert reads["fetched"] == 2 * compared
    assert "19 samples of 20" in ended.result["scope"]["sentence"]


def test_a_sample_finds_what_is_in_it_on_either_side(seed, pair):
    seed("source", numbered(2000))
    table = seed("target", numbered(1900), numbered(400, start=5000))
    for n in range(0, 1900, 2):
        place = table.places["", f"r{n}"]
        table.rows[place] = dataclasses.replace(table.rows[place], metadata=None)
    found = Counter(names(pair(Scope(sample="20%"))).values())
    assert 100 < found["changed"] < 300
    assert found["missing"] > 0
    assert found["extra"] > 20


@pytest.mark.parametrize("text", ["0", "-5", "0%", "101%", "a tenth", "%", "1.5"])
def test_a_sample_that_is_none_is_refused(seed, pair, text):
    seed("source", numbered(3))
    seed("target", numbered(3))
    with pytest.raises(ConfigError) as refused:
        pair(Scope(sample=text))
    assert (refused.value.code, text in refused.value.message) == ("bad_sample", True)


@pytest.mark.parametrize(
    "scope", [Scope("ids", "5%"), Scope("counts", tolerance=Tolerance(0.1)), Scope(sample="5%", tolerance=Tolerance(0.1)), Scope(tolerance=Tolerance(-1.0))]
)
def test_what_does_not_go_together_is_refused(seed, pair, scope):
    seed("source", numbered(3))
    seed("target", numbered(3))
    with pytest.raises(ConfigError):
        pair(scope)


def test_within_a_tolerance_is_equal_and_beyond_it_is_named(seed, pair):
    seed("source", numbered(1000))
    target = seed("target", nudged(numbered(1000), 1e-4))
    place = target.places["", "r77"]
    target.rows[place] = dataclasses.replace(target.rows[place], values=target.rows[place].values + np.float32(0.01))
    assert str(pair(Scope())) == "differs"
    ended = pair(Scope(tolerance=Tolerance(2e-4)))
    assert (str(ended), names(ended)) == ("differs", {"r77": "changed"})
    target.rows[place] = dataclasses.replace(target.rows[place], values=target.rows[place].values - np.float32(0.01))
    ended = pair(Scope(tolerance=Tolerance(2e-4)))
    assert str(ended) == "proven"
    assert ended.result["tolerance"]["within"] == 1000
    assert 5e-5 < ended.result["tolerance"]["largest"] < 2e-4
    assert "within 0.0002" in ended.result["scope"]["sentence"]


def test_a_tolerance_is_for_vectors_only(seed, pair):
    seed("source", numbered(10))
    table = seed("target", nudged(numbered(10), 1e-5))
    table.rows[3] = dataclasses.replace(table.rows[3], metadata='{"even":false,"n":4}')
    table.rows[4] = dataclasses.replace(table.rows[4], sparse_values={"indices": [1], "values": [0.5]})
    table.delete(["r5"], "")
    ended = pair(Scope(tolerance=Tolerance(1e-3)))
    assert names(ended) == {"r3": "changed", "r4": "changed", "r5": "missing"}


def test_normalised_vectors_equal_those_they_came_from(seed, pair):
    source = numbered(500)
    values = matrix(source)
    seed("source", source)
    seed("target", with_values(source, values / np.linalg.norm(values, axis=1, keepdims=True)))
    assert str(pair(Scope())) == "differs"
    ended = pair(Scope(tolerance=Tolerance(normalised=True)))
    assert str(ended) == "proven"
    assert "normalised" in ended.result["scope"]["sentence"]
    turned = values.copy()
    turned[7] = turned[7][::-1]
    seed("target", with_values(source, turned / np.linalg.norm(turned, axis=1, keepdims=True)))
    assert names(pair(Scope(tolerance=Tolerance(normalised=True)))) == {"r7": "changed"}


def test_vectors_rounded_to_float16_equal_those_they_came_from(seed, pair):
    source = nudged(numbered(500), 0.001)
    seed("source", source)
    seed("target", with_values(source, matrix(source).astype(np.float16).astype(np.float32)))
    assert str(pair(Scope())) == "differs"
    assert str(pair(Scope(tolerance=Tolerance(float16=True)))) == "proven"


def test_what_was_written_meanwhile_is_said_and_not_blamed(seed, pair, monkeypatch):
    seed("source", numbered(50))
    table = seed("target", numbered(49))
    read = memory.MemoryStore.read

    def late(self, split, cursor, records):
        yield from read(self, split, cursor, records)
        if self._name == "source" and len(table.rows) == 49:
            table.append(numbered(1, start=49))

    monkeypatch.setattr(memory.MemoryStore, "read", late)
    ended = pair(Scope())
    assert (str(ended), ended.result["differences"]) == ("proven", [])
    assert {finding["code"] for finding in ended.result["findings"]} >= {"settled", "target_changed_meanwhile"}
    assert ended.result["digests"]["source"] == ended.result["digests"]["target"]
    assert ended.result["namespaces"][""]["target"] == 50


def test_few_suspects_are_looked_up_and_the_rest_is_not_read_again(seed, pair, reads):
    seed("source", numbered(5000))
    table = seed("target", numbered(5000))
    for n in range(10):
        place = table.places["", f"r{n * 17}"]
        table.rows[place] = dataclasses.replace(table.rows[place], metadata=None)
    ended = pair(Scope())
    assert names(ended) == {f"r{n * 17}": "changed" for n in range(10)}
    assert reads["read"] == 10_000
    assert reads["fetched"] < 100


def test_an_id_that_was_rejected_is_extra_when_it_is_in_the_target(service, seed, copy, collections):
    batch = batch_of([{"id": "good", "values": [1.0, 0, 0]}, {"id": "", "values": [1.0, 0, 0]}])
    seed("source", numbered(5), batch)
    ended = copy()
    assert str(ended) == "incomplete"
    collections["target"].append(batch.slice(1))
    service.start_verify(ended.run)
    assert names(Ended(service, ended.run)) == {"": "extra"}


def test_a_look_at_less_than_everything_does_not_turn_a_run_green(service, seed, copy, collections):
    seed("source", numbered(300))
    run = copy().run
    place = collections["target"].places["", "r17"]
    collections["target"].rows[place] = dataclasses.replace(collections["target"].rows[place], metadata=None)
    service.start_verify(run)
    assert str(Ended(service, run)) == "differs"
    service.start_verify(run, Scope("ids"))
    ended = Ended(service, run)
    assert (str(ended), ended.result["verdict"]) == ("differs", "proven")
    service.start_verify(run, Scope("counts"))
    assert str(Ended(service, run)) == "differs"
    collections["target"].delete(["r1"], "")
    service.start_verify(run, Scope("counts"))
    ended = Ended(service, run)
    assert (str(ended), ended.result["namespaces"][""]["missing"]) == ("differs", 1)


def test_costs_are_known_beforehand(service, seed):
    seed("source", numbered(300))
    seed("target", numbered(200))
    counts, ids, content = service.scope_costs_pair("memory:source", "memory:target")
    assert (counts["level"], counts["source_records"], counts["target_records"]) == ("counts", 0, 0)
    assert (ids["source_records"], "500 ids" in ids["sentence"]) == (0, True)
    assert (content["source_records"], content["target_records"], "500 records" in content["sentence"]) == (300, 200, True)
    _, ids, _ = [{}, *service.scope_costs_pair("memory:source", "memory:target", PlanOptions(filter={"n": 1}))]
    assert (ids["source_records"], ids["target_records"]) == (300, 0)


def test_a_namespace_that_neither_side_has_is_refused(seed, pair):
    seed("source", numbered(9, namespace="a"))
    seed("target", numbered(9, namespace="b"))
    for level in ("counts", "ids", "content"):
        ended = pair(Scope(level), namespaces=("c",))
        assert (str(ended), ended.status["error"]["code"], ended.status["error"]["exit_code"]) == ("failed", "namespace_unknown", "2")
    assert str(pair(Scope(), namespaces=("b",))) == "differs", "the target has what the source lacks"
    assert str(pair(Scope(), namespaces=("a",), target_namespace="b")) == "proven"


def test_a_sample_without_a_record_proves_nothing(seed, pair):
    seed("source", numbered(9))
    seed("target", nudged(numbered(9), 1.0))
    ended = pair(Scope(sample="0.000001%"))
    assert (str(ended), ended.status["error"]["code"]) == ("failed", "sample_empty")


def test_a_sample_of_two_claims_no_share(seed, pair):
    seed("source", numbered(9))
    seed("target", numbered(9))
    assert pair(Scope(sample="2")).result["scope"]["sentence"].endswith("so few say nothing of the others")
