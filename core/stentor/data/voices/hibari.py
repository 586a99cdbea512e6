"""Hibari: a small neural voice (American English, female) that lies inside its package."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from stentor.extras import require
from stentor.interfaces.voice import Voice


class HibariVoice(Voice):
    """Hibari's voice "heart", the one in the package, about a hundred times faster than real time on one core."""

    sample_rate = 24000
    licence = "hibari-tts: Apache-2.0; voice distilled from Kokoro-82M af_heart: Apache-2.0"

    @cached_property
    def _engine(self) -> Any:
        return require("hibari", "voices").Hibari(voice="heart", threads=1)

    def speak(self, text: str, *, speed: float = 1.0) -> np.ndarray:
        return np.asarray(self._engine(text, speed=speed, seed=0), dtype=np.float32)
