"""Connect: two cards that end in two endpoints."""

import pytest

from migrator import endpoints
from migrator.errors import ConfigError
from migrator.service import PlanOptions, dump_plan, stores
from tests.ui.conftest import goto, index, shown
from ui import hosting, profiles

CANARY = "canary-77aa-token"


def describe(app, source, target, tmp_path):
    app.text_input(key="source_faiss_resource").input(source)
    app.text_input(key="target_milvus_uri").input(str(tmp_path / target))
    return app.text_input(key="target_milvus_resource").input("things").run()


def test_nothing_described_yet(app):
    assert not app.exception
    assert app.button(key="continue").disabled
    assert app.button(key="source_test").disabled
    assert app.session_state["source_endpoint"] == ""


def test_the_stores_are_those_of_the_registry(app, service):
    assert set(app.selectbox(key="source_store").options) <= {"Faiss file", "Milvus / Zilliz", "NumPy", "Parquet", "Pinecone"}
    assert len(app.selectbox(key="source_store").options) == len(set(stores()) & {"faiss", "milvus", "numpy", "parquet", "pinecone"})
    assert "Faiss file" not in app.selectbox(key="target_store").options  # nothing writes Faiss


def test_the_demo_fills_both_sides_and_connects(app):
    app.button(key="use_demo").click().run()
    assert app.session_state["source_endpoint"].startswith("faiss:")
    assert app.session_state["target_endpoint"].startswith("milvus:sotu?uri=")
    for side in ("source", "target"):
        app.button(key=f"{side}_test").click().run()
    assert not app.exception
    assert shown(app).count("connected") == 2
    assert not app.button(key="continue").disabled


def test_described_endpoints_survive_a_visit_to_another_page(app, tmp_path):
    describe(app, "/data/photos.index", "a.db", tmp_path)
    goto(app, "run")
    goto(app, "connect")
    assert app.text_input(key="source_faiss_resource").value == "/data/photos.index"
    assert app.session_state["target_endpoint"] == f"milvus:things?uri={tmp_path}/a.db"


def test_a_wrong_path_is_one_message_with_its_fix(app, tmp_path):
    describe(app, str(tmp_path / "missing.index"), "a.db", tmp_path)
    app.button(key="source_test").click().run()
    assert not app.exception
    assert len(app.error) == 1
    assert "missing" in app.error[0].value
    assert "What to do" in app.error[0].value
    assert "Traceback" not in shown(app)


def test_a_tested_connection_is_forgotten_when_the_endpoint_changes(app, tmp_path):
    source = index(tmp_path / "a").removeprefix("faiss:").partition("?")[0]
    describe(app, source, "a.db", tmp_path)
    app.button(key="source_test").click().run()
    assert "connected" in shown(app)
    app.text_input(key="source_faiss_resource").input(source + "x").run()
    assert "connected" not in shown(app)


def test_a_token_is_nowhere_but_in_memory(app, tmp_path, service):
    app.text_input(key="target_milvus_uri").input("http://127.0.0.1:1")
    app.text_input(key="target_milvus_resource").input("things")
    app.text_input(key="target_milvus_token").input(CANARY).run()
    endpoint = app.session_state["target_endpoint"]
    assert CANARY not in endpoint
    assert "token=session:" in endpoint
    app.text_input(key="target_profile_name").input("prod").run()
    app.button(key="target_save").click().run()
    assert profiles.load(service.home, "") == {"prod": "milvus:things?uri=http://127.0.0.1:1"}
    assert CANARY not in shown(app)
    for path in service.home.rglob("*"):
        assert not path.is_file() or CANARY.encode() not in path.read_bytes()


def test_a_saved_profile_is_used_and_forgotten(app, service):
    profiles.save(service.home, "", "prod", "milvus:things?uri=http://127.0.0.1:1&timeout=3")
    app.segmented_control(key="target_milvus_way").set_value("Saved profile").run()
    assert app.session_state["target_endpoint"] == "milvus:things?uri=http://127.0.0.1:1&timeout=3"
    app.button(key="target_forget").click().run()
    assert profiles.load(service.home, "") == {}
    assert app.session_state["target_endpoint"] == ""


def test_credentials_from_the_environment(app):
    app.segmented_control(key="target_milvus_way").set_value("From environment")
    app.text_input(key="target_milvus_uri").input("http://127.0.0.1:1")
    app.text_input(key="target_milvus_resource").input("things").run()
    assert app.session_state["target_endpoint"].endswith("&token=env:MILVUS_TOKEN")
    assert "MILVUS_TOKEN is not set" in shown(app)


def test_other_options_reach_the_endpoint(app):
    app.text_input(key="target_milvus_uri").input("http://127.0.0.1:1")
    app.text_input(key="target_milvus_resource").input("things")
    app.text_input(key="target_milvus_*").input("id_length=100&shards=2").run()
    assert app.session_state["target_endpoint"] == "milvus:things?uri=http://127.0.0.1:1&id_length=100&shards=2"


