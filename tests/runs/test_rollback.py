"""Rollback: the target is what it was before the run, proven by a digest of everything in it that is taken around the code under test."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from migrator.connectors import memory
from migrator.errors import ConfigError
from migrator.model import Follow
from migrator.service import PlanOptions, Service
from tests.runs.conftest import Ended, contents
from tests.runs.test_verify import change, flipped, prove
from tests.unit.batches import batch_of, numbered

if TYPE_CHECKING:
    from pathlib import Path


def digest(table: memory.Table | None) -> str:
    """Return a digest of everything a table holds; of none that there is none."""
    return "none" if table is None else hashlib.sha256(repr(sorted(contents(table).items())).encode()).hexdigest()


@pytest.fixture
def roll_back(service):
    def run(name: str, confirm: str = "target") -> Ended:
        service.rollbacks.start(name, confirm)
        return Ended(service, name)

    return run


def theirs(count: int = 30) -> object:
    """Records of others in the target: some with ids of the source."""
    return batch_of([{"id": f"r{n}", "values": [9.0, n, 1.0], "metadata": {"theirs": n}} for n in range(10)] + [{"id": f"t{n}"} for n in range(count - 10)])


def test_a_collection_the_run_made_is_dropped(service, seed, copy, collections, roll_back):
    seed("source", numbered(300, namespace="a"), numbered(50))
    run = copy().run
    seen = service.rollbacks.preview(run)
    assert (seen["action"], seen["deletes"], seen["restores"], seen["confirm"], seen["refused"]) == ("drop", 350, 0, "target", None)
    ended = roll_back(run)
    assert str(ended) == "cancelled"
    assert "target" not in collections
    outcome = service.status(run)["rolled_back"]
    assert (outcome["deleted"], outcome["restored"], outcome["dropped"]) == (350, 0, True)
    assert outcome["proof"]["verdict"] == "as_before"
    assert service.result(run)["rolled_back"] == outcome


def test_it_is_not_dropped_when_others_wrote_into_it(service, seed, copy, collections, roll_back):
    seed("source", numbered(50))
    run = copy().run
    collections["target"].append(batch_of([{"id": "stray"}]))
    assert service.rollbacks.preview(run)["action"] == "delete"
    ended = roll_back(run)
    assert list(contents(collections["target"])) == [("", "stray")]
    assert service.status(run)["rolled_back"]["proof"]["verdict"] == "as_before"
    assert not service.status(run)["rolled_back"]["dropped"]
    assert ended.status["status"] == "cancelled"


def test_others_that_took_the_place_of_ours_keep_it_from_being_dropped(service, seed, copy, collections, roll_back):
    """As many records as the run wrote, and yet one of them is not its own."""
    seed("source", numbered(50))
    run = copy().run
    collections["target"].delete(["r7"], "")
    collections["target"].append(batch_of([{"id": "stray"}]))
    assert service.rollbacks.preview(run)["action"] == "drop", "the counts alone do not tell"
    roll_back(run)
    assert list(contents(collections["target"])) == [("", "stray")]


def test_an_empty_collection_that_was_there_stays(service, seed, copy, collections, roll_back):
    seed("source", numbered(50))
    seed("target")
    run = copy().run
    assert service.rollbacks.preview(run)["action"] == "delete"
    roll_back(run)
    assert contents(collections["target"]) == {}


@pytest.mark.parametrize("options", [{"on_conflict": "upsert"}, {"on_conflict": "skip"}, {"new_only": True}], ids=str)
def test_what_was_overwritten_is_restored(service, seed, copy, collections, roll_back, options):
    seed("source", numbered(300), numbered(20, namespace="a"))
    before = digest(seed("target", theirs()))
    run = copy(keep_overwritten=True, **options).run
    assert digest(collections["target"]) != before
    ended = roll_back(run)
    assert digest(collections["target"]) == before
    outcome = service.status(run)["rolled_back"]
    assert outcome["proof"]["verdict"] == "as_before", ended.log
    assert outcome["restored"] == (10 if options == {"on_conflict": "upsert"} else 0)


def test_what_was_not_kept_is_said_before_and_after(service, seed, copy, collections, roll_back):
    seed("source", numbered(300))
    seed("target", theirs())
    run = copy(on_conflict="upsert").run
    assert "10 stood under the same ids before and were not kept" in service.rollbacks.preview(run)["sentence"]
    ended = roll_back(run)
    assert {name for _, name in contents(collections["target"])} == {f"t{n}" for n in range(20)}
    proof = service.status(run)["rolled_back"]["proof"]
    assert (proof["verdict"], proof["lost"], proof["still_there"]) == ("differs", 10, 0)
    assert "10 were overwritten and not kept" in ended.log


def test_records_that_were_there_already_with_the_same_content_stay(service, seed, copy, collections, roll_back):
    """Copied by somebody else before: not the run's to delete, kept or not."""
    seed("source", numbered(100))
    before = digest(seed("target", numbered(40)))
    run = copy().run
    roll_back(run)
    assert digest(collections["target"]) == before
    assert service.status(run)["rolled_back"]["proof"]["verdict"] == "as_before"


