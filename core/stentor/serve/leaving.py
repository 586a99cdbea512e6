"""Work for a client that may leave before it is done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from stentor.serve.batching import Abandoned

_Result = TypeVar("_Result")


async def while_listening(request: Request, work: Awaitable[_Result], abandon: Callable[[], None]) -> _Result:
    """The result of `work`, unless the client leaves before.

    Args:
        request: read to its end.
        work: ends in `Abandoned` soon after `abandon` was called, or goes on to its end.
        abandon: says that nobody waits.

    Raises:
        ClientDisconnect: when the client leaves.
    """
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_left(request))
    working.add_done_callback(seen)
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        abandon()
        with suppress(Abandoned):
            await working
        raise ClientDisconnect
    finally:
        leaving.cancel()
        if not working.done():
            abandon()


def seen(work: asyncio.Future[Any]) -> None:
    """Look at a failure that nobody may be left to look at; asyncio would complain of it."""
    if not work.cancelled():
        work.exception()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
