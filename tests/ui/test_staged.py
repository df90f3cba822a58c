"""The staged route in the dashboard: chosen, described and checked on the Plan page, watched and ended on the Run page."""

from __future__ import annotations

import shlex

import pytest

from migrator.service import PlanOptions, dump_plan
from tests.pinecone.conftest import account, rows  # noqa: F401 (a fixture)
from tests.pinecone.test_staged import gated, jobs, reading  # noqa: F401 (fixtures)
from tests.runs.test_steering import until
from tests.ui.conftest import goto, shown
from ui import run_words


@pytest.fixture
def ends(account):  # noqa: F811
    account.create("a")
    account.fill("a", rows(120))
    return "pinecone:a", "pinecone:b"


@pytest.fixture
def opened(app, service, ends):
    """Return a function that opens a plan file and goes to the Plan page."""

    def open_(**options):
        plan = service.plan(*ends, PlanOptions(**options))
        app.file_uploader(key="plan_file").upload("plan.yaml", dump_plan(plan).encode()).run()
        assert not app.exception
        return plan, goto(app, "plan")

    return open_


def command_shown(app):
    return next(block.value for block in app.code if block.value.startswith("python -m migrator copy"))


def test_a_plan_file_that_says_staged_stays_staged(opened, tmp_path):
    _, app = opened(route="staged", staging=f"parquet:{tmp_path}/files?compression=zstd")
    assert not app.exception
    assert "--route staged" in command_shown(app)
    assert f"parquet:{tmp_path}/files?compression=zstd" in command_shown(app)


def test_a_plan_file_that_says_direct_takes_the_staged_route_back(opened, app, tmp_path):
    opened(route="staged", staging=f"parquet:{tmp_path}/files")
    goto(app, "connect")
    _, app = opened()
    assert "--route" not in command_shown(app)


