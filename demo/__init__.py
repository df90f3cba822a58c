"""The demo: real passages of presidents' addresses, as a Faiss index to migrate and questions to ask of both sides."""
