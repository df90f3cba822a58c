"""What an endpoint holds and can do, as pages and the command line show it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from migrator.connectors import connector, opened_source
from migrator.endpoints import parse, render

if TYPE_CHECKING:
    from migrator.model import Capabilities, Collection, Finding


@dataclass(frozen=True)
class Inspection:
    """What an endpoint holds and can do."""

    endpoint: str
    collection: Collection
    capabilities: Capabilities
    findings: tuple[Finding, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the ``inspect --json`` object."""
        collection = self.collection
        return {
            "connector": parse(self.endpoint).connector,
            "resource": parse(self.endpoint).resource,
            "name": collection.name,
            "kind": collection.kind,
            "dimension": collection.dimension,
            "metric": collection.metric,
            "id_type": collection.id_type,
            "count": collection.count,
            "namespaces": dict(collection.namespaces),
            "fields": dict(collection.fields),
            "sparse": collection.sparse,
            "lossless": collection.lossless,
            "findings": [asdict(finding) for finding in self.findings],
            "abilities": {name: getattr(self.capabilities, name) for name in ("reads", "writes", "deletes", "searches")},
        }


def inspect(endpoint: str) -> Inspection:
    """Look at ``endpoint``, without reading its records where the store allows it."""
    parsed = parse(endpoint)
    with opened_source(parsed) as source:
        collection = source.describe()
    return Inspection(render(parsed), collection, connector(parsed.connector).capabilities(parsed), collection.findings)
