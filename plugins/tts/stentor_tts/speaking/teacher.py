"""A trained run as a voice: what it says can be listened to by corpora and the data engine."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from stentor.errors import StentorError
from stentor.interfaces.voice import Voice
from stentor_tts.batches import spared
from stentor_tts.speaking.choice import choose
from stentor_tts.speaking.synthesiser import Speech, Synthesiser


class RunVoice(Voice):
    """A trained run that speaks, or an export of one, as a teacher; what it says is synthetic.

    Args:
        folder: of the run.
        prompt: recording of whom to sound like; empty: the run's own voice.
        seed: of what is drawn.
        device: where to compute: auto, cpu, cuda.

    Raises:
        StentorError: on the first use, when `folder` holds no run that speaks.
    """

    def __init__(self, *, folder: str = "", prompt: str = "", seed: int = 0, device: str = "auto") -> None:
        self.folder, self.prompt, self.seed, self.device = folder, prompt, seed, device

    @property
    def sample_rate(self) -> int:  # type: ignore[override]
        return self._synthesiser.speaker.sample_rate

    @property
    def licence(self) -> str:  # type: ignore[override]
        return f"made by the run '{Path(self.folder).name}': the licences of what it was trained on"

    def speak(self, text: str, *, speed: float = 1.0) -> np.ndarray:
        return self._synthesiser.speak(text, voice=self.prompt or None, speed=speed, seed=self.seed)

    def speak_all(self, texts: Sequence[str], *, speeds: Sequence[float] | None = None) -> list[np.ndarray | Exception]:
        def streams(asked: Sequence[tuple[str, float]]) -> list[Speech]:
            options: dict[str, Any] = {"voice": self.prompt or None, "seed": self.seed}
            return [self._synthesiser.stream(text, speed=speed, **options) for text, speed in asked]

        asked = list(zip(texts, speeds or [1.0] * len(texts), strict=True))
        return self._synthesiser.speak_all(spared(streams, asked))

    @cached_property
    def _synthesiser(self) -> Synthesiser:
        if not self.folder:
            raise StentorError("no run is named; write it run:folder=RUN.", path="voice.folder")
        speaker = choose(Path(self.folder), device=self.device)
        speaker.load_pretrained()
        return Synthesiser(speaker)
