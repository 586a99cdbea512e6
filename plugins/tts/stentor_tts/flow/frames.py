"""What a frozen codec and the mel spectrogram give of an utterance, group by group: what training keeps on disk."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from stentor.interfaces.codec import Codec, CodecSpec, Codes
from stentor_tts.flow.grid import Grid
from stentor_tts.mel import BINS, log_mel

_DIGIT = 1024
"""A code is kept as two digits, so that it survives half precision."""


class CodedMel(nn.Module):
    """Waveforms to one row of numbers for each group: its codes as two digits each, then its mel frames.

    Args:
        codec: frozen.
        grid: where codes and frames lie in a group.
    """

    def __init__(self, codec: Codec, grid: Grid) -> None:
        super().__init__()
        self.codec, self.grid = codec, grid

    def forward(self, audio: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Rows float [B, G, 2 * codes + frames * BINS] and how many of them are valid [B].

        Args:
            audio: waveforms float [B, N] in [-1, 1] at the codec's sample rate, which is the spectrogram's.
            lengths: int64 [B], valid samples.
        """
        codes, groups = self.grid.pack(self.codec.encode(audio, lengths), audio.device)
        audio = audio.masked_fill(torch.arange(audio.shape[1], device=audio.device) >= lengths[:, None], 0.0)
        count = codes[0].shape[1]
        mel = log_mel(audio)[:, : count * self.grid.frames]
        both = torch.cat([torch.cat([block // _DIGIT, block % _DIGIT], dim=-1) for block in codes], dim=-1)
        return torch.cat([both.to(mel), mel.reshape(len(audio), count, -1)], dim=-1), groups


def parted(rows: Tensor, spec: CodecSpec) -> tuple[Codes, Tensor]:
    """Codes, and log-mel frames [T, BINS], of the rows [G, D] of one utterance."""
    digits, mel = rows[:, : 2 * spec.group], rows[:, 2 * spec.group :]
    codes = []
    for block in digits.long().split([2 * n for n in spec.pattern], dim=-1):
        high, low = block.chunk(2, dim=-1)
        codes.append((high * _DIGIT + low).flatten())
    return tuple(codes), mel.reshape(-1, BINS)
