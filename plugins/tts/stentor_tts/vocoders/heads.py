"""From frames of features to samples: heads of the vocoders and of the codecs, which stream."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from stentor_tts import overlap, pitch
from stentor_tts.mel import BINS, HOP
from stentor_tts.overlap import FFT, POINTS, Overlap, OverlapState
from stentor_tts.vocoders import excitation
from stentor_tts.vocoders.excitation import ExcitationState

_LOUDEST = 6.0  # natural logarithm of the largest magnitude: a full-scale tone has log(FFT / 4) = 5.1
_BEFORE = (FFT - HOP) // 2


class Head(nn.Module, ABC):
    """Features float [B, T, dim] and the log-mel frames that they are to sound like to samples [B, T * HOP]."""

    @abstractmethod
    def initial_state(self, batch: int, *, start: int = 0) -> Any:
        """State of `batch` new streams; `start` is the frame at which noise begins, where the head makes any."""

    @abstractmethod
    def step(
        self, made: Tensor, mel: Tensor, state: Any, *, last: bool, mask: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        """Samples [B, n] that the next features [B, t, dim] and log-mel frames [B, t, BINS] settle, and the next state.

        `mask` [B, t, 1] is 0 on frames that are padding; only for whole utterances at once.
        """

    def cost(self, made: Tensor, mel: Tensor, audio: Tensor) -> tuple[Tensor, dict[str, float]]:
        """A loss of what else features [B, T, dim] and log-mel frames [B, T, BINS] must tell of `audio` [B, T * HOP],
        and parts of it to log."""
        return made.new_zeros(()), {}


class FourierHead(Head):
    """The head of Vocos (Siuzdak, arXiv 2306.00814): magnitude and phase of every frame.

    Magnitudes are relative to those that the mel bands suggest (FreeV, arXiv 2406.08196), so that training has only the
    fine structure and the phases to learn.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.spectrum = nn.Linear(dim, 2 * POINTS)

    def initial_state(self, batch: int, *, start: int = 0) -> OverlapState:
        return Overlap.initial_state(batch, self.spectrum.weight)

    def step(
        self, made: Tensor, mel: Tensor, state: OverlapState, *, last: bool, mask: Tensor | None = None
    ) -> tuple[Tensor, OverlapState]:
        gain, phase = self.spectrum(made).chunk(2, -1)
        spectra = torch.polar(_loudness(gain, mel), phase)
        return _sounding(spectra, state, last=last, mask=mask)


@dataclass(frozen=True)
class SourceFilterState:
    """Log-mel frames [B, t, BINS] and features [B, t, dim] that wait; the last frame of the pulses, and those samples
    of them [B, n] that frames to come need; the frames of noise that are done; overlapping frames of sound."""

    mel: Tensor
    made: Tensor
    excitation: ExcitationState
    pulses: Tensor
    frames: int
    overlap: OverlapState


