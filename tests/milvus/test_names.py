"""Names and keys go there and back without meeting, whatever they hold."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from migrator.connectors.milvus import names
from migrator.connectors.milvus.options import NAME
from migrator.records import dump_json, parse_json

FIELDS = ["id", "vector", "namespace"]
keys = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["id", "vector", "$meta", "_seq", "idx", "_"]).flatmap(lambda key: st.builds(lambda n: key + "_" * n, st.integers(0, 3))),
)
namespaces = st.one_of(st.text(st.characters(codec="utf-8"), max_size=20), st.sampled_from(["", "_default", "ns__", "ns__a_20b", "a__b", "_x", "x", "ns"]))


@given(st.dictionaries(keys, st.integers(), max_size=6))
def test_keys(record: dict[str, int]) -> None:
    escape = names.KeyEscape(FIELDS)
    renamed = {escape.escape_key(key): value for key, value in record.items()}
    assert len(renamed) == len(record)
    assert not renamed.keys() & {*FIELDS, *names.RESERVED_KEYS}
    assert {escape.unescape_key(key): value for key, value in renamed.items()} == record


@given(st.text(st.characters(codec="utf-8"), max_size=8))
def test_every_key_in_need_of_escaping_is_suspected(key: str) -> None:
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    escape = names.KeyEscape([*FIELDS, "a.b"])
    text = dump_json({key: 1})
    suspected = pc.match_substring_regex(pa.array([text]), escape.suspects)[0].as_py()
    assert suspected or parse_json(escape.escape(text)).keys() == {key}


@given(namespaces, namespaces)
def test_namespaces(one: str, other: str) -> None:
    encoded = names.encode_namespace(one)
    assert NAME.fullmatch(encoded)
    assert names.decode_namespace(encoded) == one
    assert (one == other) == (encoded == names.encode_namespace(other))
    collections = [names.collection_of("c", one), names.collection_of("c", other), "d", "c_x"]
    assert names.collections_of("c", collections).keys() == {one, other}


def test_foreign_names_stand_for_themselves() -> None:
    for name in ["ns__a__b", "ns___zz", "ns__plain", "p1", "ns___ff"]:
        assert names.decode_namespace(name) == name


def test_filters() -> None:
    assert names.literal('a"\\\n') == '"a\\"\\\\\\n"'
    assert names.after("id", -(2**63)) == "id >= -9223372036854775807"
    assert names.among("id", [-(2**63), 5]) == "id in [5] or id < -9223372036854775807"
    assert names.both("", "a == 1", "b or c") == "(a == 1) and (b or c)"
    assert names.both("", "") == ""
