"""Encoder `sinc`: the energies of learned band-pass filters."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from stentor.interfaces.encoder import Encoder, EncoderSpec

SAMPLE_RATE = 16000
HOP = 320
TAPS = 161


class Sinc(Encoder):
    """Band-pass filters of two learned edges each (SincNet, Ravanelli and Bengio 2018), log energies, 50 frames/s.

    Args:
        bands: number of filters.
        dim: width of the frames.
    """

    capabilities = frozenset({"streaming"})

    def __init__(self, *, bands: int = 32, dim: int = 64) -> None:
        super().__init__()
        self.dim, self.frame_rate, self.sample_rate = dim, SAMPLE_RATE / HOP, SAMPLE_RATE
        mel = torch.linspace(0, 2595 * math.log10(1 + 7600 / 700), bands + 1)
        edges = 700 * (10 ** (mel / 2595) - 1) / SAMPLE_RATE
        self.low, self.width = nn.Parameter(edges[:-1].clone()), nn.Parameter(edges.diff())
        self.register_buffer("time", torch.arange(TAPS) - (TAPS - 1) / 2, persistent=False)
        self.register_buffer("taper", torch.hamming_window(TAPS, periodic=False), persistent=False)
        self.project = nn.Sequential(nn.Linear(bands, dim), nn.GELU(), nn.Linear(dim, dim), nn.LayerNorm(dim))

    @classmethod
    def spec(cls, *, dim: int = 64, **_: Any) -> EncoderSpec:
        return EncoderSpec(dim, SAMPLE_RATE / HOP, SAMPLE_RATE)

    def frames(self, samples: int) -> int:
        return -(-samples // HOP)

    def forward(self, audio: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        return self._encode(audio, self.frames(audio.shape[1])), (lengths + HOP - 1) // HOP

    @property
    def delay(self) -> float:
        return (HOP + TAPS) / SAMPLE_RATE

    def initial_state(self, batch: int) -> Tensor:
        """Samples [batch, n] that later frames still need: none yet."""
        return self.taper.new_zeros(batch, 0)

    def step(self, audio: Tensor, state: Tensor, *, last: bool = False) -> tuple[Tensor, Tensor]:
        audio = torch.cat([state, audio], dim=1)
        whole = max(0, (audio.shape[1] - TAPS + 1) // HOP)
        count = self.frames(audio.shape[1]) if last else whole
        return self._encode(audio, count), audio[:, count * HOP :]

    def _filters(self) -> Tensor:
        """Impulse responses [bands, 1, taps]: the difference of two low-pass filters, tapered."""
        low = self.low.abs()[:, None]
        high = low + self.width.abs()[:, None]
        ideal = 2 * high * torch.sinc(2 * high * self.time) - 2 * low * torch.sinc(2 * low * self.time)
        return (ideal * self.taper)[:, None]

    def _encode(self, audio: Tensor, count: int) -> Tensor:
        """Frames [B, count, dim]; frame t hears the samples from t * HOP on, zeros behind the end."""
        if not count:
            return audio.new_zeros(audio.shape[0], 0, self.dim)
        needed = count * HOP + TAPS - 1
        audio = functional.pad(audio, (0, max(0, needed - audio.shape[1])))[:, None, :needed]
        power = functional.conv1d(audio, self._filters()).square()
        energy = power.reshape(*power.shape[:2], count, HOP).mean(-1)
        return self.project(torch.log(energy + 1e-6).transpose(1, 2))
