"""A trained run as a recogniser."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stentor.errors import StentorError
from stentor.model.device import choose_device
from stentor_asr.transcribe.recogniser import PLAIN, Heard, Recogniser, Request, Segment

_LONGEST = 15.0


class TrainedRun(Recogniser):
    """Hears with the task of a run directory; a window is one segment.

    Args:
        folder: the run.
        device: where to compute, e.g. ``cpu`` or ``cuda``; ``auto`` takes a GPU where there is one.

    Raises:
        StentorError: when there is no such device.
    """

    window_seconds = _LONGEST

    def __init__(self, folder: Path, device: str = "auto") -> None:
        self.folder, self.device = folder, choose_device(device)
        self._task: Any = None

    def load_pretrained(self) -> dict[str, str]:
        from stentor import train

        recipe, task = train.load(self.folder)
        self._task = task.to(self.device)
        self.sample_rate = self._task.sample_rate
        return {"name": recipe.name or self.folder.name, "source": f"run {self.folder}"}

    def recognise(self, windows: Sequence[np.ndarray], request: Request = PLAIN) -> list[Heard]:
        self.refuse(request)
        import torch

        if self._task is None:
            raise StentorError("the run is not loaded; call load_pretrained first.", path=str(self.folder))
        if not windows:
            return []
        lengths = torch.tensor([len(window) for window in windows])
        audio = torch.zeros(len(windows), int(lengths.max()))
        for row, window in zip(audio, windows, strict=True):
            row[: len(window)] = torch.from_numpy(np.ascontiguousarray(window, dtype=np.float32))
        names = [f"window-{index}" for index in range(len(windows))]
        batch = {"ids": names, "texts": [""] * len(names), "speakers": [""] * len(names)}
        with torch.inference_mode():
            texts = self._task.predict(
                {**batch, "audio": audio.to(self.device), "audio_lengths": lengths.to(self.device)}
            )
        return [
            Heard((Segment(0.0, len(window) / self.sample_rate, text.strip()),) if text.strip() else ())
            for window, text in zip(windows, texts, strict=True)
        ]