def test_the_name_must_be_typed(service, seed, copy, collections, roll_back):
    seed("source", numbered(30))
    run = copy().run
    for wrong in ("", "Target", "source"):
        with pytest.raises(ConfigError, match="name is typed") as error:
            roll_back(run, wrong)
        assert error.value.fix == "give --confirm target"
    assert len(contents(collections["target"])) == 30
    assert service.status(run)["rolled_back"] is None


def test_afterwards_the_run_is_nothing_any_more(service, seed, copy, roll_back):
    seed("source", numbered(30))
    run = copy().run
    roll_back(run)
    for again in (service.resume, service.start_verify, service.repairs.start, lambda name: service.rollbacks.start(name, "target")):
        with pytest.raises(ConfigError) as error:
            again(run)
        assert error.value.code in ("rolled_back", "run_unfinished"), error.value.message
    assert "rolled back" in service.rollbacks.preview(run)["refused"]


def test_a_run_that_failed_midway(service, seed, collections, roll_back):
    seed("source", numbered(100))
    before = digest(seed("target", theirs()))
    plan = service.plan("memory:source", "memory:target?refuse_at=4", PlanOptions(batch=10, on_conflict="upsert", keep_overwritten=True))
    ended = Ended(service, service.start(plan))
    assert str(ended) == "failed"
    assert digest(collections["target"]) != before
    roll_back(ended.run)
    assert digest(collections["target"]) == before


def test_half_a_write_is_taken_back_too(service, seed, collections, roll_back, monkeypatch):
    """A store that applied half of a request and then failed for good: nobody committed that part."""
    seed("source", numbered(100))
    before = digest(seed("target", theirs()))
    monkeypatch.setattr("migrator.retry.ATTEMPTS", 1)
    plan = service.plan("memory:source", "memory:target?half_at=3", PlanOptions(batch=10, on_conflict="upsert", keep_overwritten=True, workers=1))
    ended = Ended(service, service.start(plan))
    assert str(ended) == "failed"
    roll_back(ended.run)
    assert digest(collections["target"]) == before


def test_a_resumed_run_remembers_what_was_there_before_its_first_attempt(service, seed, collections, roll_back):
    seed("source", numbered(100))
    before = digest(seed("target", theirs()))
    plan = service.plan("memory:source", "memory:target?refuse_at=4", PlanOptions(batch=10, on_conflict="upsert", keep_overwritten=True))
    run = Ended(service, service.start(plan)).run
    service.resume(run)
    ended = Ended(service, run)
    assert str(ended) in ("proven", "failed"), ended.status["error"]
    roll_back(run)
    assert digest(collections["target"]) == before


def test_a_run_that_followed(service, seed, collections, roll_back):
    """Records written, changed, deleted and written again by later passes."""
    source = seed("source", numbered(40))
    before = digest(seed("target", theirs()))
    options = PlanOptions(batch=10, on_conflict="upsert", keep_overwritten=True, follow=Follow(interval=0.0, deletes=True))
    run = service.start(service.plan("memory:source", "memory:target", options))

    def passes() -> int:
        return service.status(run)["follow"]["passes"] if service.status(run).get("follow") else 0

    for step in (lambda: source.delete(["r3", "r30"], ""), lambda: source.upsert(batch_of([{"id": "r3"}, {"id": "r35"}, {"id": "r99"}]))):
        seen = passes()
        step()
        while passes() < seen + 2 and service.status(run)["status"] == "running":
            pass
    service.finish_following(run)
    assert str(Ended(service, run)) == "proven"
    roll_back(run)
    assert digest(collections["target"]) == before
    assert service.status(run)["rolled_back"]["proof"]["verdict"] == "as_before"


