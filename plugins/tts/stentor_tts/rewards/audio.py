"""What rewards for spoken responses share: reading audio out of prompts and responses."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from stentor.data import audio
from stentor.data.resample import resample
from stentor.errors import StentorError
from stentor.interfaces.reward import Reward, Scores
from stentor_tts.mel import SAMPLE_RATE

Item = Mapping[str, Any]
_LEAST = 160


class AudioReward(Reward):
    """A reward for responses ``{"audio": float tensor [N], "sample_rate": Hz}``; the rate is 16 kHz unless it is told.

    A response without sound (no audio, other shapes, samples that are not finite, silence, less than 10 ms) scores NaN,
    as does a prompt that lacks what the reward reads. Every response is scored by itself. What a run is judged by
    afterwards must be something else than what rewarded it: a policy learns its reward's weaknesses.
    """

    contract: ClassVar[str] = "stentor_tts.testing:AudioRewardContract"
    names: ClassVar[tuple[str, ...]]
    """Of the parts."""

    @abstractmethod
    def rate(self, prompts: Sequence[Item], waves: Sequence[Tensor]) -> list[tuple[float, ...]]:
        """Total and parts, in the order of `names`, of waveforms [N_i] at 16 kHz; NaN for what cannot be scored."""

    def score(self, prompts: Sequence[Item], responses: Sequence[Item]) -> Scores:
        found = [waveform(response) for response in responses]
        there = [index for index, wave in enumerate(found) if wave is not None]
        table = torch.full((len(found), 1 + len(self.names)), float("nan"))
        if there:
            waves = [wave for wave in found if wave is not None]
            table[there] = torch.tensor(self.rate([prompts[index] for index in there], waves), dtype=torch.float32)
        total, *parts = table.unbind(1)
        return Scores(total, dict(zip(self.names, parts, strict=True)))


def waveform(told: Item) -> Tensor | None:
    """The sound of a response or prompt, float32 [N] at 16 kHz on the CPU; None where there is none."""
    samples = told.get("audio")
    if not isinstance(samples, Tensor) or samples.ndim != 1 or not samples.is_floating_point():
        return None
    wave = samples.detach().float().cpu()
    rate = int(told.get("sample_rate", SAMPLE_RATE))
    if rate != SAMPLE_RATE and len(wave):
        wave = torch.from_numpy(np.asarray(resample(wave.numpy(), rate, SAMPLE_RATE)))
    sound = len(wave) >= _LEAST and bool(torch.isfinite(wave).all()) and bool(wave.any())
    return wave if sound else None


def voice_of(prompt: Item) -> Tensor | None:
    """The example of a voice under ``prompt``: as a response has audio, or a path, or ``{"audio": path, ...}``."""
    told = prompt.get("prompt")
    told = {"audio": told} if isinstance(told, str) else told
    if not isinstance(told, Mapping):
        return None
    if not isinstance(told.get("audio"), str):
        return waveform(told)
    try:
        return torch.from_numpy(audio.read(told["audio"], SAMPLE_RATE, told.get("start", 0.0), told.get("duration")))
    except StentorError:
        return None


def text_of(prompt: Item) -> str | None:
    """What the response should say: ``reference``, else ``text``."""
    found = prompt.get("reference", prompt.get("text"))
    return found if isinstance(found, str) else None
