"""A command's start: what is not loaded, and that it can still be had."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq

from migrator import __main__ as entry

SEEN = """
import json, sys
from migrator.cli import startup
startup.leave_pandas_out()
import pyarrow as pa
found = {"values": pa.array([1, 2, None]).to_pylist(), "loaded": "pandas" in sys.modules}
import pandas as pd
found["there"] = pa.Table.from_pandas(pd.DataFrame({"a": [1.0, None]})).to_pandas()["a"].isna().tolist()
found["finders"] = [finder.__class__.__name__ for finder in sys.meta_path if "Pandas" in repr(finder)]
print(json.dumps(found))
"""


def test_pandas_is_left_out_until_it_is_wanted():
    found = json.loads(subprocess.run([sys.executable, "-c", SEEN], capture_output=True, check=True).stdout)
    assert found == {"values": [1, 2, None], "loaded": False, "there": [False, True], "finders": []}


def test_a_copy_between_files_needs_no_pandas(tmp_path):
    """Nobody notices a second of each command getting lost again: python -X importtime does."""
    pq.write_table(pa.table({"id": ["a", "b"], "values": [[1.0, 2.0], [3.0, 4.0]], "metadata": ['{"k":1}', None]}), tmp_path / "in.parquet")
    words = ["-X", "importtime", "-m", "migrator", "copy", f"parquet:{tmp_path / 'in.parquet'}", f"parquet:{tmp_path / 'out'}", "--accept-lossy", "--json"]
    ended = subprocess.run([sys.executable, *words], capture_output=True, text=True, env={**os.environ, "MIGRATOR_HOME": str(tmp_path / "home")}, check=False)
    assert json.loads(ended.stdout)["verdict"] == "proven", ended.stdout
    assert not [line for line in ended.stderr.splitlines() if line.startswith("import time:") and line.split("|")[-1].strip().startswith("pandas.")]


def test_a_signal_while_it_starts_is_an_interruption(monkeypatch):
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("migrator.cli.startup.leave_pandas_out", lambda: os.kill(os.getpid(), signal.SIGTERM))
    try:
        assert entry.main() == 130
    finally:
        signal.signal(signal.SIGTERM, before)
