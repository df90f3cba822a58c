"""From and to the other stores: what Pinecone holds comes out whole and goes back in."""

from __future__ import annotations

import faiss
import numpy as np
import pytest

from tests.pinecone.conftest import rows


def test_through_parquet_and_back(account, copy, tmp_path):
    account.create("a", metric="dotproduct")
    account.fill("a", rows(400, sparse_values={"indices": [2, 9], "values": [0.5, 1.5]}), "sparse")
    account.fill("a", rows(150), "")
    assert copy(target=f"parquet:{tmp_path}/out")["verdict"] == "proven"
    assert copy(f"parquet:{tmp_path}/out", "pinecone:b")["verdict"] == "proven"
    for name in ("", "sparse"):
        assert account.read("b", name) == account.read("a", name)


def test_from_faiss(account, copy, tmp_path):
    vectors = np.random.default_rng(3).standard_normal((1_500, 24), dtype=np.float32)
    index = faiss.IndexFlatIP(24)
    index.add(vectors)
    faiss.write_index(index, f"{tmp_path}/photos.index")
    result = copy(f"faiss:{tmp_path}/photos.index?metric=cosine", "pinecone:b")
    assert (result["verdict"], result["counts"]["copied"]) == ("proven", 1_500)
    assert account.read("b")["1200"][0] == vectors[1_200].tobytes()


@pytest.mark.parametrize("namespace", ["", "shop"])
def test_to_milvus_lite(account, copy, tmp_path, namespace):
    account.create("a", metric="dotproduct")
    account.fill("a", rows(60), namespace)
    account.fill("a", rows(40, start=60, sparse_values={"indices": [2], "values": [0.5]}), "late")
    result = copy(target=f"milvus:m?uri={tmp_path}/m.db")
    assert (result["verdict"], result["counts"]["copied"]) == ("proven", 100)
