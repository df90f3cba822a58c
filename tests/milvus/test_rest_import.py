"""Import jobs of Milvus from 2.4 on and of Zilliz Cloud. No server here offers them: a small HTTP server answers as Milvus's REST reference says
("Import (v2)": Create, Describe or Get Progress, List), the names of a job's files as in 2.4 and as from 2.5 on (datacoord ``import_util.go``).
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from migrator.connectors.milvus.bulk import BulkInsert, importer_for
from migrator.connectors.milvus.options import Settings
from migrator.connectors.milvus.reading import Place
from migrator.connectors.milvus.rest_import import RestImport
from migrator.errors import MigratorError, PermanentError, RateLimitedError, TransientError

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES = ("s3://bucket/dump/p/vector.npy", "s3://bucket/dump/p/id.npy")
KEYS = ["dump/p/id.npy", "dump/p/vector.npy"]
PLACE = Place("things", "n1")


class Wire:
    """The wire of a server of some version."""

    lease = None

    def __init__(self, release: tuple[int, int] = (2, 6)) -> None:
        self.release = release
        self.product = f"Milvus {release[0]}.{release[1]}.0"


class Rest:
    """What the server was asked, and what it is to answer."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any], dict[str, str]]] = []
        self.jobs: dict[str, dict[str, Any]] = {}
        self.status = 200
        self.refusal: dict[str, Any] | None = None
        self.describe = "describe"
        self.address = ""

    def answer(self, verb: str, body: dict[str, Any]) -> dict[str, Any]:
        if self.refusal is not None:
            return self.refusal
        if verb == "create":
            job = str(448761313698322011 + len(self.jobs))
            self.jobs[job] = {"jobId": job, "collectionName": body["collectionName"], "state": "Pending", "progress": 0, "details": []}
            return {"code": 0, "data": {"jobId": job}}
        if verb == "list":
            size, page = body.get("pageSize", 10_000), body.get("currentPage", 1)
            records = [{"jobId": job, "collectionName": one["collectionName"], "state": one["state"]} for job, one in self.jobs.items()]
            return {"code": 0, "data": {"records": records[size * (page - 1) : size * page]}}
        found = self.jobs.get(body["jobId"])
        missing = {"code": 2100, "message": f"import job does not exist, jobID={body['jobId']}: importing data failed"}
        return {"code": 0, "data": found} if found else missing


@pytest.fixture
def rest() -> Iterator[Rest]:
    """A REST interface."""
    state = Rest()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            verb = self.path.removeprefix("/v2/vectordb/jobs/import/")
            state.asked.append((verb, body, dict(self.headers)))
            known = verb in {"create", "list", state.describe}
            self.send_response(state.status if known else 404)
            self.end_headers()
            self.wfile.write(json.dumps(state.answer(verb, body)).encode() if known else b"404 page not found")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    state.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def opened(rest: Rest, **changes: Any) -> RestImport:
    settings = {"host": "127.0.0.1", "port": 19530, "token": "root:Milvus", "rest_uri": rest.address} | changes
    return RestImport(Wire(), Settings("things", None, **settings))  # type: ignore[arg-type]


@pytest.mark.parametrize(("release", "kind"), [((2, 3), BulkInsert), ((2, 4), RestImport), ((2, 6), RestImport)])
def test_the_version_decides(release: tuple[int, int], kind: type) -> None:
    assert type(importer_for(Wire(release), Settings("things", None, "127.0.0.1", 19530))) is kind  # type: ignore[arg-type]


def test_zilliz_cloud_is_asked_over_rest_whatever_it_calls_its_version() -> None:
    settings = Settings("things", None, "in01-1.aws-us-west-2.vectordb.zillizcloud.com", 443, secure=True)
    assert type(importer_for(Wire((0, 0)), settings)) is RestImport  # type: ignore[arg-type]


def test_a_job_is_started_with_the_keys_of_the_files_and_followed(rest: Rest) -> None:
    importer = opened(rest, database="shop")
    job = importer.start(PLACE, FILES)
    verb, body, headers = rest.asked[0]
    assert (verb, body) == ("create", {"collectionName": "things", "partitionName": "n1", "files": [KEYS], "dbName": "shop"})
    assert headers["Authorization"] == "Bearer root:Milvus"
    assert headers["DB-Name"] == "shop"
    assert importer.poll(job).share == 0
    rest.jobs[job] |= {"state": "Importing", "progress": 70, "importedRows": 50}
    assert (importer.poll(job).done, importer.poll(job).share, importer.poll(job).records) == (False, 0.7, 50)
    rest.jobs[job] |= {"state": "Importing", "progress": 100}
    assert importer.poll(job).share < 1
    rest.jobs[job] |= {"state": "Completed", "importedRows": 90}
    assert (importer.poll(job).done, importer.poll(job).share, importer.poll(job).records) == (True, 1, 90)
    rest.jobs[job] |= {"state": "Failed", "reason": "NoSuchKey: importing data failed"}
    with pytest.raises(PermanentError) as caught:
        importer.poll(job)
    assert caught.value.code == "import_failed"
    assert "minio.bucketName" in caught.value.fix


