"""The connection test against real servers: sign-in, rights, databases, TLS and mutual TLS, each failure told from the others."""

from __future__ import annotations

import shutil
import socket
import ssl
import tempfile
import threading
import uuid
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from cryptography import x509
from pymilvus import MilvusClient

from migrator.connectors import milvus
from migrator.connectors.milvus.options import read_options
from migrator.endpoints import parse
from migrator.errors import ConfigError, PermanentError, PlanError
from migrator.records import make_batch
from migrator.service import Service
from tests.certificates import make_certificates
from tests.contract.milvus_harness import MilvusLiteHarness, MilvusServerHarness
from tests.milvus.test_roundtrip import DIMENSION, read, write
from tests.parameters import rest_slow
from tests.servers import start_milvus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from migrator.model import Step
    from tests.servers import Certificates, MilvusServer, S3Server

TOKEN = "MIGRATOR_TEST_CONNECTION_TOKEN"


def steps(text: str) -> list[Step]:
    return list(milvus.examine(parse(text)))


def failed(text: str) -> Step:
    """Return the step that failed: the last, all before being green."""
    *before, last = steps(text)
    assert {step.status for step in before} == {"ok"}
    assert last.status == "failed"
    assert last.fix
    return last


def names(text: str) -> list[str]:
    found = steps(text)
    assert {step.status for step in found} == {"ok"}, found
    return [step.name for step in found]


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv(TOKEN, "root:Milvus")
    return monkeypatch


@pytest.mark.parametrize(
    ("uri", "host", "port"),
    [
        ("https://in03-0a1b2c3d4e5f678.api.gcp-us-west1.zillizcloud.com", "in03-0a1b2c3d4e5f678.api.gcp-us-west1.zillizcloud.com", 443),
        ("https://in03-0a1b2c3d4e5f678.serverless.gcp-us-west1.cloud.zilliz.com", "in03-0a1b2c3d4e5f678.serverless.gcp-us-west1.cloud.zilliz.com", 443),
        ("https://in03-0a1b2c3d4e5f678.serverless.gcp-us-west1.cloud.zilliz.com/", "in03-0a1b2c3d4e5f678.serverless.gcp-us-west1.cloud.zilliz.com", 443),
        ("https://in01-0a1b2c3d4e5f678.aws-us-west-2.vectordb.zillizcloud.com:19534", "in01-0a1b2c3d4e5f678.aws-us-west-2.vectordb.zillizcloud.com", 19534),
        ("https://in01-0a1b2c3d4e5f678.ali-cn-hangzhou.vectordb.zilliz.com.cn:19530", "in01-0a1b2c3d4e5f678.ali-cn-hangzhou.vectordb.zilliz.com.cn", 19530),
    ],
)
@pytest.mark.parametrize("secret", ["0a1b2c3d4e5f60718293a4b5c6d7e8f9", "db_admin:Aa1:;@#%"])
def test_zilliz_cloud(uri: str, host: str, port: int, secret: str, token: pytest.MonkeyPatch) -> None:
    token.setenv(TOKEN, secret)
    settings = read_options(parse(f"milvus:books?uri={uri}&token=env:{TOKEN}"))
    assert (settings.host, settings.port, settings.secure, settings.token, settings.database) == (host, port, True, secret, "")


def test_zilliz_cloud_by_user_and_password(token: pytest.MonkeyPatch) -> None:
    token.setenv(TOKEN, "p:w")
    settings = read_options(parse(f"milvus:books?uri=https://in03-x.api.gcp-us-west1.zillizcloud.com&user=db_admin&password=env:{TOKEN}&database=shop"))
    assert (settings.token, settings.database) == ("db_admin:p:w", "shop")


