"""Whisper's log-mel spectrogram, batched, computed for as long as the audio is instead of always for 30 s."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from stentor_asr.whisper.sizes import HOP, SAMPLE_RATE

FFT = 400


class LogMel(nn.Module):
    """Radford et al. 2022, section 2.2: 25 ms Hann windows every 10 ms, Slaney mel bands, log10 within 8 of the peak.

    Frame t is centred on sample 160 t; audio is taken to go on with silence, as in Whisper's 30 s windows, so that the
    frames of an utterance equal those of the same utterance padded.

    Args:
        bands: number of mel bands (80, or 128 for large-v3).
    """

    filters: Tensor
    window: Tensor

    def __init__(self, bands: int) -> None:
        super().__init__()
        self.register_buffer("filters", mel_filters(bands), persistent=False)
        self.register_buffer("window", torch.hann_window(FFT), persistent=False)

    def forward(self, audio: Tensor, frames: int) -> Tensor:
        """Log-mel [B, bands, frames] of waveforms [B, N] that are zero beyond each row's audio."""
        wanted = (frames - 1) * HOP + FFT // 2
        audio = nn.functional.pad(audio[:, :wanted], (0, max(0, wanted - audio.shape[1])))
        audio = torch.cat([audio[:, 1 : FFT // 2 + 1].flip(1), audio], dim=1)
        spectrum = torch.stft(audio, FFT, HOP, window=self.window, center=False, return_complex=True)
        power = spectrum.real.square() + spectrum.imag.square()
        logs = torch.matmul(self.filters, power).clamp_(min=1e-10).log10_()
        peak = logs.amax(dim=(1, 2), keepdim=True)
        return (torch.maximum(logs, peak - 8.0) + 4.0) / 4.0


def mel_filters(bands: int) -> Tensor:
    """Triangular filters [bands, 201] on Slaney's mel scale, each of unit area, 0 to 8 kHz."""
    edges = _hertz(torch.linspace(0.0, _mel(SAMPLE_RATE / 2), bands + 2, dtype=torch.float64))
    bins = torch.linspace(0.0, SAMPLE_RATE / 2, FFT // 2 + 1, dtype=torch.float64)
    width = edges.diff()
    slopes = edges[:, None] - bins[None, :]
    rising, falling = -slopes[:-2] / width[:-1, None], slopes[2:] / width[1:, None]
    triangles = torch.minimum(rising, falling).clamp(min=0.0)
    return (triangles * (2.0 / (edges[2:] - edges[:-2]))[:, None]).float()


def _mel(hertz: float) -> float:
    return 3.0 * hertz / 200.0 if hertz < 1000.0 else 15.0 + math.log(hertz / 1000.0) * 27.0 / math.log(6.4)


def _hertz(mel: Tensor) -> Tensor:
    return torch.where(mel < 15.0, 200.0 * mel / 3.0, 1000.0 * torch.exp((mel - 15.0) * math.log(6.4) / 27.0))
