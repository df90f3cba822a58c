"""Addresses and options of object stores, and what is said of those that refuse."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pyarrow as pa
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from migrator import endpoints, secrets
from migrator.connectors import parquet
from migrator.datasets import buckets, credentials
from migrator.datasets.failures import translate
from migrator.datasets.places import place_of
from migrator.errors import ConfigError, MigratorError, PermanentError, TransientError

AZURE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The one that Azure's documentation gives for its emulators."""


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in [*os.environ]:
        if name.startswith(("AWS_", "AZURE_", "GOOGLE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("X_KEY", AZURE_KEY)
    monkeypatch.setenv("X_SAS", "sv=2022&sig=abc")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("s3://bucket/a/b", ("s3", "bucket/a/b", "")),
        ("gs://bucket", ("gs", "bucket", "")),
        ("az://container/a", ("az", "container/a", "")),
        ("abfs://container/a", ("az", "container/a", "")),
        ("abfss://container@mine.dfs.core.windows.net/a/b", ("az", "container/a/b", "mine")),
        ("abfs://container@mine.blob.core.windows.net", ("az", "container", "mine")),
    ],
)
def test_addresses(text, parts):
    found = buckets.parse(text)
    assert (found.scheme, found.root, found.account) == parts
    assert endpoints.in_bucket(text)


@pytest.mark.parametrize("text", ["./a", "/s3://b", "http://bucket/a", "s3:/bucket", "S3://bucket"])
def test_everything_else_is_a_path_of_this_machine(text):
    assert not endpoints.in_bucket(text)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("parquet:s3://", "names no bucket"),
        ("parquet:gs://bucket//a", "names no bucket"),
        ("parquet:http://bucket/a", "cannot read or write"),
        ("parquet:./a?account=mine", "account="),
        ("parquet:s3://b/a?account=mine", "account="),
        ("parquet:gs://b/a?region=x", "region="),
        ("parquet:az://b/a?account=mine&anonymous=true", "anonymous="),
        ("parquet:s3://b/a?access_key=env:X_KEY", "belong together"),
        ("parquet:s3://b/a?endpoint=localhost:9000", "endpoint="),
        ("parquet:s3://b/a?region=x.evil.example/", "region="),
        ("parquet:s3://b/a?external_id=1", "external_id="),
        ("parquet:s3://b/a?role_arn=reader", "role_arn="),
        ("parquet:s3://b/a?role_arn=arn:aws:iam::1:role/r&access_key=env:X_KEY&secret_key=env:X_KEY", "role_arn="),
        ("parquet:s3://b/a?ca_file=/nowhere.pem", "ca_file="),
        ("parquet:s3://b/a?endpoint=http://h:1&ca_file=/nowhere.pem", "ca_file="),
        ("parquet:gs://b/a?credentials=env:X_KEY", "credentials="),
        ("parquet:gs://b/a?credentials=env:X_FOREIGN", "external_account"),
        ("parquet:gs://b/a?credentials=env:X_KEY&anonymous=true", "anonymous="),
        ("parquet:az://c/a", "which storage account"),
        ("parquet:az://c/a?account=evil.example/x&account_key=env:X_KEY", "account="),
        ("parquet:abfs://c@mine.dfs.evil.example/a?account_key=env:X_KEY", "a cloud of its own"),
        ("parquet:az://c/a?account=mine&account_key=env:X_SAS", "account_key="),
        ("parquet:az://c/a?account=mine&account_key=env:X_KEY&sas_token=env:X_SAS", "three ways"),
        ("parquet:az://c/a?account=mine&endpoint=http://127.0.0.1:9", "needs a key"),
    ],
)
def test_options_that_cannot_be_are_refused_by_their_name(text, named, monkeypatch):
    monkeypatch.setenv("X_FOREIGN", json.dumps({"type": "external_account"}))
    with pytest.raises(ConfigError, match=named) as caught:
        place_of(endpoints.parse(text))
    assert caught.value.fix
    assert AZURE_KEY not in caught.value.message + caught.value.fix


def test_secrets_are_kept_by_reference():
    text = "parquet:az://c/a?account=mine&account_key=hush1&sas_token=hush2&client_secret=hush3&credentials=hush4"
    assert "hush" not in endpoints.render(endpoints.parse(text))
    assert {"account_key", "sas_token", "client_secret", "credentials"} <= secrets.SECRET_OPTIONS


