"""The speech routes over a real socket, driven by OpenAI's own client."""

import base64
import http.client
import io
import json
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import openai
import pytest
import soundfile
from tones import RATE, Tones, level

from stentor.errors import StentorError
from stentor.serve.server import opened, running
from stentor.serve.settings import Model, ServeSettings
from stentor_tts.serve.capability import SpeechCapability
from stentor_tts.serve.voices import Voices

NAME = "tones"


@pytest.fixture
def mouth():
    return Tones()


@pytest.fixture
def start(mouth, tmp_path):
    """Start a server with the given settings; gives a client. Two voices are at hand, and one that is none."""
    noise = np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    for name in ("ada", "bruno"):
        soundfile.write(tmp_path / f"{name}.wav", 0.1 * noise * (1 if name == "ada" else 0.5), RATE)
    soundfile.write(tmp_path / "mute.wav", 0 * noise, RATE)
    stack = []

    def begin(**changes):
        settings = ServeSettings(port=0, **changes)
        capability = SpeechCapability(mouth, NAME, settings, Voices(mouth, tmp_path))
        stack.append(running({"speech": capability}, settings))
        plain = openai.DefaultHttpxClient(trust_env=False)
        address = f"{stack[-1].__enter__()}/v1"
        return openai.OpenAI(base_url=address, api_key="none", max_retries=0, http_client=plain)

    yield begin
    mouth.free.set()
    for place in stack:
        place.__exit__(None, None, None)


def ask(client, text="one two", voice="default", **fields):
    return client.audio.speech.create(input=text, model=NAME, voice=voice, **fields)


def heard(answer):
    samples, _ = soundfile.read(io.BytesIO(answer.content), dtype="float32")
    return samples


def refused(client, *words, **fields):
    """What the client says of a refusal."""
    with pytest.raises(openai.APIStatusError) as caught:
        ask(client, *words, **fields)
    assert "\n" not in caught.value.message
    return caught.value


def state(client):
    return client.get("../health", cast_to=object)


def until(true, seconds=20):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_every_format(start):
    with start() as client:
        said = np.concatenate([level("one"), level("two")])
        np.testing.assert_allclose(heard(ask(client, response_format="wav")), said, atol=1e-4)
        np.testing.assert_allclose(heard(ask(client, response_format="flac")), said, atol=1e-4)
        for form, media in (("mp3", "audio/mpeg"), ("opus", "audio/ogg"), ("ogg", "audio/ogg")):
            answer = ask(client, response_format=form)
            assert answer.response.headers["content-type"] == media
            assert len(said) <= len(heard(answer)) < len(said) + 4000
        assert ask(client).response.headers["content-type"] == "audio/mpeg"
        raw = ask(client, response_format="pcm")
        assert raw.response.headers["x-sample-rate"] == "24000" and len(raw.content) == 2 * len(said) * 24 // 16
        own = ask(client, response_format="pcm", extra_body={"sample_rate": RATE})
        np.testing.assert_allclose(np.frombuffer(own.content, "<i2") / 32767, said, atol=1e-4)


def test_what_is_asked_reaches_the_speaker(start, mouth):
    with start() as client:
        ask(client, "[loud]one[/loud] two", voice="ada", instructions="slow, whisper", speed=2.0,
            extra_body={"seed": 7, "temperature": 0.5})  # fmt: skip
        ((sentence, wish),) = mouth.asked
        assert (wish.seed, wish.temperature, wish.voice.name) == (7, 0.5, "ada")
        assert wish.manner.rate == 1.7 and wish.manner.traits == ("style:whisper",)
        assert [one.manner.volume for one in sentence.stretches] == [12.0, 0.0]
        ask(client, "<speak>one<break time='1s'/>two</speak>", voice={"id": "bruno"})
        assert mouth.asked[-1][1].voice.name == "bruno" and len(mouth.asked) == 3


