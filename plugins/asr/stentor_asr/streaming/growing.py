"""Streaming with recognisers that hear whole utterances: the utterance so far is heard again and again.

A partial text is what two hearings in a row agree on (local agreement: Liu et al. 2020, arXiv 2005.11185,
"Low-latency sequence-to-sequence speech recognition and translation by partial hypothesis selection").
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stentor.config import ranges
from stentor.errors import StentorError
from stentor_asr.streaming.listener import Hearing, Listener
from stentor_asr.transcribe.recogniser import PLAIN, Heard, Recogniser, Request
from stentor_asr.transcribe.trained_run import answers


class WindowListener(Listener):
    """Any recogniser: each time the samples so far are encoded and decoded anew.

    Args:
        recogniser: with its weights loaded.
        interval: of audio from one hearing to the next (s).
        request: what is asked of it; partial texts ask for the language alone.
    """

    def __init__(self, recogniser: Recogniser, interval: float = 1.0, request: Request = PLAIN) -> None:
        recogniser.refuse(request)
        ranges.refuse({"interval": (interval, ranges.above_zero(interval))})
        self.recogniser, self.interval, self.request = recogniser, interval, request
        self.sample_rate, self.longest = recogniser.sample_rate, recogniser.window_seconds

    def begin(self) -> Hearing:
        return _WindowHearing(self)


class FramesListener(Listener):
    """A task whose encoder streams, such as a speech-language model: frames are encoded once, only text is made anew.

    Args:
        task: in evaluation mode; it takes frames in place of audio.
        interval: of audio from one hearing to the next (s).
        longest: utterance (s).
        request: what is asked of the final text.

    Raises:
        StentorError: when the encoder does not stream.
    """

    def __init__(self, task: Any, interval: float = 1.0, longest: float = 15.0, request: Request = PLAIN) -> None:
        if not task.encoder.streams:
            raise StentorError("its encoder does not stream; it needs the whole utterance.", path="encoder")
        ranges.refuse({"interval": (interval, ranges.above_zero(interval))})
        self.task, self.interval, self.request = task, interval, request
        self.sample_rate, self.longest = task.sample_rate, longest

    def begin(self) -> Hearing:
        return _FramesHearing(self)


class _Growing(Hearing):
    def __init__(self, hop: int) -> None:
        self._hop, self._samples = hop, 0
        self._before: list[str] = []
        self._agreed: list[str] = []

    def feed(self, samples: np.ndarray) -> str:
        while len(samples):
            head = samples[: self._hop - self._samples % self._hop]
            self.take(head)
            self._samples += len(head)
            samples = samples[len(head) :]
            if self._samples % self._hop == 0:
                now = self.hear().split()
                self._agreed = agreement(self._agreed, self._before, now)
                self._before = now
        return " ".join(self._agreed)

    @abstractmethod
    def take(self, samples: np.ndarray) -> None: ...

    @abstractmethod
    def hear(self) -> str: ...


class _WindowHearing(_Growing):
    def __init__(self, listener: WindowListener) -> None:
        super().__init__(max(1, round(listener.interval * listener.sample_rate)))
        self._listener = listener
        self._held: list[np.ndarray] = []

    def take(self, samples: np.ndarray) -> None:
        self._held.append(samples)

    def hear(self) -> str:
        (heard,) = self._recognise(Request(language=self._listener.request.language))
        return " ".join(segment.text for segment in heard.segments)

    def finish(self) -> Heard:
        return self._recognise(self._listener.request)[0]

    def _recognise(self, request: Request) -> list[Heard]:
        self._held = [np.concatenate([np.zeros(0, np.float32), *self._held])]
        return self._listener.recogniser.recognise(self._held, request)


class _FramesHearing(_Growing):
    def __init__(self, listener: FramesListener) -> None:
        super().__init__(max(1, round(listener.interval * listener.sample_rate)))
        self._task, self._request = listener.task, listener.request
        self._state = self._task.encoder.initial_state(1)
        self._frames: list[Tensor] = []

    def take(self, samples: np.ndarray) -> None:
        self._encode(samples)

    def hear(self) -> str:
        if not any(part.shape[1] for part in self._frames):
            return ""
        return " ".join(segment.text for segment in self._answer(PLAIN).segments)

    def finish(self) -> Heard:
        self._encode(np.zeros(0, np.float32), last=True)
        return self._answer(self._request)

    @torch.inference_mode()
    def _encode(self, samples: np.ndarray, *, last: bool = False) -> None:
        device = next(self._task.parameters()).device
        audio = torch.from_numpy(np.ascontiguousarray(samples, np.float32))[None].to(device)
        frames, self._state = self._task.encoder.step(audio, self._state, last=last)
        self._frames.append(frames)

    def _answer(self, request: Request) -> Heard:
        frames = torch.cat(self._frames, 1)
        self._frames, device = [frames], frames.device
        lengths = {"frames": torch.tensor([frames.shape[1]], device=device), "audio": torch.tensor([self._samples])}
        batch = {"ids": [""], "texts": [""], "speakers": [""], "frames": frames, "frame_lengths": lengths["frames"]}
        seconds = self._samples / self._task.sample_rate
        return answers(self._task, {**batch, "audio_lengths": lengths["audio"]}, [seconds], request)[0]


def agreement(agreed: Sequence[str], before: Sequence[str], now: Sequence[str]) -> list[str]:
    """`agreed`, and what the last two hearings have in common behind it; words are compared without case and signs."""
    common = 0
    for left, right in zip(before, now, strict=False):
        if _form(left) != _form(right):
            break
        common += 1
    told = [_form(word) for word in agreed]
    fits = common > len(agreed) and [_form(word) for word in now[: len(agreed)]] == told
    return [*agreed, *now[len(agreed) : common]] if fits else list(agreed)


def _form(word: str) -> str:
    return "".join(sign for sign in word.lower() if sign.isalnum()) or word
