"""The Pinecone Index Migrator's config.json: each key honoured or accounted for, in whatever spelling and type it comes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator import configs
from migrator.configs.index_migrator import KEYS
from migrator.endpoints import render
from migrator.errors import ConfigError
from migrator.model import Follow, Mapping, Selection

CODE = {
    "api_key": "canary-source",
    "api_key_dest": "canary-target",
    "use_seperate_target_client": True,
    "source_index": "pods",
    "target_index": "serverless",
    "target_cloud": "gcp",
    "target_region": "europe-west4",
    "source_namespace": "en",
    "target_namespace": "english",
    "create_target": True,
    "batch_size": 100,
    "delta_mode": True,
    "reset_migration_flags": False,
    "verify_only": False,
    "use_filter": True,
    "filter_to_use": '{"year": {"$gte": 1900}}',
    "run_validation_after_every_batch": True,
    "write_to_parquet": False,
    "parquet_write_back_batch_size": 500,
    "namespace_from_metadata_field": False,
    "metadata_field_to_namespace_from": "category",
    "iterate_over_namespaces": False,
    "use_source_as_target_namespace": False,
    "delta_delay_between_runs": True,
    "delta_delay_duration": 5,
}
README = {
    "SOURCE_INDEX": "pods",
    "TARGET_INDEX": "serverless",
    "SOURCE_NAMESPACE": "",
    "TARGET_NAMESPACE": "",
    "DELTA_MODE": False,
    "VERIFY_MODE": True,
    "WRITE_TO_PARQUET": False,
    "RESET_MODE": False,
    "FILTER_TO_USE": '{ "migrated": { "$ne": true } }',
    "NAMESPACE_FROM_METADATA_FIELD": "category",
    "ITERATE_ALL_NAMESPACES": True,
}
PLAIN = {"source_index": "a", "target_index": "b"}


def convert(given):
    return configs.convert(json.dumps(given, ensure_ascii=False))


def plan(**changes):
    return convert({**PLAIN, **changes}).plan


def notes(found):
    return "\n".join(note.message for note in found.notes)


def refusal(given) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        convert(given) if isinstance(given, dict) else configs.convert(given)
    assert caught.value.fix
    assert caught.value.exit_code == 2
    return caught.value


def test_the_keys_of_the_code():
    found = convert(CODE)
    plan = found.plan
    assert render(plan.source) == "pinecone:pods?api_key=env:PINECONE_API_KEY"
    assert render(plan.target) == "pinecone:serverless?api_key=env:PINECONE_API_KEY_DEST&cloud=gcp&region=europe-west4"
    assert plan.selection == Selection(("en",), {"year": {"$gte": 1900}})
    assert plan.mapping == Mapping("english")
    assert (plan.follow, plan.merge, plan.stamp) == (Follow(interval=5.0), True, False)
    assert (found.action, found.reset_first, found.then) == ("copy", False, ())
    assert plan.verify_batches
    for key in ("batch_size", "parquet_write_back_batch_size", "metadata_field_to_namespace_from", "api_key"):
        assert key in notes(found)


def test_the_names_of_the_readme():
    found = convert(README)
    assert render(found.plan.source) == "pinecone:pods?api_key=env:PINECONE_API_KEY"
    assert render(found.plan.target) == "pinecone:serverless?api_key=env:PINECONE_API_KEY"
    assert found.plan.selection == Selection(None, {"migrated": {"$ne": True}})
    assert found.plan.mapping == Mapping(None, "category")
    assert (found.plan.follow, found.plan.merge, found.action, found.reset_first) == (None, False, "copy", False)
    assert "VERIFY_MODE is not needed" in notes(found)


@pytest.mark.parametrize("key", ["run_validation_after_every_batch", "RUN_VALIDATION_AFTER_EVERY_BATCH"])
def test_validation_after_every_batch(key):
    assert plan(**{key: True}).verify_batches
    assert not plan(**{key: False}).verify_batches
    assert not plan().verify_batches
    compared = convert({**PLAIN, key: True, "verify_only": True})
    assert not compared.plan.verify_batches
    assert f"{key} is not needed: nothing is copied" in notes(compared)


def test_api_keys_are_nowhere_but_in_the_secrets():
    found = convert(CODE)
    assert found.secrets == {"PINECONE_API_KEY": "canary-source", "PINECONE_API_KEY_DEST": "canary-target"}
    assert "canary" not in configs.dump_plan(found.plan) + repr(found) + notes(found) + "".join(note.fix for note in found.notes)
    assert configs.load_plan(configs.dump_plan(found.plan)) == found.plan


@pytest.mark.parametrize("bad", [{"api_key": 12345678}, {"api_key": ["canary"]}, {"api_key": "canary", "API_KEY": "canary2"}, {"api_kay": "canary"}])
def test_no_message_quotes_an_api_key(bad):
    error = refusal({**PLAIN, **bad})
    assert "canary" not in error.message + error.fix
    assert "1234" not in error.message + error.fix


@pytest.mark.parametrize("value", ["env:MY_KEY", "$MY_KEY", "${MY_KEY}"])
def test_keys_by_reference_stay_references(value):
    found = convert({**PLAIN, "api_key": value})
    assert (found.plan.source.options, found.secrets) == ({"api_key": "env:MY_KEY"}, {})


@pytest.mark.parametrize("value", ["", "YOUR_API_KEY", "<key>", "your-pinecone-api-key", "xxxxx", None])
def test_a_placeholder_is_no_key(value):
    found = convert({**PLAIN, "api_key": value})
    assert (found.plan.source.options, found.secrets) == ({"api_key": "env:PINECONE_API_KEY"}, {})
    assert "api_key is not given" in notes(found)


def test_which_key_the_target_takes():
    both = {"api_key": "one", "api_key_dest": "two"}
    assert plan(**both).target.options["api_key"] == "env:PINECONE_API_KEY_DEST"
    assert plan(**both, use_separate_target_client="true").target.options["api_key"] == "env:PINECONE_API_KEY_DEST"
    kept = convert({**PLAIN, **both, "use_seperate_target_client": False})
    assert (kept.plan.target.options["api_key"], kept.secrets) == ("env:PINECONE_API_KEY", {"PINECONE_API_KEY": "one"})
    assert "api_key_dest is not used" in notes(kept)
    assert "api_key_dest" in refusal({**PLAIN, "use_seperate_target_client": True}).message


spellings = st.sampled_from([str, str.upper, str.title, lambda key: key.replace("_", "-"), lambda key: f" {key} ", lambda key: key.replace("_", " ")])
flags = st.sampled_from([(True, True), ("true", True), ("True", True), ("yes", True), (1, True), ("1", True), (False, False), ("FALSE", False), (0, False)])


@given(st.fixed_dictionaries(dict.fromkeys(CODE, spellings)))
def test_any_spelling_of_the_keys_means_the_same(spelt):
    assert convert({spelt[key](key): value for key, value in CODE.items()}).plan.with_(findings=()) == convert(CODE).plan.with_(findings=())


@given(flags, flags, st.sampled_from([30, 30.0, "30", " 30 ", "3e1"]))
def test_values_as_text_or_number_mean_the_same(iterate, delta, seconds):
    found = plan(iterate_over_namespaces=iterate[0], delta_mode=delta[0], delta_delay_duration=seconds)
    assert found.selection.namespaces == (None if iterate[1] else ("",))
    assert found.follow == (Follow(interval=30.0) if delta[1] else None)


@given(st.dictionaries(st.sampled_from(sorted(KEYS)), st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=3) | st.just([1]) | st.just({"a": 1})))
def test_whatever_the_values_it_is_converted_or_refused_with_a_cure(given):
    try:
        found = convert({**PLAIN, **given})
    except ConfigError as error:
        assert error.message and error.fix  # noqa: PT017, PT018 - either outcome is right
    else:
        assert configs.load_plan(configs.dump_plan(found.plan)) == found.plan


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"delta_mode": "maybe"}, "delta_mode"),
        ({"Delta_Mode": []}, "Delta_Mode"),
        ({"delta_delay_duration": "soon"}, "delta_delay_duration"),
        ({"delta_delay_duration": -1}, "delta_delay_duration"),
        ({"delta_delay_duration": True}, "delta_delay_duration"),
        ({"delta_delay_duration": "nan"}, "delta_delay_duration"),
        ({"SOURCE_NAMESPACE": 5}, "SOURCE_NAMESPACE"),
        ({"target_index": ["b"]}, "target_index"),
        ({"target_index": ""}, "target_index"),
        ({"source_index": "a?controller=http://elsewhere"}, "source_index"),
        ({"use_filter": True}, "use_filter"),
        ({"filter_to_use": "{year"}, "filter_to_use"),
        ({"filter_to_use": "[1]"}, "filter_to_use"),
        ({"filter_to_use": {"year": {"$near": 1}}}, "filter_to_use"),
        ({"namespace_from_metadata_field": True}, "namespace_from_metadata_field"),
        ({"namespace_from_metadata_field": "a", "metadata_field_to_namespace_from": "b"}, "namespace_from_metadata_field"),
        ({"save_to_s3": True, "write_to_parquet": True}, "save_to_s3"),
        ({"source_index": "a", "SOURCE_INDEX": "c"}, "SOURCE_INDEX"),
        ({"verify_onyl": True}, "verify_onyl"),
        ({"iterate_all_namespace": True}, "iterate_all_namespace"),
        ({"target_index": "a", "use_source_as_target_namespace": True}, "source_index and target_index"),
    ],
    ids=repr,
)
def test_what_is_wrong_is_named(given, named):
    assert named in refusal({**PLAIN, **given}).message


def test_missing_indexes_are_named():
    assert "source_index" in refusal({"target_index": "b"}).message
    assert "target_index" in refusal({"source_index": "a"}).message


@pytest.mark.parametrize(
    ("text", "named"), [('{"source_index": "a",}', "line 1"), ("[]", "no JSON object"), ('{"a": 1, "a": 2}', "twice"), ("[" * 100_000, "")]
)
def test_a_file_that_is_no_configuration(text, named):
    assert named in refusal(text).message


def test_a_byte_order_mark_is_no_matter():
    assert configs.convert("\ufeff" + json.dumps(PLAIN)).plan.source.resource == "a"


def test_unknown_keys_are_named_with_the_nearest():
    found = convert({**PLAIN, "_comment": "mine", "namespaces": ["a"], "colour": "red"})
    unknown = {note.message.split()[0]: note.fix for note in found.notes if note.code == "unknown_key"}
    assert unknown.keys() == {"_comment", "namespaces", "colour"}
    assert "namespace" in unknown["namespaces"]


@pytest.mark.parametrize(
    ("given", "namespaces", "mapping"),
    [
        ({}, ("",), Mapping("")),
        ({"source_namespace": "x"}, ("x",), Mapping("")),
        ({"source_namespace": "__default__", "target_namespace": "__default__"}, ("",), Mapping("")),
        ({"source_namespace": "x", "use_source_as_target_namespace": True}, ("x",), Mapping()),
        ({"source_namespace": "x", "target_namespace": "y"}, ("x",), Mapping("y")),
        ({"iterate_over_namespaces": True}, None, Mapping()),
        ({"iterate_over_namespaces": True, "source_namespace": "x", "target_namespace": ""}, None, Mapping("")),
        ({"iterate_over_namespaces": True, "target_namespace": "y", "use_source_as_target_namespace": True}, None, Mapping()),
        ({"namespace_from_metadata_field": "true", "metadata_field_to_namespace_from": "lang"}, ("",), Mapping(None, "lang")),
        ({"namespace_from_metadata_field": "lang", "target_namespace": "rest"}, ("",), Mapping("rest", "lang")),
        ({"namespace_from_metadata_field": False, "metadata_field_to_namespace_from": "lang", "target_namespace": "y"}, ("",), Mapping("y")),
    ],
    ids=repr,
)
def test_namespaces(given, namespaces, mapping):
    found = plan(**given)
    assert (found.selection.namespaces, found.mapping) == (namespaces, mapping)


@pytest.mark.parametrize(
    ("given", "filter_"),
    [
        ({"use_filter": False, "filter_to_use": '{"a": 1}'}, None),
        ({"use_filter": True, "filter_to_use": {"a": 1}}, {"a": 1}),
        ({"filter_to_use": '{"a": 1}'}, {"a": 1}),
        ({"filter_to_use": ""}, None),
        ({"filter_to_use": '{"migrated": {"$ne": true}}', "delta_mode": True}, None),
        ({"filter_to_use": '{"migrated": {"$ne": true}, "a": 1}', "delta_mode": True}, {"a": 1}),
        ({"filter_to_use": '{"migrated": {"$ne": true}}'}, {"migrated": {"$ne": True}}),
    ],
    ids=repr,
)
def test_filters(given, filter_):
    assert plan(**given).selection.filter == filter_


@pytest.mark.parametrize(
    ("given", "interval"),
    [
        ({}, 60.0),
        ({"delta_delay_between_runs": True}, 60.0),
        ({"delta_delay_between_runs": False, "delta_delay_duration": 9}, 0.0),
        ({"delta_delay_duration": 9}, 9.0),
    ],
    ids=repr,
)
def test_the_pause_between_passes(given, interval):
    assert plan(delta_mode=True, **given).follow == Follow(interval=interval)


def test_a_target_is_created_unless_that_is_refused():
    assert plan(create_target=False, target_cloud="gcp").target.options == {"api_key": "env:PINECONE_API_KEY", "create": "false"}
    assert plan(create_target=True).target.options == {"api_key": "env:PINECONE_API_KEY"}
    assert plan(target_cloud="AZURE", target_region="eastus2").target.options == {"api_key": "env:PINECONE_API_KEY", "cloud": "azure", "region": "eastus2"}


def test_parquet_takes_the_place_of_the_target_which_can_be_loaded_from_it():
    found = convert({**PLAIN, "write_to_parquet": True, "delta_mode": True, "iterate_over_namespaces": True})
    assert render(found.plan.target) == "parquet:./a-parquet"
    assert found.plan.follow is None
    assert [(render(after.source), render(after.target)) for after in found.then] == [("parquet:./a-parquet", "pinecone:b?api_key=env:PINECONE_API_KEY")]
    assert "delta_mode is not possible" in notes(found)
    alone = convert({"source_index": "a", "write_to_parquet": True, "save_to_s3": True, "bucket_name": "bucket", "s3_folder_name": "/in/here/"})
    assert (render(alone.plan.target), alone.then) == ("parquet:s3://bucket/in/here", ())


def test_filling_the_list_of_ids_is_no_import_into_the_target():
    """prime_index_store has the tool list the source's ids and end: beside save_to_s3 it asks for no staged run."""
    found = convert({**PLAIN, "prime_index_store": True, "save_to_s3": True, "write_to_parquet": True, "bucket_name": "bucket", "s3_folder_name": "in"})
    assert (found.plan.route, found.plan.staging, render(found.plan.target)) == ("direct", None, "parquet:s3://bucket/in")
    assert "prime_index_store is not needed" in notes(found)
    assert "this copies" in notes(found)
    assert "--route staged --staging parquet:s3://bucket/in" in "\n".join(note.fix for note in found.notes)


def test_what_is_no_copy():
    verify = convert({**CODE, "verify_only": True, "reset_migration_flags": True})
    assert (verify.action, verify.plan.follow, verify.plan.mapping) == ("verify", None, Mapping("english"))
    assert "reset_migration_flags is not done" in notes(verify)
    reset = convert({"source_index": "a", "reset_migration_flags": "true", "source_namespace": "x"})
    assert (reset.action, reset.plan.source.resource, reset.plan.selection.namespaces) == ("reset", "a", ("x",))
    before = convert({**README, "RESET_MODE": True})
    assert (before.action, before.reset_first) == ("copy", True)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (json.dumps(README), "config"),
        ('{\n\t"source_index":\t"a"\n}', "config"),
        ("version: 1\nsource: memory:a\ntarget: memory:b\n", "plan"),
        ('{"version": 1, "source": "memory:a", "target": "memory:b"}', "plan"),
        ("dumper:\n  worker:\n    limit: 2\nsource:\n  mode: local\ntarget:\n  mode: remote\n", "migration"),
        ("nothing", "plan"),
    ],
)
def test_what_a_file_holds_is_told_by_its_content(text, kind):
    assert configs.kind_of(text) == kind
