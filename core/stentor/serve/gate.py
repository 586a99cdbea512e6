"""The gate that every request passes: identity, key, rate, queue, size; and the one place where errors are answered."""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse

from stentor.errors import StentorError
from stentor.serve.limits import Body, Rate, Room, check_key
from stentor.serve.refusals import Refusal
from stentor.serve.settings import ServeSettings

log = logging.getLogger("stentor.serve")
_IDENTITY = re.compile(r"[A-Za-z0-9._-]{1,64}")
_GONE = 499


class Gate:
    """ASGI middleware around all routes; the health route is let through without a key.

    Args:
        app: the routes, bare: what they raise comes through to here.
        settings: the limits.
        paths: of all routes, for those who miss them.
    """

    def __init__(self, app: Any, settings: ServeSettings, paths: Sequence[str] = ()) -> None:
        self.app, self.settings, self.paths = app, settings, paths
        self.rate, self.room = Rate(settings.rate), Room(settings.queue)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        answer = _Answer(send, _identity(headers))
        body = Body(receive, self.settings, headers.get("content-length", ""))
        scope.setdefault("state", {})["request_id"] = answer.identity
        scope["app"] = self  # Starlette's router raises what it refuses where there is an app, else it answers itself
        try:
            await self._pass(scope, headers, body, answer)
        except asyncio.CancelledError:  # the server stops, and has waited for this request as long as it may
            stopping = Refusal("the server is stopping.", status=503, code="stopping", retry_after=1)
            await self._refuse(scope, stopping, headers, body, answer)
        except ClientDisconnect:
            answer.status = answer.status or _GONE
        except StentorError as error:
            await self._refuse(scope, Refusal.of(error), headers, body, answer)
        except HTTPException as error:
            await self._refuse(scope, self._in_our_words(scope, error), headers, body, answer)
        except Exception as cause:  # whatever a capability raises is answered, logged, and survived
            await self._refuse(scope, failure(cause, answer.identity), headers, body, answer)
        finally:
            answer.log(scope)

    async def _pass(self, scope: Any, headers: Headers, body: Body, answer: _Answer) -> None:
        works = scope["method"] not in ("GET", "HEAD", "OPTIONS")
        if scope["path"] != "/health":
            check_key(headers.get("authorization", ""), self.settings)
            if works:
                self.rate.take((scope.get("client") or ("",))[0])
        body.check_declared()
        with self.room.one() if works else nullcontext():
            await self.app(scope, body.receive, answer.send)

    async def _refuse(self, scope: Any, refusal: Refusal, headers: Headers, body: Body, answer: _Answer) -> None:
        if answer.status:  # too late for another answer: the connection is all that can be closed
            log.warning("%s broke off: %s", answer.identity, refusal)
            return
        if "expect" not in headers:
            await body.drain()
        response = JSONResponse(refusal.body(answer.identity), refusal.status, refusal.headers())
        await response(scope, body.receive, answer.send)

    def _in_our_words(self, scope: Any, error: HTTPException) -> Refusal:
        """What Starlette refuses: no such route, a wrong method, a malformed form."""
        where, status = scope["path"], error.status_code
        if status == 404:
            return Refusal(f"there is nothing at '{where}'.", status=404, code="not_found", value=where,
                           options=self.paths)  # fmt: skip
        if status == 405:
            told = f"'{where}' does not take {scope['method']}."
            return Refusal(told, status=405, code="method_not_allowed")
        return Refusal(f"the request cannot be read: {error.detail}", status=status)


class _Answer:
    """What is sent back: it carries the request's identity, and is logged."""

    def __init__(self, send: Any, identity: str) -> None:
        self._send, self.identity, self.status = send, identity, 0
        self._begun = time.monotonic()

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", []), (b"x-request-id", self.identity.encode())]
        await self._send(message)

    def log(self, scope: Any) -> None:
        seconds = time.monotonic() - self._begun
        path = quote(scope["path"])  # a line of the log is a request, whatever its path holds
        log.info("%s %s %s %d %.3f s", self.identity, scope["method"], path, self.status, seconds)


def failure(cause: Exception, identity: str) -> Refusal:
    """What a client is told of `cause`: bad input in its own words; of all else only where the log has it."""
    if isinstance(cause, StentorError):
        return Refusal.of(cause)
    log.error("%s failed", identity, exc_info=cause)
    told = f"the server failed on this request; its log has the cause under {identity}."
    return Refusal(told, status=500, code="internal_error")


def _identity(headers: Headers) -> str:
    """The client's own, where it is short and plain."""
    given = headers.get("x-request-id", "")
    return given if _IDENTITY.fullmatch(given) else f"req-{uuid.uuid4().hex}"