def test_voices_are_listed_and_those_that_are_none_are_logged_once(start, caplog):
    with start() as client:
        for _ in range(2):
            told = client.get("/audio/voices", cast_to=object)["voices"]
        assert [one["id"] for one in told] == ["default", "ada", "bruno"]
        assert told[1]["reference_seconds"] == pytest.approx(1.0, abs=0.05)
        error = refused(client, voice="adda")
        assert (error.status_code, error.param, error.code) == (400, "voice", "voice_not_found")
        assert "Did you mean 'ada'?" in error.message
    assert sum("mute" in record.getMessage() for record in caplog.records) == 1


def test_a_stream_begins_before_the_end_is_said(start, mouth):
    with start() as client:
        mouth.pause_after = 1
        options = {"input": "one two three", "model": NAME, "voice": "default", "response_format": "pcm"}
        with client.audio.speech.with_streaming_response.create(**options) as answer:
            pieces = answer.iter_bytes(200)
            first = next(pieces)
            assert mouth.words == ["one"]
            mouth.free.set()
            assert len(first) + sum(map(len, pieces)) == 2 * len(level("onetwothree")) * 24 // 16


def test_events(start):
    with start() as client:
        answer = ask(client, response_format="pcm", stream_format="sse", extra_body={"sample_rate": RATE})
        assert answer.response.headers["content-type"].startswith("text/event-stream")
        events = [json.loads(line.removeprefix("data: ")) for line in answer.text.split("\n\n") if line]
        assert [one["type"] for one in events] == ["speech.audio.delta"] * (len(events) - 1) + ["speech.audio.done"]
        audio = b"".join(base64.b64decode(one["audio"]) for one in events[:-1])
        said = np.concatenate([level("one"), level("two")])
        np.testing.assert_allclose(np.frombuffer(audio, "<i2") / 32767, said, atol=1e-4)
        assert events[-1]["usage"] == {"type": "duration", "seconds": round(len(said) / RATE, 3)}


def test_what_fails_harms_nobody_else(start, mouth):
    with start(batch=4) as client, ThreadPoolExecutor(3) as pool:
        assert refused(client, "fuse").status_code == 500
        events = ask(client, "one fuse", stream_format="sse", response_format="pcm").text
        assert '"speech.audio.delta"' in events and "server failed" in events and "blown" not in events
        mouth.free.clear(), mouth.begun.clear()
        first = pool.submit(ask, client, "aaa aaa", response_format="wav")
        until(mouth.begun.is_set)
        rest = [pool.submit(ask, client, text, response_format="wav") for text in ("bb bbb", "fus fuse")]
        until(lambda: state(client)["capabilities"]["speech"]["waiting"] == 2)
        mouth.free.set()
        np.testing.assert_allclose(heard(first.result()), np.concatenate([level("aaa")] * 2), atol=1e-4)
        np.testing.assert_allclose(heard(rest[0].result()), np.concatenate([level("bb"), level("bbb")]), atol=1e-4)


def connection(client, text, **fields):
    """The connection of a client that has sent its request, and does not read an answer yet."""
    line = http.client.HTTPConnection(client.base_url.host, client.base_url.port)
    body = json.dumps({"model": NAME, "input": text, "voice": "default", **fields})
    line.request("POST", "/v1/audio/speech", body, {"Content-Type": "application/json"})
    return line


@pytest.mark.parametrize("begun", [False, True])
def test_a_client_that_leaves_is_not_spoken_to(start, mouth, begun):
    with start() as client:
        mouth.pause_after = 2 if begun else None
        if not begun:
            mouth.free.clear()
        line = connection(client, "one two three. " * 50, response_format="pcm")
        until(mouth.begun.is_set)
        if begun:
            assert line.getresponse().read(100)
        line.close()
        time.sleep(0.2)
        mouth.free.set()
        until(lambda: state(client)["in_work"] == 0)
        said = len(mouth.words)
        assert len(heard(ask(client, response_format="wav"))) == len(level("onetwo"))
        assert len(mouth.words) <= said + 3 < 150


