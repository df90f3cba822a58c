"""How an application reaches a Milvus collection: what is re-pointed at a cut-over."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from migrator.model import Address

if TYPE_CHECKING:
    from migrator.connectors.milvus.options import Settings

_PYTHON = """\
import os
from pymilvus import MilvusClient

client = MilvusClient(uri=os.environ["MILVUS_URI"]{token}{database})
collection = os.environ["MILVUS_COLLECTION"]"""
_NODE = """\
import {{ MilvusClient }} from "@zilliz/milvus2-sdk-node";

const client = new MilvusClient({{ address: process.env.MILVUS_URI{token}{database} }});
const collection = process.env.MILVUS_COLLECTION;"""


def address_of(settings: Settings) -> Address:
    """Return the address of a collection; the token appears as the name of its variable only."""
    uri = str(settings.path) if settings.path is not None else f"{'https' if settings.secure else 'http'}://{settings.host}:{settings.port}"
    environment = {"MILVUS_URI": uri, "MILVUS_COLLECTION": settings.collection}
    python = {
        "token": ', token=os.environ["MILVUS_TOKEN"]' if settings.token else "",
        "database": f", db_name={json.dumps(settings.database)}" if settings.database else "",
    }
    snippets = {"Python": _PYTHON.format(**python)}
    if settings.path is None:  # Milvus Lite lives inside a Python process
        node = {
            "token": ", token: process.env.MILVUS_TOKEN" if settings.token else "",
            "database": f", database: {json.dumps(settings.database)}" if settings.database else "",
        }
        snippets["Node"] = _NODE.format(**node)
    return Address(environment, snippets)
