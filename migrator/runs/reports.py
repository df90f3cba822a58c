"""The reports of runs: written with their fingerprints, which the ledger keeps, and confirmed by them."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

from migrator.errors import ConfigError
from migrator.failpoints import failpoint
from migrator.ledger import runs as rows
from migrator.verify.report import render_report, seal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from migrator.ledger import Ledger

LARGEST = 512 * 2**20
"""Bytes of a file that is looked at; a report has a few megabytes at most."""


def publish(ledger: Ledger, folder: Path, result: Mapping[str, Any]) -> None:
    """Write ``result.json`` and ``report.html``, which bear the result's fingerprint.

    The ledger knows the fingerprints before the files appear: no report can lie in the folder that its own home does not know.
    Those of earlier reports stay known, since they may have been sent to somebody.
    """
    data = {**result, "fingerprint": seal.fingerprint(result)}
    page = render_report(data)
    known = rows.facts(ledger, data["run"]).get("reports", [])
    made = {"fingerprint": data["fingerprint"], "text": seal.text_fingerprint(page), "made": time.time()}
    rows.note(ledger, data["run"], reports=[*known, made])
    failpoint("report_noted")
    write(folder / "result.json", json.dumps(data, ensure_ascii=False, indent=1))
    failpoint("result_written")
    write(folder / "report.html", page)


def write(path: Path, text: str) -> None:
    """Write a file that appears whole, and on disk, or not at all."""
    staged = path.with_name(f"{path.name}.tmp")
    with staged.open("wb") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())
    staged.replace(path)


def check(ledger: Ledger, path: Path) -> dict[str, Any]:
    """Return whether the report at ``path`` is as it was made, and whether this home made it.

    ``{"intact", "known", "run", "verdict", "message"}`` and ``altered``, what does not agree: ``the data``, ``the text``, or ``the fingerprint``
    of a run of this home that has others. Raise ``ConfigError`` for a file that is no report.
    """
    reading = _reading(path)
    run, verdict = str(reading.data.get("run", "")), str(reading.data.get("verdict", ""))
    told = {"run": run, "verdict": verdict, "fingerprint": reading.fingerprint}
    if reading.altered:
        what = " and ".join(reading.altered)
        return told | {"intact": False, "known": False, "altered": list(reading.altered), "message": f"{what} of this report was altered after it was made"}
    row = ledger.row("SELECT facts FROM runs WHERE run=?", (run,))
    made = json.loads(row["facts"]).get("reports", []) if row else []
    if any(reading.fingerprint == known["fingerprint"] and reading.text in {"", known["text"]} for known in made):
        latest = reading.fingerprint == made[-1]["fingerprint"]
        message = f"intact: this home made this report of run {run}" + ("" if latest else "; there is a newer one")
        return told | {"intact": True, "known": True, "altered": [], "message": message}
    if made:
        message = (
            f"the file agrees with its own fingerprint, but this home, which ran {run}, made no such report: it was altered and its fingerprint computed anew"
        )
        return told | {"intact": False, "known": False, "altered": ["the fingerprint"], "message": message}
    message = f"intact, but this home does not know the report of run {run}: only the home that made it can confirm that it is its own"
    return told | {"intact": True, "known": False, "altered": [], "message": message}


def _reading(path: Path) -> seal.Reading:
    try:
        with path.open("rb") as file:
            return seal.read(file.read(LARGEST))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", fix="give the file of a report, .html or .json", code="report_unreadable") from None
    except seal.NotAReportError:
        fix = "give a file that the report command wrote, .html or .json"
        raise ConfigError(f"{path} is no report, or one too damaged to be read", fix=fix, code="not_a_report") from None
