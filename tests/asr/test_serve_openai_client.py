"""The transcription routes over a real socket, driven by OpenAI's own client."""

import http.client
import io
import json
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import openai
import pytest
import soundfile
from listener import RATE, Listener, tone

from stentor.errors import StentorError
from stentor.serve.server import running
from stentor.serve.settings import Model, ServeSettings
from stentor_asr.serve.capability import Transcription
from stentor_asr.transcribe.pipeline import transcribe

NAME = "listener"


def wav(*stretches, form="WAV"):
    """An upload: a tone for every (seconds, level)."""
    content = io.BytesIO()
    soundfile.write(content, np.concatenate([tone(*one) for one in stretches]), RATE, format=form)
    return f"take.{form.lower()}", content.getvalue()


@pytest.fixture
def ear():
    return Listener()


@pytest.fixture
def start(ear, tmp_path, monkeypatch):
    """Start a server with the given settings; gives a client. Uploads go to a folder that must be empty afterwards."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    stack = []

    def begin(**changes):
        place = running({"transcription": Transcription(ear, NAME, settings(**changes))}, settings(**changes))
        stack.append(place)
        return client(place.__enter__())

    yield begin
    ear.free.set()
    for place in stack:
        place.__exit__(None, None, None)
    assert list(tmp_path.iterdir()) == []


def settings(**changes):
    return ServeSettings(port=0, **changes)


def client(address, key="none"):
    plain = openai.DefaultHttpxClient(trust_env=False)
    return openai.OpenAI(base_url=f"{address}/v1", api_key=key, max_retries=0, http_client=plain)


def ask(client, file, **fields):
    return client.audio.transcriptions.create(file=file, model=NAME, **fields)


def refused(client, file, **fields):
    """What the client says of a refusal."""
    with pytest.raises(openai.APIStatusError) as caught:
        ask(client, file, **fields)
    return caught.value


def state(client):
    """What the health route tells of the transcription."""
    return client.get("../health", cast_to=object)["capabilities"]["transcription"]


def until(true, seconds=30):
    """Wait for it, however busy the machine is."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_every_format(start):
    with start() as client:
        file = wav((0.5, 20))
        assert client.models.list().data[0].id == NAME == client.models.retrieve(NAME).id
        assert ask(client, file).text == "500ms at 20"
        assert ask(client, file, response_format="json").usage.seconds == 1
        assert ask(client, file, response_format="text") == "500ms at 20\n"
        srt = ask(client, file, response_format="srt")
        assert srt == "1\n00:00:00,000 --> 00:00:00,500\n500ms at 20\n\n"
        vtt = ask(client, file, response_format="vtt")
        assert vtt == "WEBVTT\n\n00:00:00.000 --> 00:00:00.500\n500ms at 20\n\n"
        full = ask(client, file, response_format="verbose_json", language="en")
        assert (full.text, full.duration, full.language, full.words) == ("500ms at 20", 0.5, "en", None)
        (segment,) = full.segments
        assert (segment.id, segment.start, segment.end, segment.text) == (0, 0.0, 0.5, "500ms at 20")
        assert segment.avg_logprob == pytest.approx(np.log(0.5), abs=1e-3) and segment.temperature == 0
        for answer in (full, ask(client, file, stream=True).__next__()):  # the client itself checks no types
            type(answer).model_validate(answer.model_dump(), strict=True)


@pytest.mark.parametrize("form", ["FLAC", "OGG", "MP3", "AIFF"])
def test_other_kinds_of_file(start, form):
    with start() as client:
        assert ask(client, wav((0.9, 40), form=form)).text.startswith(("900ms", "1000ms", "9"))


def test_words_and_segments(start, ear):
    with start() as client:
        file = wav((0.6, 30))
        both = ask(client, file, response_format="verbose_json", timestamp_granularities=["word", "segment"])
        assert [word.word for word in both.words] == ["600ms", "at", "30"] and len(both.segments) == 1
        assert [word.start for word in both.words] == [0.0, 0.2, 0.4]
        indexed = {"response_format": "verbose_json", "timestamp_granularities[0]": "word"}
        assert client.post("/audio/transcriptions", cast_to=object, body=indexed, files={"file": file},
                           options={"headers": {"Content-Type": "multipart/form-data"}})["words"]  # fmt: skip
        words = ask(client, file, response_format="verbose_json", timestamp_granularities=["word"])
        assert words.segments is None and len(words.words) == 3
        assert refused(client, file, timestamp_granularities=["word"]).param == "timestamp_granularities"
        ear.abilities = frozenset()
        error = refused(client, file, response_format="verbose_json", timestamp_granularities=["word"])
        assert (error.status_code, error.code) == (400, "unsupported_by_model") and "words" in error.message


