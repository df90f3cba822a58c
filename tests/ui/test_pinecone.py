"""Pinecone in the dashboard: the demo from pods to serverless, following, and the cut-over behind its confirmation."""

from __future__ import annotations

import json
import time

import pytest
from pinecone import Pinecone

from demo import pods
from migrator.connectors import pinecone
from migrator.model import Follow
from migrator.service import PlanOptions, money
from tests.ui.conftest import goto, shown
from ui import demo_data
from ui.words import plain


@pytest.fixture
def local(service, monkeypatch):
    """Return the demo's Pinecone, already filled and running, as the dashboard would have started it."""
    server = pods.start(service.home / "demo" / "pinecone")
    monkeypatch.setattr(demo_data, "_pinecone", server)
    monkeypatch.setenv("PINECONE_API_KEY", pods.KEY)
    monkeypatch.setattr(pinecone, "SETTLING_SECONDS", 0.0)
    yield server
    server.close()


@pytest.fixture
def ends(local):
    return pods.endpoints(local.url)


def client(local):
    return Pinecone(api_key=pods.KEY, host=local.url)


def test_the_demo_fills_both_sides(app, local):
    app.button(key="use_pods").click().run()
    assert not app.exception
    assert [app.selectbox(key=f"{side}_store").value for side in ("source", "target")] == ["pinecone", "pinecone"]
    app.button(key="source_test").click().run()
    assert "connected" in shown(app)
    goto(app, "plan")
    assert not app.exception
    assert {metric.label: metric.value for metric in app.metric}["Vectors"] == "7,764"
    assert not app.button(key="start").disabled


def test_the_plan_page_shows_the_bill_at_prices_that_can_be_changed(app, service, local, ends):
    app.button(key="use_pods").click().run()
    goto(app, "plan")
    cost = service.plan(*ends).estimate["cost"]
    assert {metric.label: metric.value for metric in app.metric}["Cost in the cloud"] == plain(money(cost["total_move"]))
    lines = next(table.value for table in app.dataframe if "dollars" in table.value)
    assert list(lines["what"]) == [item["what"] for item in cost["items"]]
    assert "Prices of 2026" in shown(app)
    assert plain("your own:") not in shown(app)
    app.number_input(key="pinecone_write_units_4_0").set_value(4_000.0).run()
    assert not app.exception
    lines = next(table.value for table in app.dataframe if "dollars" in table.value)
    written = next(item["quantity"] for item in cost["items"] if item["what"] == "write to the target") * 4_000 / 1_000_000
    assert money(written) in list(lines["dollars"])
    assert {metric.label: metric.value for metric in app.metric}["Cost in the cloud"] == plain(money(cost["total_move"] + written * 0.999))
    assert plain("your own: pinecone.write_units") in shown(app)
    assert service.plan(*ends).estimate["cost"] == cost


def test_where_records_go_is_shown_before_the_run(app, ends):
    app.button(key="use_pods").click().run()
    goto(app, "plan")
    app.selectbox(key="plan_namespace_from").select("president").run()
    assert not app.exception
    routed = next(table.value for table in app.dataframe if "rule" in table.value)
    assert "Abraham Lincoln" in set(routed["namespace"])


def test_a_followed_run_shows_its_lag_and_stops_when_told(app, service, local, ends):
    run = service.start(service.plan(*ends, PlanOptions(namespaces=("Whig",), follow=Follow(interval=0.1))))
    _until(lambda: service.status(run)["follow"]["passes"] >= 1)
    goto(app, "run")
    assert not app.exception
    assert "Following the source" in shown(app)
    assert {metric.label: metric.value for metric in app.metric}["Lag"] == "0 records"
    app.button(key="stop_following").click().run()
    assert service.wait(run, 60)["status"] == "proven"
    assert not app.exception


@pytest.mark.slow
def test_the_old_index_goes_only_when_its_name_was_typed(app, service, local, ends):
    run = service.start(service.plan(*ends))
    assert service.wait(run, 120)["status"] == "proven"
    goto(app, "run")
    app.toggle(key="cutover_delete").set_value(True).run()
    assert app.button(key="cutover_start").disabled
    app.text_input(key="cutover_confirm").set_value("sotu-pod").run()
    assert app.button(key="cutover_start").disabled
    app.text_input(key="cutover_confirm").set_value(pods.POD_INDEX).run()
    app.button(key="cutover_start").click().run()
    _until(lambda: (service.result(run).get("cutover") or {}).get("deleted"))
    app.run()
    assert not app.exception
    assert [index.name for index in client(local).indexes.list()] == [pods.SERVERLESS_INDEX]
    assert "PINECONE_INDEX_HOST=" in "\n".join(code.value for code in app.code)


@pytest.mark.slow
def test_an_unproven_target_is_not_cut_over(app, service, local, ends):
    run = service.start(service.plan(*ends))
    assert service.wait(run, 120)["status"] == "proven"
    client(local).index(pods.SERVERLESS_INDEX).delete(ids=[_some_id(local)], namespace="Whig")
    goto(app, "run")
    app.button(key="cutover_start").click().run()
    _until(lambda: service.status(run)["status"] == "differs")
    _until(lambda: "no cut-over" in "\n".join(line["message"] for line in service.status(run)["log"]))
    app.run()
    assert not app.exception
    assert "No cut-over" in shown(app)


def _some_id(local):
    return next(iter(local.engine.index(pods.POD_INDEX).query("Whig", 1, vector=[1.0] * 384).value)).record.id


def _until(done):
    deadline = time.monotonic() + 60
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_config_json_fills_both_sides_and_says_what_became_of_its_keys(app, local):
    config = {
        "api_key": "key-of-the-source",
        "use_seperate_target_client": True,
        "api_key_dest": "key-of-the-target",
        "source_index": "old",
        "target_index": "new",
        "create_target": True,
        "target_cloud": "gcp",
        "target_region": "us-central1",
        "namespace_from_metadata_field": True,
        "metadata_field_to_namespace_from": "tenant",
        "batch_size": 100,
    }
    app.file_uploader(key="plan_file").upload("config.json", json.dumps(config).encode()).run()
    assert not app.exception
    assert not app.error
    assert "pinecone:old" in app.session_state["source_endpoint"]
    assert "cloud=gcp&region=us-central1" in app.session_state["target_endpoint"]
    assert [app.text_input(key=f"{side}_pinecone_api_key").value for side in ("source", "target")] == ["key-of-the-source", "key-of-the-target"]
    assert app.session_state["plan_namespace_from"] == "tenant"
    assert "requests are packed by their measured bytes" in shown(app).replace("\\", "")
    assert "key-of" not in app.session_state["source_endpoint"] + app.session_state["target_endpoint"]
