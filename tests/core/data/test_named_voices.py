"""Voices by one word, and voices made of other voices."""

from __future__ import annotations

import numpy as np
import pytest

from stentor.data.voices.espeak import Espeak
from stentor.data.voices.named import engine_of, unwhispered, voice, whispers
from stentor.data.voices.warped import Warped
from stentor.data.voices.whispered import Whispered, whisper
from stentor.errors import StentorError

RATE = 16000


def test_names_say_variant_options_factor_and_whisper() -> None:
    plain = voice("espeak:en-us+f2")
    assert isinstance(plain, Espeak) and plain.variant == "en-us+f2"
    told = voice("espeak:pitch=70,variant=en-gb")
    assert isinstance(told, Espeak) and (told.pitch, told.variant) == (70, "en-gb")
    both = voice("espeak:en-us~0.85~whisper")
    assert isinstance(both, Whispered) and both.base == "espeak:en-us~0.85"
    assert isinstance(voice(both.base), Warped)
    assert voice("espeak:en-us") is voice("espeak:en-us")
    assert whispers("hibari~whisper") and whispers("espeak:en-us+whisperf") and not whispers("hibari~0.9")
    assert (unwhispered("hibari~0.8~whisper"), engine_of("espeak:en-us~0.8")) == ("hibari~0.8", "espeak")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("espek", "no voice 'espek'"),
        ("espeak:pitsch=3", "pitch"),
        ("hibari~deep", "a factor, such as 0.85"),
        ("hibari~5", "between 0.5 and 2"),
    ],
)
def test_misspelt_names_are_told(name: str, told: str) -> None:
    with pytest.raises(StentorError, match=told):
        voice(name)


def test_a_path_among_the_options_may_hold_a_tilde() -> None:
    with pytest.raises(StentorError, match="folder"):
        voice("espeak:folder=~/runs/mine")


class Buzz:
    """A harmonic sound of 150 Hz with a formant about 900 Hz, twice as short at twice the speed."""

    sample_rate, licence = RATE, "none"

    def speak(self, text: str, *, speed: float = 1.0) -> np.ndarray:
        time = np.arange(round(1.6 * RATE / speed)) / RATE
        tones = (np.exp(-(((150 * h - 900) / 300) ** 2)) * np.sin(2 * np.pi * 150 * h * time) for h in range(1, 40))
        return (0.2 * sum(tones)).astype(np.float32)


def peak(audio: np.ndarray) -> float:
    """The frequency (Hz) of the strongest partial."""
    return float(np.abs(np.fft.rfft(audio * np.hanning(len(audio)))).argmax() * RATE / len(audio))


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_a_warped_voice_has_other_frequencies_and_the_same_tempo(
    factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stentor.data.voices.derived.voice", lambda name: Buzz())
    plain, warped = Buzz().speak("a"), Warped(base="buzz", factor=factor).speak("a")
    assert len(warped) == pytest.approx(len(plain), rel=0.001)
    assert peak(warped) == pytest.approx(factor * peak(plain), rel=0.01)


def test_a_whisper_keeps_level_and_formants_and_has_no_pitch() -> None:
    plain = Buzz().speak("a")
    made = whisper(plain, RATE)
    assert len(made) == len(plain) and made.dtype == np.float32 and np.array_equal(made, whisper(plain, RATE))
    assert np.sqrt((made**2).mean()) == pytest.approx(np.sqrt((plain**2).mean()), rel=0.05)

    def periodic(audio: np.ndarray) -> float:
        lag, inner = round(RATE / 150), audio[3000:-3000]
        return float((inner[lag:] * inner[:-lag]).mean() / (inner**2).mean())

    assert periodic(plain) > 0.95 and abs(periodic(made)) < 0.3
    spectrum = np.abs(np.fft.rfft(made)) ** 2
    hertz = np.arange(len(spectrum)) * RATE / len(made)
    assert spectrum[(hertz > 500) & (hertz < 1500)].sum() > 0.6 * spectrum.sum()


def test_a_whisper_of_silence_and_of_nothing() -> None:
    assert not whisper(np.zeros(4000, np.float32), RATE).any()
    assert len(whisper(np.zeros(0, np.float32), RATE)) == 0
