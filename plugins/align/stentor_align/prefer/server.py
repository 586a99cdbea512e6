"""The local server: one page, what it asks next, the sounds of it, and votes; nothing comes from outside."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from markupsafe import Markup

from stentor.errors import StentorError
from stentor.report import page
from stentor_align.prefer.showing import Showing
from stentor_align.prefer.sitting import Sitting

LOOPBACK = ("127.0.0.1", "localhost")
_LARGEST_BODY = 1 << 16
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'nonce-{}'; media-src blob:; connect-src 'self'; \
frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


class Server(ThreadingHTTPServer):
    """Serves a sitting at ``http://HOST:PORT/``.

    Args:
        host: address to listen on.
        port: 0 takes a free one.
        sitting: whose questions are asked.
        showing: what the page may know of a question.

    Raises:
        StentorError: when the address is not to be had.
    """

    daemon_threads = True

    def __init__(self, host: str, port: int, sitting: Sitting, showing: Showing) -> None:
        self.sitting, self.showing = sitting, showing
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as cause:
            told = f"cannot listen there: {getattr(cause, 'strerror', None) or cause}."
            raise StentorError(told, path="--port", value=port, suggestion="Port 0 takes a free one.") from cause
        self.address = f"http://{host}:{self.server_address[1]}/"
        # names that pages may call this server by: a stranger's name that was pointed at this address must not read it
        self.known = {f"{name}:{self.server_address[1]}" for name in LOOPBACK} if host in LOOPBACK else None


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer({"/": self._page, "/next": self._next, "/pair": self._pair, "/state": self._state}, self._sound)

    def do_POST(self) -> None:
        self._answer({"/vote": self._vote}, None)

    def _answer(self, known: Mapping[str, Any], other: Any) -> None:
        address = urlsplit(self.path)
        self.asked = {name: values[0] for name, values in parse_qs(address.query).items()}
        try:
            body = self._body()
            if self._foreign():
                self._json({"error": "this server answers to pages of its own alone."}, 403)
            elif address.path in known:
                known[address.path](body) if self.command == "POST" else known[address.path]()
            elif other is not None and re.fullmatch("/sound/[^/]+/[^/]+", address.path):
                other(*map(unquote, address.path.split("/")[2:]))
            else:
                self._json({"error": f"there is nothing at '{address.path[:80]}'."}, 404)
        except StentorError as error:
            self._json({"error": str(error)}, 400)
        except OSError:
            self.close_connection = True  # the tab has gone

    def _foreign(self) -> bool:
        origin, host = self.headers.get("Origin"), self.headers.get("Host", "")
        strange = self.server.known is not None and host not in self.server.known
        return strange or (origin is not None and urlsplit(origin).netloc != host)

    def _body(self) -> Any:
        told = self.headers.get("Content-Length", "0")
        if not told.isdecimal() or int(told) > _LARGEST_BODY:
            self.close_connection = True
            raise StentorError(f"a vote says its length, and has at most {_LARGEST_BODY} bytes.")
        try:
            return json.loads(self.rfile.read(int(told)) or "null")
        except ValueError as cause:
            raise StentorError("a vote is JSON.") from cause

    def _page(self) -> None:
        nonce = secrets.token_urlsafe(16)
        text = page.render("stentor_align.prefer:prefer.html.jinja", nonce=nonce, title=self.server.showing.title,
                           code=Markup(page.resource("stentor_align.prefer:prefer.js")))  # fmt: skip
        self._send(200, "text/html; charset=utf-8", text.encode(), {"Content-Security-Policy": _POLICY.format(nonce)})

    def _next(self) -> None:
        question = self.server.sitting.next(self.asked.get("tab", ""))
        self._json({"pair": question and self.server.showing.shown(question), **self._told()})

    def _pair(self) -> None:
        question = self.server.sitting.again(self.asked.get("tab", ""), self.asked.get("pair", ""))
        self._json({"pair": self.server.showing.shown(question), **self._told(question.id)})

    def _state(self) -> None:
        self._json(self._told(self.asked.get("pair", "")))

    def _vote(self, body: Any) -> None:
        if not isinstance(body, dict) or not all(isinstance(value, str) for value in body.values()):
            raise StentorError("a vote is an object of texts: pair, choice, tab, ballot.")
        unknown = sorted(set(body) - {"pair", "choice", "tab", "ballot"})
        if unknown or not {"pair", "choice"} <= set(body):
            raise StentorError("a vote has 'pair' and 'choice', and may have 'tab' and 'ballot'; nothing else.")
        self.server.sitting.vote(**body)
        self._json(self._told(body["pair"]))

    def _told(self, pair: str = "") -> dict[str, Any]:
        """Progress, and the vote that a pair has, with the tab it came from."""
        vote = self.server.sitting.votes.last.get(pair)
        return {"progress": self.server.sitting.progress(), "vote": vote and {"choice": vote.choice, "tab": vote.tab}}

    def _sound(self, pair: str, what: str) -> None:
        sound = self.server.showing.sound(self.server.sitting.question(pair), what)
        self._send(200, "audio/wav", sound)

    def _json(self, told: Mapping[str, Any], status: int = 200) -> None:
        self._send(status, "application/json", json.dumps(told).encode())

    def _send(self, status: int, kind: str, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        own = {"Content-Type": kind, "Content-Length": str(len(body)), "Cache-Control": "no-store",
               "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}  # fmt: skip
        for name, value in {**own, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: the terminal is the person's."""