def test_a_bucket_keeps_its_options(opened, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    options = "region=eu-west-1&endpoint=http://127.0.0.1:9&access_key=env:AWS_ACCESS_KEY_ID&secret_key=env:AWS_SECRET_ACCESS_KEY"
    plan, app = opened(route="staged", staging=f"parquet:s3://bucket/in/here?{options}")
    assert app.session_state["planned"][1].staging == plan.staging


def test_a_plan_file_whose_files_no_other_store_can_load_is_refused_whole(app, service, ends):
    plan = service.plan(*ends, PlanOptions(route="staged", staging="milvus:files?uri=./x.db"))
    app.file_uploader(key="plan_file").upload("plan.yaml", dump_plan(plan).encode()).run()
    assert "stages its files in milvus" in app.error[0].value
    assert "source_pinecone_resource" not in app.session_state


def plan_page(app, ends):
    app.session_state["source_endpoint"], app.session_state["target_endpoint"] = ends
    return goto(app, "plan")


def test_the_route_is_offered_where_the_target_can_load_files(app, ends, tmp_path):
    plan_page(app, ends)
    assert not app.exception
    assert app.segmented_control(key="plan_route").value == "direct"
    plan_page(app, (ends[0], f"milvus:things?uri={tmp_path}/a.db"))
    assert "plan_route" not in [control.key for control in app.segmented_control]


def test_a_route_the_target_cannot_take_blocks_and_can_be_taken_back(app, ends, tmp_path):
    plan_page(app, ends)
    app.segmented_control(key="plan_route").set_value("staged").run()
    plan_page(app, (ends[0], f"milvus:things?uri={tmp_path}/a.db"))
    assert "cannot load staged files by itself" in shown(app)
    assert app.button(key="start").disabled
    app.segmented_control(key="plan_route").set_value("direct").run()
    assert not app.button(key="start").disabled


def staged_page(app, ends, place):
    plan_page(app, ends)
    app.segmented_control(key="plan_route").set_value("staged").run()
    assert not app.exception
    assert app.button(key="start").disabled
    assert "staged route needs a place for its files" in shown(app)
    return app.text_input(key="staging_parquet_resource").input(str(place)).run()


def test_a_staged_copy_from_the_plan_to_the_proof(app, account, service, ends, tmp_path):  # noqa: F811
    staged_page(app, ends, tmp_path / "files")
    assert not app.exception
    assert {"--staging", f"parquet:{tmp_path}/files"} <= set(shlex.split(command_shown(app)))
    assert "the files stay there when the run is done" in shown(app)
    app.button(key="start").click().run()
    assert not app.exception
    run = service.runs()[0]["run"]
    assert service.wait(run, 60)["status"] == "proven"
    goto(app, "run")
    said = shown(app).replace("\\", "")
    assert "120 of 120 records, as import 101 says" in said
    assert "120 records in parquet:" in said
    assert "they stay there" in said
    assert account.namespaces("b") == {"": 120}


def test_what_stands_in_the_way_of_the_files_is_shown(app, account, ends, tmp_path):  # noqa: F811
    account.create("b")
    account.fill("b", rows(3))
    staged_page(app, ends, tmp_path / "files")
    assert "bulk load fills new namespaces only, and the target has" in shown(app).replace("\\", "")
    assert "choose a new target" in shown(app)
    assert app.button(key="start").disabled


@pytest.mark.parametrize("place", ["/etc/files", "../files"])
def test_a_shared_installation_stages_only_where_it_may(app, service, ends, monkeypatch, place):
    staged_page(app, ends, service.home / "exports" / "staged")
    monkeypatch.setenv("MIGRATOR_HOSTED", "1")
    app.run()
    assert not app.button(key="start").disabled
    app.text_input(key="staging_parquet_resource").input(place).run()
    assert "does not open files of its server" in app.error[0].value
    assert app.button(key="start").disabled


def test_a_shared_installation_gives_away_no_other_variable(app, service, ends, monkeypatch):
    monkeypatch.setenv("MIGRATOR_HOSTED", "1")
    staged_page(app, ends, "s3://bucket/x")
    app.text_input(key="staging_parquet_*").input("access_key=env:HOME&secret_key=env:HOME").run()
    assert "does not read access_key from HOME" in app.error[0].value.replace("\\", "")
    assert app.button(key="start").disabled


def test_typed_keys_of_the_bucket_are_in_no_file(app, ends):
    staged_page(app, ends, "s3://bucket/x")
    app.text_input(key="staging_parquet_access_key").input("canary-access")
    app.text_input(key="staging_parquet_secret_key").input("canary-secret").run()
    assert "access_key=session:" in command_shown(app)
    assert "canary" not in shown(app)


@pytest.fixture
def halfway(app, service, ends, tmp_path, gated):  # noqa: F811
    """Return a run whose import says 40 %, and goes no further before the gate is opened."""
    gate = gated(48)
    run = service.start(service.plan(*ends, PlanOptions(route="staged", staging=f"parquet:{tmp_path}/files")))
    until(lambda: (service.status(run)["load"] or {}).get("share") == 0.4, 60)
    goto(app, "run")
    assert not app.exception
    return run, gate


def test_the_import_is_watched_on_the_run_page(app, service, halfway):
    run, gate = halfway
    said = shown(app).replace("\\", "")
    assert "the target imports the files" in said
    assert "**2 · Imported by the target** · 40 %" in said
    assert "48 of 120 records, as import 101 says" in said
    assert {metric.label: metric.value for metric in app.metric}["Time left"] != "—"
    gate.set()
    assert service.wait(run, 60)["status"] == "proven"
    assert "**2 · Imported by the target** · 100 %" in shown(app.run()).replace("\\", "")


def test_what_a_pause_and_a_cancel_mean_for_the_import_is_said(app, account, service, halfway):  # noqa: F811
    run, _ = halfway
    app.button(key="control_pause").click().run()
    service.wait(run, 60)
    app.run()
    assert "The import goes on at the target while this run is paused" in shown(app)
    app.button(key="control_cancel").click().run()
    assert not app.exception
    said = shown(app.run())
    assert "What was written stays in the staged files" in said
    assert "The target was asked to end the import" in said
    assert "import 101 cancelled at the store" in said
    assert jobs(account) == [("Cancelled", 48)]


def test_a_direct_run_shows_no_stages(app, service, ends):
    service.wait(service.start(service.plan(*ends)), 60)
    goto(app, "run")
    assert "Imported by the target" not in shown(app)


def test_the_bar_of_a_staged_run_names_its_three_parts():
    seen = {"kind": "copy", "status": "running", "phase": "importing", "shares": {"copied": 1.0, "loaded": 0.4, "proved": 0.0}}
    assert run_words.progress_text(seen).split(" — ")[0] == "staged 100 % · imported 40 % · proved 0 %"


def test_a_failed_run_whose_import_may_go_on_can_be_cancelled(app, account, service, halfway):  # noqa: F811
    run, _ = halfway
    account.settings.api_keys = frozenset({"another"})
    assert service.wait(run, 60)["error"]["code"] == "unauthorized"
    account.settings.api_keys = None
    app.run()
    assert "The import may go on at the target" in shown(app)
    app.button(key="control_cancel").click().run()
    assert not app.exception
    assert jobs(account) == [("Cancelled", 48)]
    assert service.status(run)["status"] == "cancelled"


def test_a_failed_run_without_an_import_has_nothing_to_cancel(app, account, service, ends, tmp_path):  # noqa: F811
    (tmp_path / "files" / "x").mkdir(parents=True)
    (tmp_path / "files" / "x" / "notes.txt").write_text("mine")
    run = service.start(service.plan(*ends, PlanOptions(route="staged", staging=f"parquet:{tmp_path}/files")))
    assert service.wait(run, 60)["status"] == "failed"
    goto(app, "run")
    assert "import may go on" not in shown(app)
    assert "control_cancel" not in [button.key for button in app.button]


def test_the_storage_integration_of_a_private_bucket_is_asked_for(app, ends):
    app.selectbox(key="target_store").select("pinecone").run()
    app.text_input(key="target_pinecone_resource").input("b")
    app.text_input(key="target_pinecone_integration").input("i-1").run()
    assert "integration=i-1" in app.session_state["target_endpoint"]
