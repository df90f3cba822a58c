"""milvus-migration's migration.yaml: each key honoured or accounted for, whatever its spelling, and every mistake named with the cure."""

from __future__ import annotations

import copy
import time

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from migrator import configs
from migrator.configs.milvus_migration import KEYS
from migrator.endpoints import render
from migrator.errors import ConfigError

FULL = """\
dumper:
  worker:
    limit: 3            # threads
    workMode: faiss
    reader: {bufferSize: 512}
    writer: {bufferSize: 256}
loader:
  worker:
    limit: 4
source:
  mode: local
  local:
    faissFile: ./indexes/photos.index
target:
  mode: remote
  remote:
    outputDir: moves/photos/
    cloud: aws
    endpoint: 0.0.0.0:9000
    region: eu-west-1
    bucket: milvus-bucket
    ak: canary-access
    sk: canary-secret
    useIAM: false
    useSSL: false
    checkBucket: true
  milvus2x:
    endpoint: localhost:19530
    username: root
    password: canary-password
  create:
    collection:
      name: photos
      shardsNums: 2
      dim: 64
      metricType: L2
"""
S3 = "endpoint=http://127.0.0.1:9000&region=eu-west-1&access_key=env:AWS_ACCESS_KEY_ID&secret_key=env:AWS_SECRET_ACCESS_KEY"
GONE = type("Absent", (), {"__repr__": lambda _: "absent"})()
REMOTE = {
    "source.mode": "remote",
    "source.remote": {"cloud": "aws", "endpoint": "s3.local:9001", "bucket": "indexes", "faissFile": "/a/b.index", "ak": "one", "sk": "two", "useSSL": True},
}


def config(**changes):
    """Return the full configuration as data, with values set or (GONE) removed by dotted path, ``__`` for the dots."""
    data = yaml.safe_load(FULL)
    for path, value in changes.items():
        *sections, last = path.replace("__", ".").split(".")
        part = data
        for section in sections:
            part = part.setdefault(section, {})
        if value is GONE:
            part.pop(last, None)
        else:
            part[last] = copy.deepcopy(value)
    return data


def convert(**changes):
    return configs.convert(yaml.safe_dump(config(**changes), sort_keys=False, allow_unicode=True))


def notes(found):
    return "\n".join(f"{note.message} | {note.fix}" for note in found.notes)


def refusal(text) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        configs.convert(text)
    assert caught.value.fix
    assert caught.value.exit_code == 2
    assert "canary" not in caught.value.message + caught.value.fix
    return caught.value


def refused(**changes) -> ConfigError:
    return refusal(yaml.safe_dump(config(**changes), sort_keys=False, allow_unicode=True))


def test_what_a_configuration_becomes():
    found = configs.convert(FULL)
    plan = found.plan
    assert render(plan.source) == "faiss:./indexes/photos.index"
    account = "user=root&password=env:MILVUS_PASSWORD"
    fields = "shards=2&id_field=id&vector_field=data&metric=L2&dimension=64&import_jobs=4"
    assert render(plan.target) == f"milvus:photos?uri=http://localhost:19530&{account}&{fields}"
    assert render(plan.staging) == f"numpy:s3://milvus-bucket/moves/photos/photos?{S3}"
    assert (plan.route, plan.workers, found.action, found.then) == ("staged", 3, "copy", ())
    assert "0.0.0.0 stands for every interface" in notes(found)
    for key in ("dumper.worker.reader.bufferSize", "dumper.worker.writer.bufferSize"):
        assert f"{key} is not needed" in notes(found)


def test_secrets_are_nowhere_but_in_memory():
    found = configs.convert(FULL)
    assert found.secrets == {"AWS_ACCESS_KEY_ID": "canary-access", "AWS_SECRET_ACCESS_KEY": "canary-secret", "MILVUS_PASSWORD": "canary-password"}
    text = configs.dump_plan(found.plan)
    assert "canary" not in text + repr(found) + notes(found)
    assert configs.load_plan(text) == found.plan


@pytest.mark.parametrize("value", ["env:MY_PASSWORD", "$MY_PASSWORD", "${MY_PASSWORD}"])
def test_secrets_by_reference_stay_references(value):
    found = convert(target__milvus2x__password=value)
    assert found.plan.target.options["password"] == "env:MY_PASSWORD"
    assert "MILVUS_PASSWORD" not in found.secrets


