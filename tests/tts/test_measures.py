"""The light measures, on signals whose pitch, level, tempo and distance are known."""

import math

import numpy as np
import pytest
import torch

from stentor_tts.measures.level import frame_levels, speech_level, speech_seconds
from stentor_tts.measures.pitch import pitch, semitones
from stentor_tts.measures.ranks import ranks, spearman_terms
from stentor_tts.measures.spectral import mel_distance, stft_distance
from stentor_tts.measures.tempo import speaking_rate, syllables

RATE = 16000


def tone(hertz, seconds=1.0, rate=RATE, harmonics=8, falling=1.0):
    """A harmonic tone at 0.3; `falling` is the power of the harmonics' decay."""
    time = torch.arange(int(seconds * rate), dtype=torch.float64) / rate
    wave = sum(torch.sin(2 * math.pi * hertz * n * time) / n**falling for n in range(1, harmonics + 1))
    return (0.3 * wave / wave.abs().max()).float()


def noise(seconds=1.0, seed=0):
    return torch.randn(int(seconds * RATE), generator=torch.Generator().manual_seed(seed)) * 0.1


@pytest.mark.parametrize("hertz", [70.0, 95.5, 123.4, 181.0, 233.3, 310.0, 420.0])
@pytest.mark.parametrize("rate", [16000, 24000])
def test_pitch_of_harmonic_tones(hertz, rate):
    found = pitch(tone(hertz, 0.5, rate), rate)
    inner = slice(2, -8)
    assert bool(found.voiced[inner].all())
    assert float((found.hertz[inner] / hertz - 1).abs().max()) < 0.005
    assert found.median == pytest.approx(hertz, rel=0.002)


def test_pitch_without_its_fundamental_is_still_found():
    rich = tone(110.0, 0.5, harmonics=10, falling=0.0)
    low = tone(110.0, 0.5, harmonics=1)
    missing = rich - low * (rich @ low) / (low @ low)
    assert pitch(missing, RATE).median == pytest.approx(110.0, rel=0.01)


def test_pitch_follows_a_glide():
    time = torch.arange(RATE, dtype=torch.float64) / RATE
    phase = 2 * math.pi * (100 * time + 50 * time**2)  # 100 Hz to 200 Hz
    wave = sum(torch.sin(phase * n) / n for n in range(1, 6)).float() * 0.2
    found = pitch(wave, RATE)
    middle = torch.arange(len(found.hertz)) * 0.01 + 0.02
    expected = 100 + 100 * middle
    assert float((found.hertz / expected - 1).abs()[5:90].max()) < 0.03


def test_noise_and_silence_are_not_voiced():
    assert float(pitch(noise(), RATE).voiced.float().mean()) < 0.05
    silent = pitch(torch.zeros(RATE), RATE)
    assert not silent.voiced.any() and math.isnan(silent.median)
    quiet = torch.cat([tone(150.0, 0.5), tone(150.0, 0.5) * 1e-3])
    assert not pitch(quiet, RATE).voiced[55:].any()
    assert len(pitch(torch.zeros(0), RATE).hertz) == 0
    assert len(pitch(tone(100.0, 0.005), RATE).hertz) == 1


def test_semitones():
    assert semitones(220.0, 110.0) == pytest.approx(12.0)
    assert semitones(110.0, 110.0 * 2 ** (1 / 12)) == pytest.approx(-1.0)


@pytest.mark.parametrize("gain", [-20.0, -6.0, 0.0, 6.0])
def test_level_follows_the_gain_and_leaves_pauses_out(gain):
    sine = 0.1 * torch.sin(2 * math.pi * 200 * torch.arange(RATE) / RATE)
    expected = 20 * math.log10(0.1 / math.sqrt(2))
    loud = sine * 10 ** (gain / 20)
    assert speech_level(loud, RATE) == pytest.approx(expected + gain, abs=0.02)
    assert speech_level(torch.cat([loud, torch.zeros(RATE)]), RATE) == pytest.approx(expected + gain, abs=0.02)
    assert float(frame_levels(loud, RATE).median()) == pytest.approx(expected + gain, abs=0.02)


def test_silence_has_the_lowest_level_and_no_length():
    for wave in (torch.zeros(RATE), torch.zeros(0)):
        assert speech_level(wave, RATE) == pytest.approx(-120.0)
        assert speech_seconds(wave, RATE) == 0.0
        assert speaking_rate(wave, RATE, "turn left") == 0.0


def test_tempo_of_known_speech():
    wave = torch.cat([torch.zeros(RATE // 2), tone(150.0, 0.8), torch.zeros(RATE // 5), tone(150.0, 1.0),
                      torch.zeros(RATE)])  # fmt: skip
    assert speech_seconds(wave, RATE) == pytest.approx(2.0, abs=0.011)
    assert speaking_rate(wave, RATE, "turn it up a little now please") == pytest.approx(8 / 2.0, rel=0.01)


@pytest.mark.parametrize(
    ("word", "count"),
    [("stop", 1), ("home", 1), ("table", 2), ("music", 2), ("kitchen", 2), ("volume", 2), ("banana", 3), ("the", 1),
     ("played", 1), ("wanted", 2), ("makes", 1), ("houses", 2), ("it's", 1), ("temperature", 4), ("a", 1)],
)  # fmt: skip
def test_syllables(word, count):
    assert syllables(word) == count
    assert syllables(f"{word}, {word.upper()}!") == 2 * count


def test_distances_are_nothing_to_oneself_and_known_for_a_gain():
    wave = noise()
    assert mel_distance(wave, wave) == 0 and stft_distance(wave, wave) == 0
    assert mel_distance(wave * 0.5, wave) == pytest.approx(6.02, abs=0.02)
    assert stft_distance(wave * 0.5, wave) == pytest.approx(0.5 + math.log(2), abs=0.01)
    assert mel_distance(noise(seed=1), wave) > 1 and stft_distance(noise(seed=1), wave) > 0.5


def test_ranks_share_ties():
    assert ranks([3.0, 1.0, 3.0, 2.0]).tolist() == [3.5, 1.0, 3.5, 2.0]


def test_spearman_is_the_ratio_of_its_terms():
    random = np.random.default_rng(0)
    a, b = random.integers(-2, 3, 40).tolist(), random.standard_normal(40).tolist()
    scipy = pytest.importorskip("scipy.stats")
    terms = spearman_terms(a, b)
    assert terms.mean(0) == pytest.approx([scipy.spearmanr(a, b).statistic, 1.0])
    assert (np.abs(terms[:, 0]) <= terms[:, 1] + 1e-12).all(), "no choice of rows can leave [-1, 1]"
    assert spearman_terms([1, 2, 3], [10, 20, 400]).mean(0) == pytest.approx([1.0, 1.0])
    assert spearman_terms([1, 2, 3], [3, 2, 1]).mean(0) == pytest.approx([-1.0, 1.0])
    assert not spearman_terms([1, 1, 1], [3, 2, 1]).any() and spearman_terms([], []).shape == (0, 2)