def test_what_is_asked_reaches_the_recogniser(start, ear):
    with start() as client:
        file = wav((0.5, 20))
        given = {"hotwords": {"red lamp": 3.5, "tea": 1}, "beam": 4}
        ask(client, file, language="EN", temperature=0.4, prompt="ignored", extra_body=given)
        assert (ear.requests[-1].language, ear.requests[-1].beam) == ("en", 4)
        assert ear.requests[-1].hotwords == {"red lamp": 3.5, "tea": 1.0}
        ask(client, file, extra_body={"hotwords": ["red lamp", "tea:1.5"]})
        assert ear.requests[-1].hotwords == {"red lamp": 2.0, "tea": 1.5}
        ask(client, file, keywords=["red lamp"])
        assert ear.requests[-1].hotwords == {"red lamp": 2.0}
        ask(client, file, extra_body={"hotwords": '{"a: b": 2}'})
        assert ear.requests[-1].hotwords == {"a: b": 2.0}


def test_a_stream_tells_what_the_whole_answer_tells(start):
    with start() as client:
        file = wav((0.9, 20), (0.9, 60), (0.9, 40))
        whole = ask(client, file).text
        events = list(ask(client, file, stream=True))
        deltas = [event.delta for event in events if event.type == "transcript.text.delta"]
        assert [event.type for event in events[:-1]] == ["transcript.text.delta"] * len(deltas)
        assert len(deltas) > 1 and "".join(deltas) == whole
        assert events[-1].type == "transcript.text.done" and events[-1].text == whole


def test_a_stream_begins_before_the_end_is_heard(start, ear):
    """The recogniser is stopped after the first window; its text is here all the same."""
    with start() as client:
        ear.pause_after = 1
        stream = iter(ask(client, wav((2.7, 20)), stream=True))
        assert next(stream).type == "transcript.text.delta" and len(ear.batches) == 1
        ear.free.set()
        rest = [event.type for event in stream]
        assert len(rest) > 1 and rest[-1] == "transcript.text.done"
        assert all(len(batch) == 1 for batch in ear.batches)


def test_a_stream_that_fails_says_so(start):
    with start() as client:
        with pytest.raises(openai.APIError, match="server failed") as caught:
            list(ask(client, wav((0.9, 20), (0.9, 99)), stream=True))
        assert "fuse" not in str(caught.value)
        assert ask(client, wav((0.5, 20))).text == "500ms at 20"


