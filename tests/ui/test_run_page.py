"""Run: every state a run can be in, its figures, and who may see it."""

import threading
import time

import pytest
from streamlit.testing.v1 import AppTest

from migrator.connectors.milvus.target import MilvusTarget
from tests.ui.conftest import ENTRY, RECORDS, copied, goto, index, shown
from ui import run_words, state


@pytest.fixture
def target(tmp_path):
    return f"milvus:things?uri={tmp_path}/a.db"


def failed(service, target, folder):
    """Return a run that failed for want of its source: ``index(folder)`` mends the cause."""
    plan = service.plan(index(folder), target)
    (folder / "a.index").unlink()
    run = service.start(plan)
    service.wait(run, 60)
    return run


def test_without_runs_it_says_where_to_go(app):
    goto(app, "run")
    assert "No migration has been run here yet" in shown(app)


def test_a_proven_run(app, service, target, tmp_path):
    run = copied(service, index(tmp_path / "s"), target, namespace_from="lang", batch=100)
    goto(app, "run")
    assert not app.exception
    assert "proven" in shown(app)
    assert f"{RECORDS} of {RECORDS} records" in shown(app).replace("\\", "")
    metrics = {metric.label: metric.value for metric in app.metric}
    assert metrics["Rejected records"] == "0"
    namespaces = next(table.value for table in app.dataframe if "progress" in table.value)
    assert dict(zip(namespaces["namespace"], namespaces["done"], strict=True)) == {"de": 200, "en": 100}
    assert "proven:" in app.code[0].value
    app.button(key="to_verify").click().run()
    assert [title.value for title in app.title] == ["Verify"]
    assert app.session_state["chosen_run"] == run


def test_rejected_records_are_named_with_their_reasons(app, service, target, tmp_path):
    copied(service, index(tmp_path / "s", change=[(5, "nan"), (77, "nan")]), target)
    goto(app, "run")
    assert {metric.label: metric.value for metric in app.metric}["Rejected records"] == "2"
    namespaces = next(table.value for table in app.dataframe if "progress" in table.value)
    assert (list(namespaces["progress"]), list(namespaces["done"])) == ([100.0], [298])
    table = next(table.value for table in app.dataframe if "code" in table.value)
    assert sorted(zip(table["id"], table["code"], table["field"], strict=True)) == [("id-5", "not_finite", "values"), ("id-77", "not_finite", "values")]


def test_batches_that_were_read_back_are_counted(app, service, target, tmp_path):
    copied(service, index(tmp_path / "s"), target, batch=100, workers=1, verify_batches=True)
    goto(app, "run")
    assert {metric.label: metric.value for metric in app.metric}["Batches verified"] == "3"
    assert "300 records as they were written" in shown(app)


def test_a_run_that_reads_no_batch_back_has_no_such_figure(app, service, target, tmp_path):
    copied(service, index(tmp_path / "s"), target)
    goto(app, "run")
    assert "Batches verified" not in [metric.label for metric in app.metric]


def test_a_failed_run_says_why_and_can_be_resumed(app, service, target, tmp_path):
    run = failed(service, target, tmp_path / "s")
    goto(app, "run")
    assert "failed" in shown(app)
    assert "Failed. What was written stays" in shown(app)
    assert len(app.error) == 1
    assert "What to do" in app.error[0].value
    index(tmp_path / "s")
    app.button(key="control_resume").click().run()
    assert not app.exception
    assert service.wait(run, 60)["status"] == "proven"
    app.run()
    assert "attempt 2" in shown(app)


def test_a_browser_that_lags_behind_still_names_the_run_it_shows(app, service, target, tmp_path):
    run = failed(service, target, tmp_path / "s")
    goto(app, "run")
    index(tmp_path / "s")
    service.resume(run)
    assert service.wait(run, 60)["status"] == "proven"
    late = app.selectbox(key="run_run").options[0]  # what the browser still shows, and sends with the next click
    app.run()
    assert app.selectbox(key="run_run").options == [late]
    assert "not known here" not in shown(app)


def test_a_cancelled_run_keeps_its_figures(app, service, tmp_path):
    source = index(tmp_path / "s", records=40_000)
    run = service.start(service.plan(source, f"milvus:things?uri={tmp_path}/a.db"))
    goto(app, "run")
    while service.status(run)["phase"] in {"", "preparing"} and service.status(run)["status"] == "running":
        time.sleep(0.01)
    app.run()
    if service.status(run)["status"] == "running":
        app.button(key="control_cancel").click().run()
    status = service.wait(run, 60)
    app.run()
    assert not app.exception
    assert status["status"] == "cancelled"
    assert "Cancelled" in shown(app)
    assert f"{status['counts']['scanned']:,} of" in shown(app).replace("\\", "")


def test_a_dry_run_speaks_of_no_copy(app, service, target, tmp_path):
    run = service.start(service.plan(index(tmp_path / "s", change=[(5, "nan")]), target), dry_run=True)
    service.wait(run, 60)
    goto(app, "run")
    assert not app.exception
    said = shown(app)
    assert "gray-badge[:material/science: dry run]" in said
    assert "incomplete" not in said
    assert "299 would be copied, 1 would be rejected" in said
    metrics = {metric.label: metric.value for metric in app.metric}
    assert metrics["Would be copied"] == "299"
    assert "Batch latency p95" not in metrics
    listed = app.dataframe[-1].value
    assert (list(listed["status"]), list(listed["records"])) == (["done"], [0])
    assert not [button for button in app.button if button.key == "to_verify"]


