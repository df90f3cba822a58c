"""The cut-over: nothing before the proof is green, nothing but what was asked for, and the old collection only by its typed name."""

from __future__ import annotations

import json
from contextlib import closing

import pytest

from migrator.connectors import memory
from migrator.errors import ConfigError
from migrator.model import Follow
from migrator.runs import following
from migrator.service import PlanOptions, Service
from tests.runs.conftest import contents
from tests.runs.test_follow import QUICK, Followed, record
from tests.unit.batches import numbered


@pytest.fixture
def source(seed):
    return seed("source", numbered(30))


def untouched(collections, replicas=1) -> bool:
    return "source" in collections and collections["target"].replicas == replicas


def test_a_following_run_is_brought_to_its_proof_and_the_address_given(service, source, collections):
    run = Followed(service, Follow(interval=60.0, deletes=True))
    source.append(record("fresh"))
    seen = []
    answer = service.cutover(run.run, on_wait=lambda status: seen.append(status["status"]))
    assert (answer["ready"], answer["reason"], answer["verdict"]) == (True, None, "proven")
    assert answer["new"]["environment"] == {"MEMORY_COLLECTION": "target"}
    assert answer["old"]["environment"] == {"MEMORY_COLLECTION": "source"}
    assert (answer["scaled"], answer["deleted"]) == (None, None)
    assert answer["follow"]["lag_records"] == 0
    assert set(seen) <= {"running"}
    assert contents(collections["target"]) == contents(collections["source"])
    assert untouched(collections)
    assert "cut-over" in str(service.status(run.run)["log"])
    assert service.result(run.run)["cutover"]["done"] == answer["done"]
    assert "Cut-over" in service.report(run.run).read_text()
    assert json.dumps(answer)


def test_a_paused_run_and_one_of_another_process_can_be_cut_over(service, source):
    run = Followed(service)
    with closing(Service(service.home)) as other:
        assert other.cutover(run.run)["ready"]
    service.resume(run.run)
    service.pause(run.run)
    service.wait(run.run)
    assert service.cutover(run.run)["ready"]


def test_a_plain_copy_is_proven_anew_before_it_is_cut_over(service, source, copy):
    run = copy().run
    assert service.cutover(run)["ready"]
    source.append(record("late"))
    answer = service.cutover(run, scale={"replicas": "2"})
    assert not answer["ready"]
    assert "31 records now" in answer["reason"]
    source.delete(["late"], "")
    source.upsert(record("r3", 3.25))
    assert "differs" in service.cutover(run)["reason"]


def test_as_long_as_the_source_is_written_to_nothing_happens(service, source, collections, monkeypatch):
    run = Followed(service, Follow(interval=60.0, deletes=True))
    real, count = following.one_pass, []

    def busy(trail):
        count.append(1)
        source.upsert(record("busy", float(len(count))))
        return real(trail)

    monkeypatch.setattr(following, "one_pass", busy)
    answer = service.cutover(run.run, scale={"replicas": "3"}, delete_source=True, confirm="source")
    assert (answer["ready"], answer["verdict"], answer["new"], answer["done"]) == (False, "proven", None, [])
    assert "1 records different" in answer["reason"]
    assert untouched(collections)
    monkeypatch.setattr(following, "one_pass", real)
    again = service.cutover(run.run, scale={"replicas": "3"}, delete_source=True, confirm="source")
    assert (again["ready"], again["scaled"], again["deleted"]) == (True, "target has 3 replicas", "source")
    assert "source" not in collections
    assert [line for line in again["done"] if "deleted" in line]


def test_a_target_that_was_tampered_with_stops_it(service, source, collections):
    run = Followed(service, Follow(interval=60.0, deletes=True))
    collections["target"].upsert(record("r3", 77.0))
    answer = service.cutover(run.run, scale={"replicas": "3"}, delete_source=True, confirm="source")
    assert (answer["ready"], answer["reason"]) == (False, "the run is differs, not proven")
    assert untouched(collections)


@pytest.mark.parametrize("confirm", ["", "Source", "source ", "target"])
def test_a_name_typed_wrongly_deletes_nothing_and_starts_nothing(service, source, collections, confirm):
    run = Followed(service)
    with pytest.raises(ConfigError, match="typed"):
        service.cutover(run.run, delete_source=True, confirm=confirm)
    assert run.status["status"] == "running"
    assert untouched(collections)
    run.finish()


@pytest.mark.parametrize("options", [{"namespaces": ("",)}, {"filter": {"even": True}}, {"on_conflict": "skip"}, {"new_only": True}, {"on_duplicate": "last"}])
def test_a_source_that_holds_more_than_the_target_is_not_deleted(service, source, collections, copy, options):
    run = copy(**options).run
    with pytest.raises(ConfigError, match="not deleted"):
        service.cutover(run, delete_source=True, confirm="source")
    assert untouched(collections)


