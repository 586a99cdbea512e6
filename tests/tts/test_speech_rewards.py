"""Rewards for spoken responses: what is asked and given is scored as documented, the rest is NaN."""

import math

import numpy as np
import pytest
import torch

from stentor.data import audio
from stentor.errors import StentorError
from stentor.plugins import registry
from stentor_tts.judges import recognisers
from stentor_tts.measures import naturalness, speaker
from stentor_tts.rewards.audio import voice_of, waveform

RATE = 16000


def tone(hertz=190.0, seconds=1.0, level=-34.0):
    """A harmonic tone at a level (dB of full scale)."""
    time = torch.arange(int(seconds * RATE), dtype=torch.float64) / RATE
    wave = sum(torch.sin(2 * math.pi * hertz * n * time) / n for n in range(1, 6))
    return (wave / wave.square().mean().sqrt() * 10 ** (level / 20)).float()


def score(name, prompts, waves, **options):
    reward = registry().build("reward", name, **options)
    return reward.score(prompts, [{"audio": wave, "sample_rate": RATE} for wave in waves])


def test_style_is_rewarded_by_its_parts():
    text = "turn it up a little please"  # 7 syllables
    asked = {"reference": text, "style": {"rate": 0, "energy": 0, "pitch": 0}}
    spot = tone(190.0, 7 / 5.2, -34.0)
    found = score("style-compliance", [asked] * 4, [spot, tone(190.0, 7 / 5.2, -28.0), tone(213.3, 7 / 5.2),
                                                    tone(190.0, 14 / 5.2)])  # fmt: skip
    assert found.total[0] > 0.97 and found.parts["energy"][0] > 0.99
    assert float(found.parts["energy"][1]) == pytest.approx(0.5, abs=0.01)
    assert float(found.parts["pitch"][2]) == pytest.approx(0.5, abs=0.02)
    assert float(found.parts["rate"][3]) == 0 and found.parts["rate"][2] > 0.95
    means = torch.stack(list(found.parts.values())).mean(0)
    assert torch.allclose(found.total, means)


def test_levels_are_those_of_the_corpus():
    text = "turn it up a little please"
    fast, loud = {"reference": text, "style": {"rate": 2}}, {"style": {"energy": 1.5}}
    high, none = {"style": {"pitch": 9, "whisper": False}}, {"reference": text}
    waves = [tone(190, 7 / (5.2 * 1.45)), tone(190, 1, -25.0), tone(190 * 2 ** (4 / 12)), tone()]
    found = score("style-compliance", [fast, loud, high, none], waves)
    assert found.total[:3].min() > 0.96
    assert math.isnan(found.total[3]) and math.isnan(found.parts["energy"][0]) and math.isnan(found.parts["rate"][1])
    hiss = torch.randn(RATE, generator=torch.Generator().manual_seed(0)) * 0.01
    assert math.isnan(score("style-compliance", [{"style": {"pitch": 0}}], [hiss]).total[0])


def test_duration_is_rewarded_in_its_logarithm():
    prompts = [{"seconds": 1.0}, {"seconds": 2.0}, {"seconds": math.sqrt(2)}, {"text": "banana"}, {}]
    found = score("duration", prompts, [tone()] * 5, syllables_per_second=3.0)
    assert found.total[:4].tolist() == pytest.approx([1.0, 0.0, 0.5, 1.0], abs=0.01)
    assert found.parts["ratio"][1] == pytest.approx(0.5, abs=0.01) and math.isnan(found.total[4])


def test_intelligibility_is_what_its_recogniser_makes_out(monkeypatch):
    monkeypatch.setattr(recognisers, "heard", lambda name, waves: iter(["Turn left!", "stop it now please", ""]))
    prompts = [{"reference": "turn left"}, {"text": "go"}, {}]
    found = score("intelligibility", prompts, [tone()] * 3, recogniser="any")
    assert found.total[:2].tolist() == [1.0, 0.0] and found.parts["rate"][1] == 4.0 and math.isnan(found.total[2])


def test_similarity_reads_voices_from_tensors_and_files(monkeypatch, tmp_path):
    class Ear:
        def embed(self, waves):
            return torch.stack([torch.eye(2)[int(wave.abs().max() > 0.1) if len(wave) else 0] for wave in waves])

    monkeypatch.setattr(speaker, "encoder", Ear)
    audio.write(tmp_path / "loud.wav", np.full(RATE, 0.5, np.float32), RATE)
    loud, soft = torch.full((RATE,), 0.5), torch.full((RATE,), 0.05)
    prompts = [{"prompt": {"audio": loud}}, {"prompt": {"audio": soft}}, {"prompt": str(tmp_path / "loud.wav")}, {},
               {"prompt": str(tmp_path / "none.wav")}]  # fmt: skip
    found = score("speaker-similarity", prompts, [loud] * 5)
    assert found.total[:3].tolist() == [1.0, 0.0, 1.0] and torch.isnan(found.total[3:]).all()
    assert voice_of({"prompt": {"audio": str(tmp_path / "loud.wav"), "start": 0.5}}).shape == (RATE // 2,)


def test_naturalness_is_scaled(monkeypatch):
    class Ear:
        def rate(self, wave):
            return naturalness.Opinion(4.0, 2.0, 3.0)

    monkeypatch.setattr(naturalness, "dnsmos", Ear)
    found = score("dnsmos", [{}], [tone()])
    assert found.total.tolist() == [0.5] and found.parts["background"].tolist() == [2.0]


def test_sound_is_brought_to_16_khz():
    wave = waveform({"audio": torch.sin(torch.arange(24000) / 10), "sample_rate": 24000})
    assert len(wave) == RATE
    assert waveform({"audio": torch.zeros(100, dtype=torch.int16)}) is None and waveform({}) is None


@pytest.mark.parametrize(
    ("name", "options"),
    [("duration", {"syllables_per_second": 0.0}), ("style-compliance", {"hertz": -1.0})],
)
def test_impossible_settings_are_refused(name, options):
    with pytest.raises(StentorError, match="more than 0"):
        registry().build("reward", name, **options)
