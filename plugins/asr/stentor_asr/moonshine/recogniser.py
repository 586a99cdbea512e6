"""Transcription with Moonshine: greedy, one window at a time, in ONNX Runtime."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from stentor.errors import StentorError
from stentor.extras import require
from stentor_asr.moonshine import package
from stentor_asr.transcribe.recogniser import PLAIN, Heard, Recogniser, Request, Segment

_START, _END = 1, 2
_LAYERS, _HEADS, _WIDTH = 6, 8, 36
_LEAST_SAMPLES = 1600
_TOKENS_PER_SECOND = 6.5
_LONGEST = 190
_LOOP_WARNING = "repeated itself until no more tokens were allowed"


class MoonshineRecogniser(Recogniser):
    """Moonshine tiny for English, greedy (Jeffries et al. 2024, arXiv:2410.15608).

    It hears raw samples at the length that they have, so that a short window costs little. As its authors advise, no
    window gives more than 6.5 tokens per second: it loops otherwise now and then. Its weights come inside the package
    moonshine-voice 0.0.73 (extra ``moonshine``), under the MIT licence. It shares no weights with Whisper, of
    which it is independent: the two judge synthetic speech together.

    Args:
        threads: for each product; 0 takes as many as torch uses.
    """

    sample_rate = 16_000
    window_seconds = 30.0

    def __init__(self, *, threads: int = 0) -> None:
        if threads < 0:
            raise StentorError("threads must be 0 or more.", path="threads", value=threads)
        self.threads = threads
        self._encoder: Any = None
        self._decoder: Any = None

    def load_pretrained(self) -> dict[str, str]:
        folder = package.folder()
        runtime = require("onnxruntime", "moonshine", distribution="stentor-asr")
        self._encoder = _session(runtime, str(folder / package.ENCODER), self.threads)
        self._decoder = _session(runtime, str(folder / package.DECODER), self.threads)
        self._tokens = package.Tokens((folder / package.TOKENS).read_bytes())
        return package.provenance(folder)

    def __getstate__(self) -> dict[str, Any]:
        return {"threads": self.threads, "_encoder": None, "_decoder": None}

    def recognise(self, windows: Sequence[np.ndarray], request: Request = PLAIN) -> list[Heard]:
        self.refuse(request)
        if self._encoder is None:
            raise StentorError("the weights of recogniser 'moonshine' are not loaded; call load_pretrained first.")
        return [self._hear(np.ascontiguousarray(window, np.float32)) for window in windows]

    def _hear(self, window: np.ndarray) -> Heard:
        seconds = len(window) / self.sample_rate
        ids, scores = self._decode(*self._encode(window), most=min(_LONGEST, 4 + int(seconds * _TOKENS_PER_SECOND)))
        text = self._tokens.text(ids)
        warnings = () if ids and ids[-1] == _END else (_LOOP_WARNING,)
        if not any(character.isalnum() for character in text):
            return Heard((), "en")
        return Heard((Segment(0.0, seconds, text, math.exp(sum(scores) / len(scores))),), "en", warnings)

    def _encode(self, window: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """States [1, T, D] and the mask [1, N] of the samples, which the decoder thins out itself."""
        audio = np.pad(window, (0, max(0, _LEAST_SAMPLES - len(window))))[None]
        mask = np.ones(audio.shape, np.int64)
        (states,) = self._encoder.run(None, {"input_values": audio, "attention_mask": mask})
        return states, mask

    def _decode(self, states: np.ndarray, mask: np.ndarray, most: int) -> tuple[list[int], list[float]]:
        """Tokens up to and with the end, at most `most` of them, and the natural logarithms of their probabilities."""
        ids, scores, past = [_START], list[float](), _nothing(states.shape[1])
        names = [output.name for output in self._decoder.get_outputs()][1:]
        while len(ids) <= most and ids[-1] != _END:
            given = {
                "input_ids": np.array([ids[-1:]], np.int64),
                "encoder_hidden_states": states,
                "encoder_attention_mask": mask,
                "use_cache_branch": np.array([len(ids) > 1]),
                **past,
            }
            logits, *present = self._decoder.run(None, given)
            told = {name.replace("present", "past_key_values"): one for name, one in zip(names, present, strict=True)}
            # once cached, the graph gives nothing for the encoder's keys, which do not change
            past = told if len(ids) == 1 else {name: told[name] if ".decoder." in name else past[name] for name in past}
            scores.append(_append(ids, logits[0, -1]))
        return ids[1:], scores


def _append(ids: list[int], logits: np.ndarray) -> float:
    best = int(logits.argmax())
    ids.append(best)
    return -float(np.log(np.exp(logits - logits[best], dtype=np.float64).sum()))


def _nothing(frames: int) -> dict[str, np.ndarray]:
    sizes = {"decoder": 0, "encoder": frames}
    return {
        f"past_key_values.{layer}.{side}.{part}": np.zeros((1, _HEADS, size, _WIDTH), np.float32)
        for layer in range(_LAYERS)
        for side, size in sizes.items()
        for part in ("key", "value")
    }


def _session(runtime: Any, path: str, threads: int) -> Any:
    import torch

    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads or torch.get_num_threads()
    options.inter_op_num_threads = 1
    return runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
