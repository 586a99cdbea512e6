"""Examples of a voice: a recording to codes and frames, for a model that is to speak like it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from stentor.data import audio
from stentor.errors import StentorError
from stentor.interfaces.codec import Codec, CodecSpec
from stentor_tts.lm.later import Later
from stentor_tts.lm.request import Prompt
from stentor_tts.mel import SAMPLE_RATE, log_mel

LONGEST = 10.0
"""What is heard of an example (s)."""


class Examples:
    """Hears examples of voices; the codec is in memory from the first one on.

    Args:
        codec: of the model's codes.
        spec: of the codec.
    """

    def __init__(self, codec: Later[Codec], spec: CodecSpec) -> None:
        self.codec, self.spec = codec, spec

    def of_row(self, custom: Mapping[str, Any], device: torch.device) -> Prompt | None:
        """What a row's field ``prompt`` names: a path, or ``{audio, start, duration, text}``.

        Raises:
            StentorError: for a field of another form, or a file that cannot be heard.
        """
        told = custom.get("prompt")
        if told is None:
            return None
        told = {"audio": told} if isinstance(told, str) else told
        if not isinstance(told, Mapping) or not isinstance(told.get("audio"), str):
            raise StentorError("a prompt is a path, or {audio, start, duration, text}.", path="prompt", value=told)
        start, seconds = float(told.get("start") or 0.0), told.get("duration")
        long = seconds is None or float(seconds) > LONGEST
        waves = [
            torch.from_numpy(
                audio.read(told["audio"], rate, start, LONGEST if seconds is None or long else float(seconds))
            )
            for rate in (self.spec.sample_rate, SAMPLE_RATE)
        ]
        return self.heard(*waves, text="" if long and seconds else str(told.get("text") or ""), device=device)

    @torch.no_grad()
    def heard(self, wave: Tensor, at_mel: Tensor, *, text: str, device: torch.device) -> Prompt:
        """The example in a waveform [N] at the codec's rate, and the same [M] at the rate of the log-mel frames."""
        length = torch.tensor([len(wave)], device=device)
        codes = self.codec.on(device).encode(wave[None].to(device), length)[0]
        return Prompt(codes, text, log_mel(at_mel.to(device)))
