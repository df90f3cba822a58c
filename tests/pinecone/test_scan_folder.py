"""Listed ids are kept on disk for as long as somebody reads them, and not after."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from migrator.connectors.pinecone.scan_folder import ScanFolder

HOLD = "import time; from migrator.connectors.pinecone.scan_folder import ScanFolder; print(ScanFolder().path, flush=True); time.sleep(60)"


def aged(path):
    os.utime(path, (time.time() - 3_600,) * 2)


def test_what_a_killed_process_left_is_removed_and_what_others_hold_is_not(tmp_path, monkeypatch):
    monkeypatch.setenv("MIGRATOR_HOME", str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True) as process:
        theirs = process.stdout.readline().strip()
        aged(theirs)
        own = ScanFolder()
        assert sorted(map(str, (tmp_path / "scans").iterdir())) == sorted([theirs, str(own.path)])
        process.send_signal(signal.SIGKILL)
        process.wait()
    other = ScanFolder()
    assert sorted((tmp_path / "scans").iterdir()) == sorted([own.path, other.path])
    own.close()
    other.close()
    assert not list((tmp_path / "scans").iterdir())


def test_one_just_made_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("MIGRATOR_HOME", str(tmp_path))
    (tmp_path / "scans" / "new").mkdir(parents=True)
    ScanFolder().close()
    assert [one.name for one in (tmp_path / "scans").iterdir()] == ["new"]


def test_without_a_home_the_systems_folder_is_taken(tmp_path, monkeypatch):
    monkeypatch.delenv("MIGRATOR_HOME", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = ScanFolder()
    assert folder.path.parent == tmp_path
    folder.close()
    assert not list(tmp_path.iterdir())
