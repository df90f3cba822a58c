"""What the Pinecone connector and the local server both know of Pinecone: its messages, metadata encoding, limits and names."""
