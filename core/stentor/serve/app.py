"""The application: the routes of all capabilities, health and the list of models, behind the gate."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router

from stentor import __version__
from stentor.errors import StentorError
from stentor.serve.capability import Capability
from stentor.serve.gate import Gate
from stentor.serve.refusals import unknown_model
from stentor.serve.settings import ServeSettings


def build(capabilities: Mapping[str, Capability], settings: ServeSettings) -> Gate:
    """The ASGI application; its lifespan's end closes the capabilities.

    Raises:
        StentorError: when two capabilities want the same path.
    """
    own = _Own(capabilities)
    routes: list[Any] = [*own.routes(), *(route for each in capabilities.values() for route in each.routes())]
    _refuse_twins(routes)

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        yield  # a server that is stopped by force leaves here, and waits for nobody
        for each in capabilities.values():
            each.close()

    gate = Gate(Router(routes, lifespan=lifespan), settings, sorted(route.path for route in routes))
    own.room = gate.room
    return gate


class _Own:
    """The shell's own routes."""

    room: Any

    def __init__(self, capabilities: Mapping[str, Capability]) -> None:
        self._capabilities, self._begun = capabilities, int(time.time())

    def routes(self) -> list[Route]:
        return [
            Route("/health", self.health),
            Route("/v1/models", self.models),
            Route("/v1/models/{name:path}", self.one_model),
        ]

    async def health(self, request: Request) -> Response:
        told = {name: each.state() for name, each in self._capabilities.items()}
        room = {"in_work": self.room.taken, "queue": self.room.most}
        return JSONResponse({"status": "ok", "stentor": __version__, "capabilities": told, **room})

    async def models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [self._about(name) for name in self._names()]})

    async def one_model(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self._names():
            raise unknown_model(name, self._names())
        return JSONResponse(self._about(name))

    def _names(self) -> list[str]:
        return list(dict.fromkeys(each.model for each in self._capabilities.values()))

    def _about(self, name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": self._begun, "owned_by": "stentor"}


def _refuse_twins(routes: list[Any]) -> None:
    paths = [route.path for route in routes]
    twins = sorted({path for path in paths if paths.count(path) > 1})
    if twins:
        raise StentorError(f"two capabilities mount '{twins[0]}'.", path=twins[0])
