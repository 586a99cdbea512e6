"""`stentor serve` as a process, which stops when told without dropping anybody, and with the embedded Whisper."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import openai
import pytest
import soundfile
import tiny_whisper

from stentor.plugins import registry
from stentor.serve.server import opened, running
from stentor.serve.settings import Model, ServeSettings
from stentor_asr.transcribe.choice import choose
from stentor_asr.transcribe.pipeline import transcribe


@contextmanager
def serving(*words, folder, **environment):
    """The process and a client, once it says that it serves."""
    command = [sys.executable, "-m", "stentor", "serve", "--port", "0", *words]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder), **environment},
    )
    try:
        line = process.stdout.readline()
        assert line.startswith("Serving "), (line, process.stderr.read() if process.poll() is not None else "")
        yield process, client(line.rpartition(" at ")[2].strip())
    finally:
        process.kill()
        process.communicate()


def client(address):
    plain = openai.DefaultHttpxClient(trust_env=False)
    return openai.OpenAI(base_url=address, api_key="sesame", max_retries=0, http_client=plain)


@pytest.mark.slow
def test_a_server_that_is_stopped_finishes_what_it_has(tmp_path):
    weights, folder = tmp_path / "tiny", tmp_path / "tmp"
    weights.mkdir(), folder.mkdir()
    tiny_whisper.save(weights)
    take = tmp_path / "take.wav"
    soundfile.write(take, tiny_whisper.noise(40), 16000)
    words = ["--model", str(weights), "--name", "tiny", "--batch", "1"]
    with serving(*words, folder=folder, STENTOR_API_KEY="sesame") as (process, asked):
        assert [one.id for one in asked.models.list().data] == ["tiny"]
        found = []
        asking = threading.Thread(
            target=lambda: found.append(asked.audio.transcriptions.create(file=take, model="tiny").text)
        )
        asking.start()
        while not asked.get("../health", cast_to=object)["capabilities"]["transcription"]["batches"]:
            assert asking.is_alive()
            time.sleep(0.02)
        assert asking.is_alive() and list(folder.iterdir())
        process.send_signal(signal.SIGTERM)
        asking.join(60)
        assert process.wait(60) == 0
        assert "POST /v1/audio/transcriptions 200" in process.stderr.read()
    assert list(folder.iterdir()) == []
    recogniser = choose(None, str(weights))
    recogniser.load_pretrained()
    (alone,) = transcribe([take], recogniser)
    assert found == [alone.text] and alone.text


@tiny_whisper.needs_weights
@pytest.mark.slow
def test_a_person_asks_the_embedded_whisper(tmp_path):
    pytest.importorskip("espeakng_loader")
    voice = registry().build("voice", "espeak")
    samples = voice.speak("Please open the window and close the door.")
    take = tmp_path / "take.flac"
    soundfile.write(take, samples, voice.sample_rate)
    settings = ServeSettings(port=0)
    with running(opened(Model(), settings), settings) as address:
        asked = client(f"{address}/v1")
        (model,) = asked.models.list().data
        text = asked.audio.transcriptions.create(file=take, model=model.id).text
        assert "open the window" in text.lower()
        events = list(asked.audio.transcriptions.create(file=take, model=model.id, stream=True))
        assert events[-1].text == text
        vtt = asked.audio.transcriptions.create(file=take, model=model.id, response_format="vtt")
        assert vtt.startswith("WEBVTT\n\n00:00:0")
