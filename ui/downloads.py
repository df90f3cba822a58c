"""Downloads: short-lived signed links, and the route that streams the file behind one.

``st.download_button`` would hold the whole file in memory, and the sign-in of the dashboard does not guard routes: so a page that
may show a file signs a link to it, and the route serves nothing else.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, PlainTextResponse, Response

if TYPE_CHECKING:
    from starlette.requests import Request

LIFETIME = 3600
"""Seconds a link works; a page draws fresh ones whenever it is drawn."""

# identity: gzip in front of a big file is several times slower and takes its Content-Length away
HEADERS = {"Content-Encoding": "identity", "Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}
MOST_TEXTS = 256
"""Small generated files kept for a click; the oldest are forgotten."""

_texts: OrderedDict[str, bytes] = OrderedDict()
_lock = threading.Lock()
_signer = URLSafeTimedSerializer(secrets.token_bytes(32), salt="download")  # a new key each start: no key lies on disk


def link(path: Path, name: str | None = None) -> str:
    """Return a link to ``path``, downloaded as ``name``. Only files the service named may be given here."""
    real = os.path.realpath(path)
    return "/api/files/" + _signer.dumps([real, name or Path(path).name])


def text_link(text: str, name: str) -> str:
    """Return a link to ``text``, a plan for example, downloaded as ``name``. Equal texts share one place in memory."""
    content = text.encode()
    key = hashlib.sha256(content).hexdigest()
    with _lock:
        _texts[key] = content
        _texts.move_to_end(key)
        while len(_texts) > MOST_TEXTS:
            _texts.popitem(last=False)
    return "/api/files/" + _signer.dumps([f"text:{key}", name])


async def send(request: Request) -> Response:
    """Stream the file of a signed link; ranges are honoured, so an interrupted download can go on."""
    try:
        real, name = _signer.loads(request.path_params["token"], max_age=LIFETIME)
    except SignatureExpired:
        return PlainTextResponse("This download link has expired. Reload the page it was on and click again.\n", 410)
    except BadSignature:
        return PlainTextResponse("This is not a download link of this server. Open the Export page and click there.\n", 403)
    if real.startswith("text:"):
        return _send_text(real.removeprefix("text:"), name)
    if not await run_in_threadpool(_is_still, real):
        return PlainTextResponse("This file is no longer there. Reload the Export page to see what is.\n", 404)
    return FileResponse(real, filename=name, headers=HEADERS, media_type="application/octet-stream")


def _send_text(key: str, name: str) -> Response:
    with _lock:
        content = _texts.get(key)
    if content is None:
        return PlainTextResponse("This file is no longer kept. Reload the page it was on and click again.\n", 404)
    headers = {**HEADERS, "Content-Disposition": f"attachment; filename*=utf-8''{quote(name)}"}
    return Response(content, headers=headers, media_type="application/octet-stream")


def _is_still(real: str) -> bool:
    """Return whether ``real`` is a plain file and no part of its path has become a symbolic link since it was signed."""
    return os.path.realpath(real) == real and Path(real).is_file()


async def health(_request: Request) -> Response:
    """Say that the server answers."""
    return PlainTextResponse("ok\n")
