"""Files without rows, as writers without a schema leave them: their columns have no type, and nothing is wrong with that."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from migrator.connectors import parquet
from migrator.endpoints import parse

if TYPE_CHECKING:
    from pathlib import Path


def test_a_first_namespace_without_rows_or_types_is_nothing_special(tmp_path: Path) -> None:
    for name, ids, values in (("a-empty", [], []), ("b", [7, 8], [[1.0, 2.0], [3.0, 4.0]])):
        (tmp_path / name).mkdir()
        pq.write_table(pa.table({"id": ids, "values": values}), tmp_path / name / "part.parquet")
    with closing(parquet.open_source(parse(f"parquet:{tmp_path}"))) as source:
        collection = source.describe()
        assert dict(collection.namespaces) == {"a-empty": 0, "b": 2}
        assert (collection.dimension, collection.id_type) == (2, "int64")
        assert source.fetch(["8"], "b").column("id").to_pylist() == ["8"]
