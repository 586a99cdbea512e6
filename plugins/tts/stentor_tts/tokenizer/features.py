"""What the codes of the dual codec stand for: encoder states and acoustics, group by group, from local windows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from stentor.interfaces.encoder import Encoder
from stentor_tts.mel import BINS, HOP, SAMPLE_RATE, log_mel
from stentor_tts.tokenizer.prosody import QUIETEST, level, pitch

GROUP = 1920
"""Samples of one group: 120 ms at 16 kHz."""
PATTERN = {"linguistic": 2, "semantic": 3}
"""Codes of each stream in a group: 16.7 Hz and 25 Hz."""
ACOUSTICS = 3 + BINS
"""Width of `acoustics`: level, voicing, pitch, envelope."""
CENTRE = 160.0
"""Pitch that counts as 0 (Hz)."""
_FADE = 10.0
_DEEPEST = 7.0


@dataclass(frozen=True)
class Windows:
    """How much of an utterance the encoder sees at a time, in groups.

    Attributes:
        block: groups that are encoded together; 0: the whole utterance.
        left: groups before the block that it sees.
        right: groups after the block that it sees: what a stream waits for.
    """

    block: int = 0
    left: int = 0
    right: int = 0

    def ready(self, done: int, samples: int, *, last: bool) -> Iterator[tuple[int, int, int, int]]:
        """(first group, group after the last, first sample, sample after the last) of every block that can be encoded.

        Args:
            done: groups already encoded.
            samples: of the utterance that are there.
            last: whether they are all.
        """
        groups = samples // GROUP
        while done < groups:
            end = min(done + self.block, groups) if self.block else groups
            seen = (end + self.right) * GROUP if self.block else samples
            whole = bool(self.block) and end == done + self.block and seen <= samples
            if not (whole or last):
                return
            yield done, end, max(0, done - self.left) * GROUP if self.block else 0, min(seen, samples)
            done = end


class GroupFeatures(nn.Module):
    """Waveforms to features [B, G, F] of every whole group; a window of a row is always encoded by itself.

    A group's features are those of its linguistic frames, then those of its semantic ones. A frame's features begin
    with how far it is from silence (0 to 1), then come its acoustics (semantic only), then the encoder's states.

    Args:
        encoder: frozen; None for the semantic stream without states.
        windows: how much it sees at a time.
        streams: which streams to give, in order.
        states: whether the semantic stream has the encoder's states.
    """

    def __init__(self, encoder: Encoder | None, windows: Windows, streams: tuple[str, ...], *, states: bool) -> None:
        super().__init__()
        self.encoder, self.windows, self.streams, self.states = encoder, windows, streams, states
        told = [windows.block, windows.left, windows.right, states, *(name in streams for name in PATTERN)]
        self.register_buffer("settings", torch.tensor([int(value) for value in told]))

    def forward(self, audio: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Features [B, G, F] and valid groups [B] of waveforms [B, N], `lengths` [B] of them valid."""
        rows = [torch.cat(self.row(row[:length])) for row, length in zip(audio, lengths.tolist(), strict=True)]
        return nn.utils.rnn.pad_sequence(rows, batch_first=True), lengths // GROUP

    def row(self, audio: Tensor) -> list[Tensor]:
        """Features [g, F] of the blocks of one waveform [N], at least one, which may be empty."""
        blocks = self.windows.ready(0, len(audio), last=True)
        found = [
            self.block(audio[start:stop], (first - start // GROUP, end - first)) for first, end, start, stop in blocks
        ]
        return found or [self.block(audio.new_zeros(GROUP), (0, 0))]

    @torch.no_grad()
    def block(self, window: Tensor, place: tuple[int, int]) -> Tensor:
        """Features [g, F] of `place`, (first group, groups), in a window [N] that begins with a group."""
        first, count = place
        inner = window[first * GROUP : (first + count) * GROUP]
        states = None if self.encoder is None else self._states(self.encoder, window)
        parts = []
        for name in self.streams:
            per = PATTERN[name]
            held = [from_silence(inner, GROUP // per)[:, None]]
            if name == "semantic":
                held.append(acoustics(window)[first * per : (first + count) * per])
            if states is not None and (name == "linguistic" or self.states):
                held.append(_averaged(states, per)[first * per : (first + count) * per])
            parts.append(torch.cat([part.reshape(count, per, part.shape[1]) for part in held], -1).flatten(1))
        return torch.cat(parts, -1)

    def _states(self, encoder: Encoder, window: Tensor) -> Tensor:
        """States [groups, frames of a group, dim] of a window; an encoder that gives too few repeats its last."""
        groups = len(window) // GROUP
        frames, _ = encoder(window[None], torch.tensor([len(window)], device=window.device))
        due = groups * round(encoder.frame_rate * GROUP / SAMPLE_RATE)
        missing = max(0, due - frames.shape[1])
        kept = functional.pad(frames[0].T[None], (0, missing), mode="replicate")[0].T if missing else frames[0]
        return kept[:due].reshape(groups, -1, encoder.dim)


def _averaged(states: Tensor, per: int) -> Tensor:
    """Means float [groups * per, dim] of the states [groups, frames, dim] under each of `per` codes of a group."""
    groups, frames, dim = states.shape
    return states.reshape(groups * per, frames // per, dim).mean(1)


def from_silence(audio: Tensor, samples: int) -> Tensor:
    """0 (silence) to 1 (sound) float [N // samples] for stretches of a waveform [N]."""
    return ((level(audio, samples) - QUIETEST) / _FADE).clamp(0, 1)


def acoustics(audio: Tensor) -> Tensor:
    """What is heard of 40 ms frames: float [N // 640, ACOUSTICS] of a waveform [N] of whole groups.

    In order: level (dB); share of the frame that is voiced; natural logarithm of its pitch over `CENTRE`, 0 where there
    is none; envelope: log-mel without its mean and what lies deep below its peak, none in silence.
    """
    frames = GROUP // PATTERN["semantic"]
    count, hops = len(audio) // frames, frames // HOP
    loudness, gate = level(audio, frames)[:, None], from_silence(audio, frames)[:, None]
    hertz, voiced = (row[: count * hops].reshape(count, hops) for row in pitch(audio))
    voiced = voiced & (gate > 0)
    height = torch.where(voiced, (hertz / CENTRE).log(), torch.nan).nanmedian(-1).values.nan_to_num()
    mel = log_mel(audio)[: count * hops].reshape(count, hops, BINS).mean(1)
    mel = mel.clamp(min=mel.amax(-1, keepdim=True) - _DEEPEST)
    share = voiced.to(audio.dtype).mean(-1)
    return torch.cat([loudness, share[:, None], height[:, None], gate * (mel - mel.mean(-1, keepdim=True))], -1)
