"""A trained run as a recogniser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from stentor.errors import StentorError
from stentor.model.device import choose_device
from stentor_asr.align.words import fit
from stentor_asr.decoders.words import spelled
from stentor_asr.transcribe.recogniser import PLAIN, Heard, Recogniser, Request, Segment

_LONGEST = 15.0


@runtime_checkable
class Recognising(Protocol):
    """A task that honours requests itself.

    Attributes:
        abilities: the fields of a `Request` that it honours.
    """

    @property
    def abilities(self) -> frozenset[str]: ...

    def recognise(self, batch: Mapping[str, Any], request: Request) -> list[Segment]:
        """One segment for each row of a batch, times from the row's beginning; without text for silence."""
        ...


class TrainedRun(Recogniser):
    """Hears with the task of a run directory; a window is one segment.

    Args:
        folder: the run.
        device: where to compute, e.g. ``cpu`` or ``cuda``; ``auto`` takes a GPU where there is one.
        changes: of the run's decoder, e.g. ``decoder=ctc-beam`` and ``decoder.lm=words.arpa``.

    Raises:
        StentorError: when there is no such device.
    """

    window_seconds = _LONGEST

    def __init__(self, folder: Path, device: str = "auto", changes: Sequence[str] = ()) -> None:
        self.folder, self.device, self.changes = folder, choose_device(device), tuple(changes)
        self._task: Any = None

    def load_pretrained(self) -> dict[str, str]:
        from stentor import train

        recipe, task = train.load(self.folder, changes=self.changes)
        self._task = task.to(self.device)
        self.sample_rate = self._task.sample_rate
        self.abilities = abilities(self._task)
        changed = {"changes": " ".join(self.changes)} if self.changes else {}
        return {"name": recipe.name or self.folder.name, "source": f"run {self.folder}", **changed}

    @property
    def task(self) -> Any:
        """The task, in evaluation mode.

        Raises:
            StentorError: before `load_pretrained`.
        """
        if self._task is None:
            raise StentorError("the run is not loaded; call load_pretrained first.", path=str(self.folder))
        return self._task

    def recognise(self, windows: Sequence[np.ndarray], request: Request = PLAIN) -> list[Heard]:
        self.refuse(request)
        task = self.task
        if not windows:
            return []
        seconds = [len(window) / self.sample_rate for window in windows]
        return answers(task, self._batch(windows), seconds, request)

    def _batch(self, windows: Sequence[np.ndarray]) -> dict[str, Any]:
        import torch

        lengths = torch.tensor([len(window) for window in windows])
        audio = torch.zeros(len(windows), int(lengths.max()))
        for row, window in zip(audio, windows, strict=True):
            row[: len(window)] = torch.from_numpy(np.ascontiguousarray(window, dtype=np.float32))
        names = [f"window-{index}" for index in range(len(windows))]
        told = {"ids": names, "texts": [""] * len(names), "speakers": [""] * len(names)}
        return {**told, "audio": audio.to(self.device), "audio_lengths": lengths.to(self.device)}


def abilities(task: Any) -> frozenset[str]:
    """What a request may ask of a task: what it says itself, else words where it can align its outputs."""
    from stentor.interfaces.task import Task

    if isinstance(task, Recognising):
        return task.abilities
    aligns = isinstance(task, Task) and type(task).align is not Task.align
    return frozenset({"words"}) if aligns else frozenset()


def answers(task: Any, batch: Mapping[str, Any], seconds: Sequence[float], request: Request) -> list[Heard]:
    """What a task hears in the rows of a batch, which last `seconds`; a row is one segment, if anything was said."""
    if isinstance(task, Recognising):
        found = task.recognise(batch, request)
    else:
        found = predicted(task, batch, seconds, words=request.words)
    return [Heard((segment,) if segment.text else ()) for segment in found]


def predicted(task: Any, batch: Mapping[str, Any], seconds: Sequence[float], *, words: bool) -> list[Segment]:
    """Outputs of a task that knows nothing of requests; words come from its alignment, where there is one."""
    import torch

    with torch.inference_mode():
        texts = [" ".join(text.split()) for text in task.predict(batch)]
        times = task.align(batch, texts) if words else None
    segments = [Segment(0.0, end, text) for text, end in zip(texts, seconds, strict=True)]
    if times is None:
        return segments
    timed = zip(segments, times, strict=True)
    return [replace(segment, words=fit(spelled(segment.text, tokens), 0.0, segment.end)) for segment, tokens in timed]
