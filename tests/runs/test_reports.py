"""The report's fingerprint: renewed with every change of the result, confirmed by the home that made it, and broken by any edit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from migrator.errors import ConfigError
from migrator.records import make_batch
from migrator.runs import reports, result
from migrator.service import Service
from migrator.verify.report import render_report, seal

NAMES = ["产品-1", "مرحبا", "<b>x</b></template>", "x" * 500, "a\r\nb", "e\u202ef"]


@pytest.fixture
def proven(seed, copy):
    """Return a proven copy of records with awkward ids."""
    seed("source", make_batch(NAMES, np.ones((len(NAMES), 3), np.float32), namespace="<i>"))
    return copy()


@pytest.fixture(params=["html", "json"])
def written(request, service, proven, tmp_path):
    return service.report(proven.run, tmp_path / f"report.{request.param}")


def altered(path, old, new, count=1):
    text = path.read_bytes()
    assert old.encode() in text
    path.write_bytes(text.replace(old.encode(), new.encode(), count))
    return path


def test_a_report_is_confirmed_by_the_home_that_made_it(service, proven, written):
    found = service.check_report(written)
    assert (found["intact"], found["known"], found["run"], found["verdict"]) == (True, True, proven.run, "proven")
    assert found["fingerprint"] == service.result(proven.run)["fingerprint"]
    assert service.check_report(service.manager.folder(proven.run) / "result.json")["known"]


def test_another_home_says_that_it_does_not_know_it(written, tmp_path):
    other = Service(tmp_path / "other")
    try:
        found = other.check_report(written)
    finally:
        other.close()
    assert (found["intact"], found["known"]) == (True, False)
    assert "does not know" in found["message"]


def test_every_place_of_the_text_counts(service, proven, tmp_path):
    page = service.report(proven.run).read_text("utf-8")
    path = tmp_path / "report.html"
    for place in range(0, len(page), 97):
        path.write_text(page[:place] + ("~" if page[place] != "~" else "-") + page[place + 1 :], "utf-8", newline="")
        with suppress(ConfigError):  # no report any more
            assert not service.check_report(path)["intact"], page[place - 20 : place + 20]


def test_what_was_altered_is_said(service, proven, tmp_path):
    page = service.report(proven.run, tmp_path / "a.html")
    assert service.check_report(altered(page, "nothing altered", "nothing changed"))["altered"] == ["the text"]
    page = service.report(proven.run, tmp_path / "b.html")
    assert service.check_report(altered(page, '"copied":6', '"copied":7'))["altered"] == ["the data", "the text"]
    data = service.report(proven.run, tmp_path / "c.json")
    assert service.check_report(altered(data, '"copied": 6', '"copied": 7'))["altered"] == ["the data"]


def test_a_key_that_is_there_twice_is_refused(service, proven, tmp_path):
    data = service.report(proven.run, tmp_path / "report.json")
    with pytest.raises(ConfigError, match="no report"):
        service.check_report(altered(data, '"verdict": "proven"', '"verdict": "differs",\n "verdict": "proven"'))


@pytest.mark.parametrize("change", [{"format": "another"}, {"report": "https://elsewhere.example/report.html"}])
def test_json_that_says_more_than_is_fingerprinted_is_altered(service, proven, tmp_path, change):
    data = service.report(proven.run, tmp_path / "report.json")
    data.write_text(json.dumps(json.loads(data.read_text("utf-8")) | change), "utf-8")
    assert service.check_report(data)["altered"] == ["the data"]


def test_json_that_was_only_laid_out_anew_is_intact(service, proven, tmp_path):
    data = service.report(proven.run, tmp_path / "report.json")
    data.write_text(json.dumps(dict(reversed(json.loads(data.read_text("utf-8")).items()))), "utf-8")
    assert service.check_report(data)["known"]


def test_a_fingerprint_computed_anew_does_not_deceive_the_home_that_ran_it(service, proven, tmp_path):
    forged = dict(service.result(proven.run)) | {"differences_total": 7}
    path = tmp_path / "forged.html"
    path.write_text(render_report(forged), "utf-8")
    found = service.check_report(path)
    assert (found["intact"], found["known"], found["altered"]) == (False, False, ["the fingerprint"])
    assert "made no such report" in found["message"]


def test_a_changed_page_over_the_same_data_does_not_either(service, proven, tmp_path):
    page = service.report(proven.run).read_text("utf-8")
    stated = seal.text_fingerprint(page)
    edited = page.replace(stated, "0" * 64).replace("nothing altered", "perfectly fine")
    path = tmp_path / "forged.html"
    path.write_text(seal.sealed(edited), "utf-8")
    assert seal.read(path.read_bytes()).altered == ()
    assert service.check_report(path)["altered"] == ["the fingerprint"]


def test_each_change_of_the_result_makes_a_new_report(service, proven, tmp_path):
    first = service.report(proven.run, tmp_path / "first.html")
    folder = service.manager.folder(proven.run)
    result.save(service.manager.ledger, folder, service.result(proven.run) | {"repairs": [{"finished": 1.7e9, "copied": 2, "deleted": 0}]})
    second = service.report(proven.run, tmp_path / "second.html")
    assert "Repaired before this proof" in second.read_text("utf-8")
    assert seal.read(first.read_bytes()).fingerprint != seal.read(second.read_bytes()).fingerprint == service.result(proven.run)["fingerprint"]
    assert service.check_report(second)["message"].endswith(proven.run)
    assert service.check_report(first)["known"]
    assert "there is a newer one" in service.check_report(first)["message"]


def test_proving_again_renews_it(service, proven):
    before = service.result(proven.run)["fingerprint"]
    service.start_verify(proven.run)
    assert service.wait(proven.run, 60)["status"] == "proven"
    assert service.result(proven.run)["fingerprint"] != before
    assert service.check_report(service.report(proven.run))["known"]


def test_a_result_of_an_earlier_version_gets_a_report(service, proven, tmp_path):
    """Such a result has no fingerprint, and none of the keys that came later."""
    folder = service.manager.folder(proven.run)
    old = {name: value for name, value in service.result(proven.run).items() if name not in {"fingerprint", "technical"}}
    (folder / "result.json").write_text(json.dumps(old), "utf-8")
    (folder / "report.html").write_text("<!doctype html>old", "utf-8")
    assert service.check_report(service.report(proven.run, tmp_path / "new.html"))["known"]


@pytest.mark.parametrize("content", [b"", b"<html>", b"{}", b"[1]", b"\xff\xfe\x00", b'{"fingerprint": 1, "run": 2, "verdict": 3}', b"[" * 100_000])
def test_a_file_that_is_no_report_is_called_so(service, tmp_path, content):
    path = tmp_path / "some.html"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="is no report") as caught:
        service.check_report(path)
    assert caught.value.code == "not_a_report"


def test_a_file_that_is_not_there(service, tmp_path):
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        service.check_report(tmp_path / "none.html")
    assert caught.value.code == "report_unreadable"


def test_the_report_tells_engineers_of_the_run(proven):
    told = proven.result["technical"]
    assert sum(told["batches"]) == len(NAMES)
    assert {"Vector Migrator", "Python", "pyarrow", "numpy"} <= told["versions"].keys()
    assert told["attempts"] == 1
    assert told["log"]


def test_neither_form_says_where_the_home_lies(service, written):
    assert str(service.home) not in written.read_text("utf-8")


KILLED = """
import json, sys
from pathlib import Path
from migrator.runs import result
from migrator.service import Service
service = Service(Path(sys.argv[1]))
found = service.result(sys.argv[2])
result.save(service.manager.ledger, service.manager.folder(sys.argv[2]), found | {"repairs": [{"finished": 1.0, "copied": 1, "deleted": 0}]})
"""


@pytest.mark.parametrize("place", ["report_noted", "result_written"])
def test_killed_while_it_is_written_no_unknown_report_lies_in_the_folder(service, proven, place):
    environment = {**os.environ, "MIGRATOR_FAILPOINT": f"{place}:1"}
    command = [sys.executable, "-c", KILLED, str(service.home), proven.run]
    killed = subprocess.run(command, cwd=Path(reports.__file__).parents[2], env=environment, check=False, capture_output=True, text=True)
    assert killed.returncode == 137, killed.stderr
    folder = service.manager.folder(proven.run)
    assert service.check_report(folder / "report.html")["known"]
    assert service.check_report(folder / "result.json")["known"]