@pytest.mark.parametrize("blank", ["xxxxx", "x*****x", "<user>", "{yourUser}", "YOUR_USER", "", None])
def test_placeholders_are_no_sign_in(blank):
    found = convert(target__milvus2x__username=blank, target__milvus2x__password=blank)
    assert not {"user", "password", "token"} & found.plan.target.options.keys()
    assert ("nobody signs in" in notes(found)) == bool(blank)
    unsigned = convert(target__remote__ak=blank, target__remote__sk=blank)
    assert not {"access_key", "secret_key"} & unsigned.plan.staging.options.keys()
    assert "target.remote.ak and sk are not given" in notes(unsigned)


def test_half_a_sign_in():
    found = convert(target__milvus2x__password="xxxxx")
    assert (found.plan.target.options["user"], found.plan.target.options["password"]) == ("root", "env:MILVUS_PASSWORD")
    assert "export MILVUS_PASSWORD" in notes(found)
    alone = convert(target__milvus2x__username=GONE)
    assert "user" not in alone.plan.target.options
    assert "password is not used" in notes(alone)


@pytest.mark.parametrize("spelling", ["shardsNum", "shardsNums", "shardNum", "SHARDSNUM"])
def test_the_shards_in_every_spelling_there_is(spelling):
    found = convert(**{"target.create.collection.shardsNums": GONE, f"target.create.collection.{spelling}": 5})
    assert found.plan.target.options["shards"] == "5"


def test_without_shards_milvus_decides():
    assert "shards" not in convert(target__create__collection__shardsNums=GONE).plan.target.options


@pytest.mark.parametrize(
    ("endpoint", "more", "uri"),
    [
        ("10.0.0.5", {}, "http://10.0.0.5:19530"),
        ("milvus.example.com:443", {}, "http://milvus.example.com:443"),
        ("https://milvus.example.com", {}, "https://milvus.example.com"),
        ("HTTP://milvus:1/", {}, "http://milvus:1"),
        ("[::]:19530", {}, "http://[::1]:19530"),
        ("in01-abc.aws-us-west-2.vectordb.zillizcloud.com:19530", {}, "https://in01-abc.aws-us-west-2.vectordb.zillizcloud.com:19530"),
        ("localhost:19530", {"target.milvus2x.database": "shop"}, "http://localhost:19530"),
    ],
)
def test_the_address_of_milvus(endpoint, more, uri):
    options = convert(target__milvus2x__endpoint=endpoint, **more).plan.target.options
    assert options["uri"] == uri
    assert options.get("database", "") == more.get("target.milvus2x.database", "")


KEYS_OF_S3 = "access_key=env:AWS_ACCESS_KEY_ID&secret_key=env:AWS_SECRET_ACCESS_KEY"
HERE = "s3://milvus-bucket/moves/photos/photos"


@pytest.mark.parametrize(
    ("changes", "staging"),
    [
        ({"target.remote.useSSL": True}, f"{HERE}?endpoint=https://127.0.0.1:9000&region=eu-west-1&{KEYS_OF_S3}"),
        (
            {"target.remote.endpoint": "https://minio.example.com", "target.remote.useSSL": GONE},
            f"{HERE}?endpoint=https://minio.example.com&region=eu-west-1&{KEYS_OF_S3}",
        ),
        ({"target.remote.endpoint": GONE}, f"{HERE}?region=eu-west-1&{KEYS_OF_S3}"),
        ({"target.remote.cloud": GONE, "target.remote.region": GONE}, f"{HERE}?endpoint=http://127.0.0.1:9000&{KEYS_OF_S3}"),
        ({"target.remote.useIAM": True}, f"{HERE}?endpoint=http://127.0.0.1:9000&region=eu-west-1"),
        ({"target.remote.outputDir": "/"}, f"s3://milvus-bucket/migration/photos?{S3}"),
        ({"target.remote.outputDir": "/./a//b/"}, f"s3://milvus-bucket/a/b/photos?{S3}"),
        ({"target.mode": "local", "target.local.outputDir": "./files/"}, "./files/photos"),
        ({"target.remote.cloud": "GCP", "target.remote.useIAM": True}, "gs://milvus-bucket/moves/photos/photos"),
        (
            {"target.remote.cloud": "gcp"},
            f"{HERE}?endpoint=https://storage.googleapis.com&access_key=env:GCS_ACCESS_KEY_ID&secret_key=env:GCS_SECRET_ACCESS_KEY",
        ),
        (
            {"target.remote.cloud": "Azure", "target.remote.ak": "account1"},
            "az://milvus-bucket/moves/photos/photos?account=account1&account_key=env:AZURE_STORAGE_KEY",
        ),
        (
            {"target.remote.cloud": "az", "target.remote.ak": "account1", "target.remote.useIAM": "true"},
            "az://milvus-bucket/moves/photos/photos?account=account1",
        ),
    ],
    ids=repr,
)
def test_where_the_files_go(changes, staging):
    assert render(convert(**changes).plan.staging) == f"numpy:{staging}"


