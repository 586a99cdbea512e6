"""An encoder of 50 frames per second for the tests of tokenizers, registered as `tiny-states`, and signals."""

import hashlib

import torch
from torch import nn

from stentor.interfaces.encoder import Encoder, EncoderSpec
from stentor.testing.signals import voiced

HOP = 320
SECTION = {"name": "tiny-states"}


class TinyStates(Encoder):
    """Spectra of 40 ms windows every 20 ms, projected; `pretrained` stands for weights that come from somewhere else.

    Args:
        rate: frames per second (Hz).
        pretrained: which weights.
    """

    sample_rate, dim = 16000, 6

    def __init__(self, *, rate: float = 50.0, pretrained: int = 0) -> None:
        super().__init__()
        self.frame_rate, self.pretrained = rate, pretrained
        self.project = nn.Linear(HOP + 1, self.dim)

    @classmethod
    def spec(cls, *, rate: float = 50.0, pretrained: int = 0) -> EncoderSpec:
        return EncoderSpec(cls.dim, rate, cls.sample_rate)

    def load_pretrained(self):
        if not self.pretrained:
            return {}
        with torch.no_grad():
            self.project.weight.mul_(1 + self.pretrained)
        digest = hashlib.sha256(str(self.pretrained).encode()).hexdigest()
        return {"name": f"tiny-{self.pretrained}", "source": f"seed {self.pretrained}", "sha256": digest}

    def frames(self, samples):
        return -(-samples // HOP)

    def forward(self, audio, lengths):
        count = self.frames(audio.shape[1])
        windows = nn.functional.pad(audio, (0, (count + 1) * HOP - audio.shape[1])).unfold(1, 2 * HOP, HOP)
        return self.project(torch.log(torch.fft.rfft(windows).abs() + 1e-3)), -(-lengths // HOP)


def buzz(hertz, seconds=0.6):
    """Harmonics of a steady pitch, float [N] at 16 kHz."""
    time = torch.arange(int(seconds * 16000), dtype=torch.float64) / 16000
    return sum(torch.sin(2 * torch.pi * hertz * n * time) / n for n in range(1, 12) if hertz * n < 4000).float() * 0.2


def sounds(count=3, seconds=1.2):
    """Waveforms float [N] of different pitch and length with a silent stretch each, at 16 kHz."""
    rows = []
    for index in range(count):
        row = voiced(int((seconds + 0.13 * index) * 16000), 16000, 90.0 + 60 * index)
        row[4000:8000] = 0
        rows.append(row)
    return rows
