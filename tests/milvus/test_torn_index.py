"""A Milvus Lite index file that a kill left half-written must not make the collection unreadable."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
from pymilvus import DataType, MilvusClient

from migrator.connectors import milvus
from migrator.endpoints import parse

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 2_000


def seed(path: Path) -> None:
    with closing(MilvusClient(str(path))) as client:
        schema = client.create_schema()
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=8)
        client.create_collection("t", schema=schema)
        vectors = np.random.default_rng(0).normal(size=(ROWS, 8)).astype(np.float32)
        client.insert("t", [{"id": row, "vector": vectors[row].tolist()} for row in range(ROWS)])
        client.flush("t")
        parameters = client.prepare_index_params()
        parameters.add_index("vector", index_type="FLAT", metric_type="L2")
        client.create_index("t", parameters)
        client.load_collection("t")


def test_a_torn_index_file_is_built_again(tmp_path: Path) -> None:
    path = tmp_path / "torn.db"
    seed(path)
    (file,) = path.rglob("*.idx")
    file.write_bytes(file.read_bytes()[:-100])
    with closing(milvus.open_source(parse(f"milvus:t?uri={path}"))) as source:
        assert source.describe().count == ROWS
        assert source.describe().metric == "euclidean"
        assert len(source.search([[0.0] * 8], 3, None)[0]) == 3  # reading needs no index, a search builds it again
