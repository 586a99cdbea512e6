"""A capability that needs no model: it answers when it is told to, or fails as it is told to."""

import http.client
import json
import threading

from starlette.responses import JSONResponse
from starlette.routing import Route

from stentor.errors import StentorError
from stentor.serve.capability import Capability


class Kettle(Capability):
    """``POST /v1/boil`` reads the body and answers with its size, once `ready` is set."""

    model = "kettle"

    def __init__(self):
        self.ready, self.entered, self.closed = threading.Event(), threading.Event(), 0
        self.ready.set()

    @classmethod
    def open(cls, model, settings):
        return cls()

    def routes(self):
        return [Route("/v1/boil", self.boil, methods=["POST"]), Route("/v1/spill", self.spill, methods=["POST"])]

    async def boil(self, request):
        import asyncio

        size = len(await request.body())
        self.entered.set()
        await asyncio.to_thread(self.ready.wait)
        return JSONResponse({"size": size})

    async def spill(self, request):
        asked = (await request.body()).decode()
        if asked == "teapot":
            raise StentorError("it is a teapot.", path="kettle")
        raise RuntimeError("a secret of the server")

    def close(self):
        self.closed += 1


def ask(address, path, body=b"", headers=(), method="POST"):
    """Status, headers and content of one request."""
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=20)
    try:
        connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        return response.status, response.headers, json.loads(response.read())
    finally:
        connection.close()
