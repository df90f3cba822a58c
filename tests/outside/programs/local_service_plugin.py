"""A pytest plugin for the official SDK's own tests: gRPC without TLS, which is the client's ``secure=False``, and no pauses meant for a cloud."""

import asyncio
import time

from pinecone.grpc import GrpcIndex

LONGEST = 0.05

_sleep, _asyncio_sleep, _init = time.sleep, asyncio.sleep, GrpcIndex.__init__


async def _short_sleep(seconds: float, result: object = None) -> object:
    return await _asyncio_sleep(min(seconds, LONGEST), result)


def _plain_text(self: GrpcIndex, *arguments: object, **options: object) -> None:
    _init(self, *arguments, **{"secure": False, **options})


time.sleep = lambda seconds: _sleep(min(seconds, LONGEST))
asyncio.sleep = _short_sleep
GrpcIndex.__init__ = _plain_text
