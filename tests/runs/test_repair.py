"""Repair: exactly the differing records are written again or deleted, by the plan's rules, and the proof is made anew."""

from __future__ import annotations

import json

import pytest

from migrator.errors import ConfigError
from migrator.service import PlanOptions, Scope
from tests.runs.conftest import Ended, contents
from tests.runs.test_verify import change, flipped, prove
from tests.unit.batches import batch_of, numbered


@pytest.fixture
def copied(seed, copy):
    seed("source", numbered(300, namespace="a"), numbered(50))
    ended = copy()
    assert str(ended) == "proven"
    return ended.run


@pytest.fixture
def repair(service):
    def run(name: str, **options) -> Ended:
        service.repairs.start(name, **options)
        return Ended(service, name)

    return run


def spoil(collections) -> None:
    """Lose two records, alter one, double one, and add one that is nobody's."""
    target = collections["target"]
    target.delete(["r6", "r200"], "a")
    change(target, "a", "r17", values=flipped(target.rows[target.places["a", "r17"]], 2))
    target.append(numbered(1, start=7))
    target.append(batch_of([{"id": "stray", "namespace": "a"}]))


def test_all_kinds_at_once(service, copied, collections, repair):
    before = contents(collections["target"])
    spoil(collections)
    assert str(prove(service, copied)) == "differs"
    assert service.repairs.preview(copied) == {"missing": 2, "changed": 1, "extra": 1, "duplicate": 1, "copies": 4, "deletes": 1, "refused": None}
    writes = collections["target"].writes
    ended = repair(copied, delete_extra=True)
    assert str(ended) == "proven"
    assert contents(collections["target"]) == before
    assert [(one["copied"], one["deleted"]) for one in ended.result["repairs"]] == [(4, 1)]
    assert collections["target"].writes - writes == 2, "one request a namespace, and only what differs"
    assert not (service.manager.folder(copied) / "repair.jsonl").exists()


def test_what_is_extra_stays_unless_its_deletion_is_asked_for(service, copied, collections, repair):
    spoil(collections)
    prove(service, copied)
    ended = repair(copied)
    assert str(ended) == "differs"
    assert [(row["id"], row["class"]) for row in ended.result["differences"]] == [("stray", "extra")]
    assert "1 stay in the target" in ended.log
    assert str(repair(copied, delete_extra=True)) == "proven"
    assert [(one["copied"], one["deleted"]) for one in service.result(copied)["repairs"]] == [(4, 0), (0, 1)]


def test_only_the_differing_records_are_written(service, copied, collections, repair):
    spoil(collections)
    prove(service, copied)
    written = []
    collections["target"].on_write = lambda _number, batch: written.extend(batch.column("id").to_pylist())
    repair(copied)
    assert sorted(written) == ["r17", "r200", "r6", "r7"]


def test_more_than_are_listed(service, seed, copy, collections, repair):
    seed("source", numbered(2500))
    run = copy(batch=500).run
    collections["target"].delete([f"r{n}" for n in range(2200)], "")
    prove(service, run)
    ended = repair(run)
    assert str(ended) == "proven"
    assert ended.result["repairs"][0]["copied"] == 2200


def test_counts_leave_no_list_of_an_earlier_proof(service, copied, collections):
    spoil(collections)
    prove(service, copied)
    assert str(prove(service, copied, scope=Scope(level="counts"))) == "differs"
    assert service.differences_file(copied) is None
    assert "did not name the records" in service.repairs.preview(copied)["refused"]
    with pytest.raises(ConfigError, match="did not name the records"):
        service.repairs.start(copied, delete_extra=True)


def test_nothing_to_repair_is_said(service, copied):
    assert "nothing to repair" in service.repairs.preview(copied)["refused"]
    with pytest.raises(ConfigError, match="nothing to repair"):
        service.repairs.start(copied)
    assert service.status(copied)["status"] == "proven"


def test_a_pair_nobody_here_copied(service, seed, collections, repair):
    seed("source", numbered(200))
    seed("target", numbered(150))
    collections["target"].append(batch_of([{"id": "stray"}]))
    change(collections["target"], "", "r3", metadata='{"even":false,"n":4}')
    run = service.start_verify_pair("memory:source", "memory:target", PlanOptions())
    assert str(Ended(service, run)) == "differs"
    assert service.repairs.preview(run)["copies"] == 51
    assert str(repair(run, delete_extra=True)) == "proven"
    assert contents(collections["target"]) == contents(collections["source"])


def test_records_are_routed_as_the_plan_says(service, seed, copy, collections, repair):
    rows = [{"id": f"r{n}", "values": [n + 1.0, 0.5, 0.5], "metadata": {"lang": ["en", "de"][n % 2]}} for n in range(40)]
    seed("source", batch_of(rows))
    run = copy(namespace_from="lang", filter={"lang": {"$in": ["en", "de"]}}).run
    before = contents(collections["target"])
    collections["target"].delete(["r0", "r2"], "en")
    change(collections["target"], "de", "r1", metadata=None)
    assert str(prove(service, run)) == "differs"
    assert str(repair(run)) == "proven"
    assert contents(collections["target"]) == before