@pytest.mark.parametrize("path", ["/etc/passwd", "../../etc/passwd"])
def test_a_shared_installation_opens_no_file_of_its_server(app, tmp_path, monkeypatch, path):
    monkeypatch.setenv("MIGRATOR_HOSTED", "1")
    app.text_input(key="source_faiss_resource").input(path).run()
    assert app.session_state["source_endpoint"] == ""
    assert "does not open files of its server" in shown(app)


def test_a_shared_installation_gives_no_other_variable_of_its_environment_away(app, monkeypatch):
    monkeypatch.setenv("MIGRATOR_HOSTED", "1")
    monkeypatch.setenv("DATABASE_PASSWORD", "hush")
    monkeypatch.setenv("MILVUS_URI", "http://127.0.0.1:1")
    app.text_input(key="target_milvus_uri").input("http://127.0.0.1:1")
    app.text_input(key="target_milvus_resource").input("things")
    app.text_input(key="target_milvus_*").input("token=env:DATABASE_PASSWORD").run()
    assert app.session_state["target_endpoint"] == ""
    assert "does not read token from DATABASE" in shown(app)
    app.text_input(key="target_milvus_*").input("token=env:MILVUS_TOKEN").run()
    assert app.session_state["target_endpoint"] == "milvus:things?uri=http://127.0.0.1:1&token=env:MILVUS_TOKEN"


def test_a_plan_file_fills_both_sides_and_the_options(app, service, tmp_path):
    source = index(tmp_path / "a")
    plan = service.plan(source, f"milvus:things?uri={tmp_path}/a.db&shards=2", PlanOptions(workers=3, batch=123, namespace_from="lang", on_conflict="skip"))
    app.file_uploader(key="plan_file").upload("plan.yaml", dump_plan(plan).encode()).run()
    assert not app.exception
    assert app.session_state["source_endpoint"] == source
    assert app.session_state["target_endpoint"] == f"milvus:things?uri={tmp_path}/a.db&shards=2"
    goto(app, "plan")
    assert app.slider(key="plan_workers").value == 3
    assert app.select_slider(key="plan_batch").value == 123
    assert app.segmented_control(key="plan_conflict").value == "skip"
    assert "--namespace-from lang" in shown(app)


def test_a_file_that_is_no_plan(app):
    app.file_uploader(key="plan_file").upload("plan.yaml", b"\xff\xfe nothing").run()
    assert "no text" in app.error[0].value


FILES = "source_faiss_files"


def uploading(app, **files):
    """Return the page with an index (and ``files``, name and content) in its uploader."""
    app.segmented_control(key="source_faiss_way").set_value("Upload").run()
    for name, content in files.items():
        app.file_uploader(key=FILES).upload(name.replace("_", "."), content)
    return app.run()


@pytest.fixture
def photos(tmp_path):
    """Return a Faiss index and its metadata, as bytes."""
    index(tmp_path / "photos")
    return {"photos_index": (tmp_path / "photos" / "a.index").read_bytes(), "photos_jsonl": (tmp_path / "photos" / "metadata.jsonl").read_bytes()}


def test_an_upload_says_what_each_file_was_taken_for(app, photos, service):
    uploading(app, **photos)
    assert not app.error
    assert "index: photos.index · metadata: photos.jsonl · ids: stored in the index, or row numbers" in shown(app).replace("\\", "")
    [record] = service.sample(app.session_state["source_endpoint"], 1)
    assert record["metadata"] == {"lang": "en", "year": 1900}


def test_an_upload_with_a_file_that_would_be_dropped_is_refused(app, photos):
    uploading(app, **photos, notes_csv=b"a,b\n")
    assert app.session_state["source_endpoint"] == ""
    assert "notes.csv and photos.jsonl could both be the metadata" in app.error[0].value.replace("\\", "")
    assert "What to do" in app.error[0].value


def test_what_was_typed_for_another_way_is_no_part_of_an_upload(app, photos):
    app.text_input(key="source_faiss_ids").input("/data/other.ids.json").run()
    uploading(app, **photos)
    assert "other" not in app.session_state["source_endpoint"]


def test_a_file_taken_out_of_the_uploader_is_forgotten(app, photos):
    uploading(app, **photos)
    app.file_uploader(key=FILES).set_value([("photos.index", photos["photos_index"], "")]).run()
    assert "metadata: none" in shown(app)
    assert "metadata=" not in app.session_state["source_endpoint"]
    app.file_uploader(key=FILES).clear().run()
    assert not app.exception
    assert app.session_state["source_endpoint"] == ""
    assert "index: photos" not in shown(app)
    assert not removers(app)


def removers(app):
    return [button for button in app.button if button.label.startswith("Remove ")]


def test_an_upload_survives_a_visit_to_another_page_and_is_added_to(app, photos):
    uploading(app, photos_index=photos["photos_index"])
    before = app.session_state["source_endpoint"]
    assert not removers(app)  # the uploader lists it, with its own way to remove it
    goto(app, "run")
    goto(app, "connect")
    assert app.file_uploader(key=FILES).value == []
    assert app.session_state["source_endpoint"] == before
    assert [button.label.replace("\\", "") for button in removers(app)] == ["Remove photos.index"]
    app.file_uploader(key=FILES).upload("photos.jsonl", photos["photos_jsonl"]).run()
    assert "photos.index?metadata=" in app.session_state["source_endpoint"]
    assert "metadata: photos.jsonl" in shown(app).replace("\\", "")


