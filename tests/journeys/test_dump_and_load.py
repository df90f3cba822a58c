"""The users' own migration.yaml against a real Milvus with sign-in on and a real S3: convert, dump, load, killed and resumed on the way."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import faiss
import numpy as np
import pytest
import yaml
from pymilvus import MilvusClient

from tests.servers import start_milvus

ROOT = Path(__file__).parents[2]
ROWS, DIMENSION = 3_000, 16
VECTORS = np.random.default_rng(7).standard_normal((ROWS, DIMENSION), np.float32)
IDS = np.arange(ROWS) * 11 - 5_000

pytestmark = pytest.mark.server


@pytest.fixture
def config(tmp_path, milvus_server):
    """Return the name of the collection and the file of a migration whose files go through the bucket of Milvus."""
    storage = milvus_server.storage
    remote = {
        "outputDir": "testfiles/output/",
        "cloud": "aws",
        "endpoint": storage.endpoint.removeprefix("http://"),
        "region": "us-east-1",
        "bucket": storage.bucket,
        "ak": storage.access_key,
        "sk": storage.secret_key,
        "useIAM": False,
        "useSSL": False,
        "checkBucket": True,
    }
    return written(tmp_path, milvus_server, {"mode": "remote", "remote": remote})


def written(tmp_path, server, target):
    """Write an IVF index with ids of its own and a migration.yaml for it; return the name of the collection and the file."""
    flat = faiss.IndexFlatL2(DIMENSION)
    index = faiss.IndexIVFFlat(flat, DIMENSION, 8)
    index.train(VECTORS)
    index.add_with_ids(VECTORS, IDS)
    faiss.write_index(index, str(tmp_path / "ivf.index"))
    name = f"seed_{uuid.uuid4().hex[:8]}"
    user, _, password = server.token.partition(":")
    content = {
        "dumper": {"worker": {"limit": 2, "workMode": "faiss", "reader": {"bufferSize": 1024}, "writer": {"bufferSize": 1024}}},
        "loader": {"worker": {"limit": 2}},
        "source": {"mode": "local", "local": {"faissFile": str(tmp_path / "ivf.index")}},
        "target": {
            "create": {"collection": {"name": name, "shardsNums": 2, "dim": DIMENSION, "metricType": "L2"}},
            **target,
            "milvus2x": {"endpoint": server.uri.removeprefix("http://"), "username": user, "password": password},
        },
    }
    path = tmp_path / "migration.yaml"
    path.write_text(yaml.safe_dump(content))
    return name, path


@pytest.fixture
def cli(tmp_path, milvus_server):
    """Return a function that runs the command line, with the secrets of the plan in its environment."""
    storage = milvus_server.storage

    def run(*words, die_at="", home="home"):
        told = {"MIGRATOR_HOME": str(tmp_path / home), "PYTHONPATH": str(ROOT), "MIGRATOR_FAILPOINT": die_at}
        secrets = {
            "MILVUS_PASSWORD": milvus_server.token.partition(":")[2],
            "AWS_ACCESS_KEY_ID": storage.access_key,
            "AWS_SECRET_ACCESS_KEY": storage.secret_key,
        }
        environment = os.environ | told | secrets
        return subprocess.run([sys.executable, "-m", "migrator", *words], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)

    return run


@pytest.mark.slow
def test_a_migration_yaml_is_converted_dumped_and_loaded(cli, config, milvus_server, tmp_path):
    name, path = config
    converted = cli("convert", str(path), "-o", "plan.yaml")
    assert converted.returncode == 0, converted.stderr
    text = (tmp_path / "plan.yaml").read_text()
    assert milvus_server.storage.secret_key not in text
    killed(cli("dump", "plan.yaml", "--json", die_at="dataset.part_staged"))
    dumped = answer(cli("dump", "plan.yaml", "--json"))
    assert (dumped["verdict"], dumped["counts"]["copied"]) == ("proven", ROWS)
    killed(cli("load", "plan.yaml", "--json", die_at="staging.load_started"))
    killed(cli("load", "plan.yaml", "--json", die_at="staging.load_done"))
    loaded = answer(cli("load", "plan.yaml", "--json"))
    assert (loaded["verdict"], loaded["counts"]["copied"]) == ("proven", ROWS)
    assert loaded["namespaces"] == {"": {"source": ROWS, "target": ROWS, "missing": 0, "extra": 0, "changed": 0}}
    assert_arrived(milvus_server, name)


@pytest.mark.slow
def test_through_a_folder_of_a_milvus_that_keeps_its_data_on_a_disk(cli, s3_server, tmp_path):
    folder = Path(tempfile.mkdtemp(prefix="vm-milvus-disk-"))
    try:
        with start_milvus(folder, s3_server, on_disk=True) as server:
            name, _ = written(tmp_path, server, {"mode": "local", "local": {"outputDir": str(folder / "staged")}})
            assert cli("convert", "migration.yaml", "-o", "plan.yaml").returncode == 0
            answer(cli("dump", "plan.yaml", "--json"))
            assert list((folder / "staged").rglob("data.npy"))
            assert answer(cli("load", "plan.yaml", "--json"))["counts"]["copied"] == ROWS
            assert_arrived(server, name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
def test_of_two_loads_at_once_one_is_refused_and_nothing_is_doubled(cli, config, milvus_server, tmp_path):
    name, path = config
    assert cli("convert", str(path), "-o", "plan.yaml").returncode == 0
    answer(cli("dump", "plan.yaml", "--json"))
    with ThreadPoolExecutor(2) as pool:  # from two homes, as from two machines
        first, second = sorted(pool.map(lambda home: cli("load", "plan.yaml", "--json", home=home), ("one", "two")), key=lambda ended: ended.returncode)
    # the other gives way; when both came at the same moment both may, and one is enough after that
    refused = [ended for ended in (first, second) if ended.returncode]
    assert {json.loads(ended.stdout)["error"]["code"] for ended in refused} <= {"target_busy", "namespaces_exist"}
    if len(refused) == 2:
        answer(cli("load", "plan.yaml", "--json"))
    assert_arrived(milvus_server, name)


@pytest.mark.slow
def test_a_second_load_would_double_every_record_and_only_proves_again(cli, config, milvus_server):
    name, path = config
    assert cli("convert", str(path), "-o", "plan.yaml").returncode == 0
    answer(cli("dump", "plan.yaml", "--json"))
    first = answer(cli("load", "plan.yaml", "--json"))
    again = answer(cli("load", "plan.yaml", "--json"))
    assert (again["run"], again["verdict"], again["finished"] > first["finished"]) == (first["run"], "proven", True)
    elsewhere = cli("load", "plan.yaml", "--json", home="another")
    assert elsewhere.returncode == 2
    error = json.loads(elsewhere.stdout)["error"]
    assert (error["code"], "MIGRATOR_HOME" in error["fix"]) == ("namespaces_exist", True), error
    assert_arrived(milvus_server, name)


def killed(process):
    assert process.returncode == 137, process.stderr


def answer(process):
    assert process.returncode == 0, process.stdout + process.stderr
    return json.loads(process.stdout)


def assert_arrived(server, name):
    """Read everything back with the SDK alone."""
    client = MilvusClient(server.uri, token=server.token, dedicated=True)
    try:
        described = client.describe_collection(name)
        assert described["num_shards"] == 2
        assert [(field["name"], field["type"].name) for field in described["fields"]] == [("id", "INT64"), ("data", "FLOAT_VECTOR")]
        assert client.query(name, filter="", output_fields=["count(*)"], consistency_level="Strong")[0]["count(*)"] == ROWS
        found = {}
        pages = client.query_iterator(name, batch_size=1000, output_fields=["id", "data"], consistency_level="Strong")
        while page := pages.next():
            found |= {row["id"]: np.array(row["data"], np.float32) for row in page}
        assert found.keys() == set(IDS.tolist())
        assert all(found[key].tobytes() == VECTORS[place].tobytes() for place, key in enumerate(IDS.tolist()))
    finally:
        client.close()
