"""REST requests to a Milvus server or to Zilliz Cloud: one POST at a time, nothing retried."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pymilvus import exceptions as sdk

from migrator.connectors.milvus.failures import translate
from migrator.connectors.milvus.tls import context_for
from migrator.errors import PermanentError, RateLimitedError, TransientError

if TYPE_CHECKING:
    import ssl

    from migrator.connectors.milvus.options import Settings
    from migrator.connectors.milvus.wire import Wire

_DONE = (0, 200)
"""``code`` of a success: 0, in the first releases 200."""


class Rest:
    """The REST interface of the server a wire leads to."""

    def __init__(self, wire: Wire, settings: Settings) -> None:
        self._database = settings.database
        self._settings = settings
        self._product = wire.product
        address = urlsplit(settings.rest_address)
        self._secure, self._host, self._port = address.scheme == "https", address.hostname or "", address.port
        self._address = settings.rest_address

    def post(self, path: str, body: dict[str, Any], what: str) -> dict[str, Any]:
        """Return the ``data`` of the answer. ``what`` is the verb phrase of the error a failure becomes."""
        headers = {"Content-Type": "application/json", "Accept": "application/json", "Authorization": f"Bearer {self._settings.token}"}
        if self._database:
            body, headers = body | {"dbName": self._database}, headers | {"DB-Name": self._database}
        if self._settings.managed:
            body = body | {"clusterId": self._settings.host.partition(".")[0]}
        connection = self._connection()
        try:
            connection.request("POST", path, json.dumps(body), headers)
            answer = connection.getresponse()
            status, text = answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            reason = str(error) or type(error).__name__
            raise TransientError(f"Milvus at {self._address} does not answer ({what}): {reason}", fix="check the address (rest_uri=), then resume") from error
        finally:
            connection.close()
        return self._data(status, text, what)

    def _data(self, status: int, text: bytes, what: str) -> dict[str, Any]:
        if status != http.client.OK:
            self._refuse(status, text, what)
        try:
            found = json.loads(text)
        except ValueError as error:
            raise PermanentError(f"what answers at {self._address} is no Milvus REST interface", fix="give its address with rest_uri=") from error
        if found.get("code") not in _DONE:
            refused = sdk.MilvusException(int(found.get("code") or 0), str(found.get("message") or "no reason given"))
            raise translate(refused, what=what, address=self._address)
        return found.get("data") or {}

    def _refuse(self, status: int, text: bytes, what: str) -> None:
        said = f"HTTP status {status} {text[:200].decode(errors='replace').strip()}"
        if status == http.client.TOO_MANY_REQUESTS:
            raise RateLimitedError(f"Milvus at {self._address} asks to slow down ({what})", fix="lower import_jobs=")
        if status in {http.client.UNAUTHORIZED, http.client.FORBIDDEN}:
            raise PermanentError(f"Milvus at {self._address} refuses to {what}: {said}", fix="give token= of a user that may import", code="sign_in_refused")
        if status == http.client.NOT_FOUND:
            message = f"{self._product} offers no import jobs at {self._address} ({what}): {said}"
            raise PermanentError(message, fix="give the address of its REST interface with rest_uri=, or use --route direct", code="not_supported")
        if status >= http.client.INTERNAL_SERVER_ERROR:
            raise TransientError(f"Milvus at {self._address} could not {what} just now: {said}", fix="check the health of the server, then resume")
        raise PermanentError(f"Milvus at {self._address} refused to {what}: {said}", fix="see the message of Milvus")

    def _connection(self) -> http.client.HTTPConnection:
        timeout = self._settings.timeout
        if not self._secure:
            return http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        return _Named(self._host, self._port, context_for(self._settings), timeout, self._settings.tls.get("server_name") or self._host)


class _Named(http.client.HTTPSConnection):
    """A connection to a server whose certificate may carry another name than its address."""

    def __init__(self, host: str, port: int | None, context: ssl.SSLContext, timeout: float, name: str) -> None:
        super().__init__(host, port, context=context, timeout=timeout)
        self._tls, self._name = context, name

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        self.sock = self._tls.wrap_socket(self.sock, server_hostname=self._name)