@pytest.mark.parametrize("shown", ['id:44876 paths:"dump/p/vector.npy" paths:"dump/p/id.npy" ', "[dump/p/id.npy dump/p/vector.npy]"])
def test_jobs_are_found_again_by_their_files(rest: Rest, shown: str) -> None:
    first = opened(rest).start(PLACE, FILES)
    second = opened(rest).start(PLACE, FILES)
    other = opened(rest).start(PLACE, ("s3://bucket/dump/q/id.npy",))
    early = opened(rest).start(PLACE, FILES)
    for job in (first, second):
        rest.jobs[job] |= {"state": "Importing", "details": [{"fileName": shown}]}
    rest.jobs[other] |= {"state": "Completed", "details": [{"fileName": "[dump/q/id.npy]"}]}
    rest.jobs[early] |= {"state": "Failed", "reason": "it failed before it read anything"}
    assert opened(rest).started(PLACE, FILES) == [second, first]


def test_a_young_job_of_another_process_is_waited_for_and_one_of_our_own_is_known(rest: Rest) -> None:
    ours = opened(rest)
    job = ours.start(PLACE, FILES)
    assert ours.started(PLACE, FILES) == [job]
    assert ours.started(PLACE, ("s3://bucket/dump/q/id.npy",)) == []
    with pytest.raises(TransientError, match="does not say yet which files"):
        opened(rest).started(PLACE, FILES)


def test_the_first_releases_of_2_4_name_it_otherwise(rest: Rest) -> None:
    rest.describe = "get_progress"
    importer = opened(rest)
    assert not importer.poll(importer.start(PLACE, FILES)).done


def test_zilliz_cloud_is_told_the_cluster_and_the_keys_of_the_bucket_and_lists_page_by_page(rest: Rest) -> None:
    importer = opened(rest, host="in01-1.aws-us-west-2.vectordb.zillizcloud.com", access_key="known", secret_key="hidden")
    job = importer.start(Place("things"), FILES)
    body = rest.asked[0][1]
    assert body == {
        "collectionName": "things",
        "objectUrls": [sorted(FILES)],
        "accessKey": "known",
        "secretKey": "hidden",
        "clusterId": "in01-1",
    }
    for number in range(250):
        shown = "[x]" if number else f"[{' '.join(sorted(FILES))}]"
        rest.jobs[f"job-{number:04}"] = {"jobId": f"job-{number:04}", "collectionName": "things", "state": "Completed", "details": [{"fileName": shown}]}
    assert importer.started(Place("things"), FILES) == [job, "job-0000"]


def test_a_forgotten_job(rest: Rest) -> None:
    with pytest.raises(PermanentError) as caught:
        opened(rest).poll("77")
    assert caught.value.code == "not_found"


@pytest.mark.parametrize(
    ("status", "refusal", "kind", "code"),
    [
        (200, {"code": 1800, "message": "user hasn't authenticated"}, PermanentError, "store_refused"),
        (200, {"code": 100, "message": "collection not found[collection=things]"}, PermanentError, "not_found"),
        (200, {"code": 8, "message": "rate limit exceeded"}, RateLimitedError, "rate_limited"),
        (401, {}, PermanentError, "sign_in_refused"),
        (404, {}, PermanentError, "not_supported"),
        (429, {}, RateLimitedError, "rate_limited"),
        (503, {}, TransientError, "store_unavailable"),
        (400, {}, PermanentError, "store_refused"),
    ],
)
def test_refusals(rest: Rest, status: int, refusal: dict[str, Any], kind: type[MigratorError], code: str) -> None:
    rest.status, rest.refusal = status, refusal
    with pytest.raises(kind) as caught:
        opened(rest).start(PLACE, FILES)
    assert caught.value.code == code
    assert caught.value.fix


def test_nobody_there() -> None:
    importer = RestImport(Wire(), Settings("things", None, "127.0.0.1", 1))  # type: ignore[arg-type]
    with pytest.raises(TransientError, match="does not answer"):
        importer.start(PLACE, FILES)
