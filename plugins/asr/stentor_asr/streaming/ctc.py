"""Streaming CTC: every frame of a streaming encoder is decoded once, as it comes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from stentor.errors import StentorError
from stentor_asr.ctc import CTCTask
from stentor_asr.streaming.listener import Hearing, Listener
from stentor_asr.transcribe.recogniser import PLAIN, Heard, Request


class CTCListener(Listener):
    """A CTC task whose encoder streams: partial texts are the best path so far, the final one the decoder's search.

    Args:
        task: in evaluation mode.
        longest: utterance (s).
        request: what is asked of the final text.

    Raises:
        StentorError: when the encoder does not stream.
    """

    def __init__(self, task: CTCTask, longest: float = 15.0, request: Request = PLAIN) -> None:
        if not task.encoder.streams:
            raise StentorError("its encoder does not stream; it needs the whole utterance.", path="encoder")
        self.task, self.sample_rate, self.longest, self.request = task, task.sample_rate, longest, request

    def begin(self) -> Hearing:
        return _CTCHearing(self.task, self.request)


class _CTCHearing(Hearing):
    def __init__(self, task: CTCTask, request: Request) -> None:
        self.task, self._state, self._request = task, task.encoder.initial_state(1), request
        self._ids: list[int] = []
        self._before, self._samples, self._text = 0, 0, ""
        self._log_probs: list[Tensor] = []

    def feed(self, samples: np.ndarray) -> str:
        self._step(samples)
        return self._text

    def finish(self) -> Heard:
        self._step(np.zeros(0, np.float32), last=True)
        log_probs = torch.cat(self._log_probs, 1)
        lengths = torch.tensor([log_probs.shape[1]], device=log_probs.device)
        (segment,) = self.task.read(log_probs, lengths, [self._samples / self.task.sample_rate], self._request)
        return Heard((segment,) if segment.text else ())

    @torch.inference_mode()
    def _step(self, samples: np.ndarray, *, last: bool = False) -> None:
        self._samples += len(samples)
        audio = torch.from_numpy(np.ascontiguousarray(samples, np.float32))[None]
        device = self.task.out.weight.device
        frames, self._state = self.task.encoder.step(audio.to(device), self._state, last=last)
        if not frames.shape[1]:
            return
        log_probs = self.task.out(frames).float().log_softmax(-1)
        self._log_probs.append(log_probs)
        best, count = log_probs[0].argmax(-1).tolist(), len(self._ids)
        for one in best:
            if one not in (0, self._before):
                self._ids.append(one)
            self._before = one
        if len(self._ids) > count:
            self._text = self.task.text.decode([one - 1 for one in self._ids]).strip()
