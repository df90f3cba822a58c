"""The end of a collection: dropped with everything in it, unless an alias leads to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pymilvus.grpc_gen import milvus_pb2 as pb

from migrator.connectors.milvus.aliases import listed
from migrator.errors import PermanentError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from migrator.connectors.milvus.wire import Wire


def check_drop(wire: Wire, collections: Iterable[str]) -> None:
    """Raise ``PermanentError`` (``alias_leads_here``) when applications may reach one of ``collections`` by an alias."""
    existing = set(listed(wire))
    for name in collections:
        if name in existing and (aliases := _aliases(wire, name)):
            message = f"the alias {aliases[0]} leads to {name}"
            raise PermanentError(message, fix="point it elsewhere, or remove it, then try again", code="alias_leads_here")


def drop(wire: Wire, collections: Iterable[str]) -> None:
    """Drop those of ``collections`` that are there."""
    existing = set(listed(wire))
    for name in collections:
        if name in existing:
            wire.call("DropCollection", pb.DropCollectionRequest(collection_name=name), f"drop {name}")


def _aliases(wire: Wire, name: str) -> list[str]:
    if wire.lease is not None:  # Lite does not tell them with the description; 2.3 has no request for them
        return list(wire.call("ListAliases", pb.ListAliasesRequest(collection_name=name), f"list the aliases of {name}").aliases)
    return list(wire.call("DescribeCollection", pb.DescribeCollectionRequest(collection_name=name), f"describe {name}").aliases)
