"""The control plane: what an index is, and creating, changing and deleting one. Through the SDK, and plain REST where that cannot."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

import httpx
from pinecone import Pinecone, RetryConfig
from pinecone.errors import NotFoundError, PineconeError
from pinecone.models.indexes.deployment import ByocDeployment, PodDeployment
from pinecone.models.indexes.read_capacity import ReadCapacityDedicatedResponse
from pinecone.models.indexes.schema import DenseVectorField, LegacyMetadataField, SemanticTextField, SparseVectorField

from migrator.connectors.pinecone.failures import check, not_found, translate
from migrator.errors import ConfigError, PermanentError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from migrator.connectors.pinecone.options import Settings
    from migrator.model import Metric

DEFAULT_CONTROLLER = "https://api.pinecone.io"
PODS_VERSION = "2025-10"
"""The last API version that creates pod indexes; the SDK's own refuses (``deployment_type 'pod' is not supported``)."""
PLAIN_VERSION = "2026-04"
"""The last API version that takes dimension and metric without a schema."""
_POLL_SECONDS = (0.1, 5.0)


@dataclass(frozen=True)
class Index:
    """What the control plane says of one index."""

    name: str
    host: str
    """URL of its data plane, with scheme."""
    ready: bool
    state: str
    kind: str
    """``serverless``, ``serverless with dedicated read capacity``, ``pod p1.x1`` or ``BYOC``."""
    pod: bool
    """Pods cannot list their ids."""
    dimension: int | None
    """0 when it holds sparse vectors only; None when only its statistics tell."""
    metric: Metric | None
    protected: bool
    place: str
    """Where it runs, for people: ``aws us-east-1``, or a pod environment."""
    private_host: str = ""
    """URL of its data plane inside the user's own network; "" where there is none."""


class Control:
    """The control plane as one key sees it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stopped = threading.Event()
        self.address = settings.controller or DEFAULT_CONTROLLER
        try:
            # one owner of retry: ours
            self.client = Pinecone(api_key=settings.api_key, host=self.address, timeout=settings.timeout, retry_config=RetryConfig(max_retries=0))
        except PineconeError as error:
            raise translate(error, what="open the client", address=self.address) from error

    def call(self, what: str, action: Callable[[], Any]) -> Any:
        """Return ``action()``; its errors become ours, ``what`` being the verb phrase."""
        try:
            return action()
        except Exception as error:
            raise translate(error, what=what, address=self.address) from error

    def names(self) -> list[str]:
        """Return the names of the project's indexes."""
        return [found.name for found in self.call("list the indexes", lambda: list(self.client.indexes.list()))]

    def describe(self) -> Index:
        """Return the index. Raise ``ConfigError``: ``not_found`` when there is none, ``document_index`` when it is no vector index."""
        name = self._settings.index
        try:
            model = self.client.indexes.describe(name)
        except NotFoundError as error:
            raise not_found(name, self.names(), self.address) from error
        except Exception as error:
            raise translate(error, what=f"describe index {name}", address=self.address) from error
        return index_of(model)

    def find(self) -> Index | None:
        """Return the index, or None when there is none."""
        try:
            return self.describe()
        except ConfigError as error:
            if error.code == "not_found":
                return None
            raise

    def create(self, dimension: int, metric: Metric) -> None:
        """Ask for the index; ``dimension`` 0 is one for sparse vectors only. ``ready`` waits for it."""
        if self._settings.pods is not None:
            self._create_pods(dimension, metric)
            return
        settings = self._settings
        field = {"_values": {"type": "dense_vector", "dimension": dimension, "metric": metric}} if dimension else {"_sparse_values": {"type": "sparse_vector"}}
        wanted: dict[str, Any] = {
            "name": settings.index,
            "deletion_protection": "enabled" if settings.deletion_protection else "disabled",
            "tags": dict(settings.tags) or None,
            "read_capacity": dict(settings.read_capacity) if settings.read_capacity else None,
        }
        deployment = {"deployment_type": "managed", "cloud": settings.cloud, "region": settings.region}
        what = f"create index {settings.index}"
        try:
            self.call(what, lambda: self.client.indexes.create(schema={"fields": field}, deployment=deployment, timeout=-1, **wanted))
        except PermanentError as error:
            if error.code not in {"bad_request", "not_supported"}:
                raise
            self._create_plainly(dimension, metric, wanted, error)

    def _create_plainly(self, dimension: int, metric: Metric, wanted: Mapping[str, Any], refusal: PermanentError) -> None:
        """Create with the body of the API before schemas; should that be refused as well, it is the first refusal that tells why."""
        capacity = wanted["read_capacity"]
        place = {"cloud": self._settings.cloud, "region": self._settings.region} | ({"read_capacity": capacity} if capacity else {})
        vectors = {"dimension": dimension, "metric": metric, "vector_type": "dense"} if dimension else {"metric": "dotproduct", "vector_type": "sparse"}
        body = {**vectors, "spec": {"serverless": place}, **{name: wanted[name] for name in ("name", "deletion_protection", "tags") if wanted[name]}}
        try:
            self.rest("POST", "/indexes", PLAIN_VERSION, f"create index {self._settings.index}", body)
        except PermanentError as error:
            raise refusal from error

    def _create_pods(self, dimension: int, metric: Metric) -> None:
        pods = self._settings.pods
        if pods is None or not dimension:
            raise ConfigError("a pod index holds dense vectors only", fix="leave environment= and the other pod options out", code="bad_option")
        spec: dict[str, Any] = {"environment": pods.environment, "pod_type": pods.pod_type, "replicas": pods.replicas, "shards": pods.shards}
        spec |= {"pods": pods.replicas * pods.shards} | ({"metadata_config": dict(pods.metadata_config)} if pods.metadata_config else {})
        body: dict[str, Any] = {"name": self._settings.index, "dimension": dimension, "metric": metric, "spec": {"pod": spec}}
        body["deletion_protection"] = "enabled" if self._settings.deletion_protection else "disabled"
        if self._settings.tags:
            body["tags"] = dict(self._settings.tags)
        self.rest("POST", "/indexes", PODS_VERSION, f"create pod index {self._settings.index} (accounts opened since August 2025 cannot)", body)

    def rest(self, method: str, path: str, version: str, what: str, body: Mapping[str, Any] | None = None) -> Any:
        """Return the JSON answer to a plain request of an older API version."""
        headers = {"Api-Key": self._settings.api_key, "X-Pinecone-Api-Version": version}
        try:
            response = httpx.request(method, f"{self.address}{path}", headers=headers, json=body, timeout=self._settings.timeout)
        except httpx.TransportError as error:
            raise translate(error, what=what, address=self.address) from error
        return check(response, what=what, address=self.address)

    def ready(self) -> Index:
        """Return the index once it is ready. Raise ``TransientError`` after ``ready_timeout`` seconds, ``PermanentError`` when its making failed."""
        pause, longest = _POLL_SECONDS
        end = time.monotonic() + self._settings.ready_timeout
        while True:
            found = self.describe()
            if found.ready and found.host:
                return found
            if found.state == "InitializationFailed":
                raise PermanentError(f"Pinecone could not make index {found.name}", fix="delete it, and choose another cloud=, region= or size")
            if time.monotonic() > end:
                raise TransientError(f"index {found.name} is still {found.state} after {self._settings.ready_timeout} s", fix="resume once it is ready")
            if self._stopped.wait(pause):
                raise TransientError(f"stopped while index {found.name} was {found.state}", fix="resume once it is ready")
            pause = min(pause * 1.5, longest)

    def configure(self, what: str, **changes: Any) -> None:
        """Change deployment, read capacity or protection."""
        self.call(what, lambda: self.client.indexes.configure(self._settings.index, **changes))

    def delete(self) -> None:
        """Ask for the index to be deleted and return at once; one that is gone already is no error."""
        name = self._settings.index
        try:
            self.client.indexes.delete(name, timeout=-1)
        except NotFoundError:
            return
        except Exception as error:
            raise translate(error, what=f"delete index {quote(name)}", address=self.address) from error

    def interrupt(self) -> None:
        """Wait for nothing any more."""
        self._stopped.set()

    def close(self) -> None:
        """Close the connections. Safe twice."""
        self.client.close()


