"""Run: every state a run can be in, its figures, and who may see it."""

import time

import pytest

from tests.ui.conftest import RECORDS, copied, goto, index, shown
from ui import state


@pytest.fixture
def target(tmp_path):
    return f"milvus:things?uri={tmp_path}/a.db"


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
    table = next(table.value for table in app.dataframe if "code" in table.value)
    assert sorted(zip(table["id"], table["code"], table["field"], strict=True)) == [("id-5", "not_finite", "values"), ("id-77", "not_finite", "values")]


def test_a_failed_run_says_why_and_can_be_resumed(app, service, target, tmp_path):
    source = index(tmp_path / "s")
    plan = service.plan(source, target)
    (tmp_path / "s" / "a.index").unlink()
    run = service.start(plan)
    service.wait(run, 60)
    goto(app, "run")
    assert "failed" in shown(app)
    assert len(app.error) == 1
    assert "What to do" in app.error[0].value
    index(tmp_path / "s")
    app.button(key="control_resume").click().run()
    assert not app.exception
    assert service.wait(run, 60)["status"] == "proven"
    app.run()
    assert "attempt 2" in shown(app)


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