def test_what_a_repair_did_is_taken_back_too(service, seed, copy, collections, roll_back):
    seed("source", numbered(40))
    seed("target", numbered(20))
    before = digest(collections["target"])
    run = copy(keep_overwritten=True).run
    collections["target"].delete(["r3"], "")
    change(collections["target"], "", "r5", metadata=None)
    collections["target"].append(batch_of([{"id": "stray"}]))
    prove(service, run)
    service.repairs.start(run, delete_extra=True)
    assert str(Ended(service, run)) == "proven"
    roll_back(run)
    stray = contents(collections["target"]).pop(("", "stray"))
    collections["target"].delete(["stray"], "")
    assert digest(collections["target"]) == before
    assert stray, "it was there when the repair deleted it, and is again"


def test_the_repair_of_a_pair_is_taken_back(service, seed, collections, roll_back):
    seed("source", numbered(40))
    seed("target", numbered(20), batch_of([{"id": "stray"}]))
    change(collections["target"], "", "r5", values=flipped(collections["target"].rows[5], 1))
    before = digest(collections["target"])
    run = service.start_verify_pair("memory:source", "memory:target", PlanOptions(keep_overwritten=True))
    Ended(service, run)
    service.repairs.start(run, delete_extra=True)
    assert str(Ended(service, run)) == "proven"
    roll_back(run)
    assert digest(collections["target"]) == before


def test_a_repair_of_what_was_taken_back_is_told_why_not(service, seed, copy, roll_back):
    seed("source", numbered(40))
    run = copy().run
    roll_back(run)
    with pytest.raises(ConfigError, match="was rolled back"):
        service.repairs.start(run)


def test_a_later_run_into_the_same_target_goes_first(service, seed, copy, collections, roll_back):
    seed("source", numbered(40))
    before = digest(seed("target", theirs()))
    first = copy(on_conflict="upsert", keep_overwritten=True).run
    between = digest(collections["target"])
    seed("source", batch_of([{"id": f"r{n}", "values": [5.0, 5.0, n]} for n in range(60)]))
    second = copy(on_conflict="upsert", keep_overwritten=True).run
    with pytest.raises(ConfigError, match="wrote into the same target after it") as error:
        roll_back(first)
    assert second in error.value.fix
    roll_back(second)
    assert digest(collections["target"]) == between
    roll_back(first)
    assert digest(collections["target"]) == before


def test_the_only_copy_is_not_taken_away(service, seed, copy, collections):
    seed("source", numbered(40))
    run = copy().run
    assert service.cutover(run, delete_source=True, confirm="source")["deleted"] == "source"
    with pytest.raises(ConfigError, match="the only copy"):
        service.rollbacks.start(run, "target")
    assert len(contents(collections["target"])) == 40


def test_a_source_that_is_gone_is_said(service, seed, copy, collections):
    seed("source", numbered(40))
    run = copy().run
    collections.pop("source")
    assert "this may be the only copy" in service.rollbacks.preview(run)["sentence"]


def test_a_run_of_an_earlier_version_is_refused(service, seed, copy):
    seed("source", numbered(40))
    run = copy().run
    (row,) = service.manager.ledger.rows("SELECT facts FROM runs WHERE run=?", (run,))
    with service.manager.ledger.transaction() as db:
        db.execute("UPDATE runs SET facts=? WHERE run=?", (row["facts"].replace('"before"', '"other"'), run))
    with pytest.raises(ConfigError, match="earlier version"):
        service.rollbacks.start(run, "target")


def test_a_dry_run_and_a_comparison_wrote_nothing(service, seed, copy):
    seed("source", numbered(40))
    with pytest.raises(ConfigError, match="wrote nothing"):
        service.rollbacks.start(copy(dry_run=True).run, "target")
    copy()
    run = service.start_verify_pair("memory:source", "memory:target", PlanOptions())
    Ended(service, run)
    with pytest.raises(ConfigError, match="wrote nothing"):
        service.rollbacks.start(run, "target")