def test_a_held_upload_is_removed_by_its_button(app, photos):
    uploading(app, **photos)
    goto(app, "run")
    goto(app, "connect")
    assert len(removers(app)) == 2
    removers(app)[1].click().run()
    assert "metadata: none" in shown(app)
    removers(app)[0].click().run()
    assert app.session_state["source_endpoint"] == ""
    assert not removers(app)


def test_an_upload_made_again_is_the_same_source(app, photos):
    uploading(app, **photos)
    before = app.session_state["source_endpoint"]
    goto(app, "run")
    goto(app, "connect")
    for name, content in photos.items():
        app.file_uploader(key=FILES).upload(name.replace("_", "."), content)
    app.run()
    assert app.session_state["source_endpoint"] == before
    assert not removers(app)


def test_what_is_written_to_disk_is_said(app, photos, service):
    uploading(app, **photos)
    assert any((service.home / "uploads").iterdir())
    assert "nothing is written to disk" not in shown(app)
    assert "files you upload are stored" in shown(app)


def test_labels_are_words_alone(app):
    for side in ("source", "target"):
        for label in [field.label for field in app.text_input if field.key.startswith(side)]:
            assert ":small" not in label
    assert app.text_input(key="source_faiss_ids").label == "Ids (optional)"
    assert app.text_input(key="target_milvus_token").label == "Token (if it asks for one)"


def test_the_page_has_one_primary_button(app):
    assert [button.key for button in app.button if button.proto.type == "primary"] == [
        "source_save",
        "target_save",
        "continue",
    ]  # those that save are in popovers


@pytest.mark.parametrize(
    ("endpoint", "allowed"),
    [
        ("pinecone:products", True),
        ("pinecone:products?controller=https://controller.test", True),
        ("pinecone:products?controller=https://elsewhere.test", False),
        ("pinecone:products?host=https://elsewhere.test", False),
        ("pinecone:products?controller=https://elsewhere.test&api_key=env:PINECONE_API_KEY", False),
        ("pinecone:products?controller=https://elsewhere.test&api_key=typed", True),
        ("milvus:products?uri=https://milvus.test", True),
        ("milvus:products?uri=https://elsewhere.test", False),
        ("milvus:products?uri=https://elsewhere.test&token=typed", True),
        ("faiss:s3://bucket/a.index?region=eu-west-1", True),
        ("faiss:s3://bucket/a.index?endpoint=https://elsewhere.test", False),
        ("faiss:s3://bucket/a.index?endpoint=https://elsewhere.test&access_key=typed&secret_key=typed", True),
        ("parquet:gs://bucket/a", True),
        ("parquet:gs://bucket/a?endpoint=https://elsewhere.test", False),
        ("parquet:gs://bucket/a?endpoint=https://elsewhere.test&anonymous=true", True),
        ("parquet:az://c/a?account=mine&endpoint=https://elsewhere.test", False),
        ("parquet:az://c/a?account=mine&endpoint=https://elsewhere.test&account_key=typed", True),
    ],
)
def test_a_shared_installation_sends_its_own_secrets_to_its_own_addresses_only(monkeypatch, tmp_path, endpoint, allowed):
    for name, value in {
        "MIGRATOR_HOSTED": "1",
        "PINECONE_API_KEY": "the server's",
        "PINECONE_CONTROLLER_HOST": "https://controller.test",
        "MILVUS_URI": "https://milvus.test",
        "MILVUS_TOKEN": "the server's",
        "AWS_ACCESS_KEY_ID": "the server's",
        "AWS_SECRET_ACCESS_KEY": "the server's",
    }.items():
        monkeypatch.setenv(name, value)
    parsed = endpoints.render(endpoints.parse(endpoint))
    if allowed:
        assert hosting.check(parsed, tmp_path) == parsed
    else:
        with pytest.raises(ConfigError, match="does not send"):
            hosting.check(parsed, tmp_path)


@pytest.mark.parametrize(
    "endpoint",
    [
        "faiss:/srv/a.index",
        "faiss:s3://bucket/a.index?ids=/srv/ids.txt",
        "faiss:s3://bucket/a.index?metadata=../rows.jsonl",
        "parquet:s3://bucket/a?endpoint=https://elsewhere.test&access_key=x&secret_key=y&ca_file=/srv/ca.pem",
        "parquet:S3://bucket/a",
    ],
)
def test_a_bucket_opens_no_way_to_the_servers_files(monkeypatch, tmp_path, endpoint):
    monkeypatch.setenv("MIGRATOR_HOSTED", "1")
    with pytest.raises(ConfigError) as caught:
        hosting.check(endpoints.render(endpoints.parse(endpoint)), tmp_path)
    assert caught.value.code == "local_refused"
