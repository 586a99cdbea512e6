"""Voice activity by the detector of WebRTC."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from stentor.extras import require
from stentor.interfaces.vad import VAD, Waves


class WebRTC(VAD):
    """The Gaussian mixture detector of the WebRTC project, on 16 bit samples; its answers are 0 or 1.

    Args:
        mode: how readily it says that nobody speaks, 0 (hardly) to 3.
    """

    sample_rate = 16_000
    frame_seconds = 0.03

    def __init__(self, *, mode: Literal[0, 1, 2, 3] = 2) -> None:
        self.mode = mode
        require("webrtcvad", "webrtc")

    def begin(self, batch: int) -> list[Any]:
        module = require("webrtcvad", "webrtc")
        return [module.Vad(self.mode) for _ in range(batch)]

    def judge(self, frames: Waves, inner: list[Any]) -> tuple[Waves, list[Any]]:
        whole = (np.clip(frames, -1, 1) * 32767).astype("<i2")
        found = [
            [detector.is_speech(frame.tobytes(), self.sample_rate) for frame in row]
            for row, detector in zip(whole, inner, strict=True)
        ]
        return np.array(found, np.float32), inner
