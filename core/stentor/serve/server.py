"""Runs an application on a socket until it is told to stop; requests in work are finished first."""

from __future__ import annotations

import logging
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from stentor.errors import StentorError
from stentor.extras import require
from stentor.plugins import installed
from stentor.serve.capability import Capability
from stentor.serve.settings import Model, ServeSettings

LOOPBACK = ("127.0.0.1", "::1", "localhost")
_KEEP_ALIVE = 15


def serve(models: Sequence[Model], settings: ServeSettings) -> None:
    """Open every capability that the models have, listen, and serve until SIGINT or SIGTERM.

    Raises:
        StentorError: when the extra is not installed, a model cannot be served or the address not be had.
    """
    settings.check()
    _require()
    _log_to_stderr()
    with _listening(settings) as listener:
        capabilities = opened(models, settings)
        _announce(capabilities, settings, listener.getsockname()[1])
        server = _server(capabilities, settings)
        # uvicorn raises the signal again once it has stopped; by then it has been answered
        before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            server.run(sockets=[listener])
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def running(capabilities: Mapping[str, Capability], settings: ServeSettings) -> Iterator[str]:
    """A server in a thread of this process, for tests and notebooks; gives its address, e.g. ``http://127.0.0.1:4711``.

    Raises:
        StentorError: when the extra is not installed or the address not to be had.
    """
    settings.check()
    _require()
    with _listening(settings) as listener:
        server = _server(capabilities, settings)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="server")
        thread.start()
        try:
            yield f"http://{_host(settings)}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def opened(models: Model | Sequence[Model], settings: ServeSettings) -> dict[str, Capability]:
    """The capabilities of one or several models, by name, ready to work.

    Raises:
        StentorError: when a model has none, or two models have the same.
    """
    capabilities: dict[str, Capability] = {}
    for model in [models] if isinstance(models, Model) else models:
        for name, capability in _opened(model, settings).items():
            if name in capabilities:
                both = f"'{capabilities[name].model}' and '{capability.model}'"
                raise StentorError(f"{both} are both for {name}; a server has one model for it.", path="--model")
            capabilities[name] = capability
    return capabilities


def _opened(model: Model, settings: ServeSettings) -> dict[str, Capability]:
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
    models = ", ".join(dict.fromkeys(each.model for each in capabilities.values()))
    print(f"Serving {models} ({', '.join(capabilities)}) at http://{_host(settings)}:{port}/v1", flush=True)


def _host(settings: ServeSettings) -> str:
    return f"[{settings.host}]" if ":" in settings.host else settings.host


def _server(capabilities: Mapping[str, Capability], settings: ServeSettings) -> Any:
    import uvicorn

    from stentor.serve.app import build

    config = uvicorn.Config(
        build(capabilities, settings),
        log_config=None,
        access_log=False,
        lifespan="on",
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=max(1, round(settings.grace_seconds)),
        server_header=False,
        proxy_headers=False,
        ws="none",
    )
    return uvicorn.Server(config)


def _require() -> None:
    for name in ("uvicorn", "starlette", "python_multipart"):
        require(name, "serve")


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log = logging.getLogger("stentor.serve")
    log.handlers, log.propagate = [handler], False
    log.setLevel(logging.INFO)
