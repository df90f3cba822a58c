"""Names and keys go there and back without meeting, whatever they hold."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from migrator.connectors.milvus import names
from migrator.connectors.milvus.options import NAME

FIELDS = ["id", "vector", "namespace"]
keys = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["id", "vector", "$meta", "_seq", "idx", "_"]).flatmap(lambda key: st.builds(lambda n: key + "_" * n, st.integers(0, 3))),
)
namespaces = st.one_of(st.text(st.characters(codec="utf-8"), max_size=20), st.sampled_from(["", "_default", "ns__", "ns__a_20b", "a__b", "_x", "x", "ns"]))


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
