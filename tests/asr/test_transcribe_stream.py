"""``stentor transcribe --stream`` as a user meets it, and audio as a pipe brings it."""

from __future__ import annotations

import io
import json
import struct
import sys
import types

import numpy as np
import pytest

from stentor.cli import main
from stentor.errors import StentorError
from stentor.plugins import registry
from stentor.testing.signals import voiced
from stentor_asr.cli.stream import Display
from stentor_asr.streaming import sources
from stentor_asr.streaming.events import Final, Partial
from stentor_asr.transcribe import choice
from stentor_asr.transcribe.recogniser import PLAIN, Heard, Recogniser, Segment

RATE = 16_000


class Counter(Recogniser):
    """Says one word for every half second of the window."""

    sample_rate, window_seconds = RATE, 10.0

    def recognise(self, windows, request=PLAIN):
        texts = [" ".join(["one", "two", "three", "four", "five", "six"][: len(window) // 8000]) for window in windows]
        return [Heard((Segment(0.0, len(w) / RATE, t),) if t else ()) for w, t in zip(windows, texts, strict=True)]


class Pipe(io.RawIOBase):
    """Gives its bytes in pieces of odd sizes, as pipes do."""

    def __init__(self, data: bytes) -> None:
        self.data, self.sizes = data, [1, 3, 641, 7, 5000]

    def readable(self):
        return True

    def readinto(self, buffer):
        size = min(len(buffer), self.sizes[0], len(self.data))
        self.sizes.append(self.sizes.pop(0))
        buffer[:size], self.data = self.data[:size], self.data[size:]
        return size


def said() -> np.ndarray:
    quiet = np.zeros(RATE, np.float32)
    return np.concatenate([quiet, voiced(2 * RATE, RATE).numpy(), quiet, voiced(RATE, RATE).numpy(), quiet])


def pcm(samples: np.ndarray) -> bytes:
    return (samples * 32767).astype("<i2").tobytes()


def wav(
    samples: np.ndarray, code: int = 1, bits: int = 16, channels: int = 1, rate: int = RATE, size: int = -1
) -> bytes:
    kinds = {(1, 16): ("<i2", 32767), (1, 32): ("<i4", 2**31 - 1), (3, 32): ("<f4", 1)}
    kind, scale = kinds.get((code, bits), ("<i2", 32767))
    data = np.repeat(samples[:, None] * scale, channels, 1).astype(kind).tobytes()
    form = struct.pack("<HHIIHH", code, channels, rate, 0, 0, bits)
    junk = b"LIST" + struct.pack("<I", 3) + b"abc\0"
    length = size & 0xFFFFFFFF
    return b"RIFF" + struct.pack("<I", length) + b"WAVE" + junk + b"fmt " + struct.pack("<I", 16) + form + b"data" + \
        struct.pack("<I", length) + data  # fmt: skip


def piped(data: bytes, **options: int) -> np.ndarray:
    return np.concatenate(list(sources.pipe(io.BufferedReader(Pipe(data), 1024), RATE, **options)))


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "choose", lambda *_, **__: Counter())


def streamed(monkeypatch: pytest.MonkeyPatch, data: bytes, *words: str) -> int:
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BufferedReader(Pipe(data))))
    return main(["transcribe", "--stream", "-", *words])


def test_finals_alone_where_no_terminal_is(monkeypatch, capsys, counter) -> None:
    assert streamed(monkeypatch, pcm(said())) == 0
    assert capsys.readouterr().out == "one two three four five\none two three\n"


def test_one_json_line_for_every_event(monkeypatch, capsys, counter) -> None:
    assert streamed(monkeypatch, wav(said()), "--format", "json", "--interval", "0.5", "--vad", "webrtc") == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    finals = [event for event in events if event["event"] == "final"]
    assert finals and all(event["reason"] in ("pause", "end") for event in finals)
    assert [event["event"] for event in events].count("partial") >= 3
    assert all(set(event) >= {"text", "start", "end"} for event in events)


def test_a_terminal_sees_the_line_grow() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    Display(out, "text")([Partial("one", 0.0, 1.0), Partial("one two", 0.0, 2.0), Final("one two.", 0.0, 2.5, "pause")])
    assert out.getvalue() == "\r\x1b[Kone\r\x1b[Kone two\r\x1b[Kone two.\n"


