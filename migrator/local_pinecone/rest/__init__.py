"""The service over HTTP/1.1 and JSON: two ASGI applications, one for the control plane and one for each index's data plane."""

from migrator.local_pinecone.rest.control import control_app
from migrator.local_pinecone.rest.data import data_app

__all__ = ["control_app", "data_app"]
