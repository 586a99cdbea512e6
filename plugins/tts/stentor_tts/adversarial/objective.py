"""What a waveform generator is trained for: spectra alike, and discriminators that cannot tell."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from stentor_tts.adversarial.discriminators import Discriminators
from stentor_tts.adversarial.game import play, stretch
from stentor_tts.adversarial.spectral import mel_distance, stft_distance


class WaveformObjective(nn.Module):
    """Losses over pairs of waveforms, and the discriminators, which are trained by the same loss.

    Args:
        periods: of period discriminators (samples).
        windows: of spectral discriminators (samples).
        channels: of their first layers.
        resolutions: windows (samples) of the multi-resolution STFT loss.
        mel: weight of the log-mel distance.
        stft: weight of the multi-resolution STFT loss.
        adversarial: weight of fooling the discriminators; 0 for none.
        matching: weight of feature matching.
        after: share of the budget after which the discriminators play.
        heard: length of the stretch that they hear of each pair (samples).
    """

    def __init__(
        self,
        *,
        periods: Sequence[int],
        windows: Sequence[int],
        channels: int,
        resolutions: Sequence[int],
        mel: float,
        stft: float,
        adversarial: float,
        matching: float,
        after: float,
        heard: int,
    ) -> None:
        super().__init__()
        self.heard = heard
        self.resolutions, self.mel, self.stft = tuple(resolutions), mel, stft
        self.adversarial, self.matching, self.after = adversarial, matching, after
        self.judges = Discriminators(periods, windows, channels) if adversarial else None

    def forward(self, made: Tensor, wanted: Tensor, spent: float) -> tuple[Tensor, dict[str, float]]:
        """The loss of waveforms [B, N] when the share `spent` of the budget is spent, and its parts.

        Without gradients (validation) it is the distance between spectra alone.
        """
        mel, stft = mel_distance(made, wanted), stft_distance(made, wanted, self.resolutions)
        parts = {"mel_distance": float(mel.detach()), "stft_distance": float(stft.detach())}
        loss = self.mel * mel + self.stft * stft
        if self.judges is None or spent < self.after or not torch.is_grad_enabled():
            return loss, parts
        judging, fooling, matching = play(self.judges, *stretch(made, wanted, self.heard))
        parts |= {"judging": float(judging.detach()), "fooling": float(fooling.detach())}
        parts |= {"matching": float(matching.detach())}
        return loss + judging + self.adversarial * fooling + self.matching * matching, parts