def test_an_identity_of_the_machine_takes_no_keys():
    found = convert(target__remote__useIAM="true")
    assert found.secrets.keys() == {"MILVUS_PASSWORD"}
    assert "target.remote.ak is not used" in notes(found)
    assert "target.remote.sk is not used" in notes(found)


def test_an_index_in_a_bucket():
    found = convert(**REMOTE)
    keys = "access_key=env:SOURCE_AWS_ACCESS_KEY_ID&secret_key=env:SOURCE_AWS_SECRET_ACCESS_KEY"
    assert render(found.plan.source) == f"faiss:s3://indexes/a/b.index?endpoint=https://s3.local:9001&{keys}"
    assert found.secrets["SOURCE_AWS_ACCESS_KEY_ID"] == "one"
    assert "source.local.faissFile is not needed" in notes(found)
    shared = convert(**{**REMOTE, "source.remote": {**REMOTE["source.remote"], "ak": "canary-access", "sk": "canary-secret"}})
    assert shared.plan.source.options["access_key"] == "env:AWS_ACCESS_KEY_ID"
    assert shared.secrets == configs.convert(FULL).secrets


def test_what_is_said_of_other_keys():
    found = convert(
        target__remote__checkBucket=False,
        target__milvus2x__writeMode="upsert",
        target__milvus2x__grpc={"maxCallRecvMsgSize": 67108864},
        target__milvus2x__database="shop",
        meta={"mode": "mock", "mockFile": "./m.json"},
        target__remote__colour="red",
    )
    said = notes(found)
    for text in ("checkBucket is not followed", "writeMode is not needed", "maxCallRecvMsgSize is not needed", "shop must exist", "meta.mode is not needed"):
        assert text in said
    assert [note.message.split()[0] for note in found.notes if note.code == "unknown_key"] == ["target.remote.colour"]


@given(st.sampled_from([str.lower, str.upper, str.swapcase]), st.randoms(use_true_random=False))
def test_keys_in_any_case_and_order_mean_the_same(spell, random):
    def spelt(part):
        if not isinstance(part, dict):
            return part
        items = [(spell(key), spelt(value)) for key, value in part.items()]
        random.shuffle(items)
        return dict(items)

    again = configs.convert(yaml.safe_dump(spelt(config()), sort_keys=False))
    assert again.plan.with_(findings=()) == configs.convert(FULL).plan.with_(findings=())


def test_values_in_quotes_flat_keys_and_merged_anchors_mean_the_same():
    text = FULL.replace("dim: 64", 'dim: "64"').replace("limit: 3 ", "limit: 3.0 ").replace("useIAM: false", "useIAM: 'FALSE'")
    flat = text.replace("loader:\n  worker:\n    limit: 4\n", "loader.worker.limit: 4\n")
    merged = flat.replace("  create:\n    collection:\n", "  create:\n    collection:\n      <<: {shardsNums: 7, metricType: L2}\n").replace(
        "      metricType: L2\n", ""
    )
    assert "metricType: L2}" in merged
    assert configs.convert("\ufeff" + merged).plan.with_(findings=()) == configs.convert(FULL).plan.with_(findings=())


def test_numbers_are_texts_where_texts_are_meant():
    found = convert(target__milvus2x__username="0123")
    assert found.plan.target.options["user"] == "0123"
    bare = configs.convert(FULL.replace("canary-password", "0123"))
    assert bare.secrets["MILVUS_PASSWORD"] == "0123"


