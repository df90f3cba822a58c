"""The child process that opens what strangers made: Faiss indexes and pickled docstores. Run by ``..child``, imported by nobody."""
