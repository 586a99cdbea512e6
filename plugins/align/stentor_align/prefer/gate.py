"""Who may ask the server what: pages of its own, and where others reach it, who knows its token."""

from __future__ import annotations

import re
import secrets
from email.message import Message
from pathlib import Path

from stentor.data.atomic import replacing, writing
from stentor_align.prefer.address import LOOPBACK, loopback, named

HEADER = "X-Stentor-Token"
"""What a page shows with everything that it asks; a page from elsewhere can neither read nor send it."""
_STRANGER = "this server answers to pages of its own alone."


def token() -> str:
    """A new token."""
    return secrets.token_urlsafe(24)


def kept(path: Path) -> str:
    """The token in a file that only its owner may read; a new one where there is none.

    A page that was open when the server was killed sends its vote to the next one, which must know it again.

    Raises:
        StentorError: when the file cannot be read or written.
    """
    with writing(path):
        found = path.read_bytes().decode(errors="replace").strip() if path.exists() else ""
    if re.fullmatch(r"[A-Za-z0-9_-]{32,}", found):
        return found
    fresh = token()
    with replacing(path) as temporary:
        temporary.touch(0o600)
        temporary.write_text(fresh + "\n")
    return fresh


class Gate:
    """Lets requests in or says why not.

    On an address of this machine alone, ``Host`` must be a name of it: a stranger's name that was pointed here must not
    read anything. Elsewhere nobody gets anything without the token. A vote always needs it, since a page from elsewhere
    may send a form here, and not every browser says where that came from.

    Args:
        host: address that is listened on.
        port: of it.
        secret: the token.
    """

    def __init__(self, host: str, port: int, secret: str) -> None:
        self.secret, self.guarded = secret, not loopback(host)
        names = {*LOOPBACK, named(host)}
        self._known = {f"{name}:{port}" for name in names} | (names if port == 80 else set())

    def refusal(self, headers: Message, command: str, path: str, given: str) -> str:
        """Why a request is refused with status 403, empty where it is not.

        Args:
            headers: of the request.
            command: ``GET`` or ``POST``.
            path: that is asked for.
            given: the token in the address, or nothing.
        """
        hosts, origins, sites = (headers.get_all(name, []) for name in ("Host", "Origin", "Sec-Fetch-Site"))
        if len(hosts) != 1 or len(origins) > 1 or len(sites) > 1:
            return _STRANGER
        host = str(hosts[0]).lower()
        if not self.guarded and host not in self._known:
            return _STRANGER
        if origins and origins[0] not in (f"http://{host}", f"https://{host}"):
            return _STRANGER
        # a link to the page may stand anywhere
        fine = ("same-origin",) if command == "POST" else ("same-origin", "none")
        if sites and sites[0] not in fine and path != "/":
            return _STRANGER
        shown = str(headers.get(HEADER, given)).encode(errors="replace")
        if (self.guarded or command == "POST") and not secrets.compare_digest(shown, self.secret.encode()):
            return "it lacks the token of this server; open the address that 'stentor prefer' has printed."
        return ""
