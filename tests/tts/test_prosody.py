"""Level and pitch of frames, on sounds whose level and pitch are known."""

import math

import pytest
import torch
from tiny_states import buzz

from stentor_tts.mel import HOP, SAMPLE_RATE
from stentor_tts.tokenizer.features import acoustics, from_silence
from stentor_tts.tokenizer.prosody import QUIETEST, level, pitch


def test_level_of_a_sine():
    sine = torch.sin(2 * math.pi * 250 * torch.arange(6400) / SAMPLE_RATE)
    assert level(0.1 * sine, 640).tolist() == pytest.approx([-23.01] * 10, abs=0.05)
    assert level(torch.zeros(1000), 640).tolist() == [QUIETEST]


@pytest.mark.parametrize("hertz", [70, 95, 133, 187, 262, 340, 440])
def test_pitch_of_a_steady_buzz(hertz):
    found = pitch(buzz(hertz))
    assert len(found.hertz) == 60
    inner = found.hertz[4:-6]
    assert float((inner / hertz - 1).abs().max()) < 0.03
    assert bool(found.voiced[4:-6].all())


def test_noise_and_silence_have_no_pitch():
    noise = 0.2 * torch.randn(16000, generator=torch.Generator().manual_seed(0))
    assert float(pitch(noise).voiced.float().mean()) < 0.05
    assert not bool(pitch(torch.zeros(16000)).voiced.any())


def test_pitch_does_not_depend_on_level():
    loud, soft = pitch(buzz(150)), pitch(0.01 * buzz(150))
    assert torch.allclose(loud.hertz[4:-6], soft.hertz[4:-6], rtol=1e-3)


def test_a_frame_sees_its_surroundings_alone():
    row, other = buzz(150), buzz(150)
    other[6400:] = 0
    assert torch.allclose(pitch(row).hertz[:36], pitch(other).hertz[:36])
    assert HOP * 36 + 640 <= 6400


def test_acoustics_of_a_buzz_and_of_silence():
    row = torch.cat([buzz(160, 0.6), torch.zeros(9600)])
    found = acoustics(row)
    assert found.shape == (30, 83)
    sounding, silent = found[2:13], found[17:]
    assert sounding[:, 1].tolist() == [1.0] * 11
    assert float(sounding[:, 2].abs().max()) < 0.03
    assert torch.allclose(sounding[:, 3:].mean(-1), torch.zeros(11), atol=1e-4)
    assert torch.equal(silent, torch.cat([torch.tensor([QUIETEST]), torch.zeros(82)]).expand(13, -1))
    assert from_silence(row, 640)[[5, 20]].tolist() == [1.0, 0.0]
