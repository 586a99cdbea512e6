"""The detectors on speech and noise: what they are for, and Silero's network against its own package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stentor.data import audio
from stentor.errors import StentorError
from stentor.plugins import registry
from stentor.vad.energy import Energy
from stentor.vad.segments import segments
from stentor.vad.silero import Silero

SPEECH = Path(__file__).parents[3] / "../shared/data/librispeech_mini"


def speech() -> np.ndarray:
    clips = sorted(SPEECH.rglob("*.flac"))
    if not clips:
        pytest.skip("the recordings of LibriSpeech are not there")
    return audio.read(clips[0], 16_000)[: 6 * 16_000]


def detector(name: str):
    built = registry().build("vad", name)
    built.load_pretrained()
    return built


def judged(vad, samples: np.ndarray) -> np.ndarray:
    return vad.probabilities(samples[None], np.array([len(samples)]))[0]


@pytest.mark.parametrize("name", ["energy", "webrtc", "silero"])
def test_human_speech_between_silences_is_found(name: str) -> None:
    noise = np.random.default_rng(0).normal(0, 3e-4, 3 * 16_000).astype(np.float32)
    vad, said = detector(name), speech()
    found = segments(judged(vad, np.concatenate([noise, said, noise])), vad.frame_seconds)
    end = 3.0 + len(said) / 16_000
    covered = sum(min(b, end) - max(a, 3.0) for a, b in found if b > 3.0 and a < end)
    assert covered >= 0.7 * len(said) / 16_000
    assert all(a >= 2.3 and b <= end + 0.9 for a, b in found), found


def test_the_noise_floor_adapts() -> None:
    """Steady noise that begins loud is taken for speech first and for silence once the floor has risen."""
    vad = Energy()
    noise = np.random.default_rng(0).normal(0, 0.03, 20 * 16_000).astype(np.float32)
    found = judged(vad, noise)
    assert found[:50].mean() > 0.5 and found[-250:].max() < 0.3
    assert judged(vad, noise * 0.01).max() < 0.3


def test_energy_refuses_senseless_options() -> None:
    with pytest.raises(StentorError) as caught:
        Energy(lowest=-10.0)
    assert caught.value.path == "vad.lowest"


def test_silero_is_what_its_package_computes() -> None:
    """The package's own network in a process of its own: importing it sets torch to one thread."""
    samples = speech()[: 16_000 * 3]
    code = (
        "import sys, numpy, torch\nfrom silero_vad import load_silero_vad\n"
        "audio = torch.from_numpy(numpy.frombuffer(sys.stdin.buffer.read(), numpy.float32).copy())\n"
        "model = load_silero_vad()\n"
        "print(*[model(audio[i:i + 512], 16000).item() for i in range(0, len(audio) - 511, 512)])"
    )
    done = subprocess.run([sys.executable, "-c", code], input=samples.tobytes(), capture_output=True, check=True)
    theirs = np.array(done.stdout.split(), np.float64)
    np.testing.assert_allclose(judged(detector("silero"), samples), theirs, atol=1e-5)


def test_silero_without_weights_says_what_to_call() -> None:
    vad = Silero()
    with pytest.raises(StentorError, match="load_pretrained"):
        vad.step(np.zeros((1, 512), np.float32), vad.initial_state(1))
