"""The map of a run: the same records of both sides on the same axes, bounded in what it reads, kept until the next proof."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from migrator.connectors import memory
from migrator.errors import ConfigError
from migrator.runs import samples
from migrator.service import PlanOptions
from tests.unit.batches import batch_of


def spread(count: int, namespace: str = "", start: int = 0):
    random = np.random.default_rng(count + start)
    return batch_of(
        [
            {"id": f"r{n}", "values": random.normal(size=3).tolist(), "metadata": {"lang": "de" if n % 2 else "en"}, "namespace": namespace}
            for n in range(start, start + count)
        ]
    )


@pytest.fixture
def copied(seed, copy):
    seed("source", spread(300, "a"), spread(200))
    ended = copy()
    assert str(ended) == "proven"
    return ended.run


def test_equal_sides_lie_on_each_other(service, copied):
    drawn = service.maps.draw(copied, 100)
    assert len(drawn["ids"]) == len(drawn["source"]) == len(drawn["namespaces"]) == 100
    assert drawn["source"] == drawn["target"]
    assert (drawn["equal"], drawn["absent"]) == (100, 0)
    assert set(drawn["namespaces"]) == {"", "a"}
    assert 0 < drawn["explained"][1] <= drawn["explained"][0] < 1


def test_the_sample_is_the_same_each_time(service, copied):
    first, again = service.maps.draw(copied, 50), service.maps.draw(copied, 50)
    assert first | {"seconds": 0} == again | {"seconds": 0}


def test_what_differs_lies_elsewhere_and_what_is_gone_nowhere(service, copied, collections):
    before = service.maps.draw(copied, 400)
    target = collections["target"]
    moved, gone = [(before["namespaces"][place], before["ids"][place]) for place in (3, 7)]
    place = target.places[moved]
    target.rows[place] = dataclasses.replace(target.rows[place], values=target.rows[place].values + 2)
    target.rows[target.places.pop(gone)] = None
    drawn = service.maps.draw(copied, 400)
    assert drawn["target"][7] is None
    assert drawn["target"][3] != drawn["source"][3]
    assert drawn["source"] == before["source"]
    assert (drawn["equal"], drawn["absent"]) == (398, 1)


def test_a_map_is_kept_until_the_run_is_proven_again(service, copied):
    assert service.maps.known(copied) is None
    drawn = service.maps.draw(copied)
    assert service.maps.known(copied) == drawn
    service.start_verify(copied)
    service.wait(copied, 60)
    assert service.maps.known(copied) is None


def test_the_plan_s_rules_say_where_a_record_is_looked_up(service, seed, copy):
    seed("source", spread(120))
    run = copy(namespace_from="lang", filter={"lang": {"$eq": "de"}}).run
    drawn = service.maps.draw(run)
    assert len(drawn["ids"]) == 60
    assert set(drawn["namespaces"]) == {"de"}
    assert drawn["absent"] == 0


def test_a_pair_that_nobody_copied(service, seed):
    seed("source", spread(80))
    seed("target", spread(80).slice(0, 79))
    run = service.start_verify_pair("memory:source", "memory:target", PlanOptions())
    assert service.wait(run, 60)["status"] == "differs"
    assert service.maps.draw(run)["absent"] == 1


def test_little_is_read_of_a_large_source_even_where_a_filter_matches_nothing_soon(service, seed, copy, monkeypatch):
    seed("source", spread(5_000))
    run = copy(filter={"lang": {"$eq": "de"}}).run
    read = []
    original = memory.MemoryStore.read

    def counted(self, split, cursor, records):
        for chunk in original(self, split, cursor, records):
            read.append(chunk.scanned)
            yield chunk

    monkeypatch.setattr(memory.MemoryStore, "read", counted)
    service.maps.draw(run, 20)
    assert 20 <= sum(read) <= 20 * samples.LOOKED_THROUGH + 10 * samples.PLACES


@pytest.mark.parametrize("records", [0, -1, 5_001])
def test_a_number_that_is_none_to_draw(service, copied, records):
    with pytest.raises(ConfigError, match="cannot be drawn"):
        service.maps.draw(copied, records)


def test_before_the_first_proof_there_is_none(service, seed):
    seed("source", spread(5))
    run = service.start(service.plan("memory:source", "memory:target", PlanOptions()), dry_run=True)
    service.wait(run, 60)
    with pytest.raises(ConfigError, match="has not been proven"):
        service.maps.draw(run)


def test_two_dimensions_have_no_map(service, seed):
    seed("source", spread(5))
    seed("target", batch_of([{"id": f"r{n}", "values": [1.0, 2.0]} for n in range(5)], 2), dimension=2)
    run = service.start_verify_pair("memory:source", "memory:target", PlanOptions())
    service.wait(run, 60)
    with pytest.raises(ConfigError, match="3 dimensions and the target's 2"):
        service.maps.draw(run)