@pytest.mark.parametrize("uri", ["localhost:19530", "in03-x.api.gcp-us-west1.zillizcloud.com", "10.0.0.1"])
def test_an_address_without_its_beginning_is_told_what_it_lacks(uri: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read_options(parse(f"milvus:books?uri={uri}"))
    assert "https://" in refused.value.fix


def test_a_database_that_milvus_lite_does_not_have(tmp_path: Path) -> None:
    lite = MilvusLiteHarness(tmp_path)
    endpoint = lite.new_target()
    write(endpoint, make_batch(["a"], np.ones((1, DIMENSION), np.float32)))
    step = failed(endpoint + "&database=nowhere")
    assert (step.name, "no database nowhere" in step.detail, "default" in step.fix) == ("database", True, True)


@pytest.mark.server
@pytest.mark.parametrize(
    ("secret", "said", "cure"),
    [
        ("root:canary", "username and password", "password of root"),
        ("nobody:canary", "username and password", "password of nobody"),
        ("canary", "api key", "user:password"),
        ("", "missing authorization", "MILVUS_TOKEN"),
    ],
)
def test_who_is_refused_is_told_why(milvus_server: MilvusServer, token: pytest.MonkeyPatch, secret: str, said: str, cure: str) -> None:
    token.delenv("MILVUS_TOKEN", raising=False)
    token.setenv(TOKEN, secret)
    step = failed(f"milvus:x?uri={milvus_server.uri}" + (f"&token=env:{TOKEN}" if secret else ""))
    assert (step.name, said in step.detail, cure in step.fix) == ("sign-in", True, True)
    assert "the server answers" in step.detail
    assert "canary" not in step.detail + step.fix


def made_user(server: MilvusServer, *rights: str) -> str:
    """Make a user with ``rights`` over all collections and return how it signs in."""
    user, role = f"u_{uuid.uuid4().hex[:8]}", f"r_{uuid.uuid4().hex[:8]}"
    client = MilvusClient(server.uri, token=server.token, dedicated=True)
    client.create_user(user, "Secret123")
    client.create_role(role)
    for right in rights:
        client.grant_privilege(role, "Collection", right, "*")
    client.grant_role(user, role)
    client.close()
    return f"{user}:Secret123"


@pytest.mark.slow
@pytest.mark.server
def test_a_user_without_rights_is_told_which_one_is_missing(milvus_server: MilvusServer, token: pytest.MonkeyPatch) -> None:
    collection = MilvusServerHarness(milvus_server).seed([make_batch(["a"], np.ones((1, DIMENSION), np.float32))], metric="cosine")
    endpoint = f"milvus:{parse(collection).resource}?uri={milvus_server.uri}&token=env:{TOKEN}"
    secret = made_user(milvus_server)
    token.setenv(TOKEN, secret)
    step = failed(endpoint)
    assert (step.name, "privilege" in step.detail) == ("read", True)
    assert secret.partition(":")[0] in step.detail
    assert "grant" in step.fix
    with closing(milvus.open_source(parse(endpoint))) as source, pytest.raises(PermanentError) as refused:
        source.describe()
    assert refused.value.code == "not_permitted"
    token.setenv(TOKEN, made_user(milvus_server, "Query", "Load", "GetLoadState", "GetLoadingProgress"))
    assert names(endpoint) == ["address", "sign-in", "version", "read"]
    assert [row["id"] for row in read(endpoint)] == ["a"]


@pytest.mark.slow
@pytest.mark.server
def test_databases(milvus_server: MilvusServer, token: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An unknown one is named with those there are; a copy into one, and an alias in one, touch no other."""
    shop, source = (
        f"shop_{uuid.uuid4().hex[:8]}",
        MilvusServerHarness(milvus_server).seed([make_batch(["a", "b"], np.ones((2, DIMENSION), np.float32))], metric="cosine"),
    )
    name = parse(source).resource
    with closing(MilvusClient(milvus_server.uri, token=milvus_server.token, dedicated=True)) as client:
        client.create_database(shop)
    there = f"milvus:{name}?uri={milvus_server.uri}&token=env:{TOKEN}&database={shop}"
    step = failed(there.replace(shop, "nowhere"))
    assert (step.name, "no database nowhere" in step.detail, shop in step.fix) == ("database", True, True)
    with pytest.raises(PlanError) as refused:
        milvus.open_target(parse(there.replace(shop, "nowhere")))
    assert refused.value.code == "no_database", "not not_found, which a plan takes for a collection still to be made"
    assert names(there) == ["address", "sign-in", "database", "version", "read"]
    assert names(there.replace(f"&database={shop}", "").replace(milvus_server.uri, f"{milvus_server.uri}/{shop}"))[2] == "database"
    with closing(Service(tmp_path / "home")) as service:
        run = service.start(service.plan(source, there))
        assert service.wait(run, 120)["status"] == "proven"
        answer = service.cutover(run, alias=f"{shop}_live")
        assert (answer["ready"], shop in answer["new"]["snippets"]["Python"]) == (True, True)
        with closing(MilvusClient(milvus_server.uri, token=milvus_server.token, db_name=shop, dedicated=True)) as client:
            assert client.list_collections() == [name]
            assert len(client.query(f"{shop}_live", filter='id != ""', consistency_level="Strong")) == 2
            with closing(MilvusClient(milvus_server.uri, token=milvus_server.token, dedicated=True)) as elsewhere:
                assert not elsewhere.has_collection(f"{shop}_live")
            service.aliases.back(run)
            assert not client.has_collection(f"{shop}_live")
            client.drop_collection(name)
        client = MilvusClient(milvus_server.uri, token=milvus_server.token, dedicated=True)
        client.drop_database(shop)
        client.close()
    token.setenv(TOKEN, made_user(milvus_server))
    assert "create it" in failed(there).fix, "this user may not list the databases"


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="session", params=rest_slow(["mutual", "one way"]))
def tls_server(request: pytest.FixtureRequest, s3_server: S3Server, certificates: Certificates) -> Iterator[tuple[MilvusServer, bool]]:
    """A Milvus 2.3.5 that speaks TLS only, and whether it asks its clients for certificates; it runs beside ``milvus_server``."""
    folder, mutual = Path(tempfile.mkdtemp(prefix="vm-milvus-tls-")), request.param == "mutual"
    try:
        with start_milvus(folder, s3_server, certificates, mutual=mutual) as server:
            yield server, mutual
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.server
def test_tls(tls_server: tuple[MilvusServer, bool], certificates: Certificates, token: pytest.MonkeyPatch, tmp_path: Path) -> None:
    server, mutual = tls_server
    ours = f"&client_pem_path={certificates.client_pem}&client_key_path={certificates.client_key}" if mutual else ""
    base = f"milvus:x?uri={server.uri}&token=env:{TOKEN}{ours}"
    trusting = f"{base}&ca_pem_path={certificates.authority}"
    assert names(trusting) == ["address", "tls", "sign-in", "version", "read"]
    assert names(trusting.replace("127.0.0.1", "localhost"))[1] == "tls"
    assert names(f"{base}&server_pem_path={certificates.server_pem}")[1] == "tls"

    step = failed(base)
    assert (step.name, "not trusted" in step.detail, "ca_pem_path=" in step.fix) == ("tls", True, True)
    step = failed(trusting + "&server_name=milvus.example")
    assert (step.name, "milvus.example" in step.detail, "server_name=" in step.fix) == ("tls", True, True)
    step = failed(trusting.replace("https://", "http://"))
    assert (step.name, "speaks TLS" in step.detail, "https://" in step.fix) == ("tls", True, True)
    step = failed(trusting + f"&server_pem_path={certificates.client_key}")
    assert (step.name, "cannot be used" in step.detail) == ("tls", True)
    token.setenv(TOKEN, "root:canary")
    assert failed(trusting).name == "sign-in"
    token.setenv(TOKEN, "root:Milvus")

    strange = make_certificates(tmp_path / "strange")
    theirs = f"&client_pem_path={strange.client_pem}&client_key_path={strange.client_key}"
    without, wrong = trusting.replace(ours, "") if mutual else trusting, (trusting.replace(ours, "") if mutual else trusting) + theirs
    if mutual:
        step = failed(without)
        assert (step.name, "asks for a client certificate" in step.detail, "client_pem_path=" in step.fix) == ("tls", True, True)
        step = failed(wrong)
        assert (step.name, "does not accept the client certificate" in step.detail) == ("tls", True)
    else:
        assert names(without)[1] == names(wrong)[1] == "tls"

    endpoint = trusting.replace("milvus:x", "milvus:over_tls")
    write(endpoint, make_batch(["a", "b"], np.ones((2, DIMENSION), np.float32)))
    assert [row["id"] for row in read(endpoint)] == ["a", "b"]


@pytest.mark.server
def test_a_server_without_tls_behind_https(milvus_server: MilvusServer, token: pytest.MonkeyPatch) -> None:
    step = failed(f"milvus:x?uri={milvus_server.uri.replace('http:', 'https:')}&token=env:{TOKEN}")
    assert (step.name, "does not speak TLS" in step.detail, "http://" in step.fix) == ("tls", True, True)


def test_a_self_signed_certificate_and_one_that_is_no_server_of_milvus(tmp_path: Path) -> None:
    """The handshake is ours to judge, whatever speaks behind it."""
    pki = make_certificates(tmp_path, [x509.DNSName("milvus.example")])
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pki.server_pem, pki.server_key)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=_serve, args=(listening, context), daemon=True).start()
        base = f"milvus:x?uri=https://127.0.0.1:{listening.getsockname()[1]}&connect_timeout=2&ca_pem_path={pki.authority}"
        step = failed(base)
        assert (step.name, "server_name=" in step.fix) == ("tls", True)
        assert failed(base + "&server_name=milvus.example").name == "sign-in"


def _serve(listening: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            plain, _ = listening.accept()
        except OSError:
            return
        try:
            context.wrap_socket(plain, server_side=True).close()
        except OSError:
            plain.close()


def test_a_key_that_does_not_belong_to_its_certificate(tmp_path: Path) -> None:
    pki, other = make_certificates(tmp_path / "a"), make_certificates(tmp_path / "b")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        base = f"milvus:x?uri=https://127.0.0.1:{listening.getsockname()[1]}&connect_timeout=2"
        step = failed(f"{base}&client_pem_path={pki.client_pem}&client_key_path={other.client_key}")
    assert (step.name, "cannot be used" in step.detail) == ("tls", True)
