"""What LangChain's Pinecone store does with the local service; run in an environment that has ``langchain-pinecone``."""

import os
import sys
from importlib.metadata import version

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_pinecone import PineconeVectorStore
from pinecone import Pinecone, ServerlessSpec

TEXTS = ["the cat sleeps", "the dog barks", "stocks fell on monday", "貓在睡覺"]


class Letters(Embeddings):
    """Counts letters: enough that a text is nearest to itself."""

    def embed_query(self, text: str) -> list[float]:
        return [1.0 + sum(ord(letter) % 16 == place for letter in text) for place in range(16)]

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]


def main() -> None:
    client = Pinecone(api_key=os.environ["PINECONE_API_KEY"], host=os.environ["PINECONE_CONTROLLER_HOST"])
    client.create_index("chain", dimension=16, metric="cosine", spec=ServerlessSpec("aws", "us-east-1"))
    index = client.Index(host=client.describe_index("chain").host)
    store = PineconeVectorStore(index=index, embedding=Letters(), namespace="docs")
    documents = [Document(text, metadata={"number": number, "even": number % 2 == 0}) for number, text in enumerate(TEXTS)]
    ids = store.add_documents(documents, ids=[f"d{number}" for number in range(4)])
    assert ids == ["d0", "d1", "d2", "d3"]
    for number, text in enumerate(TEXTS):
        found, score = store.similarity_search_with_score(text, k=1)[0]
        assert found.page_content == text, found
        assert found.metadata == {"number": number, "even": number % 2 == 0}, found
        assert abs(score - 1) < 1e-5, score
    odd = store.similarity_search(TEXTS[0], k=4, filter={"even": {"$eq": False}})
    assert {one.metadata["number"] for one in odd} == {1, 3}, odd
    diverse = store.max_marginal_relevance_search(TEXTS[0], k=2, fetch_k=4)
    assert diverse[0].page_content == TEXTS[0], diverse
    retriever = store.as_retriever(search_kwargs={"k": 2})
    assert retriever.invoke(TEXTS[1])[0].page_content == TEXTS[1]
    many = store.add_texts([f"text {number}" for number in range(300)], batch_size=64)
    assert index.describe_index_stats()["namespaces"]["docs"]["vector_count"] == 304
    store.delete(ids=many)
    store.delete(ids=["d0"])
    assert index.describe_index_stats()["namespaces"]["docs"]["vector_count"] == 3
    store.delete(delete_all=True)
    assert index.describe_index_stats()["total_vector_count"] == 0
    client.delete_index("chain")
    sys.stdout.write(f"all as expected: langchain-pinecone {version('langchain-pinecone')}, pinecone {version('pinecone')}\n")


main()