def test_records_that_cannot_be_removed_are_found_by_its_proof(service, seed, copy, collections, roll_back, monkeypatch):
    seed("source", numbered(40))
    seed("target", theirs())
    run = copy(on_conflict="upsert", keep_overwritten=True).run
    delete = memory.Table.delete
    monkeypatch.setattr(memory.Table, "delete", lambda table, ids, namespace: delete(table, [name for name in ids if name != "r33"], namespace))
    roll_back(run)
    proof = service.status(run)["rolled_back"]["proof"]
    assert (proof["verdict"], proof["still_there"]) == ("differs", 1)
    assert proof["listed"] == [{"namespace": "", "id": "r33", "problem": "still_there"}]


def test_stopped_and_begun_again(service, seed, copy, collections, roll_back, monkeypatch):
    seed("source", numbered(200))
    before = digest(seed("target", theirs()))
    run = copy(on_conflict="upsert", keep_overwritten=True).run
    delete = memory.Table.delete
    monkeypatch.setattr(memory.Table, "delete", lambda *words: (service.cancel(run), delete(*words)))
    ended = roll_back(run)
    assert ended.status["error"]["message"] == "the rollback was stopped midway"
    assert ended.status["rolled_back"] is None
    with pytest.raises(ConfigError, match="did not come to its end"):
        service.resume(run)
    with pytest.raises(ConfigError):
        service.start_verify(run)
    monkeypatch.setattr(memory.Table, "delete", delete)
    roll_back(run)
    assert digest(collections["target"]) == before
    assert service.status(run)["rolled_back"]["proof"]["verdict"] == "as_before"


# -- files


def tree(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("connector", ["parquet", "numpy"])
def test_the_files_a_run_published_are_removed_and_no_others(service, seed, tmp_path, connector):
    seed("source", numbered(300, namespace="a"), numbered(50))
    out = tmp_path / "out"
    plan = service.plan("memory:source", f"{connector}:{out}", PlanOptions(batch=100))
    run = Ended(service, service.start(plan)).run
    (out / "notes.txt").write_text("somebody's")
    seen = service.rollbacks.preview(run)
    assert (seen["action"], seen["deletes"]) == ("files", len(tree(out)) - 2)
    service.rollbacks.start(run, seen["confirm"])
    ended = Ended(service, run)
    assert str(ended) == "cancelled", ended.status["error"]
    assert tree(out) == {"notes.txt": hashlib.sha256(b"somebody's").hexdigest()}
    assert [path for path in out.iterdir() if path.is_dir()] == []
    outcome = service.status(run)["rolled_back"]
    assert (outcome["deleted"], outcome["proof"]["verdict"]) == (seen["deletes"], "as_before")


def test_a_file_that_somebody_changed_stays_and_is_named(service, seed, tmp_path):
    seed("source", numbered(300, namespace="a"))
    out = tmp_path / "out"
    run = Ended(service, service.start(service.plan("memory:source", f"parquet:{out}", PlanOptions(batch=100)))).run
    changed = next(out.glob("a/*.parquet"))
    changed.write_bytes(changed.read_bytes()[:-1] + b"x")
    service.rollbacks.start(run, service.rollbacks.preview(run)["confirm"])
    Ended(service, run)
    assert set(tree(out)) == {f"a/{changed.name}", "manifest.json"}
    proof = service.status(run)["rolled_back"]["proof"]
    assert (proof["verdict"], proof["left"], proof["listed"][0]["id"]) == ("differs", 1, f"a/{changed.name}")


def test_the_export_of_another_run_stays(service, seed, tmp_path):
    seed("source", numbered(30))
    seed("other", numbered(60))
    first = Ended(service, service.start(service.plan("memory:source", f"parquet:{tmp_path / 'out'}", PlanOptions()))).run
    later = Service(tmp_path / "another home")
    Ended(later, later.start(later.plan("memory:other", f"parquet:{tmp_path / 'out'}?overwrite=true", PlanOptions())))
    later.close()
    before = tree(tmp_path / "out")
    seen = service.rollbacks.preview(first)
    assert seen["deletes"] == 0
    service.rollbacks.start(first, seen["confirm"])
    Ended(service, first)
    assert tree(tmp_path / "out") == before


def test_keeping_what_is_overwritten_is_refused_for_files(service, seed, tmp_path):
    seed("source", numbered(30))
    plan = service.plan("memory:source", f"parquet:{tmp_path / 'out'}", PlanOptions(keep_overwritten=True))
    assert [finding.code for finding in plan.findings if finding.severity == "blocking"] == ["keep_unsupported"]
