"""Alignment by the posteriors of a trained run that has a CTC head."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from stentor.data.collate import pad
from stentor.errors import StentorError
from stentor.interfaces.corpus import Rejected
from stentor.interfaces.tokenizer import TextTokenizer
from stentor.model.device import choose_device
from stentor_asr.align.aligner import Aligner, Item, rejected, told
from stentor_asr.align.spelling import Spelled, Speller, Unit
from stentor_asr.alignment import Span, ctc_paths
from stentor_asr.ctc import needed
from stentor_asr.transcribe.pipeline import Transcript
from stentor_asr.transcribe.recogniser import Word
from stentor_asr.transcribe.windows import Window, cut

_WINDOW, _TOGETHER = 15.0, 60.0


@dataclass
class _Job:
    """An item under way.

    Attributes:
        symbols: the classes whose posteriors are kept, the blank first: what the text is made of.
        rows: their log-probabilities [T, symbols], window by window.
        times: when each frame begins (s).
        failure: why it cannot be aligned.
    """

    item: Item
    spelled: Spelled
    symbols: Tensor
    targets: list[int]
    rows: list[Tensor] = field(default_factory=list)
    times: list[np.ndarray] = field(default_factory=list)
    failure: str = ""


class CtcAligner(Aligner):
    """The best CTC path through windows of at most 15 s, cut at quiet points and joined.

    Of an hour only the posteriors of the text's own tokens are kept, and the search is frugal too (`ctc_paths`).

    Args:
        folder: of a run of task ``ctc``, or of ``speech-lm`` with its CTC head.
        device: where to compute.
        batch: windows at a time.
    """

    def __init__(self, folder: Path, device: str = "auto", batch: int = 8) -> None:
        self.folder, self.device, self.batch = folder, choose_device(device), batch

    def load(self) -> dict[str, str]:
        from stentor import train

        recipe, task = train.load(self.folder)
        if not hasattr(task, "posteriors") or getattr(task, "ctc", task) is None:
            raise StentorError("has no CTC posteriors; alignment takes a run of task 'ctc', or of 'speech-lm' with "
                               "'ctc_weight' above 0.", path=str(self.folder))  # fmt: skip
        self._task: Any = task.to(self.device)
        self._spell = Speller(cast(TextTokenizer, task.text))
        return {"name": recipe.name or self.folder.name, "source": f"run {self.folder}"}

    def align(
        self, items: Iterable[Item], advance: Callable[[float], None] = lambda _: None
    ) -> Iterator[tuple[Item, Transcript | Rejected]]:
        group: list[Item] = []
        for item in items:
            if group and sum(one.seconds for one in group) + item.seconds > _TOGETHER:
                yield from self._group(group, advance)
                group = []
            group.append(item)
        yield from self._group(group, advance)

    def _group(
        self, group: Sequence[Item], advance: Callable[[float], None]
    ) -> Iterator[tuple[Item, Transcript | Rejected]]:
        jobs = [self._job(item) for item in group]
        self._listen([job for job in jobs if isinstance(job, _Job)], advance)
        ready = [job for job in jobs if isinstance(job, _Job) and self._is_ready(job)]
        paths = iter(self._paths(ready))
        for item, job in zip(group, jobs, strict=True):
            if isinstance(job, Rejected):
                yield item, job
            elif job.failure:
                yield item, rejected(item, job.failure)
            else:
                yield item, self._told(job, next(paths))

    def _job(self, item: Item) -> _Job | Rejected:
        try:
            spelled = self._spell(item.lines)
        except StentorError as error:
            return rejected(item, error.problems[0].message)
        symbols = sorted(set(spelled.ids))
        places = {symbol: place for place, symbol in enumerate(symbols, 1)}
        kept = torch.tensor([0, *(symbol + 1 for symbol in symbols)], device=self.device)
        return _Job(item, spelled, kept, [places[symbol] for symbol in spelled.ids])

    def _listen(self, jobs: Sequence[_Job], advance: Callable[[float], None]) -> None:
        pending: list[tuple[_Job, Window]] = []
        for job in jobs:
            try:
                for window in cut(job.item.blocks(_WINDOW, self._task.sample_rate), self._task.sample_rate, _WINDOW):
                    pending.append((job, window))
                    if len(pending) == self.batch:
                        self._hear(pending, advance)
            except StentorError as error:
                job.failure = error.problems[0].message
        self._hear(pending, advance)

    @torch.inference_mode()
    def _hear(self, pending: list[tuple[_Job, Window]], advance: Callable[[float], None]) -> None:
        if not pending:
            return
        rate = self._task.sample_rate
        waves = [torch.from_numpy(np.ascontiguousarray(window.samples)) for _, window in pending]
        audio, lengths = pad(waves)
        batch = {"audio": audio.to(self.device), "audio_lengths": lengths.to(self.device)}
        found, lengths = self._task.posteriors(batch)
        for (job, window), row, length in zip(pending, found, lengths.tolist(), strict=True):
            job.rows.append(row[:length, job.symbols].cpu())
            job.times.append(window.start + np.arange(length) / self._task.frame_rate)
            advance(len(window.samples) / rate)
        pending.clear()

    def _is_ready(self, job: _Job) -> bool:
        frames, wanted = sum(map(len, job.rows)), needed(job.targets)
        if not job.failure and frames < wanted:
            job.failure = f"the text is too long for the audio: it needs {wanted} frames, and there are {frames}."
        return not job.failure

    def _paths(self, jobs: Sequence[_Job]) -> list[list[Span]]:
        if not jobs:
            return []
        rows = [torch.cat(job.rows) for job in jobs]
        widest = max(row.shape[1] for row in rows)
        padded = pad_sequence([torch.nn.functional.pad(row, (0, widest - row.shape[1])) for row in rows], True)
        return ctc_paths(padded, [len(row) for row in rows], [job.targets for job in jobs])

    def _told(self, job: _Job, path: Sequence[Span]) -> Transcript | Rejected:
        if not path:
            return rejected(job.item, "no path through the audio gives this text.")
        times = np.concatenate(job.times)
        step = 1 / self._task.frame_rate
        lines = [[_word(unit, path, times, step) for unit in units] for units in job.spelled.lines]
        return told(job.item, list(zip(job.item.lines, lines, strict=True)))


def _word(unit: Unit, path: Sequence[Span], times: np.ndarray, step: float) -> Word:
    spans = path[unit.first : unit.last]
    frames = [span.end - span.start for span in spans]
    score = sum(span.score * count for span, count in zip(spans, frames, strict=True)) / sum(frames)
    start, end = float(times[spans[0].start]), float(times[spans[-1].end - 1]) + step
    return Word(start, end, unit.text, min(1.0, math.exp(score)))
