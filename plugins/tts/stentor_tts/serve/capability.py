"""The speech routes of `stentor serve`."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from stentor.data.voices.named import engine_of
from stentor.errors import StentorError
from stentor.plugins import registry
from stentor.serve.capability import Capability
from stentor.serve.gate import failure
from stentor.serve.leaving import while_listening
from stentor.serve.refusals import Refusal
from stentor.serve.settings import Model, ServeSettings
from stentor_tts.serve import form
from stentor_tts.serve.form import Asked
from stentor_tts.serve.shared import SharedSpeaker, batcher_of
from stentor_tts.serve.voices import Voices
from stentor_tts.speaking.choice import choose
from stentor_tts.speaking.formats import FORMATS, Encoder
from stentor_tts.speaking.run import speaks
from stentor_tts.speaking.speaker import Speaker
from stentor_tts.speaking.synthesiser import Speech, Synthesiser

_FIELDS = {"text": "input", "style": "instructions"}
"""What the synthesiser calls what clients call otherwise."""
_BODY_BYTES = 1 << 20


class SpeechCapability(Capability):
    """Text to speech at ``/v1/audio/speech``, sent as it is made; voices at ``/v1/audio/voices``.

    Every request is a thread of its own; what their texts' sentences ask of the speaker meets in one batcher.

    Args:
        speaker: with its weights loaded.
        name: what clients call it.
        settings: limits, and how to batch.
        voices: whom it may sound like.
    """

    def __init__(self, speaker: Speaker, name: str, settings: ServeSettings, voices: Voices) -> None:
        self._speaker, self._name, self._settings, self._voices = speaker, name, settings, voices
        self._batcher = batcher_of(speaker, settings.batch, settings.gather_ms / 1000)
        self._threads = ThreadPoolExecutor(settings.queue, thread_name_prefix="speak")

    @classmethod
    def open(cls, model: Model, settings: ServeSettings) -> SpeechCapability | None:
        engine = engine_of(model.name)
        if not (speaks(model.run) if model.run is not None else engine in registry().names("voice")):
            return None
        speaker = choose(model.run, model.name, device=model.device)
        speaker.load_pretrained()
        own = model.run.resolve().name if model.run is not None else model.name
        return cls(speaker, model.alias or own, settings, Voices(speaker, model.voices))

    @property
    def model(self) -> str:
        return self._name

    def routes(self) -> Sequence[BaseRoute]:
        return [
            Route("/v1/audio/speech", self._speak, methods=["POST"]),
            Route("/v1/audio/voices", self._list, methods=["GET"]),
        ]

    def state(self) -> dict[str, Any]:
        batcher = self._batcher
        told = {"model": self._name, "voices": self._voices.names(), "abilities": sorted(self._speaker.abilities)}
        return {**told, "waiting": batcher.waiting, "batches": batcher.batches, "sentences": batcher.items}

    def close(self) -> None:
        self._threads.shutdown()
        self._batcher.close()

    async def _list(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "voices": await asyncio.to_thread(self._voices.about)})

    async def _speak(self, request: Request) -> Response:
        body = await request.body()
        if len(body) > _BODY_BYTES:
            raise Refusal("the request is larger than 1 MiB.", status=413, code="request_too_large")
        asked = form.read(body, self._name, self._speaker.sample_rate, self._settings.max_characters)
        shared = SharedSpeaker(self._speaker, self._batcher)
        talk = _Talk(asked, shared)
        loop = asyncio.get_running_loop()
        loop.run_in_executor(self._threads, talk.run, self._speech, loop)
        try:
            first = await while_listening(request, talk.first(), shared.abandon)
        except BaseException:
            shared.abandon()
            raise
        return _Audio(talk.rest(first, request.state.request_id), talk, shared)

    def _speech(self, asked: Asked, speaker: SharedSpeaker) -> Speech:
        """What is said, once all of the text has been found sayable."""
        voice = self._voices.find(asked.voice)
        try:
            synthesiser = Synthesiser(speaker, longest=self._settings.max_characters)
            return synthesiser.stream(asked.text, voice=voice, style=asked.style, **asked.options).read()
        except StentorError as error:
            field = _FIELDS.get(error.path, error.path)
            raise Refusal.of(error, param=field if field in form.FIELDS else "") from error


class _Talk:
    """One request's audio on its way from the thread that makes it to the connection that sends it."""

    def __init__(self, asked: Asked, speaker: SharedSpeaker) -> None:
        self.asked, self._speaker = asked, speaker
        self._queue = asyncio.Queue[bytes | BaseException | None]()
        self._seconds = 0.0

    def run(self, speech: Any, loop: asyncio.AbstractEventLoop) -> None:
        """Make all of it; in a thread."""

        def give(item: bytes | BaseException | None) -> None:
            loop.call_soon_threadsafe(self._queue.put_nowait, item)

        try:
            made: Speech = speech(self.asked, self._speaker)
            encoder = Encoder(self.asked.form, made.sample_rate)
            for chunk in made:
                self._seconds += len(chunk) / made.sample_rate
                if content := encoder.push(chunk):
                    give(content)
            give(encoder.close())
            give(None)
        except Exception as cause:  # told to the client, or logged, where it is waited for
            give(cause)

    async def first(self) -> bytes:
        """The first bytes; what goes wrong before them can still be answered with a status."""
        item = await self._queue.get()
        if isinstance(item, BaseException):
            raise item
        return item or b""

    async def rest(self, first: bytes, identity: str) -> AsyncIterator[bytes]:
        """All bytes, as they are or as events."""
        item: bytes | BaseException | None = first
        while item is not None:
            if isinstance(item, Exception):
                if not self.asked.events:
                    raise item
                yield _event(failure(item, identity).body(identity))
                return
            if item:
                assert isinstance(item, bytes)
                yield self._sent(item)
            item = await self._queue.get()
        if self.asked.events:
            usage = {"type": "duration", "seconds": round(self._seconds, 3)}
            yield _event({"type": "speech.audio.done", "usage": usage})

    def _sent(self, content: bytes) -> bytes:
        if not self.asked.events:
            return content
        return _event({"type": "speech.audio.delta", "audio": base64.b64encode(content).decode()})


class _Audio(StreamingResponse):
    """Audio as it is made; whatever happens to the connection, the speaker is freed."""

    def __init__(self, content: AsyncIterator[bytes], talk: _Talk, speaker: SharedSpeaker) -> None:
        asked = talk.asked
        media = "text/event-stream" if asked.events else FORMATS[asked.form][2]
        told = {"cache-control": "no-cache", "x-sample-rate": str(asked.options["sample_rate"])}
        super().__init__(content, media_type=media, headers=told)
        self._speaker = speaker

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._speaker.abandon()


def _event(content: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n".encode()
