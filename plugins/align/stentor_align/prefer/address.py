"""The address that a page is served at: whether it is this machine's own, and why it cannot be had."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from stentor.errors import StentorError

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
"""Names that browsers of this machine have for it."""


def loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def named(host: str) -> str:
    """A host as it stands in a URL."""
    return f"[{host}]" if ":" in host else host


def family(host: str) -> socket.AddressFamily:
    """The family of a host's address: IPv6 where it has colons."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def check(host: str, port: int) -> None:
    """Refuse an address that is not to be had, before anything that takes long.

    Raises:
        StentorError: says why.
    """
    with refusing(host, port), socket.socket(family(host)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))


@contextmanager
def refusing(host: str, port: int) -> Iterator[None]:
    """Turn what keeps the block from listening into one `StentorError`."""
    if not host.strip():  # the system would take it for all addresses
        raise StentorError("it must name an address, such as 127.0.0.1; 0.0.0.0 is every one.", path="--host")
    try:
        yield
    except (socket.gaierror, ValueError, TypeError) as cause:
        told = "there is no such address; 127.0.0.1 is this machine."
        raise StentorError(told, path="--host", value=host, suggestion=None) from cause
    except (OSError, OverflowError) as cause:
        code = getattr(cause, "errno", None) or 0
        if code == errno.EADDRNOTAVAIL:
            told = f"'{host}' is no address of this machine; 127.0.0.1 is."
            raise StentorError(told, path="--host", value=host, suggestion=None) from cause
        why = {errno.EADDRINUSE: "another program listens there", errno.EACCES: "that needs more rights"}
        reason = why.get(code) or getattr(cause, "strerror", None) or "a port is a number from 0 to 65535"
        told = f"cannot listen on port {port} of {host}: {reason}."
        raise StentorError(told, path="--port", value=port, suggestion="Port 0 takes a free one.") from cause
