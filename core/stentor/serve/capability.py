"""What a plugin mounts on a server."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from stentor.serve.settings import Model, ServeSettings

if TYPE_CHECKING:
    from starlette.routing import BaseRoute


class Capability(ABC):
    """One thing that a server does with its model, e.g. transcription; registered by the hook `stentor_routes`.

    The shell has dealt with keys, rates, sizes and the queue before a route is called, and turns every `StentorError`
    into an answer of status 400 (`stentor.serve.refusals.Refusal` says another one).
    """

    @classmethod
    @abstractmethod
    def open(cls, model: Model, settings: ServeSettings) -> Capability | None:
        """The capability with its weights loaded; None when `model` is of a kind that it does not serve.

        Raises:
            StentorError: when the model is for it but cannot be loaded.
        """

    @property
    @abstractmethod
    def model(self) -> str:
        """What clients call the model."""

    @abstractmethod
    def routes(self) -> Sequence[BaseRoute]:
        """The routes to mount; their paths must not be those of another capability."""

    def state(self) -> dict[str, Any]:
        """What the health route tells of it, JSON-ready."""
        return {}

    def close(self) -> None:  # noqa: B027 (a capability need not hold anything)
        """Called once, when no request is in work any more."""