def test_clients_are_spoken_to_together(start, mouth):
    with start(batch=8) as client, ThreadPoolExecutor(4) as pool:
        mouth.free.clear()
        first = pool.submit(ask, client, "zero", response_format="wav")
        until(mouth.begun.is_set)
        rest = [pool.submit(ask, client, f"{text}", response_format="wav") for text in ("one", "two", "six")]
        until(lambda: state(client)["capabilities"]["speech"]["waiting"] == 3)
        mouth.free.set()
        for text, answer in zip(("zero", "one", "two", "six"), [first, *rest], strict=True):
            np.testing.assert_allclose(heard(answer.result()), level(text), atol=1e-4)
        told = state(client)["capabilities"]["speech"]
        assert (told["sentences"], told["batches"]) == (4, 2)


WRONG = [
    ({"text": ""}, "input", "nothing to say"),
    ({"text": "a\x07"}, "input", "control character"),
    ({"text": "x" * 101}, "input", "takes up to 100"),
    ({"text": "[fast]x"}, "input", "never closed"),
    ({"text": "<speak>x"}, "input", "not well-formed"),
    ({"response_format": "aac"}, "response_format", "aac is not made here"),
    ({"response_format": "xyz"}, "response_format", "no 'xyz'"),
    ({"speed": 9}, "speed", "from 0.25 to 4"),
    ({"instructions": "sad"}, "instructions", "no style 'sad'"),
    ({"stream_format": "xml"}, "stream_format", "no 'xml'"),
    ({"extra_body": {"seed": 1.5}}, "seed", "a whole number"),
    ({"extra_body": {"seed": 10**400}}, "seed", "a whole number"),
    ({"extra_body": {"speeed": 1}}, "speeed", "Did you mean 'speed'"),
    ({"voice": {"name": "ada"}}, "voice", "must be a name"),
]


def test_wrong_fields_are_named(start):
    with start(max_characters=100) as client:
        for fields, param, word in WRONG:
            error = refused(client, **fields)
            assert (error.status_code, error.param) == (400, param) and word in error.message, error


def test_another_model_and_no_json(start):
    with start() as client:
        with pytest.raises(openai.NotFoundError, match="Did you mean 'tones'"):
            client.audio.speech.create(input="x", model="tone", voice="default")
        whole = b'{"model": "tones", "input": "x", "voice": "default", "response_format": "\\ud800"}'
        for body in (b"{", b"[]", b'{"model": "tones"}', b'{"model": "\\ud800"}', b'{"\\ud800": 1}', whole,
                     whole.replace(b"default", b"\\ud800")):  # fmt: skip
            line = http.client.HTTPConnection(client.base_url.host, client.base_url.port)
            line.request("POST", "/v1/audio/speech", body)
            answer = line.getresponse()
            assert answer.status == 400 and json.loads(answer.read())["error"]["message"].endswith(".")


def test_what_a_speaker_cannot_do_is_refused_before_anything_is_said(start, mouth):
    def check(sentence, wish):
        if any(one.manner.pitch for one in sentence.stretches):
            raise StentorError("the run knows no stretches that are high.", path="text")

    mouth.check = check
    with start() as client:
        text = '<speak>Quick fox. <prosody pitch="+4st">Jumps</prosody> over.</speak>'
        error = refused(client, text, response_format="pcm", stream_format="sse")
        assert (error.status_code, error.param) == (400, "input") and "that are high" in error.message
        assert not mouth.asked


def test_which_capability_a_name_is_for(tmp_path):
    settings = ServeSettings(port=0)
    found = opened([Model(name="espeak:en-us+f2")], settings)
    assert list(found) == ["speech"] and found["speech"].model == "espeak:en-us+f2"
    found["speech"].close()
    with pytest.raises(StentorError, match="both for speech"):
        opened([Model(name="espeak"), Model(name="espeak:en-gb")], settings)
    with pytest.raises(StentorError, match="speaks in its own voice alone"):
        opened(Model(name="espeak", voices=tmp_path), settings)


def test_folders_of_voices_that_are_none(mouth, tmp_path):
    for folder, told in ((tmp_path / "none", "no such folder"), (tmp_path, "holds no recording")):
        with pytest.raises(StentorError, match=told):
            Voices(mouth, folder)