def test_a_source_that_is_its_own_target_is_not_deleted(service, source, collections, copy):
    for run in (copy(target="memory:source").run, copy(target="memory:source", target_namespace="moved", namespaces=("",)).run):
        with pytest.raises(ConfigError, match="not deleted"):
            service.cutover(run, delete_source=True, confirm="source")
    assert "source" in collections


def test_a_source_whose_changes_were_not_looked_for_is_not_deleted(service, source, collections):
    run = Followed(service, Follow(interval=60.0, changes="new"))
    with pytest.raises(ConfigError, match="changed records"):
        service.cutover(run.run, delete_source=True, confirm="source")
    run.finish()


def test_a_run_for_new_records_only_is_cut_over_when_both_sides_read_anew_are_equal(service, source, collections):
    run = Followed(service, Follow(interval=60.0, changes="new"))
    source.append(record("fresh"))
    assert service.cutover(run.run)["ready"]
    service.resume(run.run)
    source.upsert(record("r3", 3.5))
    answer = service.cutover(run.run)
    assert (answer["ready"], answer["verdict"]) == (False, "differs")
    assert "--changes new" in answer["reason"]
    assert service.status(run.run)["status"] == "differs"


def test_records_written_between_the_proof_and_the_deletion_save_the_source(service, source, collections, copy, monkeypatch):
    run = copy().run
    real = service.manager.start

    def start(name, **options):
        real(name, **options)
        service.manager.wait(name)
        source.append(record("late"))

    monkeypatch.setattr(service.manager, "start", start)
    answer = service.cutover(run, delete_source=True, confirm="source")
    assert (answer["ready"], answer["deleted"]) == (False, None)
    assert "31 records now" in answer["reason"]
    assert untouched(collections)


def test_what_cannot_be_scaled_or_deleted_is_said_before_anything_happens(service, source, collections, copy, tmp_path):
    run = copy(target=f"parquet:{tmp_path}/out").run
    with pytest.raises(ConfigError, match="capacity"):
        service.cutover(run, scale={"replicas": "2"})
    answer = service.cutover(run)
    assert answer["ready"]
    assert "nothing to re-point" in answer["new"]["note"]
    back = copy(source=f"parquet:{tmp_path}/out", target="memory:back").run
    with pytest.raises(ConfigError, match="not deleted from here"):
        service.cutover(back, delete_source=True, confirm="out")
    assert (tmp_path / "out").is_dir()


def test_a_wrong_scale_is_refused_before_anything_happens(service, source, collections, copy):
    run = copy().run
    with pytest.raises(ConfigError, match="cannot be scaled"):
        service.cutover(run, scale={"wings": "2"}, delete_source=True, confirm="source")
    assert untouched(collections)
    assert "cutover" not in service.result(run)
    assert service.status(run)["attempt"] == 1


def test_what_was_done_before_a_step_failed_is_kept(service, source, collections, copy, monkeypatch):
    run = copy().run
    monkeypatch.setattr(memory.MemoryStore, "scale", lambda *_arguments: (_ for _ in ()).throw(ConfigError("no room", fix="")))
    with pytest.raises(ConfigError, match="no room"):
        service.cutover(run, scale={"replicas": "2"}, delete_source=True, confirm="source")
    assert untouched(collections)
    assert service.result(run)["cutover"]["done"]


def test_what_is_not_finished_or_no_copy_cannot_be_cut_over(service, source, copy):
    run = service.start(service.plan("memory:source", "memory:target?delay_ms=50", PlanOptions(batch=1, workers=1)))
    with pytest.raises(ConfigError, match="not finished"):
        service.cutover(run)
    service.cancel(run)
    service.wait(run)
    with pytest.raises(ConfigError, match="not finished"):
        service.cutover(run)
    for other in (copy(target="memory:x", dry_run=True).run, service.start_verify_pair("memory:source", "memory:source")):
        service.wait(other)
        with pytest.raises(ConfigError, match="copied nothing"):
            service.cutover(other)


def test_a_following_run_with_a_refused_key_says_so(service, source, monkeypatch):
    run = Followed(service, QUICK)
    service.pause(run.run)
    service.wait(run.run)
    monkeypatch.setattr(memory.MemoryStore, "splits", lambda *_arguments, **_options: (_ for _ in ()).throw(ConfigError("the key was revoked", fix="renew it")))
    answer = service.cutover(run.run)
    assert (answer["ready"], answer["status"], answer["reason"]) == (False, "failed", "the key was revoked")
