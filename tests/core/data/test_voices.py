"""Voices: deterministic, whatever was said before; the right rate; speed; clear errors."""

from __future__ import annotations

import shutil
import sys

import numpy as np
import pytest

from stentor.errors import StentorError
from stentor.interfaces.voice import Voice
from stentor.plugins import registry

TEXT = "turn on the lamp in the kitchen"
VOICES = [
    ("espeak", {}, "espeakng_loader"),
    ("espeak", {"variant": "en-us+f2"}, "espeakng_loader"),
    ("hibari", {}, "hibari"),
    ("piper", {}, "piper"),
]


@pytest.fixture(scope="module", params=VOICES, ids=lambda each: "-".join([each[0], *each[1].values()]))
def voice(request: pytest.FixtureRequest) -> Voice:
    name, options, module = request.param
    pytest.importorskip(module, reason="the extra 'voices' is not installed")
    return registry().build("voice", name, **options)


def test_same_text_gives_same_samples_whatever_was_said_before(voice: Voice) -> None:
    first = voice.speak(TEXT)
    voice.speak("something else entirely", speed=1.1)
    assert np.array_equal(first, voice.speak(TEXT))


def test_speech_is_float32_in_range_and_lasts_as_long_as_speech(voice: Voice) -> None:
    spoken = voice.speak(TEXT)
    assert spoken.dtype == np.float32 and spoken.ndim == 1
    assert 0.05 < np.abs(spoken).max() <= 1.0
    assert 1.0 < len(spoken) / voice.sample_rate < 4.0


def test_speed_shortens_and_lengthens(voice: Voice) -> None:
    slow, normal, fast = (len(voice.speak(TEXT, speed=speed)) for speed in (0.8, 1.0, 1.25))
    assert fast < 0.95 * normal < 0.9 * slow


def test_voices_state_a_licence(voice: Voice) -> None:
    assert voice.licence


def test_espeak_variants_and_pitch_sound_different() -> None:
    pytest.importorskip("espeakng_loader")
    build = registry().build
    low, high, other = (
        build("voice", "espeak", **options).speak(TEXT)
        for options in ({"pitch": 20}, {"pitch": 80}, {"variant": "en-us+klatt2"})
    )
    assert _median_pitch(high) > 1.3 * _median_pitch(low)
    assert not np.array_equal(low[: len(other)], other[: len(low)])


def test_unknown_espeak_variant_is_named() -> None:
    pytest.importorskip("espeakng_loader")
    with pytest.raises(StentorError, match="no such voice") as caught:
        registry().build("voice", "espeak", variant="en-nowhere").speak(TEXT)
    assert caught.value.value == "en-nowhere"


def test_a_missing_engine_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(StentorError, match=r"stentor\[voices\]"):
        registry().build("voice", "espeak").speak(TEXT)


def test_flite_says_how_to_install_it_or_speaks() -> None:
    flite = registry().build("voice", "flite", variant="slt")
    if shutil.which("flite"):
        assert np.array_equal(flite.speak(TEXT), flite.speak(TEXT))
    else:
        with pytest.raises(StentorError, match="apt-get install flite"):
            flite.speak(TEXT)


def _median_pitch(audio: np.ndarray, rate: int = 22050) -> float:
    """Fundamental frequency (Hz) by autocorrelation, median over loud frames."""
    found = []
    for start in range(0, len(audio) - 1024, 1024):
        frame = audio[start : start + 1024]
        if np.sqrt(np.mean(frame**2)) > 0.05:
            correlation = np.correlate(frame, frame, "full")[1023:]
            low, high = rate // 400, rate // 60
            found.append(rate / (low + int(np.argmax(correlation[low:high]))))
    return float(np.median(found))
