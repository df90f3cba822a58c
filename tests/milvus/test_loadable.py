"""What is said before a bulk load, and what is not asked of a server at all."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from migrator.connectors import milvus
from migrator.connectors.milvus import loading
from migrator.connectors.milvus.import_files import server_paths
from migrator.connectors.milvus.import_reasons import failed
from migrator.connectors.milvus.options import read_options
from migrator.endpoints import parse
from migrator.errors import ConfigError, PlanError
from migrator.model import LoadUnit

if TYPE_CHECKING:
    from tests.contract.milvus_harness import MilvusLiteHarness

CLOUD = "https://in01-0a1b2c3d.aws-us-west-2.vectordb.zillizcloud.com:19530"


def test_lite_has_no_bulk_load(lite: MilvusLiteHarness) -> None:
    endpoint = parse(lite.endpoint("x"))
    assert not milvus.capabilities(endpoint).bulk_loads
    with closing(milvus.open_target(endpoint)) as target:
        for ask in (lambda: target.loadable("s3://bucket/x", ""), lambda: target.poll("1"), lambda: target.load(LoadUnit("x", "", ("s3://b/x.npy",)))):
            with pytest.raises(PlanError) as caught:
                ask()
            assert caught.value.code in {"not_supported", "plan_blocked"}


def test_a_server_has_one() -> None:
    assert milvus.capabilities(parse("milvus:x?uri=http://h:19530")).concurrent_loads == 2
    found = milvus.capabilities(parse("milvus:x?uri=http://h:19530&import_jobs=7"))
    assert (found.bulk_loads, found.concurrent_loads) == (True, 7)
    with pytest.raises(ConfigError, match="import_jobs=101 of milvus is not a whole number from 1 to 100"):
        milvus.capabilities(parse("milvus:x?uri=http://h:19530&import_jobs=101"))


@pytest.mark.parametrize(
    ("uri", "staged", "server", "words"),
    [
        ("http://127.0.0.1:19530", "s3://bucket/x", "http://127.0.0.1:9000", "minio.bucketName"),
        ("http://milvus.example:19530", "gs://bucket/x", "", "minio.bucketName"),
        ("http://localhost:19530", "file:///data/x", "", "common.storageType: local"),
        (CLOUD, "s3://bucket/x", "", "no keys to give it"),
    ],
)
def test_what_a_load_presupposes_is_said(uri: str, staged: str, server: str, words: str) -> None:
    (finding,) = loading.check(read_options(parse(f"milvus:x?uri={uri}")), staged, server)
    assert finding.severity == "info"
    assert words in finding.message
    assert finding.fix


@pytest.mark.parametrize(
    ("uri", "staged", "server"),
    [
        ("http://milvus.example:19530", "file:///data/x", ""),
        ("http://10.0.0.5:19530", "file:///data/x", ""),
        ("http://127.0.0.1:19530", "memory://x", ""),
        (CLOUD, "file:///data/x", ""),
        (CLOUD, "s3://bucket/x", "http://127.0.0.1:9000"),
    ],
)
def test_what_cannot_be_reached_is_refused(uri: str, staged: str, server: str) -> None:
    with pytest.raises(PlanError) as caught:
        loading.check(read_options(parse(f"milvus:x?uri={uri}")), staged, server)
    assert caught.value.code == "staging_unreachable"
    assert caught.value.fix


def test_the_keys_of_the_bucket_reach_zilliz_cloud_by_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUCKET_SECRET", "hidden")
    settings = read_options(parse(f"milvus:x?uri={CLOUD}&access_key=known&secret_key=env:BUCKET_SECRET"))
    assert loading.check(settings, "s3://bucket/x", "") == []
    assert (settings.access_key, settings.secret_key) == ("known", "hidden")
    assert "hidden" not in repr(settings)


@pytest.mark.parametrize(
    ("uri", "rest"),
    [
        ("http://127.0.0.1:19530", "http://127.0.0.1:19530"),
        ("https://[::1]", "https://[::1]:443"),
        (CLOUD, "https://api.cloud.zilliz.com"),
        ("https://in01-1.ali-cn-hangzhou.vectordb.zilliz.com.cn:19530", "https://api.cloud.zilliz.com.cn"),
        ("http://h:1&rest_uri=https://other:8080/", "https://other:8080"),
        ("http://zilliz.com.example:1", "http://zilliz.com.example:1"),
    ],
)
def test_where_the_rest_interface_is(uri: str, rest: str) -> None:
    assert read_options(parse(f"milvus:x?uri={uri}")).rest_address == rest


@pytest.mark.parametrize("uri", ["other:8080", "https://user:pw@h", "https://h/v2", "ftp://h"])
def test_a_bad_rest_address_is_refused(uri: str) -> None:
    with pytest.raises(ConfigError, match="is no address of a REST interface"):
        read_options(parse(f"milvus:x?uri=http://h&rest_uri={uri}"))


def test_files_are_named_as_the_server_sees_them() -> None:
    assert server_paths(["s3://bucket/a/b/vector.npy", "s3://bucket/a/b/id.npy"]) == ("a/b/id.npy", "a/b/vector.npy")
    assert server_paths(["file:///data/x/id.npy"]) == ("/data/x/id.npy",)
    assert server_paths(["az://container/x.parquet"]) == ("x.parquet",)
    for files in ([], ["s3://b/1.parquet", "s3://b/2.parquet"], ["s3://bucket"], ["http://h/x.npy"]):
        with pytest.raises(PlanError):
            server_paths(files)


def test_an_unknown_reason_is_told_as_it_is() -> None:
    error = failed("7", "the moon is full")
    assert error.message == "import 7 failed: the moon is full"
    assert error.code == "import_failed"
    assert "no reason" in failed("7", " ").message
