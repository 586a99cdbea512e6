"""One HTTP request that ends in time, whatever the other side does."""

from __future__ import annotations

import http.client
import socket
import threading
import urllib.request
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any

LARGEST = 1 << 24
"""Most bytes of an answer that are read; a chat completion has far fewer."""


def post(url: str, body: bytes, headers: Mapping[str, str], seconds: float) -> bytes:
    """What a server answers to `body`, all of it, not redirected.

    The time-out of a socket begins anew with each byte, so that a server that drips would be listened to for ever. The
    request is therefore made in a thread of its own, and when the time is over its connection is shut.

    Args:
        url: of ``http`` or ``https``.
        body: what is sent.
        headers: of the request.
        seconds: that all of it may take: name, connection, request and answer.

    Raises:
        TimeoutError: when it takes longer.
        urllib.error.HTTPError: for a status that is no success.
        http.client.HTTPException: for an answer that is not HTTP, breaks off or has more than `LARGEST` bytes.
        OSError: when there is no connection.
        ValueError: for a request that cannot be sent.
    """
    line, answer = _Line(), Future[bytes]()
    request = urllib.request.Request(url, body, dict(headers))
    work = partial(_ask, urllib.request.build_opener(_Handler(line), _Stay), request, seconds, answer)
    threading.Thread(target=work, name="judge", daemon=True).start()
    try:
        return answer.result(seconds)
    finally:
        line.shut()


def _ask(opener: Any, request: urllib.request.Request, seconds: float, answer: Future[bytes]) -> None:
    try:
        with opener.open(request, timeout=seconds) as response:
            found = response.read(LARGEST + 1)
            if response.length:  # what its header promised and it did not send
                raise http.client.IncompleteRead(found, response.length)
            if len(found) > LARGEST:
                raise http.client.HTTPException(f"an answer of more than {LARGEST >> 20} MiB")
    except BaseException as error:
        answer.set_exception(error)
    else:
        answer.set_result(found)


class _Line:
    """The connections of a request, and the end of them."""

    def __init__(self) -> None:
        self._sockets: list[socket.socket] = []
        self._lock, self._over = threading.Lock(), False

    def hold(self, one: socket.socket) -> None:
        with self._lock:
            if self._over:  # nothing may be sent, and paid for, once nobody waits for it
                one.close()
                raise TimeoutError("out of time")
            self._sockets.append(one)

    def shut(self) -> None:
        with self._lock:
            self._over = True
            for one in self._sockets:
                with suppress(OSError):
                    socket.socket.shutdown(one, socket.SHUT_RDWR)  # wakes the thread that reads from it


class _Handler(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    """Opens connections that a line holds."""

    def __init__(self, line: _Line) -> None:
        urllib.request.HTTPSHandler.__init__(self)
        self.line = line

    def http_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(partial(_Plain, self.line), req)

    def https_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(partial(_Secure, self.line), req)


class _Plain(http.client.HTTPConnection):
    def __init__(self, line: _Line, host: str, **options: Any) -> None:
        super().__init__(host, **options)
        self.line = line

    def connect(self) -> None:
        super().connect()
        self.line.hold(self.sock)


class _Secure(http.client.HTTPSConnection):
    def __init__(self, line: _Line, host: str, **options: Any) -> None:
        super().__init__(host, **options)
        self.line = line

    def connect(self) -> None:
        super().connect()
        self.line.hold(self.sock)


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirection: what was posted would be lost on the way, and the key be told to somebody else."""

    def redirect_request(self, *_: Any) -> None:
        return None
