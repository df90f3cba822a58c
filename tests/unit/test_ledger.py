"""The ledger: only its holder commits, only in order, durably, and no altered value goes unnoticed."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from migrator.digest import NamespaceDigest
from migrator.errors import ConfigError, LedgerError, RunBusyError
from migrator.ledger import Ledger, duplicates, progress, runs
from migrator.ledger.checkpoint import Checkpoint, Held
from migrator.model import Counts, Rejected, Split


@pytest.fixture
def ledger(tmp_path):
    opened = Ledger(tmp_path / "ledger.db")
    yield opened
    opened.close()


@pytest.fixture
def lease(ledger):
    return begun(ledger)


def begun(ledger: Ledger, run: str = "r1") -> runs.Lease:
    runs.create(ledger, run, kind="copy", owner="", source="memory:a", target="memory:b", plan="{}")
    lease = runs.begin(ledger, run, "preparing")
    progress.add_splits(ledger, lease, [Split("s-0", None, {"first": 0}), Split("s-1", "x", {"first": 9})], {"": 5, "x": 3})
    return lease


def checkpoint(sequence: int = 0, split: str = "s-0", **changes: object) -> Checkpoint:
    digests = {"": NamespaceDigest(3, 10 + sequence, 20), "x": NamespaceDigest(1, 5, 7)}
    fields = {"cursor": f"c{sequence}", "read": 6, "counts": Counts(6, 4, 1, 0, 1), "digests": digests}
    fields |= {"rejected": [Rejected("", f"bad{sequence}", "not_finite", "values", "nan", '{"id":"bad"}')]}
    fields |= {"held": [Held("ab", "cd", winner=False, namespace="", id=f"twice{sequence}", raw='{"id":"twice"}')]}
    return Checkpoint(split, sequence, **{**fields, **changes})


def filled(ledger: Ledger, lease: runs.Lease) -> None:
    for sequence in range(3):
        progress.commit(ledger, lease, checkpoint(sequence))
    progress.commit(ledger, lease, checkpoint(0, "s-1"))
    progress.finish_split(ledger, lease, "s-0")


# -- who may commit, and in what order


def test_what_was_committed_is_there_after_reopening(ledger, lease):
    filled(ledger, lease)
    reopened = Ledger(ledger.path)
    first, second = progress.splits(reopened, "r1")
    assert (first.sequence, first.cursor, first.done, first.counts) == (3, "c2", True, Counts(18, 12, 3, 0, 3))
    assert (second.sequence, second.done, second.split) == (1, False, Split("s-1", "x", {"first": 9}))
    assert progress.counts(reopened, "r1") == Counts(24, 16, 4, 0, 4)
    assert progress.digests(reopened, "r1") == {"": NamespaceDigest(12, 43, 80), "x": NamespaceDigest(4, 20, 28)}
    assert progress.rows_read(reopened, "r1") == 24
    progress.audit(reopened, "r1")
    reopened.close()


def test_an_old_epoch_is_refused_everything(ledger, lease):
    runs.begin(ledger, "r1", "copying")
    deeds = [
        lambda: progress.commit(ledger, lease, checkpoint()),
        lambda: progress.finish_split(ledger, lease, "s-0"),
        lambda: progress.add_splits(ledger, lease, [Split("s-9", None, {})], {}),
        lambda: runs.update(ledger, lease, phase="x"),
        lambda: runs.set_facts(ledger, lease, a=1),
        lambda: runs.end(ledger, lease, "proven"),
    ]
    before = list(ledger._writer.iterdump())
    for deed in deeds:
        with pytest.raises(RunBusyError):
            deed()
    assert list(ledger._writer.iterdump()) == before


@pytest.mark.parametrize("sequence", [1, 2, -1])
def test_a_checkpoint_out_of_order_is_refused(ledger, lease, sequence):
    with pytest.raises(LedgerError, match="out of order"):
        progress.commit(ledger, lease, checkpoint(sequence))
    assert progress.counts(ledger, "r1") == Counts()


def test_the_same_checkpoint_twice_is_refused(ledger, lease):
    progress.commit(ledger, lease, checkpoint(0))
    with pytest.raises(LedgerError, match="out of order"):
        progress.commit(ledger, lease, checkpoint(0))
    assert progress.counts(ledger, "r1") == Counts(6, 4, 1, 0, 1)


def test_a_checkpoint_of_an_unknown_split_is_refused(ledger, lease):
    with pytest.raises(LedgerError):
        progress.commit(ledger, lease, checkpoint(0, "nowhere"))


@pytest.mark.parametrize("counts", [Counts(6, 4, 1, 0, 0), Counts(6, 4, 1, 0, 2), Counts(5, 4, 1, 0, 1), Counts(6, 5, 1, 0, 0)])
def test_a_checkpoint_that_does_not_balance_is_refused(ledger, lease, counts):
    # the last one balances, but its digests hold four records and its counts say five
    with pytest.raises(LedgerError, match="balance"):
        progress.commit(ledger, lease, checkpoint(0, counts=counts))
    assert progress.counts(ledger, "r1") == Counts()


def test_splits_are_recorded_once(ledger, lease):
    progress.commit(ledger, lease, checkpoint())
    progress.add_splits(ledger, lease, [Split("s-0", None, {"first": 99})], {"": 99})
    (first, _) = progress.splits(ledger, "r1")
    assert (first.split.state, first.sequence) == ({"first": 0}, 1)


def test_runs_do_not_mix(ledger, lease):
    other = begun(ledger, "r2")
    filled(ledger, lease)
    progress.commit(ledger, other, checkpoint())
    assert progress.counts(ledger, "r2") == Counts(6, 4, 1, 0, 1)
    assert len(progress.rejected(ledger, "r2", -1)) == 1
    assert progress.refused(ledger, "r2") == frozenset()


def test_an_unknown_run_is_named(ledger):
    with pytest.raises(ConfigError, match="nope"):
        runs.get(ledger, "nope")


# -- held-back duplicates


def test_resolving_duplicates_is_safe_twice_and_after_a_kill_in_between(ledger, lease, monkeypatch):
    progress.commit(ledger, lease, checkpoint())
    with monkeypatch.context() as patch:
        patch.setattr(progress, "finish_split", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))  # dies after the commit, before the mark
        with pytest.raises(KeyboardInterrupt):
            duplicates.resolve(ledger, lease, policy="fail")
    for _ in range(2):
        duplicates.resolve(ledger, lease, policy="fail")
    assert progress.counts(ledger, "r1") == Counts(6, 4, 2, 0, 0)
    assert [row["id"] for row in progress.rejected(ledger, "r1", -1)] == ["bad0", "twice0"]
    progress.audit(ledger, "r1")


@pytest.mark.parametrize(
    ("policy", "winner_hash", "winner_namespace", "rejected"),
    [("fail", "cd", "", 0), ("fail", "ee", "", 1), ("first", "ee", "", 0), ("last", "ee", "", 0), ("first", "ee", "y", 1), ("first", None, "", 1)],
)
def test_what_becomes_of_a_held_back_record(ledger, lease, policy, winner_hash, winner_namespace, rejected):
    held = list(checkpoint().held)
    counts = Counts(6, 4, 1, 0, 1)
    if winner_hash is not None:
        held.append(Held("ab", winner_hash, winner=True, namespace=winner_namespace, id="twice0", raw=None))
    progress.commit(ledger, lease, checkpoint(held=held, counts=counts))
    duplicates.resolve(ledger, lease, policy=policy)
    assert progress.counts(ledger, "r1") == Counts(6, 4, 1 + rejected, 0, 1 - rejected)


# -- damage


def changed_value(value: object) -> object:
    if value is None:
        return "x"
    if isinstance(value, (int, float)):
        return value + 100
    text = str(value)  # a bit of its first letter flipped
    return chr(ord(text[0]) ^ 1) + text[1:] if text else "z"


# ``at`` and ``seconds`` of a checkpoint count too; what is left out here is only shown, never acted on
TELLING = {
    "checkpoints": ["split", "sequence", "cursor", "read", "scanned", "copied", "rejected", "vanished", "duplicate", "digests", "at", "seconds", "chain"],
    "splits": ["split", "position", "spec", "sequence", "cursor", "done", "scanned", "copied", "rejected", "vanished", "duplicate", "chain"],
    "namespaces": ["namespace", "count", "low", "high"],
    "rejected": ["split", "sequence", "namespace", "id", "code", "field", "message", "raw", "refused"],
    "held": ["split", "sequence", "key", "hash", "winner", "namespace", "id", "raw"],
}


@pytest.mark.parametrize(("table", "column"), [(table, column) for table, columns in TELLING.items() for column in columns])
def test_a_changed_value_is_noticed(ledger, lease, table, column):
    filled(ledger, lease)
    progress.audit(ledger, "r1")
    for (row,) in ledger._writer.execute(f"SELECT rowid FROM {table}").fetchall():
        (old,) = ledger._writer.execute(f"SELECT {column} FROM {table} WHERE rowid=?", (row,)).fetchone()
        ledger._writer.execute(f"UPDATE {table} SET {column}=? WHERE rowid=?", (changed_value(old), row))
        with pytest.raises(LedgerError) as caught:
            progress.audit(ledger, "r1")
        assert caught.value.code == "ledger_damaged"
        ledger._writer.execute(f"UPDATE {table} SET {column}=? WHERE rowid=?", (old, row))
    progress.audit(ledger, "r1")


@pytest.mark.parametrize("table", ["checkpoints", "splits", "rejected", "held"])
def test_a_lost_row_is_noticed(ledger, lease, table):
    filled(ledger, lease)
    ledger._writer.execute(f"DELETE FROM {table} WHERE rowid=(SELECT MAX(rowid) FROM {table})")
    with pytest.raises(LedgerError):
        progress.audit(ledger, "r1")


def test_an_audit_of_an_empty_run_passes(ledger, lease):
    progress.audit(ledger, "r1")


# -- the file


def test_only_its_owner_may_read_it(ledger, lease):
    filled(ledger, lease)
    files = list(ledger.path.parent.glob("ledger.db*"))
    assert len(files) >= 2
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_a_newer_schema_is_refused(tmp_path):
    Ledger(tmp_path / "ledger.db").close()
    connection = sqlite3.connect(tmp_path / "ledger.db")
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(LedgerError, match="newer version"):
        Ledger(tmp_path / "ledger.db")
    assert sqlite3.connect(tmp_path / "ledger.db").execute("PRAGMA user_version").fetchone() == (99,)


def test_a_file_that_is_no_ledger_is_one_clear_error(tmp_path):
    (tmp_path / "ledger.db").write_bytes(b"not a database at all, but long enough to look like one" * 100)
    with pytest.raises(LedgerError, match="ledger"):
        Ledger(tmp_path / "ledger.db")


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError):
        Ledger(tmp_path / "file" / "ledger.db")


def test_a_full_disk_is_one_clear_error_and_loses_nothing(ledger, lease):
    progress.commit(ledger, lease, checkpoint())
    pages = ledger._writer.execute("PRAGMA page_count").fetchone()[0]
    ledger._writer.execute(f"PRAGMA max_page_count={pages}")
    big = [Rejected("", "big", "not_finite", "values", "nan", "x" * 200_000)]
    with pytest.raises(LedgerError, match="full") as caught:
        progress.commit(ledger, lease, checkpoint(1, rejected=big))
    assert "resume" in caught.value.fix
    assert not ledger._writer.in_transaction
    ledger._writer.execute("PRAGMA max_page_count=1000000")
    progress.audit(ledger, "r1")
    progress.commit(ledger, lease, checkpoint(1))
    assert progress.counts(ledger, "r1") == Counts(12, 8, 2, 0, 2)


def test_threads_commit_side_by_side(ledger, lease):
    def commit_all(split: str) -> None:
        for sequence in range(20):
            progress.commit(ledger, lease, checkpoint(sequence, split))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(commit_all, ["s-0", "s-1"]))
    assert progress.counts(ledger, "r1") == Counts(240, 160, 40, 0, 40)
    progress.audit(ledger, "r1")


WRITER = """
import sys
from pathlib import Path
from migrator.ledger import Ledger, runs
ledger = Ledger(Path(sys.argv[1]))
for number in range(30):
    runs.create(ledger, f"{sys.argv[2]}-{number}", kind="copy", owner="", source="a", target="b", plan="{}")
    runs.log(ledger, f"{sys.argv[2]}-{number}", "info", "line")
"""


def test_processes_open_and_write_at_once(tmp_path):
    path = tmp_path / "new" / "ledger.db"
    children = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(name)], stderr=subprocess.PIPE) for name in range(4)]
    for child in children:
        assert child.wait(60) == 0, child.stderr.read().decode()
    ledger = Ledger(path)
    assert len(runs.listed(ledger)) == 120
    ledger.close()


def test_a_closed_ledger_says_so_as_any_that_cannot_be_written(tmp_path):
    ledger = Ledger(tmp_path / "ledger.db")
    ledger.close()
    with pytest.raises(LedgerError, match="closed database"), ledger.transaction():
        pass
