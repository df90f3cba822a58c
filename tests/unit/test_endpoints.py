"""Endpoints: what is parsed renders back, and a secret never survives in either."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator import endpoints, secrets
from migrator.connectors import REGISTRY, connector
from migrator.errors import ConfigError
from migrator.model import Endpoint

names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True).filter(lambda name: name not in secrets.SECRET_OPTIONS)
values = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
resources = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="?"), max_size=20)


@given(st.sampled_from(["faiss", "milvus", "parquet", "memory"]), resources, st.dictionaries(names, values, max_size=4))
def test_render_and_parse_are_inverse(name, resource, options):
    endpoint = Endpoint(name, resource, options)
    assert endpoints.parse(endpoints.render(endpoint)) == endpoint


@pytest.mark.parametrize(
    ("text", "resource", "options"),
    [
        ("faiss:./photos.index?ids=ids.npy", "./photos.index", {"ids": "ids.npy"}),
        ("parquet:s3://bucket/prefix?endpoint=http://127.0.0.1:9000&region=x", "s3://bucket/prefix", {"endpoint": "http://127.0.0.1:9000", "region": "x"}),
        ("parquet:./what?.parquet", "./what?.parquet", {}),
        ("parquet:./data?", "./data", {}),
        ("milvus:products?uri=./a%26b.db", "products", {"uri": "./a&b.db"}),
        ("milvus:", "", {}),
        ("parquet:C:\\data", "C:\\data", {}),
        ("milvus:x?api_key=env:KEY", "x", {"api_key": "env:KEY"}),
    ],
)
def test_parse(text, resource, options):
    parsed = endpoints.parse(text)
    assert (parsed.resource, dict(parsed.options)) == (resource, options)


@pytest.mark.parametrize("text", ["", "photos.index", "./photos.index", "Faiss:x", "1faiss:x", ":x", "a b:x"])
def test_what_is_no_endpoint(text):
    with pytest.raises(ConfigError) as caught:
        endpoints.parse(text)
    assert (caught.value.code, bool(caught.value.fix)) == ("bad_endpoint", True)


def test_an_option_twice_is_refused():
    with pytest.raises(ConfigError, match="ids is given twice"):
        endpoints.parse("faiss:x?ids=a&ids=b")


@pytest.mark.parametrize("option", sorted(secrets.SECRET_OPTIONS))
def test_a_typed_secret_becomes_a_reference(option):
    endpoint = endpoints.parse(f"milvus:x?{option}=canary-{option}")
    assert "canary" not in repr(endpoint) + endpoints.render(endpoint)
    assert secrets.resolve(endpoint.options[option], option=option) == f"canary-{option}"
    assert endpoints.parse(endpoints.render(endpoint)) == endpoint


def test_unknown_option_names_the_known_ones():
    with pytest.raises(ConfigError) as caught:
        endpoints.check_options(Endpoint("faiss", "x", {"idz": "1"}), frozenset({"ids", "metric"}))
    assert "'idz'" in caught.value.message
    assert "ids, metric" in caught.value.fix


@pytest.mark.parametrize(("text", "value"), [("true", True), ("YES", True), ("1", True), ("false", False), ("no", False), ("0", False)])
def test_flag(text, value):
    assert endpoints.flag(Endpoint("faiss", "x", {"on": text}), "on", default=not value) is value


@pytest.mark.parametrize("default", [True, False])
def test_flag_left_out(default):
    assert endpoints.flag(Endpoint("faiss", "x"), "on", default=default) is default


@pytest.mark.parametrize("text", ["maybe", "2", "tru", " true"])
def test_flag_that_is_none(text):
    with pytest.raises(ConfigError, match="on="):
        endpoints.flag(Endpoint("faiss", "x", {"on": text}), "on")


@pytest.mark.parametrize(("text", "value"), [("1", 1), ("10", 10), ("007", 7)])
def test_whole_number(text, value):
    assert endpoints.whole_number(Endpoint("faiss", "x", {"n": text}), "n", default=5, most=10) == value


@pytest.mark.parametrize("text", ["", "0", "11", "-1", "1.0", "1e1", "ten", "½", "1\n"])
def test_whole_number_that_is_none(text):
    with pytest.raises(ConfigError, match="n="):
        endpoints.whole_number(Endpoint("faiss", "x", {"n": text}), "n", default=5, most=10)


def test_whole_number_left_out():
    assert endpoints.whole_number(Endpoint("faiss", "x"), "n", default=5) == 5


def test_registry_is_lazy_and_names_what_it_has():
    with pytest.raises(ConfigError) as caught:
        connector("oracle")
    assert "faiss, memory, milvus, numpy, parquet" in caught.value.fix


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_every_registered_connector_is_one(name):
    module = connector(name)
    assert module.capabilities().batch_records > 0
    assert all(callable(getattr(module, verb)) for verb in ("open_source", "open_target", "examine"))
