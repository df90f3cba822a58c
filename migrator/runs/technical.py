"""What a report tells engineers of a run beside its proof: who, when, throughput, batches, versions and the end of the log."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import TYPE_CHECKING, Any

from migrator import __version__
from migrator.ledger import runs as rows
from migrator.runs import view

if TYPE_CHECKING:
    from migrator.ledger import Ledger
    from migrator.model import Plan

LOG_LINES = 60
_LIBRARIES = {"pinecone": ("pinecone",), "milvus": ("pymilvus", "milvus-lite"), "faiss": ("faiss-cpu",)}
_ALWAYS = ("pyarrow", "numpy")


def collected(ledger: Ledger, run: str, plan: Plan) -> dict[str, Any]:
    """Return ``{owner, created, started, attempts, throughput, batches, versions, log}``; moments are seconds since the epoch."""
    row = rows.get(ledger, run)
    tail = [{"at": line["at"], "level": line["level"], "message": line["message"]} for line in rows.log_tail(ledger, run, LOG_LINES)]
    return {
        "owner": row["owner"],
        "created": row["created"],
        "started": row["started"],
        "attempts": row["attempt"],
        "throughput": view.throughput(ledger, row),
        "batches": view.batches(ledger, run)["batches"],
        "versions": _versions(plan),
        "log": tail,
    }


def _versions(plan: Plan) -> dict[str, str]:
    """Return the versions of this program, of Python, and of the libraries that speak to both sides' stores."""
    named = [name for endpoint in (plan.source, plan.target) for name in _LIBRARIES.get(endpoint.connector, ())]
    found = {"Vector Migrator": __version__, "Python": platform.python_version()}
    return found | {name: metadata.version(name) for name in dict.fromkeys([*named, *_ALWAYS])}
