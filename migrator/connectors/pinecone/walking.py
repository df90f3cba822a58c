"""Walking through an index's pages of ids: one after another, or several stretches at once where page tokens turn out to be places.

A page has 100 ids and names the next by a token; one after another that is as slow as the network is long. The token is the base64 of
``{"skip_past": ID}`` in the examples of Pinecone's own clients. That is no promise, so it is not relied on: only when a token reads so, and
a token made for the middle of a page is seen to bring just the rest of it, are tokens made for ids in between.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from migrator import retry
from migrator.errors import PermanentError

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

PageOf = Callable[[str | None], tuple[list[str], str | None]]
"""Token of a page -> its ids and the token of the next."""
TokenOf = Callable[[str], str]
"""Id -> token of the page after it."""

AT_ONCE = 8
"""Stretches walked at once: 200 pages a second are allowed, and one takes some 40 ms."""


def walk(page: PageOf, stop: threading.Event, token: str | None = None, up_to: str | None = None) -> Iterator[list[str]]:
    """Yield the pages from ``token`` on, up to and with the id ``up_to``. Pages may come again: tokens expire, and then it is begun anew."""
    start, restarts = token, 0
    while not stop.is_set():
        try:
            ids, following = retry.call(lambda token=token: page(token), stop=stop)  # type: ignore[misc]
        except PermanentError as error:
            if token == start or error.code != "bad_request" or restarts == retry.ATTEMPTS:
                raise
            token, restarts = start, restarts + 1
            continue
        yield ids if up_to is None else [name for name in ids if name <= up_to]
        if following is None or (up_to is not None and ids and ids[-1] >= up_to):
            return
        token = following


def walk_at_once(page: PageOf, stop: threading.Event, cuts: Callable[[], Sequence[str]]) -> Iterator[list[str]]:
    """Yield the pages of all ids in order, stretches between ``cuts`` walked at once if tokens can be made for them."""
    ids, token = retry.call(lambda: page(None), stop=stop)
    make = token_maker(page, stop, ids, token) if token is not None else None
    # base64 has two alphabets; a token that is the same in both needs no guess which one is meant
    places = [cut for cut in cuts() if cut > ids[-1] and not set("+/") & set(make(cut))] if make is not None else []
    if make is None or not places:
        yield from walk(page, stop)
        return
    yield ids
    try:
        yield from _stretches(page, stop, [token, *(make(cut) for cut in places)], [*places, None])
    except PermanentError as error:
        if error.code != "bad_request":
            raise
        yield from walk(page, stop)  # what was listed comes again, and is known


def _stretches(page: PageOf, stop: threading.Event, starts: Sequence[str | None], ends: Sequence[str | None]) -> Iterator[list[str]]:
    """Yield the pages of each stretch in order, the next ones being walked meanwhile."""
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="pinecone-walk") as pool:
        ahead: deque[Future[list[list[str]]]] = deque()
        for start, end in zip(starts, ends, strict=True):
            ahead.append(pool.submit(_walked, page, stop, start, end))
            if len(ahead) == AT_ONCE:
                yield from ahead.popleft().result()
        while ahead:
            yield from ahead.popleft().result()


def _walked(page: PageOf, stop: threading.Event, start: str | None, end: str | None) -> list[list[str]]:
    return list(walk(page, stop, start, end))


def token_maker(page: PageOf, stop: threading.Event, ids: Sequence[str], token: str) -> TokenOf | None:
    """Return what makes tokens like ``token``, which follows the page ``ids``; None when it does not say where it is, or does not prove to."""
    make = _like(token, ids[-1]) if ids else None
    if make is None:
        return None
    middle = len(ids) // 2
    try:
        found, _ = retry.call(lambda: page(make(ids[middle])), stop=stop)
    except PermanentError:
        return None
    rest = list(ids[middle + 1 :])
    return make if found[: len(rest)] == rest and len(found) > len(rest) and found[len(rest)] > ids[-1] else None


def _like(token: str, last: str) -> TokenOf | None:
    """Return what makes tokens that say ``skip_past`` another id than ``last``."""
    try:
        fields = json.loads(base64.b64decode(token + "=" * (-len(token) % 4), validate=True))
    except (binascii.Error, ValueError):
        return None
    if not isinstance(fields, dict) or fields.get("skip_past") != last:
        return None
    return lambda name: base64.b64encode(json.dumps({**fields, "skip_past": name}, separators=(",", ":")).encode()).decode()
