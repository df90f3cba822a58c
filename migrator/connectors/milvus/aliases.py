"""Aliases: other names that lead to a collection, and are moved from one collection to another at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pymilvus.grpc_gen import milvus_pb2 as pb

from migrator.connectors.milvus.address import address_of
from migrator.connectors.milvus.options import checked_name
from migrator.errors import ConfigError, PermanentError
from migrator.model import DEFAULT_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from migrator.connectors.milvus.options import Settings
    from migrator.connectors.milvus.wire import Wire
    from migrator.model import Address


def listed(wire: Wire) -> list[str]:
    """Return the collections of the database; aliases are not among them."""
    return list(wire.call("ShowCollections", pb.ShowCollectionsRequest(), "list the collections").collection_names)


def own_name(wire: Wire, name: str, existing: Collection[str] | None = None) -> str | None:
    """Return the name of the collection that ``name`` reaches, which is another one for an alias; None when it reaches nothing.

    ``existing`` are the collections ``listed`` found. No right to aliases is needed: to describe a collection tells its own name, however it was asked for.
    """
    if name in (listed(wire) if existing is None else existing):
        return name
    if not wire.call("HasCollection", pb.HasCollectionRequest(collection_name=name), f"look for {name}").value:
        return None
    answer = wire.call("DescribeCollection", pb.DescribeCollectionRequest(collection_name=name), f"describe {name}")
    return str(answer.schema.name)


def by_own_name(wire: Wire, settings: Settings, existing: Collection[str] | None = None) -> Settings:
    """Return ``settings`` with the collection's own name where they give an alias: what is opened stays what it is when the alias is moved."""
    return replace(settings, collection=own_name(wire, settings.collection, existing) or settings.collection)


class Aliases:
    """The aliases in the database of one open collection."""

    def __init__(self, wire: Wire, settings: Settings, namespaces: Iterable[str]) -> None:
        """``settings`` name the collection by its own name; ``namespaces`` are those that have a collection each, in collection mode."""
        self._wire = wire
        self._settings = settings
        self._family = settings.namespace_mode == "collection" and set(namespaces) != {DEFAULT_NAMESPACE}

    @property
    def collection(self) -> str:
        """The open collection's own name."""
        return self._settings.collection

    def leads_to(self, alias: str) -> str | None:
        """Return the collection ``alias`` leads to, None when there is no such alias.

        Raise ``ConfigError`` for what can be no alias: a bad name, a collection's own name, any name where each namespace is a collection.
        """
        checked_name("an alias", alias)
        if self._family:
            message = f"namespaces of {self._settings.collection} are collections of their own, and an alias leads to one collection"
            raise ConfigError(message, fix="leave out the alias, or copy with namespace_mode=partition_key", code="alias_unsupported")
        found = own_name(self._wire, alias)
        if found == alias:
            message = f"{alias} is a collection of Milvus at {self._wire.address}, so it cannot be an alias"
            fix = f"choose another alias; or rename that collection (MilvusClient.rename_collection), and applications find the new one under {alias}"
            raise ConfigError(message, fix=fix, code="alias_is_collection")
        return found

    def point(self, alias: str, collection: str) -> None:
        """Let ``alias`` lead to ``collection`` from now on, made where there is none. Safe twice. Raise ``PermanentError`` when that is gone or not allowed."""
        there = self.leads_to(alias)
        if there == collection:
            return
        what = f"point the alias {alias} at {collection}"
        if there is None:
            self._wire.call("CreateAlias", pb.CreateAliasRequest(collection_name=collection, alias=alias), what)
        else:
            self._wire.call("AlterAlias", pb.AlterAliasRequest(collection_name=collection, alias=alias), what)

    def drop(self, alias: str) -> None:
        """Remove ``alias``, never a collection. One that is gone is no error."""
        if self.leads_to(alias) is None:
            return
        try:
            self._wire.call("DropAlias", pb.DropAliasRequest(alias=alias), f"remove the alias {alias}")
        except PermanentError as error:
            if error.code != "not_found":  # somebody else was faster
                raise

    def address(self, alias: str) -> Address:
        """Return how an application reaches, by ``alias``, what it leads to."""
        return address_of(replace(self._settings, collection=alias))
