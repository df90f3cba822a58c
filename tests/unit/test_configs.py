"""Plans as files: what is written is read back, and what is damaged is said."""

from __future__ import annotations

import dataclasses
import json
import shlex

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from migrator import configs, planning
from migrator.cli.driving import plan_options
from migrator.cli.parser import build_parser
from migrator.endpoints import parse, render
from migrator.errors import ConfigError
from migrator.model import Collection, Endpoint, Finding, Follow, Mapping, Plan, Selection
from migrator.planning import PlanOptions, draft

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
plain = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=8).filter(lambda text: "?" not in text)
endpoints = st.builds(
    Endpoint, st.sampled_from(["memory", "milvus", "parquet"]), plain, st.dictionaries(st.sampled_from(["uri", "metric", "delay_ms"]), names, max_size=2)
)
filters = st.none() | st.dictionaries(
    st.sampled_from(["a", "ä", "no: yes"]), st.integers(-5, 5) | names | st.floats(-1, 1) | st.booleans(), min_size=1, max_size=2
)
findings = st.builds(Finding, st.sampled_from(["info", "lossy", "blocking"]), names, names, names)
collections = st.builds(
    Collection,
    names,
    st.integers(0, 4096),
    st.sampled_from(["cosine", "dotproduct", "euclidean", None]),
    st.sampled_from(["string", "int64"]),
    st.dictionaries(names, st.integers(0, 2**40), max_size=3),
    st.dictionaries(names, names, max_size=2),
    names,
    st.booleans(),
    st.booleans(),
    names,
    st.lists(findings, max_size=2).map(tuple),
)
id_encodings = st.sampled_from(["reject", "percent", "decode"])
follows = st.builds(Follow, st.sampled_from([0.0, 0.5, 60.0, 3600.0]), st.booleans(), st.sampled_from(["all", "new"]))
plans = st.builds(
    Plan,
    endpoints,
    endpoints,
    st.builds(Selection, st.none() | st.lists(names, max_size=3).map(tuple), filters),
    st.builds(Mapping, st.none() | names, st.none() | names, names, id_encodings, st.sampled_from([None, "keep", "percent"])),
    st.sampled_from(["direct", "staged"]),
    st.none() | endpoints,
    st.none() | st.integers(1, 10**6),
    st.integers(1, 64),
    st.sampled_from(["local", "ray"]),
    st.sampled_from(["upsert", "skip", "fail"]),
    st.booleans(),
    st.sampled_from(["fail", "first", "last"]),
    st.booleans(),
    st.booleans(),
    st.none() | follows,
    st.booleans(),
    st.none() | collections,
    st.lists(findings, max_size=2).map(tuple),
    st.dictionaries(st.sampled_from(["records", "basis"]), st.integers(0, 99) | names, max_size=2),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | names,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=2),
)


@given(plans)
def test_a_plan_survives_yaml_and_json(plan):
    assert configs.load_plan(configs.dump_plan(plan)) == plan
    assert configs.from_data(json.loads(json.dumps(configs.to_data(plan)))) == plan


@given(plans, st.data())
def test_a_plan_with_anything_in_it_is_read_or_refused(plan, data):
    found = configs.to_data(plan)
    place, key = found, data.draw(st.sampled_from(sorted(found)))
    while isinstance(place[key], dict) and place[key] and data.draw(st.booleans()):
        place = place[key]
        key = data.draw(st.sampled_from(sorted(place)))
    place[key] = data.draw(json_values)
    try:
        read = configs.from_data(json.loads(json.dumps(found)))
    except ConfigError as error:
        assert error.fix  # noqa: PT017 - either outcome is right
    else:
        assert configs.from_data(json.loads(json.dumps(configs.to_data(read)))) == read


@pytest.mark.parametrize("missing", ["source", "target", "version"])
def test_what_is_missing_is_named(missing):
    data = configs.to_data(Plan(parse("memory:a"), parse("memory:b")))
    del data[missing]
    with pytest.raises(ConfigError, match=missing):
        configs.load_plan(yaml.safe_dump(data))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"workers": 0}, "workers"),
        ({"batch": "many"}, "batch"),
        ({"on_conflict": "maybe"}, "on_conflict"),
        ({"colour": "red"}, "colour"),
        ({"selection": {"namespace": ["a"]}}, "'namespace'"),
        ({"selection": {"namespaces": "a"}}, "namespaces"),
        ({"selection": {"filter": {"a": {"$near": 1}}}}, "near"),
        ({"mapping": {"target_namespace": 5}}, "target_namespace"),
        ({"findings": [{"severity": "bad", "code": "c", "message": "m"}]}, "severity"),
        ({"findings": [{"severity": "info"}]}, "findings"),
        ({"collection": {"name": "a", "dimension": "wide", "metric": None}}, "dimension"),
        ({"collection": {"name": "a", "dimension": True, "metric": None}}, "dimension"),
        ({"version": 2}, "version"),
    ],
    ids=repr,
)
def test_what_is_wrong_is_named(change, named):
    data = configs.to_data(Plan(parse("memory:a"), parse("memory:b"))) | change
    with pytest.raises(ConfigError) as caught:
        configs.load_plan(yaml.safe_dump(data))
    assert named in caught.value.message
    assert caught.value.fix


def test_a_syntax_error_is_given_with_its_line():
    with pytest.raises(ConfigError, match="line 3"):
        configs.load_plan("version: 1\nsource: memory:a\ntarget: [")


def test_secrets_are_written_as_references_only():
    text = configs.dump_plan(Plan(parse("milvus:a?token=canary-secret"), parse("memory:b")))
    assert "canary-secret" not in text
    assert "session:" in text


options = st.builds(
    PlanOptions,
    namespaces=st.none() | st.lists(names, min_size=1, max_size=2).map(tuple),
    target_namespace=st.none() | names,
    namespace_from=st.none() | names,
    filter=filters,
    batch=st.none() | st.integers(1, 999),
    workers=st.integers(1, 9),
    on_conflict=st.sampled_from([None, "upsert", "skip", "fail"]),
    on_duplicate=st.sampled_from(["fail", "first", "last"]),
    accept_lossy=st.booleans(),
    new_only=st.booleans(),
    namespace_missing=names | st.sampled_from(["keep", "default", "reject"]),
    id_encoding=id_encodings,
    route=st.sampled_from(["direct", "staged"]),
    staging=st.none() | endpoints.map(render),
    executor=st.sampled_from(["local", "ray"]),
).filter(lambda chosen: chosen.namespace_missing == "keep" or chosen.namespace_from is not None)


@given(endpoints, endpoints, options)
def test_the_command_shown_does_the_same_as_the_plan(source, target, chosen):
    plan = draft(source, target, chosen)
    words = shlex.split(planning.command(plan))
    assert words[:4] == ["python", "-m", "migrator", "copy"]
    parsed = build_parser().parse_args(words[3:])
    again = draft(parse(parsed.source), parse(parsed.target), plan_options(parsed))
    assert dataclasses.asdict(again) == dataclasses.asdict(plan)
