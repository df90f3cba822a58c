"""Proof after the fact: tampering is found and named, whoever copied, and nothing unreadable is passed over."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from migrator.connectors import memory
from migrator.errors import RunBusyError
from migrator.model import Rejected, Selection
from migrator.records import matrix, with_values
from migrator.runs.lock import run_lock
from migrator.service import PlanOptions, Scope, Tolerance
from tests.runs.conftest import Ended
from tests.unit.batches import batch_of, numbered

if TYPE_CHECKING:
    from migrator.connectors.memory.table import Row


@pytest.fixture
def copied(seed, copy):
    seed("source", numbered(300, namespace="a"), numbered(50))
    ended = copy()
    assert str(ended) == "proven"
    return ended.run


def prove(service, run: str, **options) -> Ended:
    service.start_verify(run, **options)
    return Ended(service, run)


def change(table, namespace: str, id_: str, **fields) -> None:
    place = table.places[namespace, id_]
    table.rows[place] = dataclasses.replace(table.rows[place], **fields)


def flipped(row: Row, component: int) -> np.ndarray:
    values = row.values.copy()
    values.view(np.uint32)[component] ^= 1
    return values


def test_one_flipped_bit_is_found_and_named(service, copied, collections):
    target = collections["target"]
    change(target, "a", "r17", values=flipped(target.rows[target.places["a", "r17"]], 2))
    ended = prove(service, copied)
    assert str(ended) == "differs"
    (difference,) = ended.result["differences"]
    assert 0 < difference.pop("largest_delta") < 1e-6
    assert difference.pop("cosine") == pytest.approx(1)
    assert difference == {"namespace": "a", "id": "r17", "class": "changed", "fields": ["values"]}
    assert ended.result["namespaces"]["a"]["changed"] == 1
    assert ended.result["digests"]["source"] != ended.result["digests"]["target"]
    found = service.difference(copied, "a", "r17")
    assert found["source"]["values"] != found["target"]["values"]


def test_every_kind_of_tampering_at_once(service, copied, collections):
    target = collections["target"]
    change(target, "", "r3", metadata='{"even":false,"n":4}')
    change(target, "a", "r4", sparse_values={"indices": [1], "values": [0.5]})
    change(target, "a", "r5", metadata=None)
    target.delete(["r6"], "a")
    target.append(batch_of([{"id": "stray", "namespace": "a"}]))
    target.append(numbered(1, start=7))  # r7 of the default namespace once more
    ended = prove(service, copied)
    assert {(row["namespace"], row["id"]): (row["class"], row["fields"]) for row in ended.result["differences"]} == {
        ("", "r3"): ("changed", ["metadata.n"]),
        ("a", "r4"): ("changed", ["sparse_values"]),
        ("a", "r5"): ("changed", ["metadata.even", "metadata.n"]),
        ("a", "r6"): ("missing", []),
        ("a", "stray"): ("extra", []),
        ("", "r7"): ("duplicate", []),
    }
    assert ended.result["namespaces"]["a"] == {"source": 300, "target": 300, "missing": 1, "extra": 1, "changed": 2}
    assert ended.result["differences_total"] == 6


def test_mended_it_is_proven_again(service, copied, collections):
    target = collections["target"]
    before = target.rows[target.places["a", "r17"]]
    change(target, "a", "r17", values=flipped(before, 0))
    assert str(prove(service, copied)) == "differs"
    change(target, "a", "r17", values=before.values)
    assert str(prove(service, copied)) == "proven"


def test_a_source_changed_since_is_named(service, copied, collections):
    source = collections["source"]
    change(source, "a", "r17", values=flipped(source.rows[source.places["a", "r17"]], 0))
    ended = prove(service, copied)
    assert (str(ended), [row["id"] for row in ended.result["differences"]]) == ("differs", ["r17"])


def test_more_differences_than_are_listed_are_all_in_the_file(service, seed, copy, collections):
    seed("source", numbered(1500))
    run = copy(batch=500).run
    collections["target"].delete([f"r{n}" for n in range(1200)], "")
    ended = prove(service, run)
    assert ended.result["differences_total"] == 1200
    assert len(ended.result["differences"]) == 1000
    assert len((service.manager.folder(run) / "differences.jsonl").read_text().splitlines()) == 1200


def pair(service, source="memory:source", target="memory:target", **options) -> Ended:
    return Ended(service, service.start_verify_pair(source, target, PlanOptions(**options)))


def test_a_pair_nobody_here_copied(service, seed):
    seed("source", numbered(200))
    seed("target", numbered(100, start=100), numbered(100))
    ended = pair(service)
    assert (str(ended), ended.counts) == ("proven", (200, 200, 0, 0, 0))
    assert ended.status["kind"] == "verify"


def test_a_pair_that_differs_everywhere(service, seed):
    seed("source", numbered(50))
    seed("target", numbered(50, start=50))
    ended = pair(service)
    assert str(ended) == "differs"
    assert ended.counts[0] == 50
    assert ended.result["namespaces"][""] == {"source": 50, "target": 50, "missing": 50, "extra": 50, "changed": 0}


def test_a_pair_with_a_doubled_record_differs(service, seed):
    seed("source", numbered(50))
    seed("target", numbered(50), numbered(1, start=8))
    ended = pair(service)
    assert (str(ended), [(row["id"], row["class"]) for row in ended.result["differences"]]) == ("differs", [("r8", "duplicate")])


@pytest.mark.parametrize("tolerance", [0.0, 1e-3])
def test_a_look_up_that_shows_one_of_two_clears_neither(service, seed, tolerance):
    odd = with_values(numbered(1, start=8), matrix(numbered(1)) + np.float32(9))
    seed("source", with_values(odd, matrix(odd) + np.float32(1)), numbered(50))
    seed("target", odd, with_values(numbered(50), matrix(numbered(50)) + np.float32(tolerance / 2)))
    scope = Scope(tolerance=Tolerance(tolerance))
    ended = Ended(service, service.start_verify_pair("memory:source", "memory:target", PlanOptions(), scope=scope))
    assert (str(ended), [(row["id"], row["class"]) for row in ended.result["differences"]]) == ("differs", [("r8", "duplicate")])
    assert ended.result["digests"]["source"] != ended.result["digests"]["target"]


def test_what_another_process_proves_is_busy_and_not_unfinished(service, copied):
    with service.manager.ledger.transaction() as write:
        write.execute("UPDATE runs SET status='running' WHERE run=?", (copied,))
    with run_lock(service.manager.folder(copied), copied):
        for ask in (service.scope_costs, service.start_verify, service.repairs.start, lambda run: service.rollbacks.start(run, "target")):
            with pytest.raises(RunBusyError):
                ask(copied)


def test_zero_and_minus_zero_differ_and_are_named(service, copied, collections):
    source, target = (collections[name] for name in ("source", "target"))
    for table, zero in ((source, 0.0), (target, -0.0)):
        change(table, "a", "r17", values=np.full_like(table.rows[table.places["a", "r17"]].values, zero))
    ended = prove(service, copied)
    assert (str(ended), [(row["id"], row["fields"]) for row in ended.result["differences"]]) == ("differs", [("r17", ["values"])])


def test_a_pair_through_rules(service, seed):
    seed("source", numbered(50, namespace="a"), numbered(9, namespace="b"))
    seed("target", numbered(40, namespace="z", start=10))
    assert str(pair(service, namespaces=("a",), target_namespace="z", filter={"n": {"$gte": 10}})) == "proven"
    assert str(pair(service, namespaces=("a",), target_namespace="z")) == "differs"


class Garbled(memory.MemoryStore):
    """Cannot read its first row."""

    def read(self, split, cursor, records_):
        for chunk in super().read(split, cursor, records_):
            bad = (Rejected("", "garbled", "bad_utf8", "metadata", "not UTF-8"),) if split.state["first"] == 0 and cursor is None and chunk.start == 0 else ()
            yield dataclasses.replace(chunk, rejected=bad)


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_pair_with_a_row_nobody_can_read_is_not_proven(service, seed, monkeypatch, side):
    seed("source", numbered(50))
    seed("target", numbered(50))
    monkeypatch.setattr(memory, "open_source", lambda endpoint: Garbled(endpoint) if endpoint.resource == side else memory.MemoryStore(endpoint))
    ended = pair(service)
    assert str(ended) == ("incomplete" if side == "source" else "differs")
    named = ended.result["rejected"] if side == "source" else ended.result["differences"]
    assert [row["id"] for row in named] == ["garbled"]
    assert ended.counts[0] == (51 if side == "source" else 50)


def test_a_proof_that_cannot_be_repeated_leaves_the_earlier_one_standing(seed, copy, collections, service):
    seed("source", numbered(10))
    ended = copy()
    assert str(ended) == "proven"
    del collections["source"]
    service.start_verify(ended.run)
    status = service.wait(ended.run)
    assert (status["status"], status["error"]["code"]) == ("proven", "not_found")
    assert service.result(ended.run)["verdict"] == "proven"


class Hiding(memory.MemoryStore):
    """Holds the even records of its namespaces twice, and shows each once."""

    def repeated(self):
        for split in self.splits(Selection(), 1):
            for chunk in self.read(split, None, 1000):
                yield chunk.batch.select(["id", "namespace"]).filter(pa.array(json.loads(text)["even"] for text in chunk.batch.column("metadata").to_pylist()))


@pytest.fixture
def hiding(monkeypatch):
    """Return a function that makes one side hide records it holds twice."""

    def make(side):
        monkeypatch.setattr(memory, "open_source", lambda endpoint: (Hiding if endpoint.resource == side else memory.MemoryStore)(endpoint))

    return make


def test_what_a_store_holds_twice_and_shows_once_is_never_proven(service, copied, hiding):
    hiding("target")
    ended = prove(service, copied)
    assert (str(ended), ended.result["differences_total"]) == ("differs", 175)
    assert ended.result["namespaces"]["a"] == {"source": 300, "target": 300, "missing": 0, "extra": 0, "changed": 150}
    assert len((service.manager.folder(copied) / "differences.jsonl").read_text().splitlines()) == 175


def test_what_both_hide_and_differ_in_is_named_once(service, copied, hiding, collections):
    hiding("target")
    change(collections["target"], "a", "r4", metadata='{"even":true,"n":5}')
    collections["target"].delete(["r6"], "a")
    ended = prove(service, copied)
    assert ended.result["differences_total"] == 175
    assert {row["class"] for row in ended.result["differences"] if row["id"] == "r4"} == {"duplicate"}
    assert [row["class"] for row in ended.result["differences"] if (row["namespace"], row["id"]) == ("a", "r6")] == ["missing"]


def test_only_what_is_compared_is_searched_for_hidden_records(service, seed, hiding):
    seed("source", numbered(50, namespace="a"), numbered(9, namespace="b"))
    seed("target", numbered(50, namespace="z"), numbered(10, namespace="other"))
    for side in ("source", "target"):
        hiding(side)
        ended = pair(service, namespaces=("a",), target_namespace="z", filter={"n": {"$gte": 46}})
        assert str(ended) == "differs"
        assert [(row["namespace"], row["id"], row["class"]) for row in ended.result["differences"]] == [("z", "r46", "duplicate"), ("z", "r48", "duplicate")]


def test_what_is_hidden_and_cannot_be_looked_up_is_named_all_the_same(service, seed, hiding, monkeypatch):
    seed("source", numbered(9, namespace="a"))
    seed("target", numbered(9, namespace="a"))
    hiding("target")
    monkeypatch.setattr(Hiding, "fetch", lambda self, _ids, namespace: memory.MemoryStore.fetch(self, [], namespace))  # as of a key shown in another namespace
    ended = pair(service)
    assert (str(ended), {row["id"] for row in ended.result["differences"]}) == ("differs", {"r0", "r2", "r4", "r6", "r8"})


def test_a_merge_is_not_blamed_for_what_was_there_twice(service, seed, copy, hiding):
    seed("source", numbered(4, start=1000))
    seed("target", numbered(10))
    hiding("target")
    ended = copy(on_conflict="upsert")
    assert (str(ended), [row["id"] for row in ended.result["differences"] if row["class"] == "duplicate"]) == ("differs", ["r1000", "r1002"])
