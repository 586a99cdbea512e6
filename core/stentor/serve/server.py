"""Runs an application on a socket until it is told to stop; requests in work are finished first."""

from __future__ import annotations

import logging
import signal
import socket
import sys
from collections.abc import Mapping
from types import ModuleType

from stentor.errors import StentorError
from stentor.extras import require
from stentor.plugins import installed
from stentor.serve.capability import Capability
from stentor.serve.settings import Model, ServeSettings

LOOPBACK = ("127.0.0.1", "::1", "localhost")
_EXTRA = "serve"
_KEEP_ALIVE = 15


def serve(model: Model, settings: ServeSettings) -> None:
    """Open every capability that the model has, listen, and serve until SIGINT or SIGTERM.

    Raises:
        StentorError: when the extra is not installed, the model cannot be served or the address not be had.
    """
    settings.check()
    uvicorn, _, _ = (require(name, _EXTRA) for name in ("uvicorn", "starlette", "python_multipart"))
    _log_to_stderr()
    with _listening(settings) as listener:
        capabilities = opened(model, settings)
        from stentor.serve.app import build

        app = build(capabilities, settings)
        _announce(capabilities, settings, listener.getsockname()[1])
        _run(uvicorn, app, settings, listener)


def opened(model: Model, settings: ServeSettings) -> dict[str, Capability]:
    """The capabilities of `model`, by name, ready to work.

    Raises:
        StentorError: when there is none.
    """
    mounts = installed().mounts.table
    found = {name: mount.load().open(model, settings) for name, mount in mounts.items()}
    capabilities = {name: capability for name, capability in found.items() if capability is not None}
    if not capabilities:
        known = ", ".join(sorted(mounts)) or "none; install a plugin that brings one"
        raise StentorError(f"nothing here can serve '{model.run or model.name}'; installed capabilities: {known}.")
    return capabilities


def _listening(settings: ServeSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=1024)
    except (OSError, OverflowError) as cause:
        reason = getattr(cause, "strerror", None) or cause
        raise StentorError(f"cannot listen on {settings.host} port {settings.port}: {reason}.", path="--port",
                           suggestion="Port 0 takes a free one.") from cause  # fmt: skip
    listener.setblocking(False)
    return listener


def _announce(capabilities: Mapping[str, Capability], settings: ServeSettings, port: int) -> None:
    if settings.host not in LOOPBACK and not settings.key:
        print("stentor: anybody who reaches this address may use the server; STENTOR_API_KEY asks for a key.",
              file=sys.stderr)  # fmt: skip
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    models = ", ".join(dict.fromkeys(each.model for each in capabilities.values()))
    print(f"Serving {models} ({', '.join(capabilities)}) at http://{host}:{port}/v1", flush=True)


def _run(uvicorn: ModuleType, app: object, settings: ServeSettings, listener: socket.socket) -> None:
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="on",
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=max(1, round(settings.grace_seconds)),
        server_header=False,
        proxy_headers=False,
        ws="none",
    )
    # uvicorn raises the signal again once it has stopped; by then it has been answered
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log = logging.getLogger("stentor.serve")
    log.handlers, log.propagate = [handler], False
    log.setLevel(logging.INFO)
