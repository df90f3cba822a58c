"""A server that speaks Pinecone's control and data plane, for the demo, tests and trying things without a key."""