values = st.none() | st.booleans() | st.integers(-3, 300) | st.text(max_size=4) | st.sampled_from(["remote", "local", "gcp", "az", "a:1", [1], {"a": 1}])


@given(st.dictionaries(st.sampled_from([key for key in KEYS if "workMode" not in key]), values, max_size=6))
def test_whatever_the_values_it_is_converted_or_refused_with_a_cure(changes):
    try:
        found = convert(**changes)
    except ConfigError as error:
        assert error.message and error.fix  # noqa: PT017, PT018 - either outcome is right
    else:
        assert configs.load_plan(configs.dump_plan(found.plan)) == found.plan
        assert "canary" not in configs.dump_plan(found.plan)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"dumper.worker.limit": "two"}, "dumper.worker.limit"),
        ({"dumper.worker.limit": -1}, "dumper.worker.limit"),
        ({"dumper.worker.limit": 2.5}, "dumper.worker.limit"),
        ({"loader.worker.limit": 1000}, "loader.worker.limit"),
        ({"dumper.worker.reader.bufferSize": "large"}, "dumper.worker.reader.bufferSize"),
        ({"source.mode": "cloud"}, "source.mode"),
        ({"source.mode": GONE}, "source.mode"),
        ({"source.local.faissFile": ["a", "b"]}, "source.local.faissFile"),
        ({"source.local.faissFile": "./a?x=y"}, "./a?x=y"),
        ({"source.local": "./a.index"}, "source.local holds no keys"),
        ({"source": GONE}, "source.mode"),
        ({"target.create.collection.name": GONE}, "target.create.collection.name"),
        ({"target.create.collection.name": "2-photos"}, "target.create.collection.name"),
        ({"target.create.collection.dim": GONE}, "target.create.collection.dim"),
        ({"target.create.collection.dim": 0}, "target.create.collection.dim"),
        ({"target.create.collection.dim": 32_769}, "target.create.collection.dim"),
        ({"target.create.collection.metricType": "HAMMING"}, "target.create.collection.metricType"),
        ({"target.create.collection.metricType": GONE}, "target.create.collection.metricType"),
        ({"target.create.collection.shardsNums": 17}, "target.create.collection.shardsNums"),
        ({"target.create.collection.shardsNum": 3}, "different values"),
        ({"target.mode": "s3"}, "target.mode"),
        ({"target.mode": "local"}, "target.local.outputDir"),
        ({"target.remote.bucket": GONE}, "target.remote.bucket"),
        ({"target.remote.bucket": "{yourBucket}"}, "target.remote.bucket is a placeholder"),
        ({"target.remote.bucket": "s3://a/b"}, "target.remote.bucket"),
        ({"target.remote.outputDir": "../elsewhere"}, "target.remote.outputDir"),
        ({"target.remote.cloud": "azur"}, "target.remote.cloud"),
        ({"target.remote.cloud": "ali"}, "Alibaba"),
        ({"target.remote.cloud": "azure", "target.remote.ak": ""}, "target.remote.ak"),
        ({"target.remote.cloud": "azure"}, "no name of an Azure storage account"),
        ({"target.remote.ak": GONE}, "target.remote.sk alone"),
        ({"target.remote.ak": ["canary"]}, "target.remote.ak"),
        ({"target.remote.endpoint": "http://user:canary@host:9000"}, "target.remote.endpoint"),
        ({"target.remote.endpoint": "host:9000/folder"}, "target.remote.endpoint"),
        ({"target.remote.endpoint": "host:90000"}, "target.remote.endpoint"),
        ({"target.remote.endpoint": "https://host", "target.remote.useSSL": False}, "useSSL"),
        ({"target.remote.endpoint": {"host": "a"}}, "target.remote.endpoint holds keys"),
        ({"target.remote.useSSL": "maybe"}, "target.remote.useSSL"),
        ({"target.remote.checkBucket": 7}, "target.remote.checkBucket"),
        ({"target.milvus2x.endpoint": GONE}, "target.milvus2x.endpoint"),
        ({"target.milvus2x.endpoint": "xxxxxx:19530"}, "target.milvus2x.endpoint"),
        ({"target.milvus2x.endpoint": "tcp://a:1"}, "target.milvus2x.endpoint"),
        ({"target.milvus2x.password": {"value": "canary"}}, "target.milvus2x.password"),
        ({**REMOTE, "source.remote.faissFile": GONE}, "source.remote.faissFile"),
        ({**REMOTE, "source.remote.faissFile": "./"}, "source.remote.faissFile"),
    ],
    ids=repr,
)
def test_what_is_wrong_is_named(changes, named):
    assert named in refused(**changes).message