def test_a_link_to_an_unknown_run_shows_no_other(app, service, target, tmp_path):
    run = copied(service, index(tmp_path / "s"), target)
    goto(app, "run")
    for page in ("run", "verify", "export"):
        app.query_params["run"] = "nonsense"
        goto(app, page)
        assert not app.exception
        assert len(app.warning) == 1
        assert "This run is not known here: nonsense" in app.warning[0].value
        assert "Proven" not in shown(app)
        assert not app.metric
        assert app.query_params["run"] in ("nonsense", ["nonsense"])
        box = app.selectbox(key=f"{page}_run")
        assert (box.value, len(box.options)) == (None, 1)
        box.set_value(run).run()
        assert not app.warning
        assert app.query_params["run"] in (run, [run])


def test_an_incomplete_run_says_so_and_leads_to_what_was_found(app, service, target, tmp_path):
    copied(service, index(tmp_path / "s", change=[(5, "nan")]), target)
    goto(app, "run")
    assert "1 of 300 records were rejected" in app.warning[0].value
    assert app.button(key="to_verify").label == "See what was found"
    assert app.metric[2].label == "Batch latency p95"
    assert "of 1 batch" in [caption.value for caption in app.caption]


def test_asked_to_stop_shows_in_every_tab_until_it_is_done(app, service, target, tmp_path, monkeypatch):
    ready = threading.Event()
    real = MilvusTarget.finish
    monkeypatch.setattr(MilvusTarget, "finish", lambda store: (ready.wait(30), real(store))[1])
    run = service.start(service.plan(index(tmp_path / "s"), target))
    while service.status(run)["phase"] != "finishing":
        time.sleep(0.01)
    goto(app, "run").button(key="control_pause").click().run()
    for tab in (app, goto(AppTest.from_file(str(ENTRY), default_timeout=60).run(), "run")):
        assert "pausing…" in shown(tab)
        assert "pausing once the target is ready" in shown(tab)
        assert tab.button(key="control_pause").disabled
        assert tab.button(key="control_cancel").disabled
    ready.set()
    service.wait(run, 60)
    assert "pausing" not in shown(app.run())


SEEN = {"kind": "copy", "status": "cancelled", "phase": "", "shares": {"copied": 0.552, "proved": 0.0}}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "copied 55 % · proved 0 %"),
        ({"kind": "dry-run"}, "read 55 %"),
        ({"kind": "verify", "shares": {"copied": 0.0, "proved": 0.4}}, "compared 40 %"),
        ({"status": "proven", "shares": {"copied": 1.0, "proved": 1.0}}, "copied 100 % · proved 100 %"),
        ({"status": "differs", "shares": {"copied": 1.0, "proved": 1.0}}, "compared 100 %"),
        ({"status": "running", "phase": "searching", "shares": {"copied": 1.0, "proved": 0.4}}, "40 % of the records and queries"),
        ({"kind": "verify", "status": "running", "phase": "searching", "shares": {"copied": 0.0, "proved": 0.4}}, "40 % of the records and queries"),
        ({"status": "proven", "phase": "searching", "shares": {"copied": 1.0, "proved": 1.0}}, "copied 100 % · proved 100 %"),
        ({"status": "running", "phase": "repairing", "shares": {"copied": 1.0, "proved": 0.0}}, "repairing"),
        ({"status": "running", "phase": "rolling back", "shares": {"copied": 1.0, "proved": 0.0}}, "rolling back"),
    ],
)
def test_the_bar_names_what_it_is_made_of(changes, text):
    assert run_words.progress_text(SEEN | changes).split(" — ")[0] == text


@pytest.mark.slow
def test_the_link_of_a_run_opens_it(app, service, target, tmp_path):
    first = copied(service, index(tmp_path / "s"), target)
    second = copied(service, index(tmp_path / "t", records=10), f"milvus:others?uri={tmp_path}/a.db")
    goto(app, "run")
    assert app.selectbox(key="run_run").value == second
    app.query_params["run"] = first
    app.run()
    assert app.selectbox(key="run_run").value == first
    app.selectbox(key="run_run").set_value(second).run()
    assert app.query_params["run"] in (second, [second])


def test_another_user_s_run_is_not_shown(app, service, target, tmp_path, monkeypatch):
    theirs = service.start(service.plan(index(tmp_path / "s"), target), owner="ann@example.com")
    service.wait(theirs, 60)
    monkeypatch.setattr(state, "owner", lambda: "ben@example.com")
    for page in ("run", "verify", "export"):
        app.query_params["run"] = theirs
        goto(app, page)
        assert theirs not in shown(app)
        assert "No migration has been run here yet" in shown(app)
    monkeypatch.setattr(state, "owner", lambda: "ann@example.com")
    app.query_params["run"] = theirs
    assert theirs in goto(app, "run").selectbox(key="run_run").value