class SourceFilterHead(Head):
    """A neural source-filter model (Wang et al., arXiv 1904.12088) with filters in the Fourier domain.

    Pitch and voicing, told from the features and from how well harmonics fit, make a train of pulses. Two filters for
    every frame, one over the pulses (magnitudes and phases) and one over white noise (magnitudes), relative to the
    magnitudes that the mel bands suggest, make speech of it. A frame's samples need the pitch of three more frames.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.filters, self.tune = nn.Linear(dim, 3 * POINTS), nn.Linear(dim, pitch.STEPS + 1)
        self.harmonics = nn.Linear(pitch.STEPS, pitch.STEPS + 1, bias=False)
        for linear in (self.filters, self.tune):
            nn.init.normal_(linear.weight, std=0.01)
            nn.init.zeros_(linear.bias)
        with torch.no_grad():
            self.harmonics.weight.copy_(4 * torch.eye(pitch.STEPS + 1, pitch.STEPS))

    def initial_state(self, batch: int, *, start: int = 0) -> SourceFilterState:
        like = self.filters.weight
        nothing, made = like.new_zeros(batch, 0, BINS), like.new_zeros(batch, 0, self.filters.in_features)
        source, pulses = excitation.initial_state(batch, like), like.new_zeros(batch, _BEFORE)
        return SourceFilterState(nothing, made, source, pulses, start, Overlap.initial_state(batch, like))

    def step(
        self, made: Tensor, mel: Tensor, state: SourceFilterState, *, last: bool, mask: Tensor | None = None
    ) -> tuple[Tensor, SourceFilterState]:
        source, pulses = self._pulses(made, mel, state, mask)
        if last:
            pulses = functional.pad(pulses, (0, FFT - HOP - _BEFORE))
        ready = max(0, (pulses.shape[1] - FFT) // HOP + 1)
        mel, made = torch.cat([state.mel, mel], 1), torch.cat([state.made, made], 1)
        spectra = self._spectra(made[:, :ready], mel[:, :ready], pulses, state.frames)
        sound, overlapping = _sounding(spectra, state.overlap, last=last, mask=mask)
        frames = state.frames + ready
        return sound, SourceFilterState(
            mel[:, ready:], made[:, ready:], source, pulses[:, ready * HOP :], frames, overlapping
        )

    def cost(self, made: Tensor, mel: Tensor, audio: Tensor) -> tuple[Tensor, dict[str, float]]:
        """Cross-entropy of pitch and voicing against those of the tracker."""
        told = self._told(made, mel)
        hertz, voicing = pitch.track(audio)
        each = -(pitch.targets(hertz) * told[..., :-1].log_softmax(-1)).sum(-1)
        tone = (each * voicing).sum() / voicing.sum().clamp(min=1)
        voiced = functional.binary_cross_entropy_with_logits(told[..., -1], voicing)
        return 0.3 * tone + voiced, {"pitch_loss": float(tone.detach()), "voicing_loss": float(voiced.detach())}

    def _told(self, made: Tensor, mel: Tensor) -> Tensor:
        """Logits [B, t, STEPS + 1] of every pitch and, last, of voicing."""
        found: Tensor = self.tune(made) + self.harmonics(pitch.evidence(mel.detach()))
        return found

    def _pulses(
        self, made: Tensor, mel: Tensor, state: SourceFilterState, mask: Tensor | None
    ) -> tuple[ExcitationState, Tensor]:
        """The pulses of all frames known so far; no gradient goes through them."""
        if not made.shape[1]:
            return state.excitation, state.pulses
        told = self._told(made, mel).detach()
        signal, source = excitation.pulses(pitch.mean(told[..., :-1]), told[..., -1].sigmoid(), state.excitation)
        if mask is not None:
            signal = signal * mask.expand(-1, -1, HOP).flatten(1)
        return source, torch.cat([state.pulses, signal], 1)

    def _spectra(self, made: Tensor, mel: Tensor, pulses: Tensor, first: int) -> Tensor:
        if not made.shape[1]:
            return torch.polar(made.new_zeros(len(made), 0, POINTS), made.new_zeros(len(made), 0, POINTS))
        harmonic, phase, breath = self.filters(made).chunk(3, -1)
        count = made.shape[1]
        hiss = excitation.noise(first * HOP, (count - 1) * HOP + FFT, made).unfold(0, FFT, HOP)
        voiced = overlap.transform(pulses.unfold(1, FFT, HOP)[:, :count])
        loud, soft = _loudness(harmonic, mel), _loudness(breath, mel)
        return torch.polar(loud, phase) * voiced + soft * overlap.transform(hiss)


def _loudness(gain: Tensor, mel: Tensor) -> Tensor:
    """Magnitudes [B, T, POINTS] of gains (natural logarithm) over what the bands suggest."""
    return (gain + overlap.log_magnitudes(mel)).clamp(max=_LOUDEST).exp()


def _sounding(spectra: Tensor, state: OverlapState, *, last: bool, mask: Tensor | None) -> tuple[Tensor, OverlapState]:
    sound, state = Overlap.step(spectra if mask is None else spectra * mask, state, last=last)
    return sound.clamp(-1, 1), state
