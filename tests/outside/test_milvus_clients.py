"""Clients that others wrote read from a real Milvus what was dumped and bulk-inserted there: the official Node SDK, and milvus-cli."""

from __future__ import annotations

import json
import subprocess
import uuid

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from migrator.service import PlanOptions, Service
from tests.contract.milvus_harness import TOKEN_VARIABLE
from tests.contract.parquet_harness import ACCESS_VARIABLE, SECRET_VARIABLE
from tests.outside.environments import PROGRAMS, node_with, python_with, run

pytestmark = [pytest.mark.slow, pytest.mark.server]
COUNT = 50
VECTORS = np.random.default_rng(3).standard_normal((COUNT, 4), np.float32)
METADATA = [{"title": f'é "{number}" 日本', "year": 1900 + number, "tags": ["a", "b"], "deep": {"x": 1.5}} for number in range(COUNT)]


@pytest.fixture(scope="module")
def collection(milvus_server, tmp_path_factory):
    """Migrate Parquet files by way of the bucket, and return the name of the collection."""
    folder, storage = tmp_path_factory.mktemp("outside"), milvus_server.storage
    columns = {"id": [f"ü{number}" for number in range(COUNT)], "values": pa.array(list(VECTORS)), "metadata": [json.dumps(one) for one in METADATA]}
    pq.write_table(pa.table(columns), folder / "records.parquet")
    name = f"outside_{uuid.uuid4().hex[:8]}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(TOKEN_VARIABLE, milvus_server.token)
        patch.setenv(ACCESS_VARIABLE, storage.access_key)
        patch.setenv(SECRET_VARIABLE, storage.secret_key)
        keys = f"access_key=env:{ACCESS_VARIABLE}&secret_key=env:{SECRET_VARIABLE}"
        staging = f"numpy:s3://{storage.bucket}/outside/{name}?endpoint={storage.endpoint}&region=us-east-1&{keys}"
        target = f"milvus:{name}?uri={milvus_server.uri}&token=env:{TOKEN_VARIABLE}&index_type=FLAT"
        service = Service(folder / "home")
        try:
            options = PlanOptions(route="staged", staging=staging)
            ended = service.wait(service.start(service.plan(f"parquet:{folder}/records.parquet?metric=cosine", target, options)), 120)
        finally:
            service.close()
    assert ended["status"] == "proven", ended["log"]
    return name


def test_the_official_node_sdk_reads_it(milvus_server, collection):
    folder = node_with("@zilliz/milvus2-sdk-node")
    told = {"ADDRESS": milvus_server.uri.removeprefix("http://"), "TOKEN": milvus_server.token, "COLLECTION": collection}
    answer = json.loads(run(["node", PROGRAMS / "milvus_reader.mjs"], NODE_CLIENT=f"{folder}/package.json", **told))
    assert answer["fields"][:2] == ["id", "vector"]
    rows = {row["id"]: row for row in answer["rows"]}
    assert rows.keys() == {f"ü{number}" for number in range(COUNT)}
    for number in range(COUNT):
        row = rows[f"ü{number}"]
        assert np.array(row["vector"], np.float32).tobytes() == VECTORS[number].tobytes()
        metadata = row.get("$meta") or {key: row[key] for key in METADATA[number]}
        assert metadata == METADATA[number]


def test_milvus_cli_reads_it(milvus_server, collection):
    program = python_with("milvus-cli").parent / "milvus_cli"
    commands = [
        f"connect -uri {milvus_server.uri} -t {milvus_server.token}",
        f"show collection -c {collection}",
        f"show collection_stats -c {collection}",
        "exit",
    ]
    done = subprocess.run([str(program)], input="\n".join(commands) + "\n", capture_output=True, text=True, timeout=120, check=False)
    said = done.stdout + done.stderr
    assert collection in said, said
    assert "vector" in said, said
    assert str(COUNT) in said, said
