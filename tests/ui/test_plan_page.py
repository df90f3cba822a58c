"""Plan: what will be copied, how, and what stands in the way."""

import faiss
import numpy as np
import pytest

from migrator.endpoints import parse
from migrator.service import PlanOptions, command
from tests.parameters import rest_slow
from tests.ui.conftest import RECORDS, copied, goto, index, shown
from ui import schema_view


@pytest.fixture
def ends(tmp_path):
    return index(tmp_path / "source"), f"milvus:things?uri={tmp_path}/a.db"


def planned(app, ends):
    app.session_state["source_endpoint"], app.session_state["target_endpoint"] = ends
    return goto(app, "plan")


def test_without_endpoints_it_says_where_to_go(app):
    goto(app, "plan")
    assert "describe a source and a target first" in shown(app)
    app.button(key="go_connect").click().run()
    assert [title.value for title in app.title] == ["Connect"]


def test_the_figures_are_the_source_s(app, ends):
    planned(app, ends)
    assert not app.exception
    metrics = {metric.label: metric.value for metric in app.metric}
    assert metrics["Vectors"] == f"{RECORDS}"
    assert metrics["Shape"] == "8 dimensions"
    assert "assumed until a run has measured it" in shown(app)


def test_the_mapping_names_every_field(app, ends):
    planned(app, ends)
    mapping = next(table.value for table in app.dataframe if "lossless" in table.value)
    assert list(mapping["source field"]) == ["id", "values", "namespace", "metadata.lang", "metadata.year"]
    assert list(mapping["target field"]) == ["id", "vector", "namespace", "lang", "year"]
    assert mapping["lossless"].all()


def test_the_command_is_the_plan_s(app, ends, service):
    planned(app, ends)
    app.segmented_control(key="plan_conflict").set_value("skip")
    app.slider(key="plan_workers").set_value(5)
    app.select_slider(key="plan_batch").set_value(500)
    app.selectbox(key="plan_namespace_from").set_value("lang")
    app.text_area(key="plan_filter").input('{"year": {"$gte": 1950}}').run()
    options = PlanOptions(on_conflict="skip", workers=5, batch=500, namespace_from="lang", filter={"year": {"$gte": 1950}})
    assert command(service.plan(*ends, options)) in [block.value for block in app.code]


def test_batches_can_be_read_back(app, ends, service):
    planned(app, ends)
    app.toggle(key="plan_verify_batches").set_value(True).run()
    assert command(service.plan(*ends, PlanOptions(verify_batches=True))) in [block.value for block in app.code]
    assert "ach batch is read back from the target before it counts as copied" in shown(app)


@pytest.mark.parametrize("text", rest_slow(['{"year": {"$nope": 1}}', '{"year": ', "[1]"]))
def test_a_bad_filter_is_one_message_and_no_start(app, ends, text):
    planned(app, ends)
    app.text_area(key="plan_filter").input(text).run()
    assert not app.exception
    assert len(app.error) == 1
    assert "What to do" in app.error[0].value
    assert app.button(key="start").disabled


def test_a_blocking_finding_disables_start(app, ends, service, tmp_path):
    other = faiss.IndexFlatL2(5)
    other.add(np.ones((3, 5), np.float32))
    faiss.write_index(other, str(tmp_path / "other.index"))
    copied(service, f"faiss:{tmp_path}/other.index", ends[1])
    planned(app, ends)
    assert "blocks the run" in shown(app)
    assert "dimensions" in shown(app)
    assert app.button(key="start").disabled


def test_a_loss_needs_consent(app, ends, tmp_path):
    coarse = faiss.IndexScalarQuantizer(8, faiss.ScalarQuantizer.QT_8bit)
    values = np.random.default_rng(0).normal(size=(100, 8)).astype(np.float32)
    coarse.train(values)
    coarse.add(values)
    faiss.write_index(coarse, str(tmp_path / "coarse.index"))
    planned(app, (f"faiss:{tmp_path}/coarse.index", ends[1]))
    assert "loses something" in shown(app)
    assert app.button(key="start").disabled
    app.checkbox(key="plan_accept_lossy").check().run()
    assert not app.button(key="start").disabled


def test_no_consent_is_asked_for_when_nothing_is_lost(app, ends):
    planned(app, ends)
    assert "plan_accept_lossy" not in [box.key for box in app.checkbox]
    assert not app.button(key="start").disabled


