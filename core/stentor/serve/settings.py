"""How a server is set up; imports nothing heavy."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path

from stentor.errors import Problem, StentorError

KEY_VARIABLE = "STENTOR_API_KEY"
"""Environment variable with the key that clients must send; unset or empty: no key is asked for."""


@dataclass(frozen=True)
class ServeSettings:
    """Address and limits of a server.

    Attributes:
        host: address to listen on.
        port: 0 takes a free one.
        max_upload_mb: largest request body (MiB).
        max_seconds: longest audio of one request (s).
        max_characters: longest text of one request.
        rate: requests per minute of one client (its address); 0: no limit.
        queue: how many requests may be in work or waiting at once; further ones are told to come back.
        batch: how many pieces of work the model gets at once.
        batch_seconds: how much audio it gets at once, padding included (s); who comes in the meantime waits for it.
        gather_ms: how long an idle model waits for more pieces to come in (ms).
        idle_seconds: how long a client may be silent in the middle of an upload (s).
        grace_seconds: how long requests in work may take to finish when the server is stopped (s).
        key: what clients must send as ``Authorization: Bearer KEY``; empty: nothing.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    max_upload_mb: float = 100.0
    max_seconds: float = 3600.0
    max_characters: int = 4096
    rate: float = 0.0
    queue: int = 64
    batch: int = 8
    batch_seconds: float = 30.0
    gather_ms: float = 5.0
    idle_seconds: float = 30.0
    grace_seconds: float = 60.0
    key: str = ""

    def check(self) -> None:
        """Refuse what cannot be.

        Raises:
            StentorError: with everything that is out of range.
        """
        least = {"port": 0, "max_characters": 1, "rate": 0, "queue": 1, "batch": 1, "gather_ms": 0, "grace_seconds": 0}
        problems = [
            Problem(f"must be at least {low}.", f"--{name.replace('_', '-')}", getattr(self, name))
            for name, low in least.items()
            if getattr(self, name) < low
        ]
        problems += [
            Problem("must be more than 0.", f"--{name.replace('_', '-')}", getattr(self, name))
            for name in ("max_upload_mb", "max_seconds", "idle_seconds", "batch_seconds")
            if not getattr(self, name) > 0
        ]
        problems += [
            Problem("must be a finite number.", f"--{field.name.replace('_', '-')}", value)
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), float) and not math.isfinite(value)
        ]
        if self.port > 65535:
            problems.append(Problem("there are ports up to 65535.", "--port", self.port))
        if problems:
            raise StentorError(problems=problems)


@dataclass(frozen=True)
class Model:
    """What is served, as the user named it: a run folder, or a name that a capability knows.

    Attributes:
        run: folder of a run or of an export; None when a name was given, or nothing.
        name: of a model that needs no run; empty: the capability's default.
        alias: what clients shall call it; empty: its own name.
        device: where to compute.
        changes: of the run, as far as a capability takes any, e.g. ``decoder=ctc-beam``.
        voices: folder of recordings that say whom to sound like, as far as a capability takes any.
    """

    run: Path | None = None
    name: str = ""
    alias: str = ""
    device: str = "auto"
    changes: tuple[str, ...] = ()
    voices: Path | None = None
