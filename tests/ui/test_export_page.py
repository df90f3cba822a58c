"""Export: what runs left, to be taken along, and the export to Parquet."""

import hashlib
from pathlib import Path

import pytest

from tests.ui.conftest import RECORDS, copied, goto, index, shown
from ui import downloads


@pytest.fixture
def target(tmp_path):
    return f"milvus:things?uri={tmp_path}/a.db"


def files(app):
    return next(table.value for table in app.dataframe if "sha256" in table.value)


def test_the_files_of_a_run_with_checksums_and_signed_links(app, service, target, tmp_path):
    run = copied(service, index(tmp_path / "s", change=[(5, "nan")]), target)
    goto(app, "export")
    assert not app.exception
    rows = {row["kind"]: row for row in files(app).to_dict("records")}
    assert set(rows) == {"report", "rejected records", "plan"}
    for row in rows.values():
        path, name = downloads._signer.loads(row["link"].rsplit("/", 1)[-1])
        assert hashlib.sha256(Path(path).read_bytes()).hexdigest() == row["sha256"]
        assert name.startswith(run)
    assert "python -m migrator copy" in shown(app)


def test_an_export_is_a_run_that_is_proven(app, service, target, tmp_path):
    copied(service, index(tmp_path / "s"), target)
    goto(app, "export")
    app.text_input(key="export_source").input(target)
    app.text_input(key="export_folder").input(str(tmp_path / "out"))
    app.button(key="export_start").click().run()
    assert not app.exception
    assert [title.value for title in app.title] == ["Run"]
    run = service.runs()[0]["run"]
    status = service.wait(run, 60)
    assert (status["status"], status["counts"]["copied"]) == ("proven", RECORDS)
    goto(app, "export")
    rows = files(app)
    assert (rows["kind"] == "Parquet").sum() >= 1


@pytest.mark.parametrize(("source", "message"), [("", "There is no collection to export"), ("nonsense", "is not an endpoint")])
def test_an_export_that_cannot_start_is_one_message(app, source, message):
    goto(app, "export")
    app.text_input(key="export_source").input(source)
    app.button(key="export_start").click().run()
    assert not app.exception
    assert message in shown(app).replace("\\", "")
    assert len(app.error) == 1


@pytest.mark.slow
def test_the_history_links_to_every_run(app, service, target, tmp_path):
    runs = [copied(service, index(tmp_path / "s"), target), copied(service, index(tmp_path / "s"), target)]
    goto(app, "export")
    history = next(table.value for table in app.dataframe if "open" in table.value)
    assert list(history["open"]) == [f"export?run={run}" for run in reversed(runs)]
