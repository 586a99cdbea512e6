"""Who may come in: the key, how often, how many at once, how large."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from stentor.serve.refusals import Refusal
from stentor.serve.settings import ServeSettings

Receive = Callable[[], Any]
_CLIENTS = 10_000
"""So many clients' rates are remembered; the one longest unseen is forgotten first."""
_DRAINED = 5.0


class Rate:
    """A bucket of one minute's requests for every client, which fills steadily.

    Args:
        per_minute: 0: no limit.
        clock: tells the time (s).
    """

    def __init__(self, per_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second, self._most, self._clock = per_minute / 60, max(1.0, per_minute), clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str) -> None:
        """Count one request of `client`.

        Raises:
            Refusal: when its bucket is empty.
        """
        if not self._per_second:
            return
        now = self._clock()
        left, seen = self._left.pop(client, (self._most, now))
        left = min(self._most, left + (now - seen) * self._per_second)
        self._left[client] = (left - (left >= 1), now)
        while len(self._left) > _CLIENTS:
            self._left.popitem(last=False)
        if left < 1:
            raise Refusal(f"too many requests: {self._most:g} a minute are allowed.", status=429,
                          code="rate_limit_exceeded", retry_after=(1 - left) / self._per_second)  # fmt: skip


class Room:
    """How many requests are in work or wait for it."""

    def __init__(self, most: int) -> None:
        self.most, self.taken = most, 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """A place for one request.

        Raises:
            Refusal: when all are taken.
        """
        if self.taken >= self.most:
            raise Refusal(f"the server is busy: {self.most} requests are in work or waiting.", status=503,
                          code="queue_full", retry_after=1)  # fmt: skip
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1


def check_key(sent: str, settings: ServeSettings) -> None:
    """Compare the ``Authorization`` header with the server's key.

    Raises:
        Refusal: when there is a key and this is not it.
    """
    if settings.key and not hmac.compare_digest(sent.encode(), f"Bearer {settings.key}".encode()):
        raise Refusal("this server asks for its API key: Authorization: Bearer KEY.", status=401,
                      code="invalid_api_key")  # fmt: skip


class Body:
    """The body of a request as it comes in: counted, and not waited for without end.

    Args:
        receive: ASGI's.
        settings: the size and silence that are allowed.
        declared: its ``Content-Length``, if there is one.
    """

    def __init__(self, receive: Receive, settings: ServeSettings, declared: str) -> None:
        self._receive, self._silence = receive, settings.idle_seconds
        self._megabytes, self._most = settings.max_upload_mb, round(settings.max_upload_mb * 2**20)
        self._seen, self._ended = 0, False
        self.declared = int(declared) if declared.isdecimal() else 0

    def check_declared(self) -> None:
        """Refuse a body that is said to be too large before any of it is read."""
        self._check(self.declared)

    async def receive(self) -> Any:
        """The next message.

        Raises:
            Refusal: when the body is too large, or does not go on.
        """
        if self._ended:
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), self._silence)
        except TimeoutError:
            self._ended = True
            raise Refusal(f"nothing came for {self._silence:g} s in the middle of the request.", status=408,
                          code="request_timeout") from None  # fmt: skip
        self._seen += len(message.get("body", b""))
        self._ended = message["type"] != "http.request" or not message.get("more_body")
        self._check(self._seen)
        return message

    async def drain(self) -> None:
        """Read what is still coming, a while and up to a size: a client that sends does not listen to a refusal."""
        try:
            async with asyncio.timeout(_DRAINED):
                while not self._ended and self._seen <= 4 * self._most:
                    message = await self._receive()
                    self._seen += len(message.get("body", b""))
                    self._ended = message["type"] != "http.request" or not message.get("more_body")
        except TimeoutError:
            return

    def _check(self, size: int) -> None:
        if size > self._most:
            raise Refusal(f"the upload is larger than the {self._megabytes:g} MiB that this server takes.", status=413,
                          code="file_too_large", path="file")  # fmt: skip