@pytest.mark.parametrize(
    ("changes", "meant"),
    [
        ({"dumper.worker.limt": 3, "dumper.worker.limit": GONE}, "dumper.worker.limit"),
        ({"target.create.collection.metric": "IP", "target.create.collection.metricType": GONE}, "target.create.collection.metricType"),
        ({"target.create.name": "a", "target.create.collection.name": GONE}, "target.create.collection.name"),
        ({"target.remote.useIam2": True, "target.remote.useIAM": GONE}, "target.remote.useIAM"),
        ({"loadr": {"worker": {"limit": 3}}, "loader": GONE}, "loader.worker.limit"),
    ],
    ids=repr,
)
def test_a_misspelt_or_misplaced_key_is_named_with_the_right_one(changes, meant):
    error = refused(**changes)
    assert (error.code, error.fix) == ("unknown_key", f"did you mean {meant}?")


def test_a_key_whose_place_could_be_either_leaves_the_one_that_is_missing_to_be_named():
    assert "source.local.faissFile" in refused(**{"source.faissFile": "./a", "source.local": GONE}).message


@pytest.mark.parametrize(
    ("mode", "cure"),
    [
        ("milvus2x", "python -m migrator copy 'milvus:old?uri=http://a:19530' 'milvus:new?uri=http://b:19530&shards=3'"),
        ("milvus1x", "Milvus 1.x"),
        ("elasticsearch", "Parquet"),
        ("fais", "did you mean faiss?"),
        ("pinecone", "faiss"),
    ],
)
def test_other_kinds_of_source_are_named_with_what_to_do(mode, cure):
    meta = {"mode": "config", "collection": "old", "milvus": {"collection": "new", "shardNum": 3}, "fields": [{"name": "id"}]}
    ends = {side: {"milvus2x": {"endpoint": f"{host}:19530", "username": "xxxx", "password": "canary"}} for side, host in (("source", "a"), ("target", "b"))}
    error = refusal(yaml.safe_dump({"dumper": {"worker": {"workMode": mode}}, "meta": meta, **ends}))
    assert "workMode" in error.message
    assert cure in error.fix


LAUGHS = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{{', '.join(f'k{m}: *a{n - 1}' for m in range(9))}}}\n" for n in range(1, 12))
MERGED = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 12))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("target:\n\tmode: local\n", "line 2"),
        (f"{FULL}---\n{FULL}", "two documents"),
        (f"{FULL}target:\n  mode: local\n", "target twice"),
        (FULL.replace("    limit: 3 ", "    limit: 3\n    limit: 4"), "limit twice"),
        (f"{FULL}loader.worker.limit: 4\n", "loader.worker.limit twice"),
        (f"{FULL}? [a, b]\n: c\n", "no text"),
        (FULL + LAUGHS, "anchors followed"),
        (FULL + MERGED, "anchors followed"),
        (f"{FULL}a: &a\n  b: *a\n", "nested too deeply"),
        (f"{FULL}a: &a\n  <<: *a\n", ""),
        (f"{FULL}a: {{<<: 3}}\n", "merges"),
        (f"{FULL}a: {'{a: ' * 3000}1{'}' * 3000}\n", "nested too deeply"),
        ("target:\n  mode: local\n" + "#" * 1_100_000, "no configuration is that large"),
        ("dumper:\nsource:\n", "workMode"),
        ("target: {mode: local\nsource:\n", "line"),
    ],
    ids=range(15),
)
def test_files_that_are_no_such_yaml(text, named):
    begun = time.monotonic()
    assert configs.kind_of(text) == "migration"
    assert named in refusal(text).message
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (FULL, "migration"),
        (FULL.replace("dumper:", "dumpr:"), "migration"),
        ("dumper:\n\tworker: 1\n", "migration"),
        ("source: memory:a\ntarget: memory:b\n", "plan"),
        ("version: 1\nsource: {a: 1}\n", "plan"),
        ("source: [\n", "plan"),
    ],
)
def test_what_a_file_holds_is_told_by_its_content(text, kind):
    assert configs.kind_of(text) == kind