def test_start_starts_and_shows_the_run(app, ends, service):
    planned(app, ends)
    app.button(key="start").click().run()
    assert not app.exception
    assert [title.value for title in app.title] == ["Run"]
    run = service.runs()[0]["run"]
    assert app.session_state["chosen_run"] == run
    assert service.wait(run, 60)["status"] == "proven"


def test_a_dry_run_writes_nothing(app, ends, service, tmp_path):
    planned(app, ends)
    app.toggle(key="plan_dry_run").set_value(True).run()
    assert app.button(key="start").label == "Start dry run"
    app.button(key="start").click().run()
    run = service.runs()[0]["run"]
    assert service.wait(run, 60)["kind"] == "dry-run"
    assert not (tmp_path / "a.db").exists()
    goto(app, "run")
    assert "nothing was written" in shown(app)


def test_a_source_that_cannot_be_read_is_one_message(app, ends, tmp_path):
    (tmp_path / "broken.index").write_bytes(b"IxF2" + bytes(20))
    planned(app, (f"faiss:{tmp_path}/broken.index", ends[1]))
    assert not app.exception
    assert len(app.error) == 1
    assert "broken" in app.error[0].value


def schema(app):
    """Return what the table of the target's schema says."""
    table = next(table.value for table in app.dataframe if list(table.value.columns) == ["what", "value"])
    return dict(zip(table["what"], table["value"], strict=True))


def test_the_target_s_schema_is_shown(app, ends):
    planned(app, (ends[0], ends[1] + "&index_type=HNSW&metric=IP&consistency=strong"))
    assert not app.exception
    found = schema(app)
    assert found["index"] == "HNSW (M=16, efConstruction=200)"
    assert found["metric"].startswith("IP (the source's euclidean")
    assert (found["shards"], found["partition key"], found["consistency"], found["dynamic field"]) == ("1", "none", "strong", "yes")
    assert "100 records of 1 namespace looked at." in shown(app)
    assert any("search ranks differently" in text for text in shown(app).splitlines())


@pytest.mark.slow
def test_columns_are_chosen_from_what_the_sample_shows(app, ends, service):
    planned(app, ends)
    way = next(control for control in app.segmented_control if control.label == "Metadata becomes")
    assert way.value == "Dynamic field"
    assert app.button(key="schema_apply").disabled
    way.set_value("Columns only").run()
    edited = next(table.value for table in app.dataframe if "column" in table.value)
    assert list(zip(edited["key"], edited["records"], edited["column"], edited["type"], strict=True)) == [
        ("lang", 100, True, "varchar(65535)"),
        ("year", 100, True, "int64"),
    ]
    app.button(key="schema_apply").click().run()
    assert not app.exception
    target = app.session_state["target_endpoint"]
    assert parse(target).options["fields"] == '{"lang":"varchar(65535)","year":"int64"}'
    assert schema(app)["dynamic field"] == "no"
    mapping = next(table.value for table in app.dataframe if "lossless" in table.value)
    assert list(mapping["target type"])[-2:] == ["varchar(65535)", "int64"]
    assert app.button(key="schema_apply").disabled
    run = copied(service, ends[0], target)
    assert service.status(run)["status"] == "proven"
    assert service.inspect(target).collection.fields == {"lang": "varchar(65535)", "year": "int64"}
    next(button for button in app.button if button.label == "Look again").click().run()
    assert "The collection exists, so its schema stays as it is." in shown(app)
    assert "Metadata becomes" not in [control.label for control in app.segmented_control]
    goto(app, "connect")
    assert app.text_input(key="target_milvus_fields").value == parse(target).options["fields"]


def test_edited_types_become_the_target_s_options():
    rows = [{"key": "a", "column": True, "type": "varchar(7)"}, {"key": "b", "column": False, "type": "int8"}]
    assert schema_view.options_of(rows, schema_view.BOTH) == {"fields": '{"a":"varchar(7)"}'}
    assert schema_view.options_of(rows, schema_view.COLUMNS) == {"fields": '{"a":"varchar(7)"}', "dynamic": "false"}
    assert schema_view.options_of(rows, schema_view.DYNAMIC) == {"dynamic": "true"}
