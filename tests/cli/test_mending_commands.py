"""The commands repair and rollback: exit codes, the shape of their answers, and what they say."""

from __future__ import annotations

import pytest

from migrator.cli import main
from migrator.connectors import memory
from tests.cli.test_commands import Answer, home  # noqa: F401 - the fixture is used by name
from tests.unit.batches import batch_of, numbered


@pytest.fixture
def call(capsys):
    def run(*words: str) -> Answer:
        code = main(list(words))
        said = capsys.readouterr()
        return Answer(code, said.out, said.err)

    return run


@pytest.fixture
def copied(call) -> str:
    source = memory.COLLECTIONS["cli-source"] = memory.Table(3)
    source.append(numbered(40))
    answer = call("copy", "memory:cli-source", "memory:cli-target", "--json")
    assert answer.code == 0
    return answer.json["run"]


def test_repair_mends_and_proves(call, copied):
    memory.COLLECTIONS["cli-target"].delete(["r3", "r4"], "")
    assert call("verify", copied).code == 1
    answer = call("repair", copied, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["verdict"] == "proven"
    assert [(one["copied"], one["deleted"]) for one in answer.json["repairs"]] == [(2, 0)]
    assert "repairing: 2 records to be copied again" in answer.err


def test_repair_leaves_extra_records_and_says_so(call, copied):
    memory.COLLECTIONS["cli-target"].append(batch_of([{"id": "stray"}]))
    call("verify", copied)
    answer = call("repair", copied)
    assert answer.code == 1
    assert "1 extra ones left (--delete-extra)" in answer.err
    assert call("repair", copied, "--delete-extra").code == 0
    assert len(memory.COLLECTIONS["cli-target"].live()) == 40


def test_repair_of_a_proven_run_says_that_nothing_is_to_be_done(call, copied):
    answer = call("repair", copied)
    assert answer.code == 0
    assert "nothing to repair" in answer.err
    assert "proven" in answer.out


def test_repair_of_a_proven_run_does_not_show_the_error_of_a_later_proof(call, copied, monkeypatch):
    with monkeypatch.context() as patch:
        patch.delitem(memory.COLLECTIONS, "cli-target")
        assert call("verify", copied, "--level", "ids").code != 0
    answer = call("repair", copied, "--json")
    assert (answer.code, answer.json["verdict"]) == (0, "proven")
    assert "error" not in answer.json


def test_repair_of_no_run(call):
    call("repair", "nonsense").is_error(2, "there is no run 'nonsense'")


def test_repair_of_a_target_made_of_files(call, tmp_path):
    source = memory.COLLECTIONS["cli-source"] = memory.Table(3)
    source.append(numbered(40))
    run = call("copy", "memory:cli-source", f"parquet:{tmp_path / 'out'}", "--json").json["run"]
    source.delete(["r3"], "")
    assert call("verify", run).code == 1
    call("repair", run).is_error(2, "written once")


# -- rollback


def test_rollback_without_the_name_says_what_it_would_do(call, copied):
    answer = call("rollback", copied)
    answer.is_error(2, "drops cli-target, which this run made, with the 40 records it holds")
    assert "give --confirm cli-target" in answer.err
    assert len(memory.COLLECTIONS["cli-target"].live()) == 40


def test_rollback(call, copied):
    answer = call("rollback", copied, "--confirm", "cli-target", "--json")
    assert answer.code == 0, answer.err
    found = answer.json
    assert (found["run"], found["status"], found["action"], found["deleted"], found["dropped"]) == (copied, "cancelled", "drop", 40, True)
    assert found["proof"]["verdict"] == "as_before"
    assert "cli-target" not in memory.COLLECTIONS
    for verb in ("resume", "verify", "repair"):
        call(verb, copied).is_error(2, "")
    call("rollback", copied, "--confirm", "cli-target").is_error(2, "was rolled back")
    assert call("status", copied, "--json").json["rolled_back"]["deleted"] == 40


def test_rollback_into_a_target_of_others(call):
    source = memory.COLLECTIONS["cli-source"] = memory.Table(3)
    source.append(numbered(40))
    target = memory.COLLECTIONS["cli-target"] = memory.Table(3)
    target.append(batch_of([{"id": "r3", "values": [9.0, 9.0, 9.0]}, {"id": "theirs"}]))
    run = call("copy", "memory:cli-source", "memory:cli-target", "--on-conflict", "upsert", "--json").json["run"]
    answer = call("rollback", run, "--confirm", "cli-target")
    assert answer.code == 1, "r3 was overwritten and nobody kept it"
    assert "the target is not as it was before" in answer.out
    assert "1 were overwritten and not kept" in answer.out


def test_rollback_restores_what_was_kept(call):
    source = memory.COLLECTIONS["cli-source"] = memory.Table(3)
    source.append(numbered(40))
    target = memory.COLLECTIONS["cli-target"] = memory.Table(3)
    target.append(batch_of([{"id": "r3", "values": [9.0, 9.0, 9.0]}, {"id": "theirs"}]))
    words = ("copy", "memory:cli-source", "memory:cli-target", "--on-conflict", "upsert", "--keep-overwritten", "--json")
    run = call(*words).json["run"]
    answer = call("rollback", run, "--confirm", "cli-target")
    assert answer.code == 0
    assert "39 removed, 1 restored" in answer.out
    assert sorted((row.id, row.values.tolist()) for row in target.live()) == [("r3", [9.0, 9.0, 9.0]), ("theirs", [0.0, 0.0, 0.0])]