def test_bad_uploads_are_refused_in_a_sentence(start, tmp_path):
    name, good = wav((2.0, 50))
    with start(max_seconds=2.5) as client:
        for content, code, word in [
            (b"", "invalid_audio", "empty"),
            (b"hello, this is text" * 40, "invalid_audio", "not audio"),
            (good[:44], "invalid_audio|truncated_audio", ""),
            (good[: len(good) // 2], "truncated_audio", "breaks off"),
            (wav((0.002, 50))[1], "audio_too_short|invalid_audio", "short"),
            (b"\x00\x00\x00\x20ftypM4A " + bytes(99), "invalid_audio", "MP4"),
        ]:
            error = refused(client, (name, content))
            assert error.status_code == 400 and error.code in code.split("|") and word in error.message, error
            assert error.param == "file" and "\n" not in error.message and str(tmp_path) not in error.message
        error = refused(client, wav((2.6, 50)))
        assert (error.status_code, error.code) == (413, "audio_too_long") and "2.5 s" in error.message
        assert ask(client, (name, good)).text.endswith("at 50")


@pytest.mark.parametrize(
    ("fields", "param", "status"),
    [
        ({"response_format": "xml"}, "response_format", 400),
        ({"temperature": 3.0}, "temperature", 400),
        ({"stream": True, "response_format": "srt"}, "response_format", 400),
        ({"extra_body": {"beam": 0}}, "beam", 400),
        ({"extra_body": {"beam": 2.5}}, "beam", 400),
        ({"extra_body": {"hotwords": "tea:loud"}}, "hotwords", 400),
        ({"extra_body": {"hotwords": ["x" * 101]}}, "hotwords", 400),
        ({"extra_body": {"hotword": "tea"}}, "hotword", 400),
        ({"extra_body": {"language": {"x": "en"}}}, "language", 400),
        ({"timestamp_granularities": ["letter"], "response_format": "verbose_json"}, "timestamp_granularities", 400),
    ],
)
def test_wrong_fields_are_named(start, fields, param, status):
    with start() as client:
        error = refused(client, wav((0.5, 20)), **fields)
        assert (error.status_code, error.param) == (status, param), error


def test_another_model_and_translation(start):
    with start() as client:
        with pytest.raises(openai.NotFoundError) as caught:
            client.audio.transcriptions.create(file=wav((0.5, 20)), model="listner")
        assert caught.value.code == "model_not_found" and "Did you mean 'listener'?" in caught.value.message
        with pytest.raises(openai.BadRequestError, match="/v1/audio/transcriptions"):
            client.post("/audio/translations", cast_to=object, body={})
        with pytest.raises(openai.BadRequestError, match="no file 'file'"):
            client.post("/audio/transcriptions", cast_to=object, body={"model": NAME})


def test_limits(start, ear):
    with start(max_upload_mb=0.02, queue=1, key="sesame") as client:
        assert refused(client, wav((0.5, 20))).status_code == 401
        client.api_key = "sesame"
        error = refused(client, wav((2.0, 20)))
        assert (error.status_code, error.code) == (413, "file_too_large")
        ear.free.clear()
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(ask, client, wav((0.5, 20)))
            assert ear.begun.wait(10)
            error = refused(client, wav((0.5, 20)))
            assert (error.status_code, error.response.headers["retry-after"]) == (503, "1")
            ear.free.set()
            assert waiting.result().text == "500ms at 20"


def test_many_clients_get_what_each_gets_alone(start, ear, tmp_path_factory):
    """Thirty-two at once: nobody is dropped, answers are those of the pipeline alone, and the model heard batches."""
    files = [wav((0.3 + 0.07 * n, n + 1), (0.2 + 0.01 * n, 64 - n)) for n in range(32)]
    folder = tmp_path_factory.mktemp("alone")
    for number, (_, content) in enumerate(files):
        (folder / f"{number}.wav").write_bytes(content)
    paths = [folder / f"{number}.wav" for number in range(32)]
    alone = [one.text for one in transcribe(paths, Listener(), batch=1)]
    with start() as client, ThreadPoolExecutor(32) as pool:
        ear.free.clear()
        waiting = [pool.submit(ask, client, file) for file in files]
        until(lambda: state(client)["waiting"] >= len(files))
        ear.free.set()
        assert [one.result().text for one in waiting] == alone
    assert len(ear.threads) == 1
    assert max(map(len, ear.batches)) > 1 and all(batch == sorted(batch, reverse=True) for batch in ear.batches)


def test_a_long_upload_does_not_keep_short_ones_waiting(start, ear):
    """Eight short ones come when a long one has begun; the model has heard them all long before its end."""
    with start(batch=4) as client, ThreadPoolExecutor(9) as pool:
        ear.free.clear()
        work = [pool.submit(ask, client, wav((40.0, 50)))]
        assert ear.begun.wait(20)
        long = state(client)["waiting"]
        work += [pool.submit(ask, client, wav((0.9, 60 + n))) for n in range(8)]
        until(lambda: state(client)["waiting"] == long + 8)
        ear.free.set()
        assert all(one.result().text for one in work)
    short = [place for place, level in enumerate(ear.levels) if level >= 60]
    assert len(short) == 8 and max(short) < len(ear.levels) // 2


def uploading(client, file, stream="false"):
    """The connection of a client that has sent its request, and does not read an answer yet."""
    name, content = file
    parts = [f'name="stream"\r\n\r\n{stream}'.encode(), f'name="file"; filename="{name}"\r\n\r\n'.encode() + content]
    body = b"".join(b"--x\r\nContent-Disposition: form-data; " + part + b"\r\n" for part in parts) + b"--x--\r\n"
    line = http.client.HTTPConnection(client.base_url.host, client.base_url.port)
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    line.request("POST", "/v1/audio/transcriptions", body, kind)
    return line


def test_a_client_that_leaves_is_not_heard(start, ear):
    with start(batch=4, batch_seconds=1.0, queue=2) as client:
        ear.free.clear()
        line = uploading(client, wav((20.0, 50)))
        assert ear.begun.wait(20)
        assert state(client)["waiting"]
        line.close()
        until(lambda: not state(client)["waiting"])
        ear.free.set()
        assert ask(client, wav((0.5, 20))).text == "500ms at 20"
        assert sum(map(len, ear.batches)) <= 4


def test_clients_that_leave_before_they_are_heard_are_no_failure(start, ear, caplog):
    """Their windows wait behind those of another; the log has them as gone, and nothing as failed."""
    with start(batch=1) as client, ThreadPoolExecutor(1) as pool:
        ear.free.clear()
        waiting = pool.submit(ask, client, wav((0.5, 20)))
        assert ear.begun.wait(20)
        lines = [uploading(client, wav((0.5, 50)), stream=stream) for stream in ("false", "true")]
        until(lambda: state(client)["waiting"] == 2)
        with caplog.at_level("INFO"):
            for line in lines:
                line.close()
            until(lambda: client.get("../health", cast_to=object)["in_work"] == 1)
        ear.free.set()
        assert waiting.result().text == "500ms at 20" and ear.levels == [20]
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


def test_a_recogniser_that_fails_harms_nobody_else(start, ear):
    with start() as client, ThreadPoolExecutor(4) as pool:
        ear.free.clear()
        waiting = [pool.submit(ask, client, wav((0.5, level))) for level in (20, 99, 40)]
        until(lambda: state(client)["waiting"] + state(client)["windows"] == 3)
        ear.free.set()
        assert (waiting[0].result().text, waiting[2].result().text) == ("500ms at 20", "500ms at 40")
        error = waiting[1].exception()
        assert error.status_code == 500 and "fuse" not in json.dumps(error.body)


def test_silence_is_no_text(start):
    with start() as client:
        assert ask(client, wav((0.5, 0))).text == ""
        assert ask(client, wav((0.5, 0)), response_format="vtt") == "WEBVTT\n\n"


def test_only_a_run_takes_another_decoder():
    with pytest.raises(StentorError, match="only the decoder of a run"):
        Transcription.open(Model(changes=("decoder=ctc-beam",)), settings())