@pytest.mark.parametrize(
    ("more", "how"),
    [
        ("", {}),
        (
            "&endpoint=https://mine.blob.core.chinacloudapi.cn",
            {"blob": (".blob.core.chinacloudapi.cn", "https"), "dfs": (".dfs.core.chinacloudapi.cn", "https")},
        ),
        ("&endpoint=http://127.0.0.1:10000", {"blob": ("127.0.0.1:10000", "http"), "dfs": ("127.0.0.1:10000", "http")}),
    ],
)
def test_where_an_azure_account_is_looked_for(more, how, monkeypatch):
    given = {}
    monkeypatch.setattr(buckets.fs, "AzureFileSystem", lambda **options: given.update(options))
    place_of(endpoints.parse(f"parquet:az://c/a?account=mine&sas_token=env:X_SAS{more}"))
    places = {f"{service}_storage_{part}": value for service, pair in how.items() for part, value in zip(("authority", "scheme"), pair, strict=True)}
    assert given == {"account_name": "mine", "sas_token": "?sv=2022&sig=abc"} | places


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("parquet:s3://b/a", "s3://b/a"),
        ("parquet:gs://b/a/", "gs://b/a"),
        ("parquet:az://c/a?account=mine", "https://mine.blob.core.windows.net/c/a"),
        ("parquet:abfss://c@mine.dfs.core.windows.net/a", "https://mine.blob.core.windows.net/c/a"),
    ],
)
def test_other_programs_know_a_prefix_by_its_own_clouds_name(text, uri):
    assert parquet.address(endpoints.parse(text)) == uri


def test_a_google_key_reaches_its_library_and_no_file(monkeypatch):
    """The library has taken the key, in memory, when it signs a request with it."""
    signed = []

    class Store(BaseHTTPRequestHandler):
        def do_GET(self):
            signed.append(self.headers["Authorization"])
            content = json.dumps({"kind": "storage#bucket", "name": "bucket"}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_words):
            pass

    key = rsa.generate_private_key(65537, 2048)
    text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    about = {"type": "service_account", "client_email": "reader@example", "private_key_id": "1", "private_key": text, "token_uri": "https://unused.example"}
    monkeypatch.setenv("X_GOOGLE", json.dumps(about))
    with serving(Store) as address:
        place = place_of(endpoints.parse(f"parquet:gs://bucket?endpoint={address}&credentials=env:X_GOOGLE"))
        assert "GOOGLE_APPLICATION_CREDENTIALS" not in os.environ
        assert place.kind().name == "Directory"
    token = signed[0].removeprefix("Bearer ").split(".")[1]
    assert json.loads(base64.urlsafe_b64decode(token + "=="))["iss"] == "reader@example"


def test_a_refused_sign_in_to_azure_is_an_error_and_not_the_end_of_the_process(monkeypatch):
    monkeypatch.setattr(credentials, "_PROBE", "import os, sys; sys.stderr.write('terminate called\\n  what():  no token\\n'); sys.stderr.flush(); os.abort()")
    with pytest.raises(PermanentError, match="no token") as caught:
        place_of(endpoints.parse("parquet:az://c/refused?account=mine"))
    assert caught.value.code == "sign_in_failed"


