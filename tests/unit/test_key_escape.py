"""Metadata keys that a table's own columns take, renamed and back."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given
from hypothesis import strategies as st

from migrator.key_escape import KeyEscape
from migrator.records import dump_json, parse_json

FIELDS = ["id", "vector", "namespace", "$meta", "_seq"]
keys = st.sampled_from(["id", "id_", "id__", "vector", "idx", "$meta", "_seq_", "a"]) | st.text(st.characters(codec="utf-8"), max_size=6)


@given(st.dictionaries(keys, st.integers(), max_size=6))
def test_keys(record: dict[str, int]) -> None:
    escape = KeyEscape(FIELDS)
    renamed = {escape.escape_key(key): value for key, value in record.items()}
    assert len(renamed) == len(record)
    assert not renamed.keys() & set(FIELDS)
    assert {escape.unescape_key(key): value for key, value in renamed.items()} == record


@given(st.text(st.characters(codec="utf-8"), max_size=8))
def test_every_key_in_need_of_escaping_is_suspected(key: str) -> None:
    escape = KeyEscape([*FIELDS, "a.b"])
    text = dump_json({key: 1})
    suspected = pc.match_substring_regex(pa.array([text]), escape.suspects)[0].as_py()
    assert suspected or parse_json(escape.escape(text)).keys() == {key}
