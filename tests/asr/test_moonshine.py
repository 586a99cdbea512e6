"""Moonshine: its tokens, what it refuses, and that it hears real speech."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from stentor.data import audio
from stentor.errors import StentorError
from stentor.plugins import registry
from stentor_asr.moonshine.package import Tokens, folder
from stentor_asr.moonshine.recogniser import MoonshineRecogniser

INSTALLED = find_spec("moonshine_voice") is not None and find_spec("onnxruntime") is not None
needs_package = pytest.mark.skipif(not INSTALLED, reason="stentor-asr[moonshine] is not installed")


def entry(piece):
    size = len(piece)
    return (bytes([size]) if size < 128 else bytes([size % 128 + 128, size // 128])) + piece


def test_tokens_of_the_file_have_lengths_of_one_byte_or_two():
    pieces = [b"<unk>", b"<s>", b"</s>", b"", "▁turn".encode(), "▁left".encode(), b"x" * 300, "é".encode()[:1],
              "é".encode()[1:]]  # fmt: skip
    tokens = Tokens(b"".join(map(entry, pieces)))
    assert tokens.pieces == pieces
    assert tokens.text([1, 4, 5, 2]) == "turn left"
    assert tokens.text([4, 7, 8]) == "turné"
    assert tokens.text([6]) == "x" * 300


def test_it_says_what_to_install_where_the_package_carries_no_weights(monkeypatch, tmp_path):
    class Spec:
        origin = str(tmp_path / "moonshine_voice" / "__init__.py")

    monkeypatch.setattr("stentor_asr.moonshine.package.find_spec", lambda name: Spec)
    monkeypatch.setattr("stentor_asr.moonshine.package.version", lambda name: "0.1.5")
    with pytest.raises(StentorError, match=r"moonshine-voice 0\.1\.5 carries no weights"):
        folder()
    monkeypatch.setattr("stentor_asr.moonshine.package.find_spec", lambda name: None)
    with pytest.raises(StentorError, match="not installed"):
        folder()


def test_it_refuses_threads_below_zero_and_hearing_without_weights():
    with pytest.raises(StentorError, match="threads"):
        MoonshineRecogniser(threads=-1)
    with pytest.raises(StentorError, match="not loaded"):
        MoonshineRecogniser().recognise([np.zeros(16000, np.float32)])


@needs_package
def test_it_hears_real_speech():
    recogniser = registry().build("recogniser", "moonshine")
    assert set(recogniser.load_pretrained()) == {"name", "source", "sha256"}
    speech = audio.read(Path(folder()).parent / "two_cities.wav", recogniser.sample_rate, 0.0, 6.0)
    (heard,) = recogniser.recognise([speech])
    (segment,) = heard.segments
    assert "best of times" in segment.text.lower()
    assert 0.7 < segment.confidence <= 1
    assert heard.warnings == ()
    assert (segment.start, segment.end) == (0.0, 6.0)