@contextlib.contextmanager
def serving(handler):
    """Run an HTTP server of ``handler`` and return its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class Refusing(BaseHTTPRequestHandler):
    """Answers everything with one status, and with a body where HTTP has one."""

    status: ClassVar[int] = 400
    body: ClassVar[bytes] = b""

    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(self.body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer  # noqa: N815 (the server's names)

    def log_message(self, *_words):
        pass


def refused(status: int, body: bytes, store: str = "s3") -> MigratorError:
    """Return what the bucket check says of a store that answers so."""
    handler = type("Refusing", (Refusing,), {"status": status, "body": body})
    more = {"s3": "access_key=env:X_KEY&secret_key=env:X_KEY&region=us-east-1", "az": "account=mine&account_key=env:X_KEY", "gs": "anonymous=true"}
    with serving(handler) as address:
        place = place_of(endpoints.parse(f"parquet:{store}://bucket/a?endpoint={address}&{more[store]}"))
        with pytest.raises(MigratorError) as caught:
            place.check()
    assert caught.value.fix
    assert not {"AWS", "Azure Error", "google::"} & set(caught.value.message.split())
    return caught.value


@pytest.mark.parametrize(
    ("status", "word", "code"),
    [
        (301, "PermanentRedirect", "wrong_region"),
        (400, "AuthorizationHeaderMalformed", "wrong_region"),
        (403, "RequestTimeTooSkewed", "clock_differs"),
        (403, "InvalidAccessKeyId", "sign_in_failed"),
        (400, "ExpiredToken", "sign_in_expired"),
        (403, "AccessDenied", "permission_denied"),
        pytest.param(503, "SlowDown", "store_unavailable", marks=pytest.mark.slow),  # pyarrow tries it again for five seconds
    ],
)
def test_why_a_store_refuses_is_said_although_a_head_has_no_body(status, word, code):
    body = f"<?xml version=\"1.0\"?><Error><Code>{word}</Code><Message>wrong; expecting 'eu-west-1'</Message></Error>"
    error = refused(status, body.encode())
    assert error.code == code
    assert isinstance(error, TransientError) == (code == "store_unavailable")
    if code == "wrong_region":
        assert "eu-west-1" in error.message


def test_what_nobody_foresaw_is_told_in_the_stores_own_words():
    error = refused(400, b'<?xml version="1.0"?><Error><Code>Odd</Code><Message>the moon is full</Message></Error>')
    assert error.message.endswith("the moon is full")


def test_what_is_no_store():
    page = b"<!DOCTYPE html><html><body>Hello</body></html>"
    assert refused(200, page).code == "not_a_store"
    assert refused(404, page).code == "no_bucket"
    assert refused(404, page, "az").code == "not_a_store"
    assert refused(404, page, "gs").code == "no_bucket"
    assert refused(501, page, "az").code == "not_a_store"


SAID = {
    "sign_in_failed": [
        "GetProperties for 'x' failed. Azure Error: [AuthenticationFailed] 403 Server failed to authenticate the request.",
        "google::cloud::Status(UNKNOWN: Permanent error, with a last message of Could not create a OAuth2 access token to authenticate the request.",
    ],
    "no_bucket": ["UploadFrom failed for 'x'. Azure Error: [ContainerNotFound] 404 The specified container does not exist."],
    "permission_denied": [
        "GetProperties for 'x' failed. Azure Error: [AuthorizationPermissionMismatch] 403 This request is not authorized.",
        "google::cloud::Status(PERMISSION_DENIED: Permanent error, with a last message of a@b does not have storage.objects.list access",
    ],
    "unreachable": [
        "GetProperties for 'x' failed. Azure Error: [] Fail to get a new connection for: http://127.0.0.1:9. Could not connect to server",
        "google::cloud::Status(UNAVAILABLE: Retry policy exhausted, with a last message of PerformWork() - CURL error [7]=Could not connect to server",
        "When listing objects under key 'q/' in bucket 'b': AWS Error NETWORK_CONNECTION during X operation: curlCode: 6, Could not resolve hostname",
    ],
    "store_unavailable": ["UploadFrom failed for 'x'. Azure Error: [ServerBusy] 503 The server is busy."],
    "no_secure_connection": [
        "When listing in bucket 'b': AWS Error NETWORK_CONNECTION during ListObjectsV2 operation: curlCode: 35, SSL connect error; Details: TLS",
        "google::cloud::Status(UNAVAILABLE: with a last message of PerformWork() - CURL error [60]=SSL peer certificate or SSH remote key was not OK",
    ],
}


@pytest.mark.parametrize(("code", "text"), [(code, text) for code, texts in SAID.items() for text in texts])
def test_each_librarys_words_become_one_error(code, text):
    for error in (OSError(text), pa.ArrowException(text)):
        found = translate(error, "az://c/a")
        assert found.code == code
        assert "az://c/a" in found.message
        assert "{" not in found.message + found.fix


def test_the_cure_names_the_options_of_the_store():
    fixes = {store: translate(OSError(f"{word} permission PERMISSION_DENIED ACCESS_DENIED"), "x").fix for store, word in
             {"s3": "AWS Error", "az": "Azure Error", "gs": "google::cloud"}.items()}  # fmt: skip
    assert ("secret_key=" in fixes["s3"], "account_key=" in fixes["az"], "credentials=" in fixes["gs"]) == (True, True, True)
