"""A recogniser as something that can be evaluated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from stentor.evaluate.decoding import Times


class Listener:
    """Gives batches to a component of kind ``recogniser``, one window per utterance.

    An utterance longer than the recogniser's window is heard in windows that follow each other without overlap.

    Args:
        recogniser: with ``sample_rate`` (Hz), ``window_seconds`` and ``recognise(windows)``, whose results have
            ``segments`` with ``text``; its weights are loaded.
    """

    def __init__(self, recogniser: Any) -> None:
        self.recogniser = recogniser

    @property
    def sample_rate(self) -> int:
        return int(self.recogniser.sample_rate)

    def predict(self, batch: Mapping[str, Any]) -> list[str]:
        """One text per row of ``audio`` [B, N] with ``audio_lengths`` [B]."""
        rows = zip(batch["audio"].cpu().numpy(), batch["audio_lengths"].tolist(), strict=True)
        windows = [self._windows(row[:length]) for row, length in rows]
        heard = iter(self.recogniser.recognise([window for row in windows for window in row]))
        texts = [[segment.text for _ in row for segment in next(heard).segments] for row in windows]
        return [" ".join(" ".join(row).split()) for row in texts]

    def align(self, batch: Mapping[str, Any], outputs: Sequence[str]) -> Times | None:
        return None

    def _windows(self, samples: np.ndarray) -> list[np.ndarray]:
        size = int(self.recogniser.window_seconds * self.sample_rate)
        return [samples[start : start + size] for start in range(0, max(1, len(samples)), size)]
