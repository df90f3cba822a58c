"""milvus-migration's migration.yaml opened on the Connect page: both cards, the route and the place of the files, and a note for each key."""

from __future__ import annotations

import pytest

from migrator import secrets
from migrator.endpoints import parse
from tests.ui.conftest import index, shown
from tests.unit.test_migration_yaml import FULL


@pytest.fixture
def opened(app, tmp_path):
    """Return a function that opens a configuration whose index exists, with texts replaced."""

    def open_(*changes):
        index(tmp_path / "indexes")
        text = FULL.replace("./indexes/photos.index", str(tmp_path / "indexes" / "a.index"))
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        app.file_uploader(key="plan_file").upload("migration.yaml", text.encode()).run()
        assert not app.exception
        return app

    return open_


def test_both_cards_and_the_place_of_the_files_are_filled(opened, tmp_path):
    app = opened()
    assert not app.error
    assert app.session_state["source_endpoint"] == f"faiss:{tmp_path}/indexes/a.index"
    target = parse(app.session_state["target_endpoint"])
    assert (target.connector, target.resource) == ("milvus", "photos")
    assert {name: target.options[name] for name in ("uri", "shards", "vector_field", "dimension", "user")} == {
        "uri": "http://localhost:19530",
        "shards": "2",
        "vector_field": "data",
        "dimension": "64",
        "user": "root",
    }
    state = app.session_state
    assert (state["plan_route"], state["plan_workers"]) == ("staged", 3)
    assert state["staging_parquet_resource"] == "s3://milvus-bucket/moves/photos/photos"
    assert (state["staging_parquet_endpoint"], state["staging_parquet_region"]) == ("http://127.0.0.1:9000", "eu-west-1")


def test_secrets_go_into_their_fields_or_stay_references(opened):
    app = opened()
    state = app.session_state
    assert (state["staging_parquet_access_key"], state["staging_parquet_secret_key"]) == ("canary-access", "canary-secret")
    password = parse(state["target_endpoint"]).options["password"]
    assert password.startswith("session:")
    assert secrets.resolve(password, option="password") == "canary-password"
    endpoints = state["source_endpoint"] + state["target_endpoint"]
    assert "canary" not in shown(app) + endpoints + state["target_milvus_*"] + state["staging_parquet_*"]


def test_what_became_of_the_keys_is_said_until_another_file_is_opened(opened):
    app = opened()
    for _ in range(2):
        said = shown(app.run()).replace("\\", "")
        assert "dumper.worker.reader.bufferSize is not needed" in said
        assert "0.0.0.0 stands for every interface" in said
    assert "bufferSize" not in shown(opened(("dim: 64", "dim: wide")))


def test_a_mistake_is_said_and_leaves_the_page_as_it_was(opened):
    app = opened(("dim: 64", "dim: wide"))
    assert "target.create.collection.dim" in app.error[0].value.replace("\\", "")
    assert app.session_state["target_milvus_resource"] == app.session_state["source_faiss_resource"] == ""
    assert "plan_route" not in app.session_state


def test_another_kind_of_source_is_named(opened):
    assert "milvus1x is not supported" in opened(("workMode: faiss", "workMode: milvus1x")).error[0].value.replace("\\", "")