@pytest.mark.parametrize("which", ["first", "last"])
def test_of_an_id_the_source_has_twice_the_one_that_counts_is_written(service, seed, copy, collections, repair, which):
    seed("source", numbered(60), batch_of([{"id": "r3", "values": [9.0, 9.0, 9.0]}]))
    run = copy(on_duplicate=which).run
    before = contents(collections["target"])
    collections["target"].delete(["r3", "r5"], "")
    assert str(prove(service, run)) == "differs"
    assert str(repair(run)) == "proven"
    assert contents(collections["target"]) == before


def test_in_a_merge_what_only_the_target_has_is_never_deleted(service, seed, copy, collections, repair):
    seed("source", numbered(50))
    seed("target", batch_of([{"id": "theirs"}]))
    run = copy(on_conflict="upsert").run
    collections["target"].delete(["r7"], "")
    prove(service, run)
    assert service.repairs.preview(run)["deletes"] == 0
    assert str(repair(run, delete_extra=True)) == "proven"
    assert ("", "theirs") in contents(collections["target"])


def test_records_the_plan_keeps_from_being_overwritten_stay(service, seed, copy, collections, repair):
    seed("source", numbered(50))
    seed("target", batch_of([{"id": "r7", "values": [9.0, 9.0, 9.0]}]))
    run = copy(on_conflict="skip").run
    collections["target"].delete(["r8"], "")
    assert str(prove(service, run)) == "differs"
    ended = repair(run)
    assert str(ended) == "differs"
    assert [row["id"] for row in ended.result["differences"]] == ["r7"]
    assert ended.result["repairs"][0]["copied"] == 1


def test_a_source_that_lost_records_since(service, copied, collections, repair):
    collections["target"].delete(["r6"], "a")
    prove(service, copied)
    collections["source"].delete(["r6"], "a")
    ended = repair(copied)
    assert "1 are not in the source any more" in ended.log


def test_files_are_refused_with_the_cure(service, seed, tmp_path, collections):
    seed("source", numbered(30))
    run = Ended(service, service.start(service.plan("memory:source", f"parquet:{tmp_path / 'out'}", PlanOptions()))).run
    change(collections["source"], "", "r3", metadata='{"even":false,"n":4}')
    assert str(prove(service, run)) == "differs"
    with pytest.raises(ConfigError, match="written once") as error:
        service.repairs.start(run)
    assert "copy anew" in error.value.fix
    assert "written once" in service.repairs.preview(run)["refused"]


def test_stopped_and_begun_again(service, seed, copy, collections, repair):
    seed("source", numbered(2000))
    run = copy(batch=500).run
    before = contents(collections["target"])
    collections["target"].delete([f"r{n}" for n in range(1800)], "")
    prove(service, run)
    collections["target"].on_write = lambda _number, _batch: service.cancel(run)
    ended = repair(run)
    assert ended.status["error"]["code"] == "interrupted"
    assert "the repair was stopped" in ended.status["error"]["message"]
    assert str(ended) == "differs", "the proof before it stands"
    collections["target"].on_write = None
    assert str(repair(run)) == "proven"
    assert contents(collections["target"]) == before


def test_an_unfinished_run_is_refused(service, seed):
    seed("source", numbered(30))
    plan = service.plan("memory:source", "memory:target?refuse_at=1", PlanOptions(batch=10))
    ended = Ended(service, service.start(plan))
    assert str(ended) == "failed"
    with pytest.raises(ConfigError, match="nothing is proven"):
        service.repairs.start(ended.run)


def test_a_list_that_was_lost_is_not_taken_for_no_differences(service, copied, collections):
    spoil(collections)
    prove(service, copied)
    (service.manager.folder(copied) / "differences.jsonl").unlink()
    with pytest.raises(ConfigError, match="did not name"):
        service.repairs.start(copied)


def test_the_new_proof_lists_what_is_new(service, copied, collections, repair):
    spoil(collections)
    prove(service, copied)
    collections["target"].delete(["r1"], "a")  # after the proof: not in its list
    ended = repair(copied, delete_extra=True)
    assert str(ended) == "differs"
    listed = (service.manager.folder(copied) / "differences.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in listed] == ["r1"]


def test_the_list_stays_until_the_next_proof_comes_to_its_end(service, copied, collections, monkeypatch):
    change(collections["target"], "a", "r3", metadata=None)
    assert str(prove(service, copied)) == "differs"
    listed = service.differences_file(copied)
    before = listed.read_text()
    change(collections["target"], "a", "r4", metadata=None)
    with monkeypatch.context() as patch:
        patch.setattr("migrator.runs.result.conclude", lambda *_: 1 / 0)
        assert prove(service, copied).status["error"] is not None
    assert listed.read_text() == before
    assert str(prove(service, copied)) == "differs"
    assert len(listed.read_text().splitlines()) == 2
