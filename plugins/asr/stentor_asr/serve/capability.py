"""The transcription routes of `stentor serve`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from stentor.config import Recipe
from stentor.data.voices.named import engine_of
from stentor.errors import StentorError
from stentor.interfaces.task import Task
from stentor.plugins import registry
from stentor.serve.capability import Capability
from stentor.serve.gate import failure
from stentor.serve.leaving import seen, while_listening
from stentor.serve.refusals import Refusal
from stentor.serve.settings import Model, ServeSettings
from stentor.serve.uploads import Upload, check_audio, received
from stentor.train.assembly import class_of
from stentor_asr.serve import answers, form
from stentor_asr.serve.shared import SharedRecogniser, batcher_of
from stentor_asr.transcribe.choice import DEFAULT, choose
from stentor_asr.transcribe.pipeline import Transcript, transcribe
from stentor_asr.transcribe.recogniser import Recogniser, Segment

_Result = TypeVar("_Result")


class Transcription(Capability):
    """Speech to text at ``/v1/audio/transcriptions``, for uploads of any length up to the server's limit.

    Every request is a pipeline of its own in a thread of its own; what their recognisers hear meets in one batcher.

    Args:
        recogniser: with its weights loaded.
        name: what clients call it.
        settings: limits, and how to batch.
    """

    def __init__(self, recogniser: Recogniser, name: str, settings: ServeSettings) -> None:
        self._recogniser, self._name, self._settings = recogniser, name, settings
        self._batcher = batcher_of(recogniser, settings.batch, settings.batch_seconds, settings.gather_ms / 1000)
        self._threads = ThreadPoolExecutor(settings.queue, thread_name_prefix="transcribe")

    @classmethod
    def open(cls, model: Model, settings: ServeSettings) -> Transcription | None:
        if not _hears(model):
            return None
        recogniser = choose(model.run, model.name or DEFAULT, device=model.device, changes=model.changes)
        recogniser.load_pretrained()
        own = model.run.resolve().name if model.run is not None else model.name or DEFAULT
        return cls(recogniser, model.alias or own, settings)

    @property
    def model(self) -> str:
        return self._name

    def routes(self) -> Sequence[BaseRoute]:
        return [
            Route("/v1/audio/transcriptions", self._transcribe, methods=["POST"]),
            Route("/v1/audio/translations", _no_translation, methods=["POST"]),
        ]

    def state(self) -> dict[str, Any]:
        batcher = self._batcher
        told = {"model": self._name, "abilities": sorted(self._recogniser.abilities)}
        return {**told, "waiting": batcher.waiting, "batches": batcher.batches, "windows": batcher.items}

    def close(self) -> None:
        self._threads.shutdown()
        self._batcher.close()

    async def _transcribe(self, request: Request) -> Response:
        async with AsyncExitStack() as stack:
            upload = await stack.enter_async_context(received(request))
            asked = form.read(upload.fields, self._name)
            self._refuse(asked)
            await self._in_thread(_checked, upload, self._settings.max_seconds)
            shared = SharedRecogniser(self._recogniser, self._batcher)
            if asked.stream:
                events = self._events(shared, upload.path, asked, request.state.request_id)
                return _Events(events, stack.pop_all(), shared)
            work = self._in_thread(self._run, shared, upload.path, asked, lambda *_: None)
            transcript = await while_listening(request, work, shared.abandon)
            return answers.answer(transcript, asked)

    def _refuse(self, asked: form.Asked) -> None:
        try:
            self._recogniser.refuse(asked.request)
        except StentorError as error:
            raise Refusal.of(error, code="unsupported_by_model") from error

    def _run(
        self, shared: SharedRecogniser, path: Path, asked: form.Asked, told: Callable[[Transcript, Segment], None]
    ) -> Transcript:
        """One file through the pipeline; a stream goes window by window, so that its text comes as soon as it can."""
        batch = 1 if asked.stream else self._settings.batch
        try:
            (transcript,) = transcribe([path], shared, batch, request=asked.request, told=told)
        except StentorError as error:  # of what was asked, e.g. a hotword that cannot be spelled
            raise Refusal.of(error, param=error.path if error.path in form.FIELDS else "") from error
        if transcript.failure is not None:
            raise Refusal(transcript.failure, path="file", code="invalid_audio")
        return transcript

    async def _events(
        self, shared: SharedRecogniser, path: Path, asked: form.Asked, identity: str
    ) -> AsyncIterator[bytes]:
        loop, queue = asyncio.get_running_loop(), asyncio.Queue[str | None]()

        def told(_: Transcript, segment: Segment) -> None:
            loop.call_soon_threadsafe(queue.put_nowait, segment.text)

        work = asyncio.ensure_future(self._in_thread(self._run, shared, path, asked, told))

        def ended(_: asyncio.Future[Transcript]) -> None:
            seen(work)
            queue.put_nowait(None)

        work.add_done_callback(ended)
        gap = ""
        while (text := await queue.get()) is not None:
            yield answers.delta(gap + text)
            gap = " "
        try:
            yield answers.done(await work)
        except Exception as cause:  # it is too late for a status: the client is told in an event
            yield answers.failed(failure(cause, identity).body(identity))

    def _in_thread(self, function: Callable[..., _Result], *arguments: Any) -> Awaitable[_Result]:
        return asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)


class _Events(StreamingResponse):
    """Server-sent events; whatever happens to the connection, the recogniser is freed and the upload removed."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncIterator[bytes], held: AsyncExitStack, shared: SharedRecogniser) -> None:
        super().__init__(events, headers={"cache-control": "no-cache"})
        self._held, self._shared = held, shared

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async with self._held:
            try:
                await super().__call__(scope, receive, send)
            finally:
                self._shared.abandon()


def _hears(model: Model) -> bool:
    """Whether it is not for others: a run whose task gives no texts, or a voice."""
    if model.run is not None and (model.run / "config.yaml").is_file():
        section = Recipe.from_file(model.run / "config.yaml").config["task"]
        return bool(class_of("task", section, path="task").predict is not Task.predict)
    known = registry()
    return model.name in known.names("recogniser") or engine_of(model.name) not in known.names("voice")


def _checked(upload: Upload, longest: float) -> None:
    """Refuse what is not sound audio, before anything is heard of it."""
    try:
        check_audio(upload.path, longest)
    except StentorError as error:
        raise Refusal.of(error, param="file", code="invalid_audio") from error


async def _no_translation(request: Request) -> Response:
    raise Refusal("this server does not translate; it writes down what is said at /v1/audio/transcriptions.",
                  code="unsupported")  # fmt: skip