def index_of(model: Any) -> Index:
    """Return our description of the SDK's ``IndexModel``."""
    fields = model.schema.fields
    foreign = [name for name, field in fields.items() if name not in {"_values", "_sparse_values"} and not isinstance(field, _VECTOR_INDEX_FIELDS)]
    if foreign:
        # the data plane refuses vectors there, and answers reads with nothing, which would look like an empty index
        message = f"{model.name} is a document index (its schema has the field {foreign[0]!r}), and this tool copies vector indexes"
        raise ConfigError(message, fix="choose a vector index, whose schema is _values and _sparse_values", code="document_index")
    dense = next((field for field in fields.values() if isinstance(field, DenseVectorField)), None)
    sparse_only = dense is None and any(isinstance(field, SparseVectorField) for field in fields.values())
    metric = dense.metric if dense is not None else "dotproduct" if sparse_only else None
    deployment = model.deployment
    return Index(
        name=model.name,
        host=model.host or "",
        ready=model.status.ready,
        state=model.status.state,
        kind=_kind(model),
        pod=isinstance(deployment, PodDeployment),
        dimension=dense.dimension if dense is not None else 0 if sparse_only else None,
        metric=cast("Metric | None", metric),
        protected=model.deletion_protection == "enabled",
        place=deployment.environment if isinstance(deployment, (PodDeployment, ByocDeployment)) else f"{deployment.cloud} {deployment.region}",
        private_host=getattr(model, "private_host", None) or "",
    )


_VECTOR_INDEX_FIELDS = (LegacyMetadataField, SemanticTextField)
"""Fields that a vector index may have too: metadata declared before schemas were typed, and the text of an older index with its own model."""


def _kind(model: Any) -> str:
    if isinstance(model.deployment, PodDeployment):
        return f"pod {model.deployment.pod_type}"
    kind = "BYOC" if isinstance(model.deployment, ByocDeployment) else "serverless"
    return f"{kind} with dedicated read capacity" if isinstance(model.read_capacity, ReadCapacityDedicatedResponse) else kind
