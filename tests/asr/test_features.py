"""Log-mel features: against a direct computation, exact lengths, blind to padding and loudness."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stentor_asr.features import HOP, SAMPLE_RATE, TRANSFORM, WINDOW, LogMel, mel_filters


def noise(samples: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(samples, generator=torch.Generator().manual_seed(seed)) * 0.1


def test_energies_equal_a_direct_computation() -> None:
    wave, module = noise(3000), LogMel(40)
    frames = [wave[start : start + WINDOW].double().numpy() for start in range(0, 3000 - WINDOW + 1, HOP)]
    spectrum = np.abs(np.fft.rfft(np.stack(frames) * np.hanning(WINDOW), TRANSFORM)) ** 2
    direct = np.log(spectrum @ mel_filters(40).double().numpy() + 1e-12)
    assert np.allclose(module._energies(wave).numpy(), direct, atol=1e-4)


def test_filters_are_triangles_that_follow_one_another() -> None:
    filters = mel_filters(80)
    assert filters.shape == (TRANSFORM // 2 + 1, 80) and filters.min() == 0 and filters.max() <= 1
    hertz = torch.linspace(0, SAMPLE_RATE / 2, TRANSFORM // 2 + 1)
    centres = (filters * hertz[:, None]).sum(0) / filters.sum(0).clamp(min=1e-6)
    assert (centres[10:].diff() > 0).all() and centres[-1] > 7000


def test_a_tone_lights_its_own_band() -> None:
    energies = [
        LogMel()._energies(torch.sin(2 * torch.pi * hz * torch.arange(8000) / SAMPLE_RATE)) for hz in (300, 3000)
    ]
    low, high = (found.mean(0).argmax().item() for found in energies)
    assert low < high and mel_filters(80)[round(3000 / SAMPLE_RATE * TRANSFORM), high] > 0.3


@pytest.mark.parametrize("samples", [1, 399, 400, 559, 560, 16000, 170000])
def test_frames_says_how_many_come(samples: int) -> None:
    features, lengths = LogMel()(noise(samples)[None], torch.tensor([samples]))
    assert features.shape == (1, LogMel.frames(samples), 80) and lengths.tolist() == [LogMel.frames(samples)]
    assert torch.isfinite(features).all()


def test_a_batch_gives_what_its_rows_give_alone_whatever_the_padding_holds() -> None:
    module, rows = LogMel(), [noise(9000, 1), noise(5003, 2)]
    audio = torch.full((2, 12000), 7.0)
    for index, row in enumerate(rows):
        audio[index, : len(row)] = row
    features, lengths = module(audio, torch.tensor([9000, 5003]))
    for index, row in enumerate(rows):
        alone, _ = module(row[None], torch.tensor([len(row)]))
        assert torch.equal(features[index, : lengths[index]], alone[0])


def test_blocks_do_not_show() -> None:
    wave = noise(25 * SAMPLE_RATE)
    whole, later = LogMel()._energies(wave), LogMel()._energies(wave[990 * HOP :])
    assert torch.allclose(whole[990:1100], later[:110], atol=1e-5)


def test_loudness_does_not_matter_and_bands_are_normal() -> None:
    wave, length = noise(32000)[None], torch.tensor([32000])
    quiet, loud = LogMel()(wave * 0.1, length)[0], LogMel()(wave, length)[0]
    assert torch.allclose(quiet, loud, atol=0.02)
    assert loud.mean(1).abs().max() < 1e-4 and (loud.std(1) - 0.9).abs().max() < 0.15


def test_digital_silence_is_finite() -> None:
    features, _ = LogMel()(torch.zeros(1, 4000), torch.tensor([4000]))
    assert torch.equal(features, torch.zeros_like(features))
