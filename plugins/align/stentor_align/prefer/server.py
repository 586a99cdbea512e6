"""The local server: one page, what it asks next, the sounds of it, and votes; nothing comes from outside."""

from __future__ import annotations

import json
import re
import secrets
import sys
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote

from markupsafe import Markup

from stentor.errors import StentorError
from stentor.report import page
from stentor_align.prefer.address import family, named, refusing
from stentor_align.prefer.gate import Gate, token
from stentor_align.prefer.showing import Showing
from stentor_align.prefer.sitting import Sitting

_LARGEST_BODY = 1 << 16
_SILENCE = 60
"""Seconds after which a connection on which nothing comes is closed."""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'nonce-{}'; media-src blob:; connect-src 'self'; \
frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


class Server(ThreadingHTTPServer):
    """Serves a sitting at `address`.

    Args:
        host: address to listen on; where not only this machine reaches it, everything needs the token.
        port: 0 takes a free one.
        sitting: whose questions are asked.
        showing: what the page may know of a question.
        secret: the token; empty: a new one.

    Attributes:
        address: what to open, with the token where it is needed.

    Raises:
        StentorError: when the address is not to be had.
    """

    daemon_threads = True

    def __init__(self, host: str, port: int, sitting: Sitting, showing: Showing, secret: str = "") -> None:
        self.sitting, self.showing = sitting, showing
        self.address_family = family(host)
        with refusing(host, port):
            super().__init__((host, port), _Handler)
        taken = self.server_address[1]
        self.gate = Gate(host, taken, secret or token())
        self.address = f"http://{named(host)}:{taken}/" + (f"?token={self.gate.secret}" if self.gate.guarded else "")

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A tab that has gone is no matter; anything else is told in a line."""
        error = sys.exception()
        if not isinstance(error, OSError):
            print(f"stentor: a request failed: {type(error).__name__}: {error}", file=sys.stderr)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    timeout = _SILENCE

    def do_GET(self) -> None:
        self._answer({"/": self._page, "/next": self._next, "/pair": self._pair, "/state": self._state}, self._sound)

    def do_POST(self) -> None:
        self._answer({"/vote": self._vote}, None)

    def _answer(self, known: Mapping[str, Any], other: Any) -> None:
        path, _, query = self.path.partition("?")
        self.asked = {name: values[0] for name, values in parse_qs(query).items()}
        try:
            body = self._body()  # read in any case: what is left of it would be taken for the next request
            if told := self.server.gate.refusal(self.headers, self.command, path, self.asked.get("token", "")):
                self._json({"error": told}, 403)
            elif path in known:
                known[path](_decoded(body)) if self.command == "POST" else known[path]()
            elif other is not None and re.fullmatch("/sound/[^/]+/[^/]+", path):
                other(*map(unquote, path.split("/")[2:]))
            else:
                self._json({"error": f"there is nothing at '{path[:80]}'."}, 404)
        except StentorError as error:
            self._json({"error": str(error)}, 400)
        except OSError:
            self.close_connection = True  # the tab has gone

    def _body(self) -> bytes:
        lengths = self.headers.get_all("Content-Length", ["0"])
        told = lengths[0]
        odd = len(lengths) > 1 or "Transfer-Encoding" in self.headers
        if odd or not re.fullmatch("[0-9]{1,9}", told) or int(told) > _LARGEST_BODY:
            self.close_connection = True
            raise StentorError(f"a vote says its length, and has at most {_LARGEST_BODY} bytes.")
        return self.rfile.read(int(told))

    def _page(self) -> None:
        nonce = secrets.token_urlsafe(16)
        code, shown = Markup(page.resource("stentor_align.prefer:prefer.js")), self.server.showing.title
        options = {"nonce": nonce, "title": shown, "token": self.server.gate.secret, "code": code}
        text = page.render("stentor_align.prefer:prefer.html.jinja", **options)
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
        if not isinstance(body, dict) or not all(map(_text, body.values())):
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


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body or b"null")
    except (ValueError, RecursionError) as cause:
        raise StentorError("a vote is JSON.") from cause


def _text(value: Any) -> bool:
    """Whether it is a text that a file can hold: half of a pair of surrogates is none."""
    return isinstance(value, str) and not re.search("[\ud800-\udfff]", value)