@pytest.mark.parametrize(("code", "bits", "tolerance"), [(1, 16, 1e-4), (1, 32, 1e-6), (3, 32, 0.0)])
@pytest.mark.parametrize("channels", [1, 2])
def test_wav_from_a_pipe(code: int, bits: int, channels: int, tolerance: float) -> None:
    """Its length is not known when it begins: recorders write 0 or the largest number."""
    samples = said()[RATE : RATE + 4567]
    np.testing.assert_allclose(piped(wav(samples, code, bits, channels)), samples, atol=tolerance)


def test_what_follows_the_data_of_a_wav_is_no_audio() -> None:
    samples = said()[RATE : RATE + 4567]
    data = wav(samples, size=2 * len(samples)) + b"LIST" + struct.pack("<I", 4000) + bytes(range(250)) * 16
    np.testing.assert_allclose(piped(data), samples, atol=1e-4)


def test_raw_samples_and_other_rates() -> None:
    samples = said()[RATE : RATE + 4001]
    np.testing.assert_allclose(piped(pcm(samples)), samples, atol=1e-4)
    assert len(piped(pcm(samples), raw_rate=8000)) == 8002
    assert len(piped(wav(samples, rate=48_000))) == 1334
    assert len(piped(b"")) == 0 and len(piped(b"\0")) == 0 and len(piped(pcm(samples) + b"\1")) == 4001


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"RIFF\0\0\0\0AVI fmt ", "no WAV file"),
        (b"RIFF\0\0\0\0WAVEdata\0\0\0\0", "damaged"),
        (b"RIFF\0\0\0\0WAVE", "damaged"),
        (b"RIFF\0\0\0\0WAVEjunk\xff\xff\xff\xff", "damaged"),
        (wav(np.zeros(9, np.float32), code=7, bits=8), "format 7 with 8 bits"),
        (wav(np.zeros(9, np.float32), rate=1), "1 Hz"),
        (b"fLaC\0\0\0\x22", "brings FLAC; WAV or raw PCM"),
        (b"OggS\0\2", "brings Ogg"),
    ],
)
def test_what_is_no_wav_is_told_in_one_sentence(data: bytes, message: str) -> None:
    with pytest.raises(StentorError, match=message):
        piped(data)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["talk.wav"], "FILE"),
        (["-", "--format", "srt"], "--format"),
        (["-", "-o", "out.txt"], "--output"),
        (["-", "--rate", "5"], "--rate"),
        (["-", "--vad", "silro"], "--vad"),
        (["-", "--pause", "0"], "--pause"),
        (["-", "--interval", "0"], "--interval"),
    ],
)
def test_what_makes_no_sense_is_refused(words, named, capsys, counter, monkeypatch) -> None:
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO()))
    assert main(["transcribe", "--stream", *words]) == 2
    assert named in capsys.readouterr().err


def test_the_microphone_needs_its_extra(monkeypatch, capsys, counter) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    assert main(["transcribe", "--stream"]) == 2
    assert "stentor-asr[microphone]" in capsys.readouterr().err


def test_the_microphone_is_heard_until_interrupted(monkeypatch, capsys, counter) -> None:
    """A microphone of our own: it gives its blocks by callback as PortAudio does, then the user presses Ctrl-C."""
    device = types.ModuleType("sounddevice")

    class InputStream:
        def __init__(self, callback, blocksize, **_):
            self.callback, self.size = callback, blocksize

        def __enter__(self):
            for block in np.split(said(), range(self.size, len(said()), self.size)):
                self.callback(block[:, None], len(block), None, None)

        def __exit__(self, *_):
            return None

    class Heard(list):
        put = list.append

        def get(self):
            if not self:
                raise KeyboardInterrupt
            return self.pop(0)

    device.InputStream, device.PortAudioError = InputStream, OSError
    monkeypatch.setitem(sys.modules, "sounddevice", device)
    monkeypatch.setattr(sources.queue, "SimpleQueue", Heard)
    assert main(["transcribe", "--stream"]) == 0
    assert capsys.readouterr().out == "one two three four five\none two three\n"


def test_files_can_be_heard_by_voice_activity(tmp_path, capsys, counter) -> None:
    from stentor.data import audio

    audio.write(tmp_path / "talk.wav", said(), RATE)
    assert main(["transcribe", str(tmp_path / "talk.wav"), "--vad", "energy"]) == 0
    assert capsys.readouterr().out == "one two three four\none two\n"
    assert main(["transcribe"]) == 2 and "--stream" in capsys.readouterr().err


def test_detectors_are_listed() -> None:
    assert registry().names("vad") == ["energy", "silero", "webrtc"]
