"""Augmentation: ratios and bands are what they say, everything is fixed by the seed, masks stay inside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from stentor.data.augment.codec import apply_codec, band, mu_law
from stentor.data.augment.noise import COLOURS, coloured_noise, mix
from stentor.data.augment.settings import AugmentSettings
from stentor.data.augment.spec import SpecAugment
from stentor.data.augment.speed import change_speed
from stentor.data.augment.waveform import Augment
from stentor.errors import StentorError

RATE = 16000
TONE = np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE).astype(np.float32) * 0.5


@pytest.mark.parametrize("snr", [-5.0, 0.0, 10.0, 20.0])
def test_noise_is_mixed_at_the_stated_ratio(snr: float) -> None:
    mixed = mix(TONE, coloured_noise(4000, "pink", np.random.default_rng(0)), snr)
    added = (mixed - TONE).astype(np.float64)
    assert 10 * np.log10(np.mean(TONE.astype(np.float64) ** 2) / np.mean(added**2)) == pytest.approx(snr, abs=0.01)


def test_mixing_with_silence_changes_nothing() -> None:
    silence = np.zeros(RATE, np.float32)
    assert np.array_equal(mix(TONE, silence, 10.0), TONE)
    assert np.array_equal(mix(silence, TONE, 10.0), silence)


@pytest.mark.parametrize(("colour", "slope"), [("white", 0.0), ("pink", -3.0), ("brown", -6.0)])
def test_colours_fall_by_so_many_db_an_octave(colour: str, slope: float) -> None:
    noise = coloured_noise(2**17, colour, np.random.default_rng(1))  # type: ignore[arg-type]
    power = np.abs(np.fft.rfft(noise)) ** 2
    octaves = [10 * np.log10(power[2**n : 2 ** (n + 1)].mean()) for n in range(8, 16)]
    assert np.polyfit(range(8), octaves, 1)[0] == pytest.approx(slope, abs=0.3)
    assert np.mean(noise**2) == pytest.approx(1.0, rel=1e-3)
    assert set(COLOURS) == {"white", "pink", "brown"}


@pytest.mark.parametrize("factor", [0.9, 1.0, 1.1, 1.25])
def test_speed_scales_length_and_pitch(factor: float) -> None:
    fast = change_speed(TONE, factor)
    assert len(fast) == int(np.ceil(len(TONE) / factor - 1e-9))
    peak = np.argmax(np.abs(np.fft.rfft(fast, 4 * RATE))) / 4
    assert peak == pytest.approx(440 * factor, abs=1.0)


def test_telephone_band_removes_what_a_telephone_removes() -> None:
    time = np.arange(RATE) / RATE
    audio = sum(np.sin(2 * np.pi * hz * time) for hz in (100, 1000, 6000)) / 4
    levels = np.abs(np.fft.rfft(apply_codec(audio.astype(np.float32), RATE, "telephone")))
    assert levels[100] < 0.05 * levels[1000] and levels[6000] < 0.05 * levels[1000]
    assert np.allclose(band(TONE, RATE, 300, 3400), TONE, atol=1e-4)


def test_mu_law_has_few_levels_and_keeps_quiet_sounds() -> None:
    ramp = np.linspace(-1, 1, 20001, dtype=np.float32)
    coded = mu_law(ramp, bits=6)
    assert len(np.unique(coded)) <= 64 and np.abs(coded).max() <= 1.0
    quiet, loud = np.abs(ramp) < 0.01, np.abs(ramp) > 0.5
    error = np.abs(coded - ramp)
    assert error[quiet].max() < 0.2 * error[loud].max()
    assert np.abs(mu_law(ramp, bits=8) - ramp).max() < error.max()


def test_augment_is_a_function_of_the_seed_and_off_by_default() -> None:
    wave = torch.from_numpy(TONE)
    augment = Augment(AugmentSettings(speeds=[0.9, 1.0, 1.1], noise=1.0, codec=0.5))
    first, again, other = (augment(wave, RATE, np.random.default_rng(seed)) for seed in (7, 7, 8))
    assert torch.equal(first, again)
    assert first.shape != other.shape or not torch.equal(first, other)
    assert torch.equal(Augment(AugmentSettings())(wave, RATE, np.random.default_rng(0)), wave)


def test_noise_comes_from_a_folder_and_short_recordings_repeat(tmp_path: Path) -> None:
    hum = (np.sin(2 * np.pi * 2000 * np.arange(4000) / 8000) * 0.3).astype(np.float32)
    soundfile.write(tmp_path / "hum.wav", hum, 8000)
    augment = Augment(AugmentSettings(noise=1.0, noise_folder=str(tmp_path), snr=[0.0, 0.0]))
    added = augment(torch.from_numpy(TONE), RATE, np.random.default_rng(0)).numpy() - TONE
    assert np.argmax(np.abs(np.fft.rfft(added))) == pytest.approx(2000, abs=2)


def test_everything_wrong_with_the_settings_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(StentorError) as caught:
        AugmentSettings(speeds=[3.0], snr=[20.0], noise=1.5, codec=0.5, codecs=[])
    paths = {problem.path for problem in caught.value.problems}
    assert paths == {"speeds", "snr", "noise", "codecs"}
    empty = Augment(AugmentSettings(noise=1.0, noise_folder=str(tmp_path)))
    with pytest.raises(StentorError, match="no audio files"):
        empty(torch.from_numpy(TONE), RATE, np.random.default_rng(0))


def test_spec_augment_masks_only_in_training_and_only_valid_frames() -> None:
    torch.manual_seed(0)
    frames, lengths = torch.ones(64, 100, 80), torch.randint(1, 101, (64,))
    module = SpecAugment(time_masks=2, time_width=20, time_share=0.2, frequency_masks=0)
    assert module.eval()(frames, lengths) is frames
    masked = module.train()(frames, lengths) == 0
    rows = masked.all(dim=2)
    assert torch.equal(masked.any(dim=2), rows)
    assert all(not rows[row, length:].any() for row, length in enumerate(lengths.tolist()))
    assert (rows.sum(1) <= 2 * (lengths * 0.2).floor().clamp(max=20)).all() and rows.any()


def test_spec_augment_frequency_masks_have_at_most_their_width() -> None:
    torch.manual_seed(0)
    module = SpecAugment(time_masks=0, frequency_masks=1, frequency_width=8).train()
    bands = (module(torch.ones(200, 10, 80), torch.full((200,), 10)) == 0).all(dim=1).sum(1)
    assert bands.max() == 8 and bands.min() == 0


def test_spec_augment_is_fixed_by_the_seed() -> None:
    module, frames, lengths = SpecAugment().train(), torch.randn(4, 50, 80), torch.full((4,), 50)
    torch.manual_seed(3)
    first = module(frames, lengths)
    second = module(frames, lengths)
    torch.manual_seed(3)
    assert torch.equal(first, module(frames, lengths)) and not torch.equal(first, second)
